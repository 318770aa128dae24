"""Evaluation of ePSF stamps for many sources by matrix products.

A stamp is linear in the spline coefficients of the ePSF, with 64 interpolation weights: the product
of 4 weights along y, 4 along x, and those of the 4 grid positions around the source. Sources with
sub-pixel phases between the same samples, in the same cell of the grid of positions, have the same
coefficients. The stamps of such a group are a matrix product for each row of pixels, ::

    (sources, 64) @ (64, side)

There are `oversample`² such groups in a cell. In crowded fields each has many stars, and the matrix
products, which run at the full speed of the processor, dominate the computing time.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

__all__ = ["split_by_phase", "stamps_by_phase"]

_N_SPLINE = 4

# BLAS uses threads for products of more than about 260,000 multiplications. They do not help here,
# and are many times slower where other threads compete for the cores.
_LARGEST_PRODUCT = 1 << 18


def split_by_phase(coefficients: NDArray, oversample: int) -> NDArray:
    """Reorder tables such that the samples of each phase are contiguous.

    Parameters
    ----------
    coefficients : (k, ny, nx) ndarray
        Tables with `oversample` samples per pixel along each axis.
    oversample : int
        Samples per pixel.

    Returns
    -------
    (k, oversample, oversample, my, mx) ndarray
        Entry ``[t, i, j, y, x]`` is sample ``[y * oversample + i, x * oversample + j]`` of table t,
        0 beyond its end.
    """
    k, ny, nx = coefficients.shape
    padded = np.pad(coefficients, ((0, 0), (0, -ny % oversample), (0, -nx % oversample)))
    pixels = padded.reshape(k, -1, oversample, padded.shape[2] // oversample, oversample)
    return np.ascontiguousarray(pixels.transpose(0, 2, 4, 1, 3))


def stamps_by_phase(
    phases: NDArray,
    nodes: NDArray[np.intp],
    shares: NDArray,
    row: tuple[NDArray[np.intp], tuple[NDArray, ...]],
    column: tuple[NDArray[np.intp], tuple[NDArray, ...]],
    *,
    side: int,
) -> NDArray:
    """Evaluate an oversampled table on the pixels around sources.

    Parameters
    ----------
    phases : (k, o, o, my, mx) ndarray of float64
        Cubic B-spline coefficients of the table at k grid positions, from `split_by_phase`.
    nodes : (c, n) ndarray of intp
        Grid positions around each source.
    shares : (c, n) ndarray of float64
        Interpolation weight of each of these.
    row, column : tuple
        First coefficient and spline weights along y and x, from `samples.spline_weights`.
    side : int
        Side s of the stamps in pixels.

    Returns
    -------
    (n, s, s) ndarray of float64, indexed [source, y, x]
        Values of the tables on the pixels.
    """
    (first_row, y_weights), (first_column, x_weights) = row, column
    order, groups = _grouped(first_row, first_column, *nodes)
    weights = shares[:, None, None] * np.array(y_weights)[:, None] * np.array(x_weights)
    weights = weights.reshape(-1, order.size).T[order]
    stamps = np.empty((order.size, side, side))
    at_once = max(_LARGEST_PRODUCT // (weights.shape[1] * side), 1)
    for group in groups:
        one = order[group.start]
        mixed = [phases[node] for node in nodes[:, one]]
        table = _table(mixed, first_row[one], first_column[one], side)
        for start in range(group.start, group.stop, at_once):
            some = slice(start, min(start + at_once, group.stop))
            np.matmul(weights[some], table, out=stamps[some].swapaxes(0, 1))
    back = np.empty_like(order)
    back[order] = np.arange(order.size)
    return stamps[back]


def _grouped(*keys: NDArray[np.intp]) -> tuple[NDArray[np.intp], list[slice]]:
    """Return an order of the sources, and the ranges of it with equal values of all keys."""
    order = np.lexsort(keys)
    differs = np.any([np.diff(key[order]) != 0 for key in keys], axis=0)
    ends = [0, *(np.flatnonzero(differs) + 1).tolist(), order.size]
    return order, [slice(a, b) for a, b in itertools.pairwise(ends) if b > a]


def _table(mixed: list[NDArray], first_row: int, first_column: int, side: int) -> NDArray:
    """Return coefficients (side, 16 c, side), indexed [row of pixels, weight, pixel]."""
    oversample = len(mixed[0])
    table = np.empty((side, len(mixed), _N_SPLINE, _N_SPLINE, side))
    for i in range(_N_SPLINE):
        top, phase_y = divmod(first_row + i, oversample)
        for j in range(_N_SPLINE):
            left, phase_x = divmod(first_column + j, oversample)
            for number, phases in enumerate(mixed):
                samples = phases[phase_y, phase_x, top : top + side, left : left + side]
                table[:, number, i, j] = samples
    return table.reshape(side, -1, side)
