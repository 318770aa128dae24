"""Interpolation of slowly varying functions on a logarithmic grid, for many sources at once.

An encircled-energy fraction varies slowly with the aperture radius and with the pixel scale, and
is expensive to compute. It is computed at the fixed grid points ``exp(k * LOG_STEP)``, k an
integer, and interpolated linearly in the logarithm. Because the grid is fixed, the value of one
source does not depend on which others are measured with it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["grid_value", "interpolate_on_log_grid", "interpolate_over_radius", "nearest_index"]

LOG_STEP = 0.004  # of the natural logarithm: linear interpolation is then good to 1e-6 in E


def interpolate_on_log_grid(values: NDArray, function: Callable[[float], float]) -> NDArray:
    """Evaluate a function at many values by interpolation on the logarithmic grid.

    Parameters
    ----------
    values : (n,) ndarray of float64
        Arguments of the function.
    function : callable
        A smooth function of one positive number.

    Returns
    -------
    (n,) ndarray of float64
        NaN where the value is not positive.
    """
    results = np.full(values.shape, np.nan)
    known = values > 0
    coordinate = np.log(values[known]) / LOG_STEP
    lower = np.floor(coordinate).astype(int)
    indices, inverse = np.unique(np.concatenate([lower, lower + 1]), return_inverse=True)
    at_indices = np.array([function(grid_value(index)) for index in indices])[inverse]
    at_lower, at_upper = np.split(at_indices, 2)
    results[known] = at_lower + (coordinate - lower) * (at_upper - at_lower)
    return results


def interpolate_over_radius(
    radius: ArrayLike, function: Callable[[float, NDArray | slice], NDArray]
) -> NDArray:
    """Evaluate a function of radius and source, for one common radius or one radius per source.

    Parameters
    ----------
    radius : float or (n,) array_like
        One number is passed on as it is, with all rows; with one radius per source the function
        is interpolated between the grid points around each.
    function : callable
        (radius, rows) -> the values of these rows for a single radius.

    Returns
    -------
    (n,) ndarray of float64
    """
    if np.ndim(radius) == 0:
        return function(float(radius), slice(None))
    coordinate = np.log(radius) / LOG_STEP
    lower = np.floor(coordinate).astype(int)
    at_lower, at_upper = ends = np.empty((2, coordinate.size))
    for end, indices in zip(ends, (lower, lower + 1), strict=True):
        for index in np.unique(indices):
            rows = np.flatnonzero(indices == index)
            end[rows] = function(grid_value(index), rows)
    return at_lower + (coordinate - lower) * (at_upper - at_lower)


def nearest_index(values: NDArray) -> NDArray[np.intp]:
    """Return the indices of the grid points nearest to positive values.

    Parameters
    ----------
    values : (n,) ndarray of float64
        Positive numbers.

    Returns
    -------
    (n,) ndarray of intp
        Indices for `grid_value`.
    """
    return np.rint(np.log(values) / LOG_STEP).astype(int)


def grid_value(index: int) -> float:
    """Return the value of a grid point, ``exp(index * LOG_STEP)``.

    Parameters
    ----------
    index : int
        Index of the grid point; 0 is the value 1.

    Returns
    -------
    float
    """
    return float(np.exp(index * LOG_STEP))
