"""Inverses of symmetric positive matrices of a few hundred rows, without the threads of BLAS.

BLAS and LAPACK spread such matrices over threads. Where other threads or processes compete for the
cores these wait for each other, and an inverse of 0.2 ms takes 3 to 100 ms. Here everything is done
in products that are small enough for BLAS to do at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["last_rows_of_inverse"]

_LARGEST_PRODUCT = 1 << 18  # multiplications; more wake the threads
_SMALL = 48  # rows; so few are left to LAPACK


def last_rows_of_inverse(matrix: NDArray, n_rows: int) -> NDArray:
    """Return the last rows of the inverse of a symmetric positive matrix.

    Parameters
    ----------
    matrix : (n, n) ndarray of float64
        Rounding may have made it indefinite by a little; then its diagonal is raised until the
        rows are those of a positive matrix.
    n_rows : int
        How many rows k are wanted.

    Returns
    -------
    (k, n) ndarray of float64
    """
    first = len(matrix) - n_rows
    for part in (0.0, 1e-5, 1e-3, 0.1):
        raised = matrix + np.diag(part * np.diagonal(matrix)) if part else matrix
        try:
            rows = _last_rows(raised, first)
        except np.linalg.LinAlgError:
            continue
        if (np.diagonal(rows[:, first:]) > 0).all():
            return rows
    return np.diag(1 / np.diagonal(matrix))[first:]


def _last_rows(matrix: NDArray, first: int) -> NDArray:
    """Return the rows of the inverse from the one numbered `first` on, by its Schur complement."""
    upper = _product(_inverse(matrix[:first, :first]), matrix[:first, first:])
    own = _inverse(matrix[first:, first:] - _product(matrix[first:, :first], upper))
    return np.concatenate([-_product(own, np.ascontiguousarray(upper.T)), own], axis=1)


def _inverse(matrix: NDArray) -> NDArray:
    """Return the inverse, from those of two halves."""
    if len(matrix) <= _SMALL:
        return np.linalg.inv(matrix)
    half = len(matrix) // 2
    first = _inverse(matrix[:half, :half])
    upper = _product(first, matrix[:half, half:])
    last = _inverse(matrix[half:, half:] - _product(matrix[half:, :half], upper))
    cross = -_product(upper, last)
    inverse = np.empty_like(matrix)
    inverse[:half, :half] = first - _product(cross, np.ascontiguousarray(upper.T))
    inverse[:half, half:], inverse[half:, :half] = cross, cross.T
    inverse[half:, half:] = last
    return inverse


def _product(a: NDArray, b: NDArray) -> NDArray:
    """Return the product of two matrices, some rows at a time."""
    at_once = max(_LARGEST_PRODUCT // max(a.shape[1] * b.shape[1], 1), 1)
    if len(a) <= at_once:
        return a @ b
    product = np.empty((len(a), b.shape[1]))
    for start in range(0, len(a), at_once):
        some = slice(start, start + at_once)
        np.matmul(a[some], b, out=product[some])
    return product
