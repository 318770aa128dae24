"""Pixels around sources by their elliptical radius: whose pixel is it, and how large are stamps.

The elliptical radius of a pixel is its distance from a source in units of the half axes of the
source's ellipse in that direction: 1 on the ellipse, 2 on one of twice its size.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["elliptical_radius", "owners", "stamps_by_size"]

_STEP = 1.25  # from one size of stamps to the next
_PIXELS_AT_ONCE = 1_000_000


def stamps_by_size(reach: NDArray) -> Iterator[tuple[NDArray[np.intp], int]]:
    """Yield sources with the half size of stamps that hold their reach, those of one size together.

    Parameters
    ----------
    reach : (n,) ndarray of float64
        Distance in pixels that the stamp of each source must hold; those of NaN have none.

    Yields
    ------
    rows : (m,) ndarray of intp
        A million pixels at most, if it is not one source.
    half_size : int
        Stamps of side 2 * half_size + 1, centred on the pixel nearest to the source.
    """
    known = np.flatnonzero(np.isfinite(reach))
    step = np.ceil(np.log(np.maximum(reach[known], 1.0)) / np.log(_STEP))
    for size in np.unique(step):
        half_size = int(np.ceil(_STEP**size - 1e-9))
        rows = known[step == size]
        at_once = max(_PIXELS_AT_ONCE // (2 * half_size + 1) ** 2, 1)
        for first in range(0, rows.size, at_once):
            yield rows[first : first + at_once], half_size


def elliptical_radius(
    dx: NDArray, dy: NDArray, semimajor: NDArray, semiminor: NDArray, theta: NDArray
) -> NDArray:
    """Return the elliptical radius at distances from sources.

    Parameters
    ----------
    dx, dy : (n, ...) ndarray
        Pixels from each source.
    semimajor, semiminor, theta : (n,) ndarray of float64
        Half axes in pixels and angle in radian of each source's ellipse.

    Returns
    -------
    (n, ...) ndarray of float64
    """
    shape = (-1,) + (1,) * (dx.ndim - 1)
    cos, sin = np.cos(theta), np.sin(theta)
    cos_a, sin_a = (cos / semimajor).reshape(shape), (sin / semimajor).reshape(shape)
    cos_b, sin_b = (cos / semiminor).reshape(shape), (sin / semiminor).reshape(shape)
    return np.hypot(dx * cos_a + dy * sin_a, dy * cos_b - dx * sin_b)


def owners(
    shape: tuple[int, int],
    x: NDArray,
    y: NDArray,
    semimajor: NDArray,
    semiminor: NDArray,
    theta: NDArray,
    *,
    size: float,
) -> NDArray[np.int32]:
    """Return whose pixels those of an image are, like a segmentation image of a catalog.

    Parameters
    ----------
    shape : (int, int)
        Shape (ny, nx) of the image.
    x, y : (n,) ndarray of float64
        Pixel positions of the sources.
    semimajor, semiminor, theta : (n,) ndarray of float64
        Their ellipses, half axes in pixels and angle in radian. A source with NaN owns nothing.
    size : float
        Elliptical radius to which sources own pixels.

    Returns
    -------
    (ny, nx) ndarray of int32
        Row of the source to which a pixel is nearest in its own elliptical radius, from 1 on; 0 for
        pixels of none.
    """
    owner = np.zeros(shape, dtype=np.int32)
    nearest = np.full(shape, np.float32(size))
    is_placed = np.isfinite(x) & np.isfinite(y)
    reach = np.where(is_placed, size * np.maximum(semimajor, semiminor), np.nan)
    for rows, half_size in stamps_by_size(reach):
        row, column = (np.rint(at[rows]).astype(np.intp) for at in (y, x))
        offset = np.arange(-half_size, half_size + 1)
        dy = (row - y[rows])[:, None, None] + offset[:, None]
        dx = (column - x[rows])[:, None, None] + offset
        ellipse = (each[rows] for each in (semimajor, semiminor, theta))
        radius = elliptical_radius(dx, dy, *ellipse).astype(np.float32)
        pixel_y = np.broadcast_to(row[:, None, None] + offset[:, None], radius.shape)
        pixel_x = np.broadcast_to(column[:, None, None] + offset, radius.shape)
        on_image = (pixel_y >= 0) & (pixel_y < shape[0]) & (pixel_x >= 0) & (pixel_x < shape[1])
        inside = on_image & (radius < size)
        place = (pixel_y[inside], pixel_x[inside])
        np.minimum.at(nearest, place, radius[inside])
        source = np.broadcast_to((rows + 1)[:, None, None], radius.shape)[inside]
        is_nearest = radius[inside] <= nearest[place]
        owner[pixel_y[inside][is_nearest], pixel_x[inside][is_nearest]] = source[is_nearest]
    return owner
