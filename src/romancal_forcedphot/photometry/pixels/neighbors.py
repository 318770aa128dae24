"""Neighbour flags, and masking of sources for backgrounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

__all__ = ["has_neighbor", "without_sources"]

SOURCES_AT_ONCE = 65_536


def has_neighbor(
    x: NDArray, y: NDArray, radius: ArrayLike, *, n_threads: int = 1
) -> NDArray[np.bool_]:
    """Return which sources have another one within a radius.

    Parameters
    ----------
    x, y : (n,) ndarray of float64
        Pixel positions; sources whose position is not finite are no neighbours.
    radius : float or (n,) ndarray
        Pixels, for all sources or for each (where its position is finite).
    n_threads : int
        Threads that search.

    Returns
    -------
    crowded : (n,) ndarray of bool
    """
    crowded = np.zeros(len(x), dtype=bool)
    rows = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    if len(rows) < 2:
        return crowded
    rows = rows[np.lexsort((y[rows], x[rows], y[rows] // 64))]  # the search stays in the cache
    places = np.column_stack([x[rows], y[rows]])
    repeats = (places[1:] == places[:-1]).all(axis=1)  # many in one place would stall the tree
    crowded[rows[1:][repeats]] = crowded[rows[:-1][repeats]] = True
    single = np.append(True, ~repeats)
    rows, places = rows[single], places[single]
    radius = np.broadcast_to(radius, len(x))[rows]
    tree = cKDTree(places, balanced_tree=False)  # sooner built, and as good for stars
    limit = radius.max()
    distance, _ = tree.query(places, k=[2], distance_upper_bound=limit, workers=n_threads)
    crowded[rows] |= distance[:, 0] < radius
    return crowded


def without_sources(
    data: NDArray[np.float32], x: NDArray, y: NDArray, radius: float
) -> NDArray[np.float32]:
    """Return a copy of an image that has NaN around sources.

    One such image serves the annuli of all sources: a source's own disc does not reach its own
    annulus as long as the radius is not above the annulus' inner one.

    Parameters
    ----------
    data : (ny, nx) ndarray of float32
        The image.
    x, y : (n,) ndarray of float64
        Pixel positions, on the image or off it; those that are not finite are left out.
    radius : float
        Pixels whose centres are closer than this to a source become NaN.

    Returns
    -------
    ndarray
        Like ``data``.
    """
    ny, nx = data.shape
    near = (abs(x - nx / 2) < nx / 2 + radius + 1) & (abs(y - ny / 2) < ny / 2 + radius + 1)
    x, y = x[near], y[near]
    masked = data.copy()
    reach = int(np.ceil(radius + 0.5))
    offsets = np.arange(-reach, reach + 1)
    for first in range(0, x.size, SOURCES_AT_ONCE):
        rows = slice(first, first + SOURCES_AT_ONCE)
        column, row = np.rint(x[rows]).astype(np.intp), np.rint(y[rows]).astype(np.intp)
        for dy in offsets:
            for dx in offsets:
                inside = np.hypot(column + dx - x[rows], row + dy - y[rows]) < radius
                inside &= (row + dy >= 0) & (row + dy < ny)
                inside &= (column + dx >= 0) & (column + dx < nx)
                masked[row[inside] + dy, column[inside] + dx] = np.nan
    return masked
