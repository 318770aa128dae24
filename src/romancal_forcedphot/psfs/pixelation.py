"""Encircled energy of circular apertures on pixels, derived from that of perfect circles.

An aperture sum weights each pixel by its overlap with a circle, and each pixel integrates the PSF
over its area. Averaged over angle and sub-pixel phase, flux at distance r' from the source
therefore enters the sum with the weight ::

    f(r') = mean over angle of [circle(radius) * pixel * pixel](r')      (* = convolution)

with one convolution for the fractional overlaps, and a second one where the PSF does not include
the integration over a pixel yet.

On a mosaic there are more convolutions, with squares of other sides: the flux of a detector pixel
is spread over a square (drizzled), and collected by the pixels of the mosaic.

Derivation of f without a two-dimensional integral: to convolve with one pixel is to displace the
flux from the centre of a unit square to a uniformly distributed point of it; two convolutions
displace it by the difference of two such points. The direction of the displacement averages out,
so f(r') is the probability that a point at r', displaced in a random direction by a length of
known distribution, ends inside the circle. The distribution of the length has a closed form for
one pixel and for two: the latter is that of "square line picking" (the distance of two random
points of a square). For other squares, all taken to be parallel, it is summed on a lattice.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "displacement_cdf",
    "max_displacement",
    "radial_weight_decrements",
    "stamp_distances",
    "usable_flux_fraction",
]

N_DIRECTIONS = 180
LATTICE_STEP_PIX = 0.01
N_LENGTHS = 200
N_RADII = 400  # intervals of r' over which f falls from 1 to 0


@lru_cache(maxsize=256)
def radial_weight_decrements(radius: float, widths: tuple[float, ...]) -> tuple[NDArray, NDArray]:
    """Return by how much the weight f of an aperture falls in each of many intervals of radius.

    With the encircled energy EE(r') of perfect circles, that of the aperture on pixels is, by
    integration by parts, ``integral of f dEE = sum(decrement * EE(distance))``.

    Parameters
    ----------
    radius : float
        Radius of the circular aperture in pixels.
    widths : tuple of float
        Sides in pixels of the squares that the circle is convolved with; 1 for a pixel.

    Returns
    -------
    distance : (n,) ndarray of float64
        Midpoints r' of the intervals, in pixels.
    decrement : (n,) ndarray of float64
        f at the inner edge of each interval minus f at its outer edge. Sums to 1, or to f(0) where
        the circle is smaller than a pixel.
    """
    margin = max_displacement(widths)
    edges = np.linspace(max(radius - margin, 0.0), radius + margin, N_RADII + 1)
    return 0.5 * (edges[1:] + edges[:-1]), -np.diff(_mean_weight(edges, radius, widths))


def _mean_weight(distance: NDArray, radius: float, widths: tuple[float, ...]) -> NDArray:
    """Return f(distance), the probability that a displaced point ends inside the circle.

    From inside the circle, a displacement in direction t ends inside up to the circle's edge. From
    outside, those directions that meet the circle enter and leave it; they are parametrised by
    sin(direction) = sin(t) radius / distance, which keeps the integrand smooth at the tangents.

    Parameters
    ----------
    distance : (n,) ndarray of float64
        Distances from the centre of the circle in pixels.
    radius : float
        Radius of the circle in pixels.
    widths : tuple of float
        Sides of the squares in pixels; 1 for a pixel.

    Returns
    -------
    (n,) ndarray of float64
        0 to 1.
    """
    t = np.pi * (np.arange(N_DIRECTIONS) + 0.5) / N_DIRECTIONS
    weight = np.empty(distance.shape)
    is_inside = distance < radius
    start = distance[is_inside, None]
    edge = np.sqrt(radius**2 - (start * np.sin(t)) ** 2) - start * np.cos(t)
    weight[is_inside] = displacement_cdf(edge, widths).mean(axis=1)
    start = distance[~is_inside, None]
    along = np.sqrt(start**2 - (radius * np.cos(t)) ** 2)  # t from -90 to 90 degrees here
    half_chord = radius * np.sin(t)
    probability = displacement_cdf(along + half_chord, widths)
    probability = probability - displacement_cdf(along - half_chord, widths)
    weight[~is_inside] = 0.5 * (probability * half_chord / along).mean(axis=1)  # of a full turn
    return weight


def max_displacement(widths: tuple[float, ...]) -> float:
    """Return the largest displacement of `displacement_cdf`.

    Parameters
    ----------
    widths : tuple of float
        Sides of the squares in pixels; 1 for a pixel.

    Returns
    -------
    float
        Pixels: the sum of half the diagonals of the squares.
    """
    return sum(widths) * np.sqrt(0.5)


def displacement_cdf(displacement: NDArray, widths: tuple[float, ...]) -> NDArray:
    """Return the cumulative distribution of the length of the displacement by squares.

    For one pixel it is the area of a unit square within a circle around its centre, for two the
    integral of the probability density of square line picking.

    Parameters
    ----------
    displacement : ndarray of float64
        Lengths in pixels.
    widths : tuple of float
        Sides of the squares in pixels; 1 for a pixel.

    Returns
    -------
    ndarray of float64
        Probability that the displacement is shorter, of the shape of `displacement`.
    """
    n_convolutions = len(widths)
    if widths not in ((1.0,), (1.0, 1.0)):
        return np.interp(displacement, *_lattice_cdf(widths))
    s = np.clip(displacement, 0.0, max_displacement(widths))
    beyond = np.maximum(s, n_convolutions / 2)  # past the middle of the sides
    square = np.sqrt(np.maximum((2 * beyond / n_convolutions) ** 2 - 1, 0.0))
    if n_convolutions == 1:
        near = np.pi * s**2
        far = beyond**2 * (np.pi - 4 * np.arctan(square)) + square
    else:
        near = s**2 * (np.pi - 8 / 3 * s + s**2 / 2)
        far = (
            beyond**2 * (np.pi - 2 - 4 * np.arctan(square) - beyond**2 / 2)
            + 4 * square * (1 + 2 / 3 * square**2)
            + 1 / 3
        )
    return np.where(s <= n_convolutions / 2, near, far)


@lru_cache(maxsize=64)
def _lattice_cdf(widths: tuple[float, ...]) -> tuple[NDArray, NDArray]:
    """Return lengths and their cumulative distribution for any squares, from sums on a lattice."""
    along_axis = np.ones(1)
    for width in widths:
        n_half = int(np.ceil(width / 2 / LATTICE_STEP_PIX))
        edges = (np.arange(-n_half, n_half + 2) - 0.5) * LATTICE_STEP_PIX
        cells = np.diff(np.clip(edges, -width / 2, width / 2)) / width
        along_axis = np.convolve(along_axis, cells)
    position = (np.arange(along_axis.size) - along_axis.size // 2) * LATTICE_STEP_PIX
    length = np.hypot(position[:, None], position).ravel()
    edges = np.linspace(0.0, max_displacement(widths), N_LENGTHS + 1)
    probability = np.outer(along_axis, along_axis).ravel()
    counts, _ = np.histogram(np.minimum(length, edges[-1]), bins=edges, weights=probability)
    return edges, np.concatenate([[0.0], np.cumsum(counts) / counts.sum()])


def stamp_distances(x: NDArray, y: NDArray, side: int) -> NDArray:
    """Return the distance of the centre of each stamp pixel from its source.

    Parameters
    ----------
    x, y : (n,) ndarray of float64
        0-indexed pixel positions of the sources.
    side : int
        Odd side s of the stamps in pixels, which are centred on pixel (rint(y), rint(x)).

    Returns
    -------
    (n, s, s) ndarray of float64, indexed [source, y, x]
        Pixels.
    """
    offset = np.arange(side) - side // 2
    from_x = offset - (x - np.rint(x))[:, None]
    from_y = offset - (y - np.rint(y))[:, None]
    return np.hypot(from_y[:, :, None], from_x[:, None, :])


def usable_flux_fraction(flux: NDArray, weights: NDArray, full_weights: NDArray) -> NDArray:
    """Return the fraction of an aperture's flux that falls on usable pixels.

    Parameters
    ----------
    flux : (n, s, s) ndarray of float64
        Model flux of each source on the pixels of its stamp, in any unit.
    weights, full_weights : (n, s, s) ndarray of float64
        Weights of the pixels in the aperture sum with unusable pixels at 0, and without a mask.

    Returns
    -------
    (n,) ndarray of float64
        ``sum(flux * weights) / sum(flux * full_weights)``, 0 where there is no flux.
    """
    full = (flux * full_weights).sum(axis=(1, 2))
    usable = (flux * weights).sum(axis=(1, 2))
    return np.divide(usable, full, out=np.zeros_like(full), where=full > 0)
