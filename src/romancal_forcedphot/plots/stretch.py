"""How pixels are shown: which of them, with what stretch, and its colour bar."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import AsinhNorm, Colormap
from matplotlib.image import AxesImage
from numpy.typing import ArrayLike

from ..table.statistics import robust_statistics
from .style import ORANGE

__all__ = ["asinh_stretch", "brightness_bar", "gray_colormap", "window"]

LINEAR_WIDTH_SIGMA = 3.0  # range around the background in which the stretch is linear


def window(
    data: ArrayLike, x: float, y: float, half_size: float
) -> tuple[np.ndarray, tuple[float, float, float, float]]:
    """Return the pixels around a position and their extent (left, right, bottom, top)."""
    image = np.asanyarray(data)
    ny, nx = image.shape
    first_x, last_x = max(int(np.floor(x - half_size)), 0), min(int(np.ceil(x + half_size)), nx - 1)
    first_y, last_y = max(int(np.floor(y - half_size)), 0), min(int(np.ceil(y + half_size)), ny - 1)
    if last_x < first_x or last_y < first_y:
        raise ValueError(
            f"nothing of the image ({nx} x {ny} pixels) is within {half_size:g} pixels of "
            f"({x:.1f}, {y:.1f}): give a position on the image"
        )
    pixels = np.asarray(image[first_y : last_y + 1, first_x : last_x + 1], dtype=float)
    return pixels, (first_x - 0.5, last_x + 0.5, first_y - 0.5, last_y + 0.5)


def gray_colormap() -> Colormap:
    """Return an inverted gray scale in which pixels that are not finite are orange."""
    return mpl.colormaps["gray_r"].with_extremes(bad=ORANGE)


def asinh_stretch(pixels: np.ndarray) -> AsinhNorm:
    """Return an asinh stretch: linear within the noise of the background, logarithmic above."""
    good = pixels[np.isfinite(pixels)]
    if not good.size:
        return AsinhNorm(vmin=0, vmax=1)
    background = robust_statistics(good)
    median = background.median
    noise = max(background.scatter, 1e-6 * abs(median), 1e-12)
    return AsinhNorm(
        linear_width=LINEAR_WIDTH_SIGMA * noise,
        vmin=median - LINEAR_WIDTH_SIGMA * noise,
        vmax=max(float(np.percentile(good, 99.8)), median + 10 * noise),
    )


def _ticks(norm: Any) -> list[float]:
    """Return the ticks of a colour bar: the background, then 1, 3, 10 and so on above it."""
    background = float(f"{norm.vmin + norm.linear_width:.1g}")
    decades = [10.0**power for power in range(-12, 13)]
    above = [digit * decade for decade in decades for digit in (1, 3)]
    return [background, *(v for v in above if background + 2 * norm.linear_width < v <= norm.vmax)]


def brightness_bar(picture: AxesImage, unit: str, *, shrink: float = 1.0) -> None:
    """Draw the colour bar of an image with `asinh_stretch` beside its Axes."""
    label = f"Surface brightness ({unit})"
    bar = picture.axes.figure.colorbar(picture, ax=picture.axes, label=label, shrink=shrink)
    bar.set_ticks(ticks := _ticks(picture.norm), labels=[f"{tick:g}" for tick in ticks])
    bar.minorticks_off()
