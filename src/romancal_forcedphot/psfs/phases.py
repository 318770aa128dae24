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


def split_by_phase(coefficients: NDArray, oversample: int) -> NDArray[np.float32]:
    """Reorder tables such that the samples of each phase are contiguous.

    Parameters
    ----------
    coefficients : (k, ny, nx) ndarray
        Tables with `oversample` samples per pixel along each axis.
    oversample : int
        Samples per pixel o.

    Returns
    -------
    (k, o + 3, o + 3, my, mx) ndarray of float32
        Entry ``[t, i, j, y, x]`` is sample ``[y * o + i, x * o + j]`` of table t, 0 beyond its end.
        The last three phases are the first three of the next pixel: the four coefficients of a
        spline follow each other wherever they begin.
    """
    k, ny, nx = coefficients.shape
    my, mx = -(-ny // oversample), -(-nx // oversample)
    ends = ((0, m * oversample + _N_SPLINE - 1 - n) for m, n in ((my, ny), (mx, nx)))
    padded = np.pad(coefficients, ((0, 0), *ends))
    n_phases = oversample + _N_SPLINE - 1
    phases = np.empty((k, n_phases, n_phases, my, mx), dtype=np.float32)
    for i, j in np.ndindex(n_phases, n_phases):
        phases[:, i, j] = padded[:, i::oversample, j::oversample][:, :my, :mx]
    return phases


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
    phases : (k, o + 3, o + 3, my, mx) ndarray of float32
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
    (n, s, s) ndarray of float32, indexed [source, y, x]
        Values of the tables on the pixels.
    """
    (first_row, y_weights), (first_column, x_weights) = row, column
    order, groups = _grouped(first_row, first_column, *nodes)
    weights = shares[:, None, None] * np.array(y_weights)[:, None] * np.array(x_weights)
    weights = weights.reshape(-1, order.size).T[order].astype(np.float32)
    stamps = np.empty((order.size, side, side), dtype=np.float32)
    at_once = max(_LARGEST_PRODUCT // (weights.shape[1] * side), 1)
    for group in groups:
        one = order[group.start]
        table = _table(phases, nodes[:, one], first_row[one], first_column[one], side)
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


def _table(
    phases: NDArray[np.float32],
    nodes: NDArray[np.intp],
    first_row: int,
    first_column: int,
    side: int,
) -> NDArray[np.float32]:
    """Return coefficients (side, 16 c, side), indexed [row of pixels, weight, pixel]."""
    oversample = phases.shape[1] - _N_SPLINE + 1
    top, phase_y = divmod(first_row, oversample)
    left, phase_x = divmod(first_column, oversample)
    of_phases = slice(phase_y, phase_y + _N_SPLINE), slice(phase_x, phase_x + _N_SPLINE)
    of_pixels = slice(top, top + side), slice(left, left + side)
    table = np.empty((side, nodes.size, _N_SPLINE, _N_SPLINE, side), dtype=np.float32)
    for number, node in enumerate(nodes):
        table[:, number] = phases[(node, *of_phases, *of_pixels)].transpose(2, 0, 1, 3)
    return table.reshape(side, -1, side)
