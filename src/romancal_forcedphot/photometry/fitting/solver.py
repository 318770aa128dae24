"""Preconditioned conjugate gradients, for a preconditioner that is nearly the inverse."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["solve"]

Operator = Callable[[NDArray], NDArray]


def solve(
    normal: Operator,
    inverse: Operator,
    right_side: NDArray,
    error: NDArray,
    *,
    tolerance: float,
    max_iterations: int,
) -> NDArray:
    """Solve the normal equations by flexible conjugate gradients.

    Flexible (Notay 2000): the next direction is made orthogonal to the last one by its own
    residual, so that the preconditioner need not be quite symmetric.

    Parameters
    ----------
    normal : callable
        Product of the normal matrix (symmetric, positive) with a vector (n,).
    inverse : callable
        Product of an approximate inverse of it with a vector.
    right_side : (n,) ndarray
        The right side of the equations.
    error : (n,) ndarray
        Standard errors of the unknowns.
    tolerance : float
        It is done when the approximate inverse sees no unknown off by more than this many
        standard errors.
    max_iterations : int
        Most products with the normal matrix.

    Returns
    -------
    (n,) ndarray of float64
    """
    solution = np.zeros(right_side.size)
    residual = np.asarray(right_side, dtype=np.float64)
    step = inverse(residual)
    direction, strength = step, _dot(residual, step)
    for _ in range(max_iterations):
        if not strength > 0 or np.max(abs(step) / error, initial=0.0) < tolerance:
            break
        image = normal(direction)
        curvature = _dot(direction, image)
        if not curvature > 0:
            break
        length = strength / curvature
        solution += length * direction
        next_residual = residual - length * image
        step = inverse(next_residual)
        turn = _dot(next_residual - residual, step) / strength
        residual, strength = next_residual, _dot(next_residual, step)
        direction = step + turn * direction
    return solution


def _dot(a: NDArray, b: NDArray) -> float:
    """Return the inner product without the threads of BLAS, which would only wait here."""
    return float(np.einsum("i,i->", a, b))
