"""Interpolation in oversampled tables: between grid nodes, between samples, and within circles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..geometry import circle_overlap, stamp_reach

__all__ = ["bilinear_nodes", "light_in_circle", "spline_weights"]


def bilinear_nodes(nodes: NDArray, position: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Return the two nodes around positions along one axis, and the interpolation weight.

    Parameters
    ----------
    nodes : (k,) ndarray of float64
        In rising order.
    position : (n,) ndarray of float64
        Positions beyond the first or last node are taken to be at it.

    Returns
    -------
    lower, upper : (n,) ndarray of intp
        The nodes to both sides.
    upper_weight : (n,) ndarray of float64
        Linear interpolation weight of the upper node, 0 to 1; the lower node has the rest.
    """
    if nodes.size == 1:
        first = np.zeros(position.shape, dtype=np.intp)
        return first, first, np.zeros(position.shape)
    position = np.clip(position, nodes[0], nodes[-1])
    lower = np.clip(np.searchsorted(nodes, position) - 1, 0, nodes.size - 2)
    return lower, lower + 1, (position - nodes[lower]) / (nodes[lower + 1] - nodes[lower])


def spline_weights(
    position: NDArray, n_samples: int, side: int, oversample: int
) -> tuple[NDArray, tuple[NDArray, ...]]:
    """Return the cubic B-spline weights of the pixels around sources.

    Parameters
    ----------
    position : (n,) ndarray of float64
        Pixel coordinates of the sources along one axis.
    n_samples : int
        Samples of the table, the source in the middle of it.
    side : int
        Pixels around a source, an odd number, centred on rint(position).
    oversample : int
        Samples per pixel.

    Returns
    -------
    start : (n,) ndarray of intp
        The first of the four coefficients around the first pixel's centre. Those of the k-th
        pixel begin k * oversample later.
    weights : four (n,) ndarrays of float64
        Weights of the four coefficients, the same for all pixels of a source.
    """
    phase = position - np.rint(position)
    sample = (n_samples - 1) / 2 - oversample * (phase + side // 2)
    start = np.floor(sample)
    t = sample - start
    s = 1 - t
    weights = (
        s * s * s / 6,
        2 / 3 - t * t * (1 + s) / 2,
        2 / 3 - s * s * (1 + t) / 2,
        t * t * t / 6,
    )
    return start.astype(np.intp) - 1, weights


def light_in_circle(stamps: NDArray, radius: float, oversample: int) -> NDArray:
    """Integrate ePSF stamps over a circle around the star.

    A pixel belongs to an annulus if its centre does. Averaged over the sub-pixel phase, the light
    of the pixels with their centres in a circle is the integral of the ePSF over it. Each sample
    stands for the square around it, which is good for radii of some pixels.

    Parameters
    ----------
    stamps : (k, ny, nx) ndarray of float64
        Light of a whole pixel at each sample.
    radius : float
        Pixels.
    oversample : int
        Samples per pixel.

    Returns
    -------
    (k,) ndarray of float64
    """
    if radius == 0:
        return np.zeros(len(stamps))
    _, ny, nx = stamps.shape
    reach = stamp_reach(radius * oversample)
    half_y, half_x = (ny % 2 - 1) / 2, (nx % 2 - 1) / 2  # even stamps: between two samples
    (weights,) = circle_overlap(np.array([half_x]), np.array([half_y]), radius * oversample, reach)
    rows, stamp_rows = _common_range(ny, reach)
    columns, stamp_columns = _common_range(nx, reach)
    light = stamps[:, stamp_rows, stamp_columns] * weights[rows, columns]
    return light.sum(axis=(1, 2)) / oversample**2


def _common_range(n_samples: int, reach: int) -> tuple[slice, slice]:
    """Slices of a table of weights and of an ePSF stamp that share a central sample."""
    middle = n_samples // 2
    low, high = min(reach, middle), min(reach, n_samples - 1 - middle)
    return slice(reach - low, reach + high + 1), slice(middle - low, middle + high + 1)
