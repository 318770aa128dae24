"""Interpolation and integration of oversampled ePSF tables.

Bilinear weights between the detector positions of a grid, cubic B-spline weights between the
samples of a stamp, and the integral of a stamp over a circle.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ..geometry import circle_overlap, stamp_reach

__all__ = ["bilinear_nodes", "doubled_sampling", "flux_in_circle", "spline_weights"]


def bilinear_nodes(nodes: NDArray, position: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Return the two nodes around positions along one axis, and the interpolation weight.

    Parameters
    ----------
    nodes : (k,) ndarray of float64
        In increasing order.
    position : (n,) ndarray of float64
        Positions beyond the first or last node are taken to be at it.

    Returns
    -------
    lower, upper : (n,) ndarray of intp
        Indices of the nodes on both sides.
    upper_weight : (n,) ndarray of float64
        Linear interpolation weight of the upper node, 0 to 1; that of the lower node is
        1 - upper_weight.
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
    """Return the cubic B-spline weights for the pixels around sources, along one axis.

    The pixel grid has a whole number of samples per pixel, so that all pixels of a source have the
    same phase between two samples, and the same four weights.

    Parameters
    ----------
    position : (n,) ndarray of float64
        0-indexed pixel coordinates of the sources.
    n_samples : int
        Number of samples of the ePSF; the source is at the middle.
    side : int
        Odd number of pixels around each source, centred on rint(position).
    oversample : int
        Samples per pixel.

    Returns
    -------
    start : (n,) ndarray of intp
        Index of the first of the four coefficients for the first pixel. Those of the k-th pixel
        begin k * oversample later.
    weights : tuple of four (n,) ndarray of float64
        The uniform cubic B-spline basis functions at the phase of each source.
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


def doubled_sampling(stamps: NDArray) -> NDArray:
    """Return stamps with a sample more between any two, by interpolation in Fourier space.

    It is exact where the samples are dense enough for what the stamps hold (those of a telescope
    hold no frequency above D/λ), and takes a stamp to go on mirrored beyond its edges, as the
    spline does.

    Parameters
    ----------
    stamps : (k, ny, nx) ndarray of float64
        Samples.

    Returns
    -------
    (k, 2 ny - 1, 2 nx - 1) ndarray of float64
        Every second sample is one of the stamps'.
    """
    for axis in (1, 2):
        if stamps.shape[axis] < 2:  # no frequencies
            continue
        amplitude = np.moveaxis(fft.dct(stamps, type=1, axis=axis), axis, -1)
        amplitude[..., -1] /= 2  # of the highest frequency, which now is one of two
        n_new = 2 * amplitude.shape[-1] - 1
        amplitude = np.pad(amplitude, ((0, 0), (0, 0), (0, n_new - amplitude.shape[-1])))
        stamps = np.moveaxis(2 * fft.idct(amplitude, type=1, axis=-1), -1, axis)
    return stamps


def flux_in_circle(stamps: NDArray, radius: float, oversample: int) -> NDArray:
    """Integrate ePSF stamps over a circle around the star.

    The pixels of an annulus are selected by their centres. Averaged over the sub-pixel phase, the
    flux in pixels with centres inside a circle is the integral of the ePSF over the circle. Each
    sample represents the square around it, an approximation for radii of several pixels.

    Parameters
    ----------
    stamps : (k, ny, nx) ndarray of float64
        Fraction of the flux in a whole pixel centred on each sample.
    radius : float
        Radius in pixels.
    oversample : int
        Samples per pixel.

    Returns
    -------
    (k,) ndarray of float64
        Fraction of the flux.
    """
    if radius == 0:
        return np.zeros(len(stamps))
    _, ny, nx = stamps.shape
    reach = stamp_reach(radius * oversample)
    half_y, half_x = (ny % 2 - 1) / 2, (nx % 2 - 1) / 2  # even stamps: between two samples
    (weights,) = circle_overlap(np.array([half_x]), np.array([half_y]), radius * oversample, reach)
    rows, stamp_rows = _common_range(ny, reach)
    columns, stamp_columns = _common_range(nx, reach)
    flux = stamps[:, stamp_rows, stamp_columns] * weights[rows, columns]
    return flux.sum(axis=(1, 2)) / oversample**2


def _common_range(n_samples: int, reach: int) -> tuple[slice, slice]:
    """Slices of a table of weights and of an ePSF stamp that share a central sample."""
    middle = n_samples // 2
    low, high = min(reach, middle), min(reach, n_samples - 1 - middle)
    return slice(reach - low, reach + high + 1), slice(middle - low, middle + high + 1)
