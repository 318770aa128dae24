"""Random positions of apertures on blank sky: far from sources, edges and unusable pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

__all__ = ["MARGIN_PIX", "blank_positions", "chunks_of_positions", "pixels_around"]

MARGIN_PIX = 1.5  #: around an aperture, in which pixels must be usable as well

_CANDIDATES_PER_POSITION = 12  # random positions drawn for each one wanted
_MAX_USEFUL_DISTANCE_PIX = 60.0  # positions farther from all sources are not preferred any more
_MIN_SEPARATION_PIX = 8.0  # between the edge of an aperture and the nearest source
_FIRST_BLOCK = 500  # positions that are compared each with each
_MAX_PIXELS = 2_000_000  # of the cutouts around positions in one chunk


def blank_positions(
    data: NDArray, x: NDArray, y: NDArray, *, reach: float, n_positions: int, seed: int
) -> tuple[NDArray, NDArray]:
    """Choose random positions of blank-sky apertures, those farthest from any source.

    Parameters
    ----------
    data : (ny, nx) ndarray
        Image with NaN at unusable pixels.
    x, y : (n,) ndarray
        0-indexed pixel positions of the sources.
    reach : float
        Radius of the apertures in pixels.
    n_positions : int
        Number of positions wanted.
    seed : int
        Seed of the random positions.

    Returns
    -------
    positions : (m, 2) ndarray
        x and y, m <= ``n_positions``. The edge of an aperture is at least 8 pixels from any source,
        there is no unusable pixel and no edge of the image within 1.5 pixels of an aperture, and
        no two apertures have a common pixel.
    distance : (m,) ndarray
        Distance to the nearest source in pixels, infinite if there are no sources.
    """
    rng = np.random.default_rng(seed)
    border = reach + MARGIN_PIX
    high = np.array(data.shape[::-1]) - 1 - border
    if (high <= border).any():
        return np.empty((0, 2)), np.empty(0)
    positions = rng.uniform(border, high, (_CANDIDATES_PER_POSITION * n_positions, 2))
    distance = _distance_to_sources(positions, x, y)
    far = distance >= reach + _MIN_SEPARATION_PIX
    positions, distance = positions[far], distance[far]
    kept = np.flatnonzero(_is_usable(data, positions, border))
    # Circles that are more than the diagonal of a pixel apart have no pixel in common.
    kept = kept[_separated(positions[kept], 2 * reach + 1.5)]
    preference = np.minimum(distance[kept], _MAX_USEFUL_DISTANCE_PIX)
    best = kept[np.argsort(-preference, kind="stable")[:n_positions]]
    return positions[best], distance[best]


def chunks_of_positions(n_positions: int, radius: float) -> Iterator[slice]:
    """Return slices of an array of positions whose cutouts fit in memory together.

    Parameters
    ----------
    n_positions : int
        Length of the array.
    radius : float
        Radius of the cutouts in pixels.

    Returns
    -------
    iterator of slice
    """
    size = max(int(_MAX_PIXELS / (2 * radius + 1) ** 2), 1)
    return (slice(first, first + size) for first in range(0, n_positions, size))


def pixels_around(data: NDArray, positions: NDArray, radius: float) -> NDArray:
    """Return the values of the pixels whose centres are within a radius of each position.

    Parameters
    ----------
    data : (ny, nx) ndarray
        Image.
    positions : (n, 2) ndarray
        0-indexed x and y.
    radius : float
        Radius in pixels, around the pixel that is nearest to the position.

    Returns
    -------
    (n, k) ndarray
        Values; off the image, those of its edge.
    """
    half = math.ceil(radius)
    dy, dx = np.mgrid[-half : half + 1, -half : half + 1]
    near = np.hypot(dx, dy) <= radius
    columns, rows = np.rint(positions).astype(int).T
    rows = np.clip(rows[:, np.newaxis] + dy[near], 0, data.shape[0] - 1)
    columns = np.clip(columns[:, np.newaxis] + dx[near], 0, data.shape[1] - 1)
    return data[rows, columns]


def _distance_to_sources(positions: NDArray, x: NDArray, y: NDArray) -> NDArray:
    """Distance (n,) in pixels from each position to the nearest source, inf without sources."""
    known = np.isfinite(x) & np.isfinite(y)
    if not known.any():
        return np.full(len(positions), np.inf)
    return cKDTree(np.column_stack([x[known], y[known]])).query(positions)[0]


def _is_usable(data: NDArray, positions: NDArray, radius: float) -> NDArray:
    """Whether all pixels with centres within a radius of each position are usable (bool)."""
    usable = np.empty(len(positions), dtype=bool)
    for chunk in chunks_of_positions(len(positions), radius):
        usable[chunk] = np.isfinite(pixels_around(data, positions[chunk], radius)).all(axis=1)
    return usable


def _separated(positions: NDArray, separation: float) -> NDArray:
    """Whether no earlier position is closer than a separation in pixels (bool).

    In blocks, each as long as all before it: where positions are dense, the earlier blocks leave
    few of the later ones, whose pairs are then few as well.
    """
    separated = np.zeros(len(positions), dtype=bool)
    first, last = 0, _FIRST_BLOCK
    while first < len(positions):
        block = positions[first:last]
        rest = np.arange(len(block))
        if first:
            earlier = cKDTree(positions[:first])
            nearest, _ = earlier.query(block, distance_upper_bound=separation)
            rest = np.flatnonzero(np.isinf(nearest))
        near = cKDTree(block).query_ball_point(block[rest], separation)
        separated[first + rest] = [min(each) for each in near] == rest
        first, last = last, 2 * last
    return separated
