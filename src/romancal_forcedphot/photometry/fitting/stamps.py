"""Stamps of sources as the rows of a sparse matrix: the design matrix of the fit.

Row k holds P_ki, what source k leaves of its flux on pixel i of a window. With it the model of the
image is ``matrix.T @ flux``, and what the equations need are products with images.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from .profiles import Profiles
from .windows import Window

__all__ = ["HALF_SIZES", "inner_stamps", "rounded_up", "scaled_columns", "stamp_matrix"]

#: Stamps have one of these half sizes (pixels), so that many sources share one.
HALF_SIZES = np.array([1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 17, 20, 24, 29, 35, 42, 50, 64])

_PIXELS_AT_ONCE = 2_000_000  # stamps in double precision: 16 MB


def rounded_up(half_size: NDArray, largest: int) -> NDArray[np.intp]:
    """Return the next of `HALF_SIZES`, or the largest that the profiles have."""
    next_one = np.searchsorted(HALF_SIZES, np.minimum(half_size, HALF_SIZES[-1]))
    return np.minimum(HALF_SIZES[next_one], largest)


def stamp_matrix(
    profiles: Profiles, rows: NDArray[np.intp], half_size: NDArray[np.intp], window: Window
) -> csr_array:
    """Return the profiles of some sources on the pixels of a window.

    Parameters
    ----------
    profiles : Profiles
        Of all sources.
    rows : (m,) ndarray of intp
        Which of them.
    half_size : (m,) ndarray of intp
        Half sizes of their stamps. Sources of one size must follow each other.
    window : Window
        Holds all of the stamps.

    Returns
    -------
    (m, window.n_pixels) csr_array of float32
    """
    indptr = _row_ends(half_size)
    light, pixel = np.empty(indptr[-1], dtype=np.float32), np.empty(indptr[-1], dtype=np.int32)
    for group in _groups(half_size):
        half = int(half_size[group.start])
        at_once = max(_PIXELS_AT_ONCE // (2 * half + 1) ** 2, 1)
        for first in range(group.start, group.stop, at_once):
            some = slice(first, min(first + at_once, group.stop))
            filled = slice(indptr[some.start], indptr[some.stop])
            light[filled] = profiles.stamps(rows[some], 2 * half + 1).reshape(-1)
            pixel[filled] = _pixels(profiles, rows[some], half, window).reshape(-1)
    return csr_array((light, pixel, indptr), shape=(rows.size, window.n_pixels))


def inner_stamps(
    matrix: csr_array, half_size: NDArray[np.intp], inner_half_size: NDArray[np.intp]
) -> csr_array:
    """Return the matrix of the inner parts of stamps.

    Parameters
    ----------
    matrix : (m, p) csr_array
        Stamps as `stamp_matrix` makes them.
    half_size, inner_half_size : (m,) ndarray of intp
        Half sizes of the stamps and of their inner parts, which are not larger. Sources that agree
        in both must follow each other.

    Returns
    -------
    (m, p) csr_array
    """
    indptr = _row_ends(inner_half_size)
    data, indices = np.empty(indptr[-1], matrix.dtype), np.empty(indptr[-1], np.int32)
    for group in _groups(half_size, inner_half_size):
        half, inner_half = int(half_size[group.start]), int(inner_half_size[group.start])
        inside = slice(half - inner_half, half + inner_half + 1)
        all_of, kept = (
            slice(ends[group.start], ends[group.stop]) for ends in (matrix.indptr, indptr)
        )
        stamps_shape = -1, 2 * half + 1, 2 * half + 1
        for target, source in ((data, matrix.data), (indices, matrix.indices)):
            target[kept] = source[all_of].reshape(stamps_shape)[:, inside, inside].reshape(-1)
    return csr_array((data, indices, indptr), shape=matrix.shape)


def _row_ends(half_size: NDArray[np.intp]) -> NDArray[np.int32]:
    """Return where the rows of a matrix of stamps begin and end, (m + 1,)."""
    return np.concatenate([[0], np.cumsum((2 * half_size + 1) ** 2)]).astype(np.int32)


def _groups(*sizes: NDArray[np.intp]) -> list[slice]:
    """Return the runs of sources that agree in all sizes."""
    n_sources = sizes[0].size
    differs = np.any([np.diff(size) != 0 for size in sizes], axis=0)
    starts = np.append(0, np.flatnonzero(differs) + 1) if n_sources else np.zeros(0, dtype=int)
    return [
        slice(int(a), int(b)) for a, b in zip(starts, np.append(starts[1:], n_sources), strict=True)
    ]


def _pixels(
    profiles: Profiles, rows: NDArray[np.intp], half: int, window: Window
) -> NDArray[np.int32]:
    """Return the places (m, side²) of the stamps' pixels in the flattened window."""
    row, column = np.rint(profiles.y[rows]), np.rint(profiles.x[rows])
    center = window.index(row.astype(np.int32), column.astype(np.int32)).astype(np.int32)
    offset = np.arange(-half, half + 1, dtype=np.int32)
    offsets = (offset[:, None] * np.int32(window.shape[1]) + offset).ravel()
    return center[:, None] + offsets


def scaled_columns(matrix: csr_array, factor: NDArray[np.float32]) -> csr_array:
    """Return the matrix with each column multiplied by a factor."""
    data = matrix.data * factor[matrix.indices]
    return csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)
