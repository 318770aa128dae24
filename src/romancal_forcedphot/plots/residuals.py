"""Plots of a fit: the image, its model and what is left."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from .stretch import asinh_stretch, brightness_bar, gray_colormap, window
from .style import axes_or_new

__all__ = ["psf_residual"]

WIDE = (12.0, 4.4)  # inches
GAP = 0.04  # between the images, in units of their width


def psf_residual(
    data: ArrayLike,
    model: ArrayLike,
    *,
    center: tuple[float, float] | None = None,
    half_size: float = 40.0,
    unit: str = "DN/s",
    ax: Axes | None = None,
) -> Axes:
    """Plot a part of an image, the model fitted to it and the residual, with one stretch.

    The residual is data less model. The median of the shown data is added to it, so that the same
    grey is the same difference from the sky in all three.

    Parameters
    ----------
    data, model : (ny, nx) array_like
        The image and its model with the sky, such as `BoundFit.model_image`; pixels that are not
        finite are orange.
    center : (float, float), optional
        Pixel position (x, y) of the middle; by default that of the image.
    half_size : float
        Half the side of what is shown, in pixels.
    unit : str
        Unit of the image.
    ax : matplotlib.axes.Axes, optional
        Axes to plot into, three times as wide as high; new ones by default.

    Returns
    -------
    matplotlib.axes.Axes
        With three images in it.

    Raises
    ------
    ValueError
        The two images have different shapes, or nothing of them is around the position.
    """
    if np.shape(data) != np.shape(model):
        raise ValueError(
            f"data have shape {np.shape(data)} and model {np.shape(model)}: expected one shape"
        )
    ax = axes_or_new(ax, WIDE)
    ny, nx = np.shape(data)
    x, y = ((nx - 1) / 2, (ny - 1) / 2) if center is None else map(float, center)
    shown, (left, right, bottom, top) = window(data, x, y, half_size)
    fitted, _ = window(model, x, y, half_size)
    sky = float(np.median(shown[np.isfinite(shown)])) if np.isfinite(shown).any() else 0.0
    look: dict[str, Any] = {
        "origin": "lower",
        "cmap": gray_colormap(),
        "norm": asinh_stretch(shown),
    }
    images = {"data": shown, "model": fitted, "data - model": shown - fitted + sky}
    step = (1 + GAP) * (right - left)
    for number, (title, image) in enumerate(images.items()):
        first = number * step
        picture = ax.imshow(image, extent=(first, first + right - left, bottom, top), **look)
        ax.text(first + (right - left) / 2, top, title, ha="center", va="bottom")
    ax.set_xlim(0, 2 * step + right - left)
    ax.set_ylim(bottom, top)
    ax.set_axis_off()
    ax.set_title(
        f"{right - left:.0f} x {top - bottom:.0f} pixels around ({x:.0f}, {y:.0f})", pad=22
    )
    brightness_bar(picture, unit)
    return ax
