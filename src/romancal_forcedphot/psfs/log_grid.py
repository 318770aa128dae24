"""Smooth functions on a logarithmic grid, interpolated linearly for many sources.

An encircled-energy fraction varies slowly with the aperture radius and the pixel scale, and takes
long to compute. It is computed at fixed grid points of their logarithm, so that the value of one
source does not depend on which others are measured with it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["nearest_step", "on_log_grid", "on_radius_grid", "value_of"]

STEP = 0.004  # of the natural logarithm: linear interpolation is then good to 1e-6 in E


def on_log_grid(values: NDArray, function: Callable[[float], float]) -> NDArray:
    """Return function(value) for many values, NaN where they are not positive."""
    results = np.full(values.shape, np.nan)
    known = values > 0
    place = np.log(values[known]) / STEP
    lower = np.floor(place).astype(int)
    steps, index = np.unique(np.concatenate([lower, lower + 1]), return_inverse=True)
    at_steps = np.array([function(value_of(step)) for step in steps])[index]
    at_lower, at_upper = np.split(at_steps, 2)
    results[known] = at_lower + (place - lower) * (at_upper - at_lower)
    return results


def on_radius_grid(
    radius: ArrayLike, function: Callable[[float, NDArray | slice], NDArray]
) -> NDArray:
    """Return function(radius, rows) for one radius of all sources, or for that of each.

    Parameters
    ----------
    radius : float or (n,) array_like
        With one number the function is called once, with all rows.
    function : callable
        (radius, rows) -> the values of these rows for one radius of the grid.

    Returns
    -------
    (n,) ndarray of float64
    """
    if np.ndim(radius) == 0:
        return function(float(radius), slice(None))
    place = np.log(radius) / STEP
    lower = np.floor(place).astype(int)
    at_lower, at_upper = ends = np.empty((2, place.size))
    for end, steps in zip(ends, (lower, lower + 1), strict=True):
        for step in np.unique(steps):
            rows = np.flatnonzero(steps == step)
            end[rows] = function(value_of(step), rows)
    return at_lower + (place - lower) * (at_upper - at_lower)


def nearest_step(values: NDArray) -> NDArray[np.intp]:
    """Return the grid points nearest to some values, as indices."""
    return np.rint(np.log(values) / STEP).astype(int)


def value_of(step: int) -> float:
    """Return the value at a grid point, given by its index."""
    return float(np.exp(step * STEP))
