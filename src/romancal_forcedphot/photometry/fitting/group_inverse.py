"""The inverse of a sparse symmetric matrix, group by group of sources that hang together.

Sources of one group depend on each other, by others between them if not at once, and on none of
another group. Where groups are small, the whole inverse has few entries, and many groups of one
size are inverted at once.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from .dense_inverse import last_rows_of_inverse

__all__ = ["inverses_of_groups", "small_groups"]

_AT_ONCE = 1 << 20  # entries of dense matrices: 8 MB


def small_groups(matrix: csr_array, most: int) -> list[NDArray[np.intp]]:
    """Return the groups of at most so many sources.

    Parameters
    ----------
    matrix : (n, n) csr_array
        Which of n sources overlap.
    most : int
        Sources in a group.

    Returns
    -------
    list of (k, s) ndarray of intp
        For each size s that occurs, the sources of k groups.
    """
    of_source = connected_components(matrix, directed=False)[1]
    order = np.argsort(of_source, kind="stable")
    size = np.bincount(of_source)
    start = np.concatenate([[0], np.cumsum(size)])
    sizes = np.unique(size[size <= most])
    return [order[start[:-1][size == s][:, None] + np.arange(s)] for s in sizes]


def inverses_of_groups(
    matrix: csr_array, groups: list[NDArray[np.intp]]
) -> Iterator[tuple[NDArray[np.intp], NDArray]]:
    """Yield the inverses of groups that depend on no other source.

    Parameters
    ----------
    matrix : (n, n) csr_array
        Symmetric and positive.
    groups : list of (k, s) ndarray of intp
        From `small_groups`.

    Yields
    ------
    (k, s) ndarray of intp
        The sources of some of the groups.
    (k, s, s) ndarray of float64
        Their parts of the inverse.
    """
    place = np.zeros(matrix.shape[0], dtype=np.intp)
    for same in groups:
        size = same.shape[1]
        place[same] = np.arange(size)
        at_once = max(_AT_ONCE // size**2, 1)
        for first in range(0, len(same), at_once):
            some = same[first : first + at_once]
            yield some, _inverted(_dense(matrix, some, place))


def _dense(
    matrix: csr_array, groups: NDArray[np.intp], place: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the parts (k, s, s) of the matrix; `place` is that of each source in its group."""
    k, size = groups.shape
    rows = matrix[groups.ravel()]
    row = np.repeat(np.arange(k * size), np.diff(rows.indptr))
    dense = np.zeros((k * size, size))
    dense[row, place[rows.indices]] = rows.data
    return dense.reshape(k, size, size)


def _inverted(dense: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the inverses (k, s, s), with care for those that rounding made indefinite."""
    try:
        inverse = np.linalg.inv(dense)
    except np.linalg.LinAlgError:
        inverse = np.full_like(dense, np.nan)
    diagonal = np.diagonal(inverse, axis1=1, axis2=2)
    for k in np.flatnonzero(~(diagonal > 0).all(axis=1)):
        inverse[k] = last_rows_of_inverse(dense[k], len(dense[k]))
    return inverse
