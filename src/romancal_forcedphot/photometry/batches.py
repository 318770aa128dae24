"""Rows of sources in batches: neighbours on the detector together, for the sake of the cache."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["batches_by_place", "rows_near"]

_SOURCES = 4096  # many enough to hide what a batch costs, few enough to share among threads
_PIXELS = 1_000_000  # of all stamps of a batch: memory stays in bounds for large apertures
_STRIP_PIX = 64


def rows_near(x: NDArray, y: NDArray, shape: tuple[int, int], reach: float) -> NDArray[np.intp]:
    """Return the rows of the sources whose circle of some radius can touch an image.

    Parameters
    ----------
    x, y : (n,) ndarray of float64
        Pixel positions; those that are NaN are nowhere.
    shape : (int, int)
        Shape (ny, nx) of the image.
    reach : float
        Radius in pixels.

    Returns
    -------
    (m,) ndarray of intp
    """
    ny, nx = shape
    margin = reach + 1
    return np.flatnonzero((abs(x - nx / 2) < nx / 2 + margin) & (abs(y - ny / 2) < ny / 2 + margin))


def batches_by_place(
    x: NDArray, y: NDArray, shape: tuple[int, int], reach: float, *, n_pixels_each: int
) -> Iterator[NDArray[np.intp]]:
    """Yield the rows of the sources near an image in batches, by their place on it.

    Parameters
    ----------
    x, y, shape, reach
        As for `rows_near`.
    n_pixels_each : int
        Pixels worked on for each source, which limits the size of a batch.

    Yields
    ------
    (m,) ndarray of intp
    """
    near = rows_near(x, y, shape, reach)
    near = near[np.lexsort((x[near], y[near] // _STRIP_PIX))]
    size = max(min(_SOURCES, _PIXELS // n_pixels_each), 1)
    for first in range(0, len(near), size):
        yield near[first : first + size]
