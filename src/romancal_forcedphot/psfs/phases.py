"""ePSF stamps of many sources by matrix products: the same numbers as one by one, much faster.

A stamp is linear in the spline coefficients of the ePSF: 4 weights along y, times 4 along x, times
the shares of the 4 grid positions around the source, 64 numbers in all. Sources whose sub-pixel
phases fall between the same samples, in the same cell of the grid of positions, use the same
coefficients. So the stamps of such a group are products of matrices, one for each row of pixels ::

    (sources, 64) @ (64, side)

There are `oversample`² such groups in a cell, and in a crowded field many stars in each, so that
the products, which a processor does at its full speed, are nearly all of the work.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["stamps_by_phase"]

_N_SPLINE = 4

# BLAS wakes its threads for products of more than some 260,000 multiplications. They gain nothing
# here, and where other threads compete for the cores they wait for each other many times as long.
_LARGEST_PRODUCT = 1 << 18


def stamps_by_phase(
    coefficients: NDArray,
    nodes: NDArray[np.intp],
    shares: NDArray,
    row: tuple[NDArray[np.intp], tuple[NDArray, ...]],
    column: tuple[NDArray[np.intp], tuple[NDArray, ...]],
    *,
    side: int,
    oversample: int,
) -> NDArray:
    """Evaluate an oversampled table on the pixels around sources.

    Parameters
    ----------
    coefficients : (k, ny, nx) ndarray of float64
        Cubic B-spline coefficients of the table at k grid positions.
    nodes : (c, n) ndarray of intp
        Grid positions that each source's table is mixed from.
    shares : (c, n) ndarray of float64
        The share of each.
    row, column : tuple
        First coefficient and spline weights along y and x, from `samples.spline_weights`.
    side : int
        Side s of the stamps in pixels.
    oversample : int
        Samples per pixel.

    Returns
    -------
    stamps : (n, s, s) ndarray of float64, indexed [source, y, x]
    """
    (first_row, y_weights), (first_column, x_weights) = row, column
    n_sources = first_row.size
    weights = shares[:, None, None] * np.array(y_weights)[:, None] * np.array(x_weights)
    weights = np.ascontiguousarray(weights.reshape(-1, n_sources).T)
    stamps = np.empty((n_sources, side, side))
    at_once = max(_LARGEST_PRODUCT // (weights.shape[1] * side), 1)
    for members in _groups(first_row, first_column, *nodes):
        one = members[0]
        table = _table(
            coefficients[nodes[:, one]], first_row[one], first_column[one], side, oversample
        )
        for start in range(0, members.size, at_once):
            some = members[start : start + at_once]
            stamps[some] = (weights[some] @ table).swapaxes(0, 1)
    return stamps


def _groups(*keys: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    """Yield the indices of the sources that agree in all keys, group by group."""
    if not keys[0].size:
        return
    order = np.lexsort(keys)
    differs = np.any([np.diff(key[order]) != 0 for key in keys], axis=0)
    yield from np.split(order, np.flatnonzero(differs) + 1)


def _table(
    coefficients: NDArray, first_row: int, first_column: int, side: int, oversample: int
) -> NDArray:
    """Return the coefficients (side, c * 16, side) for each pixel row, each weight, each pixel."""
    reach = oversample * (side - 1) + 1
    table = np.empty((side, len(coefficients), _N_SPLINE, _N_SPLINE, side))
    for i in range(_N_SPLINE):
        for j in range(_N_SPLINE):
            top, left = first_row + i, first_column + j
            samples = coefficients[
                :, top : top + reach : oversample, left : left + reach : oversample
            ]
            table[:, :, i, j] = samples.swapaxes(0, 1)
    return table.reshape(side, -1, side)
