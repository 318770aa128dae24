"""Encircled energy of circular apertures on pixels, derived from that of perfect circles.

An aperture sum weights each pixel by its overlap with a circle, and each pixel integrates the PSF
over its area. Averaged over angle and sub-pixel phase, flux at distance r' from the source
therefore enters the sum with the weight ::

    f(r') = mean over angle of [circle(radius) * pixel * pixel](r')      (* = convolution)

with one convolution for the fractional overlaps, and a second one where the PSF does not include
the integration over a pixel yet.

Derivation of f without a two-dimensional integral: to convolve with one pixel is to displace the
flux from the centre of a unit square to a uniformly distributed point of it; two convolutions
displace it by the difference of two such points. The direction of the displacement averages out,
so f(r') is the probability that a point at r', displaced in a random direction by a length of
known distribution, ends inside the circle. The distribution of the length has a closed form: for
two convolutions it is that of "square line picking" (the distance of two random points of a
square).
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
N_RADII = 400  # intervals of r' over which f falls from 1 to 0


@lru_cache(maxsize=256)
def radial_weight_decrements(radius: float, n_convolutions: int) -> tuple[NDArray, NDArray]:
    """Return by how much the weight f of an aperture falls in each of many intervals of radius.

    With the encircled energy EE(r') of perfect circles, that of the aperture on pixels is, by
    integration by parts, ``integral of f dEE = sum(decrement * EE(distance))``.

    Parameters
    ----------
    radius : float
        Radius of the circular aperture in pixels.
    n_convolutions : {1, 2}
        Number of convolutions of the circle with a pixel (see the module).

    Returns
    -------
    distance : (n,) ndarray of float64
        Midpoints r' of the intervals, in pixels.
    decrement : (n,) ndarray of float64
        f at the inner edge of each interval minus f at its outer edge. Sums to 1, or to f(0) where
        the circle is smaller than a pixel.
    """
    margin = max_displacement(n_convolutions)
    edges = np.linspace(max(radius - margin, 0.0), radius + margin, N_RADII + 1)
    return 0.5 * (edges[1:] + edges[:-1]), -np.diff(_mean_weight(edges, radius, n_convolutions))


def _mean_weight(distance: NDArray, radius: float, n_convolutions: int) -> NDArray:
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
    n_convolutions : {1, 2}
        Number of convolutions with a pixel.

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
    weight[is_inside] = displacement_cdf(edge, n_convolutions).mean(axis=1)
    start = distance[~is_inside, None]
    along = np.sqrt(start**2 - (radius * np.cos(t)) ** 2)  # t from -90 to 90 degrees here
    half_chord = radius * np.sin(t)
    probability = displacement_cdf(along + half_chord, n_convolutions)
    probability = probability - displacement_cdf(along - half_chord, n_convolutions)
    weight[~is_inside] = 0.5 * (probability * half_chord / along).mean(axis=1)  # of a full turn
    return weight


def max_displacement(n_convolutions: int) -> float:
    """Return the largest displacement of `displacement_cdf`.

    Parameters
    ----------
    n_convolutions : {1, 2}
        Number of convolutions with a pixel.

    Returns
    -------
    float
        Pixels: half the diagonal of a pixel (centre to corner), or the whole of it.
    """
    return n_convolutions * np.sqrt(0.5)


def displacement_cdf(displacement: NDArray, n_convolutions: int) -> NDArray:
    """Return the cumulative distribution of the length of the displacement by pixels.

    For one convolution it is the area of a unit square within a circle around its centre, for two
    the integral of the probability density of square line picking.

    Parameters
    ----------
    displacement : ndarray of float64
        Lengths in pixels.
    n_convolutions : {1, 2}
        Number of convolutions with a pixel.

    Returns
    -------
    ndarray of float64
        Probability that the displacement is shorter, of the shape of `displacement`.
    """
    s = np.clip(displacement, 0.0, max_displacement(n_convolutions))
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
