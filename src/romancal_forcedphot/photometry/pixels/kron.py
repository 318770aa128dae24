"""Kron radii: the mean elliptical radius of a source's light.

With the elliptical radius r of each pixel (in half axes of the source's second moments) and its
value I above the background,

    r_K = Σ r I / Σ I

over the pixels whose centres lie within r = 6 and that are no other source's (Kron 1980, ApJS 43,
305; the limits are SExtractor's and photutils'). An ellipse of 2.5 r_K half axes, of 3.5 at least,
holds more than 90 % of the light of most galaxies.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .cutouts import cutout_values, split_position
from .ellipses import elliptical_radius, stamps_by_size

__all__ = ["KRON_SCALE", "LARGEST_RADIUS", "SMALLEST_RADIUS", "kron_radius"]

KRON_SCALE = 2.5
SMALLEST_RADIUS = 1.4  # 3.5 half axes of the aperture
LARGEST_RADIUS = 6.0  # in which the radius is measured, so that no larger one makes sense


def kron_radius(
    data: NDArray,
    x: NDArray,
    y: NDArray,
    semimajor: NDArray,
    semiminor: NDArray,
    theta: NDArray,
    *,
    background: NDArray | float = 0.0,
    owner: NDArray | None = None,
    label: NDArray | None = None,
    smallest: float = SMALLEST_RADIUS,
) -> NDArray:
    """Measure Kron radii, as photutils' `SourceCatalog.kron_radius`.

    Parameters
    ----------
    data : (ny, nx) ndarray of float32
        Image with NaN at pixels that may not be used.
    x, y : (n,) ndarray of float64
        Pixel positions.
    semimajor, semiminor : (n,) ndarray of float64
        Standard deviations of the light along the axes, pixels.
    theta : (n,) ndarray of float64
        Angle of the major axis in radian, counterclockwise from the positive x axis.
    background : float or (n,) ndarray
        Local background of the sources.
    owner : (ny, nx) ndarray of integers, optional
        Labels of the sources that pixels belong to, 0 for pixels of none; see `ellipses.owners`.
    label : (n,) ndarray of integers, optional
        Labels of the sources in `owner`.
    smallest : float
        Least radius, also where the light is not positive.

    Returns
    -------
    (n,) ndarray of float64
        In half axes; NaN where there is no pixel or no shape, or where light and noise cancel so
        that the radius comes out above 6.
    """
    radius = np.full(x.shape, np.nan)
    background = np.broadcast_to(background, x.shape)
    is_placed = np.isfinite(x) & np.isfinite(y)
    reach = np.where(is_placed, LARGEST_RADIUS * np.maximum(semimajor, semiminor), np.nan)
    for rows, half_size in stamps_by_size(reach):
        y_pixel, y_fraction = split_position(y[rows], data.shape[0], half_size)
        x_pixel, x_fraction = split_position(x[rows], data.shape[1], half_size)
        dy, dx = np.mgrid[-half_size : half_size + 1, -half_size : half_size + 1].reshape(2, -1)
        around = (y_pixel, x_pixel, dy, dx)
        light = cutout_values(data, *around, fill=np.nan) - background[rows, None]
        ellipse = (each[rows] for each in (semimajor, semiminor, theta))
        r = elliptical_radius(dx - x_fraction[:, None], dy - y_fraction[:, None], *ellipse)
        used = (r <= LARGEST_RADIUS) & np.isfinite(light)
        if owner is not None:
            labels = cutout_values(owner, *around, fill=0)
            used &= (labels == 0) | (labels == label[rows, None])
        light = np.where(used, light, 0.0)
        radius[rows] = _limited((r * light).sum(axis=1), light.sum(axis=1), smallest)
        radius[rows[~used.any(axis=1)]] = np.nan
    return radius


def _limited(moment: NDArray, light: NDArray, smallest: float) -> NDArray:
    """Return moment / light within its limits."""
    is_positive = (moment > 0) & (light > 0)
    radius = np.divide(moment, light, out=np.full(light.shape, smallest), where=is_positive)
    radius[radius > LARGEST_RADIUS] = np.nan
    return np.maximum(radius, smallest)
