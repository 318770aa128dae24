"""Which fluxes can be told apart: the unknowns of the fit.

Two sources of one shape in one place have one flux together; no data say who has what. They become
one unknown, whose flux they share. So do the sources of a pixel that has more than
it could ever separate, and of each pixel where there are more unknowns than pixels: no catalog,
however strange, makes the fit larger than its image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

__all__ = ["DEGENERATE_PIX", "Unknowns"]

DEGENERATE_PIX = 0.2
"""Sources closer than this have fluxes that depend on each other more than on the data."""

_SAME_PLACE_PIX = 0.02
_MOST_IN_PIXEL = 8
_CELL_PIX = 5
_MOST_IN_CELL = _CELL_PIX**2  # as many unknowns as pixels


@dataclass(frozen=True, eq=False)
class Unknowns:
    """The m unknown fluxes of n sources.

    Attributes
    ----------
    row : (m,) ndarray of intp
        The source whose place and profile stands for each.
    of_source : (n,) ndarray of intp
        The unknown of each source.
    n_sources : (m,) ndarray of intp
        How many sources share each.
    is_degenerate : (m,) ndarray of bool
        Whether it is shared, or has another one closer than `DEGENERATE_PIX`.
    """

    row: NDArray[np.intp]
    of_source: NDArray[np.intp]
    n_sources: NDArray[np.intp]
    is_degenerate: NDArray[np.bool_]

    @classmethod
    def of(cls, x: NDArray, y: NDArray, shape_id: NDArray) -> Unknowns:
        """Find the unknowns of sources at (n,) finite positions, of shapes with (n,) numbers."""
        of_source = _merge(*(np.rint(at / _SAME_PLACE_PIX) for at in (x, y)), shape_id)
        of_source = _merge_full_pixels(x, y, of_source)
        row = _first(of_source)
        of_source = _merge_pairs(x[row], y[row], shape_id[row])[of_source]
        row = _first(of_source)
        n_sources = np.bincount(of_source, minlength=row.size)
        is_degenerate = n_sources > 1
        is_degenerate[_pairs(x[row], y[row], DEGENERATE_PIX).ravel()] = True
        return cls(row, of_source, n_sources, is_degenerate)


def _merge(*keys: NDArray) -> NDArray[np.intp]:
    """Number the sources from 0 so that those with equal keys have one number."""
    if not keys[0].size:
        return np.zeros(0, dtype=np.intp)
    order = np.lexsort(keys)
    differs = np.any([np.diff(key[order]) != 0 for key in keys], axis=0)
    number = np.empty(order.size, dtype=np.intp)
    number[order] = np.concatenate([[0], np.cumsum(differs)])
    return number


def _first(of_source: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the first source of each unknown."""
    return np.unique(of_source, return_index=True)[1]


def _merge_full_pixels(x: NDArray, y: NDArray, of_source: NDArray[np.intp]) -> NDArray[np.intp]:
    """Give all sources of a pixel one number where there are too many unknowns."""
    row = _first(of_source)
    places = np.rint(x[row]), np.rint(y[row])
    pixel, cell = _merge(*places), _merge(*(place // _CELL_PIX for place in places))
    is_full = np.bincount(pixel)[pixel] > _MOST_IN_PIXEL
    is_full |= np.bincount(cell)[cell] > _MOST_IN_CELL
    own = np.where(is_full, -1, np.arange(row.size))
    return _merge(own, np.where(is_full, pixel, -1))[of_source]


def _merge_pairs(x: NDArray, y: NDArray, shape_id: NDArray) -> NDArray[np.intp]:
    """Give sources of one shape that are in one place, by chains of them, one number."""
    first, second = _pairs(x, y, _SAME_PLACE_PIX).T
    alike = shape_id[first] == shape_id[second]
    graph = coo_array(
        (np.ones(np.count_nonzero(alike)), (first[alike], second[alike])), shape=(x.size, x.size)
    )
    return connected_components(graph, directed=False)[1].astype(np.intp)


def _pairs(x: NDArray, y: NDArray, distance: float) -> NDArray[np.intp]:
    """Return the pairs (p, 2) of sources that are closer than a distance."""
    if not x.size:
        return np.zeros((0, 2), dtype=np.intp)
    return cKDTree(np.column_stack([x, y])).query_pairs(distance, output_type="ndarray")
