"""Tiles: groups of sources that lie together, small enough to be solved at once in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .profiles import Profiles

__all__ = ["Tile", "tiles_of"]

_MOST_STAMP_PIXELS = 5_000_000  # of all stamps of a tile: 40 MB
_MOST_SIDE_PIX = 1024.0
_HALO_PIX = 10.0


@dataclass(frozen=True, eq=False)
class Tile:
    """Sources that are solved together.

    Attributes
    ----------
    rows : (m,) ndarray of intp
        The sources, sorted by the half sizes of their stamps and then of their cores.
    is_own : (m,) ndarray of bool
        Whether the tile is the one that a source belongs to; the others are its halo.
    """

    rows: NDArray[np.intp]
    is_own: NDArray[np.bool_]


def tiles_of(profiles: Profiles, half_size: NDArray[np.intp]) -> list[Tile]:
    """Divide sources among tiles, each with a halo of its neighbours.

    Parameters
    ----------
    profiles : Profiles
        Of n sources.
    half_size : (n,) ndarray of intp
        Half sizes of the sources' stamps, 0 for sources that are left out.

    Returns
    -------
    list of Tile
    """
    x, y = profiles.x, profiles.y
    fitted = np.flatnonzero(half_size > 0)
    by_y = fitted[np.argsort(y[fitted], kind="stable")]
    n_pixels = (2 * half_size + 1.0) ** 2
    size = half_size, np.minimum(profiles.core_half_size, half_size)
    return [_with_halo(rows, by_y, x, y, size) for rows in _divided(fitted, x, y, n_pixels)]


def _divided(
    rows: NDArray[np.intp], x: NDArray, y: NDArray, n_pixels: NDArray
) -> Iterator[NDArray[np.intp]]:
    """Halve a group of sources along its longer side until each half is small enough."""
    pending = [rows] if rows.size else []
    while pending:
        rows = pending.pop()
        along = max((x[rows], y[rows]), key=np.ptp)
        side = np.ptp(along)
        is_small = n_pixels[rows].sum() <= _MOST_STAMP_PIXELS and side <= _MOST_SIDE_PIX
        if is_small or rows.size == 1 or side == 0:
            yield rows
            continue
        if side > _MOST_SIDE_PIX:
            is_first = along < along.min() + side / 2
        else:
            order = np.argsort(along, kind="stable")
            total = np.cumsum(n_pixels[rows][order])
            middle = np.clip(np.searchsorted(total, total[-1] / 2), 1, rows.size - 1)
            is_first = np.zeros(rows.size, dtype=bool)
            is_first[order[:middle]] = True
        pending += [rows[~is_first], rows[is_first]]


def _with_halo(
    own: NDArray[np.intp],
    by_y: NDArray[np.intp],
    x: NDArray,
    y: NDArray,
    size: tuple[NDArray[np.intp], NDArray[np.intp]],
) -> Tile:
    """Return the tile of some sources; `by_y` are all of them in rising y."""
    bottom, top = y[own].min() - _HALO_PIX, y[own].max() + _HALO_PIX
    left, right = x[own].min() - _HALO_PIX, x[own].max() + _HALO_PIX
    near = by_y[slice(*np.searchsorted(y[by_y], [bottom, top]))]
    near = near[(x[near] >= left) & (x[near] <= right)]
    rows = np.concatenate([own, np.setdiff1d(near, own)])
    is_own = np.arange(rows.size) < own.size
    half_size, core = size
    order = np.lexsort((core[rows], half_size[rows]))
    return Tile(rows[order], is_own[order])
