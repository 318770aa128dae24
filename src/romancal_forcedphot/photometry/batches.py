"""Batches of sources that are close together on the detector, so that their pixels stay cached."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["divided_batches", "rows_near", "spatial_batches"]

_MAX_SOURCES = 4096  # amortises the overhead of a batch; small enough to balance threads
_MAX_PIXELS = 1_000_000  # of all stamps of a batch: limits the memory for large apertures
_STRIP_PIX = 64


def rows_near(x: NDArray, y: NDArray, shape: tuple[int, int], reach: float) -> NDArray[np.intp]:
    """Return the rows of sources whose circle of a given radius can overlap an image.

    Parameters
    ----------
    x, y : (n,) ndarray of float64
        0-indexed pixel positions; rows with NaN are never returned.
    shape : (int, int)
        Shape (ny, nx) of the image.
    reach : float
        Radius in pixels.

    Returns
    -------
    (m,) ndarray of intp
        In increasing order.
    """
    ny, nx = shape
    margin = reach + 1
    return np.flatnonzero((abs(x - nx / 2) < nx / 2 + margin) & (abs(y - ny / 2) < ny / 2 + margin))


def spatial_batches(
    x: NDArray, y: NDArray, shape: tuple[int, int], reach: float, *, n_pixels_each: int
) -> Iterator[NDArray[np.intp]]:
    """Yield the rows of the sources near an image in batches, ordered by strips of the image.

    Parameters
    ----------
    x, y, shape, reach
        As for `rows_near`.
    n_pixels_each : int
        Number of pixels of the stamp of one source, which limits the size of a batch.

    Yields
    ------
    (m,) ndarray of intp
    """
    near = rows_near(x, y, shape, reach)
    near = near[np.lexsort((x[near], y[near] // _STRIP_PIX))]
    size = max(min(_MAX_SOURCES, _MAX_PIXELS // n_pixels_each), 1)
    for first in range(0, len(near), size):
        yield near[first : first + size]


def divided_batches(
    batches: Iterable[NDArray[np.intp]], x: NDArray, y: NDArray, side: float
) -> Iterator[NDArray[np.intp]]:
    """Yield the parts of batches that lie in one square of the image each.

    Parameters
    ----------
    batches : iterable of (m,) ndarray of intp
        Rows of sources.
    x, y : (n,) ndarray of float64
        0-indexed pixel positions of all sources, finite for those in batches.
    side : float
        Side of the squares in pixels.

    Yields
    ------
    (m,) ndarray of intp
    """
    for rows in batches:
        cell = np.stack([y[rows] // side, x[rows] // side])
        order = np.lexsort(cell[::-1])
        differs = np.any(np.diff(cell[:, order]) != 0, axis=0)
        yield from np.split(rows[order], np.flatnonzero(differs) + 1)
