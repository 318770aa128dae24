"""Neighbour flags, and masking of sources for local backgrounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from ..batches import rows_near

__all__ = ["has_neighbor", "mask_sources"]

SOURCES_AT_ONCE = 65_536


def has_neighbor(
    x: NDArray, y: NDArray, radius: ArrayLike, *, n_threads: int = 1
) -> NDArray[np.bool_]:
    """Return which sources have another source within a radius.

    Parameters
    ----------
    x, y : (n,) ndarray of float64
        Pixel positions; sources without a finite position are ignored.
    radius : float or (n,) ndarray
        Radius in pixels, common to all sources or one per source.
    n_threads : int
        Number of threads of the search.

    Returns
    -------
    (n,) ndarray of bool
        True where the distance of the nearest other source is less than the radius.
    """
    crowded = np.zeros(len(x), dtype=bool)
    rows = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    if len(rows) < 2:
        return crowded
    rows = rows[np.lexsort((y[rows], x[rows], y[rows] // 64))]  # the search stays in the cache
    positions = np.column_stack([x[rows], y[rows]])
    repeats = (positions[1:] == positions[:-1]).all(axis=1)  # many of one would stall the tree
    crowded[rows[1:][repeats]] = crowded[rows[:-1][repeats]] = True
    single = np.append(True, ~repeats)
    rows, positions = rows[single], positions[single]
    radius = np.broadcast_to(radius, len(x))[rows]
    tree = cKDTree(positions, balanced_tree=False)  # faster to build, as fast to query
    limit = radius.max()
    distance, _ = tree.query(positions, k=[2], distance_upper_bound=limit, workers=n_threads)
    crowded[rows] |= distance[:, 0] < radius
    return crowded


def mask_sources(
    data: NDArray[np.float32], x: NDArray, y: NDArray, radius: float
) -> NDArray[np.float32]:
    """Return a copy of an image with NaN around sources.

    The same masked image serves the annuli of all sources: the masked circle of a source does not
    overlap its own annulus unless the radius is larger than the annulus' inner radius.

    Parameters
    ----------
    data : (ny, nx) ndarray of float32
        The image.
    x, y : (n,) ndarray of float64
        0-indexed pixel positions, on the image or off it; those that are not finite are ignored.
    radius : float
        Pixels with centres closer than this to a source (pixels) become NaN.

    Returns
    -------
    (ny, nx) ndarray of float32
    """
    ny, nx = data.shape
    near = rows_near(x, y, data.shape, radius)
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
