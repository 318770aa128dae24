"""Encircled energy between the tabulated radii of a curve, and its radial profile on pixels."""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

from .pixelation import displacement_cdf, max_displacement

__all__ = ["flux_per_pixel", "interpolate_curve"]

N_DISPLACEMENTS = 64
N_ANGLES = 32
NEGATIVE_SLOPE_TOLERANCE = 0.02  # of the mean slope: a cubic that falls more has overshot


def interpolate_curve(
    radii: NDArray, fractions: NDArray
) -> scipy.interpolate.CubicSpline | scipy.interpolate.PchipInterpolator:
    """Return the interpolant of EE(r) through (0, 0), with zero slope there.

    Zero slope at the origin holds for any PSF without a cusp.

    Parameters
    ----------
    radii : (n,) ndarray of float64
        Increasing radii above 0.
    fractions : (n,) ndarray of float64
        Encircled-energy fractions at them.

    Returns
    -------
    scipy.interpolate.CubicSpline or scipy.interpolate.PchipInterpolator
        The second, which is monotone, where the curve is so coarse that the first overshoots.
    """
    radii, fractions = np.concatenate([[0.0], radii]), np.concatenate([[0.0], fractions])
    cubic = scipy.interpolate.CubicSpline(radii, fractions, bc_type=((1, 0.0), "not-a-knot"))
    between = np.linspace(radii[:-1], radii[1:], 9)
    if cubic(between, 1).min() >= -NEGATIVE_SLOPE_TOLERANCE * fractions[-1] / radii[-1]:
        return cubic
    return scipy.interpolate.PchipInterpolator(radii, fractions)


def flux_per_pixel(
    curve: scipy.interpolate.CubicSpline | scipy.interpolate.PchipInterpolator,
    limits: tuple[float, float],
    distance: NDArray,
    scale: float,
    *,
    widths: tuple[float, ...],
) -> NDArray:
    """Return the fraction of the flux in a pixel, averaged over its direction from the source.

    This is the surface brightness EE'(r) / (2 pi r), averaged over the area of the pixel where the
    curve's PSF does not include that integration yet. On a mosaic, more squares are averaged over.

    Parameters
    ----------
    curve : callable
        EE(r) of `interpolate_curve`.
    limits : (float, float)
        Smallest and largest radius of the curve. Well within the smallest the surface brightness
        is taken to be constant, beyond the largest to be 0.
    distance : (n,) ndarray of float64
        Distances of the pixel's centre from the source, in pixels.
    scale : float
        Units of the curve's radii per pixel.
    widths : tuple of float
        Sides in pixels of the squares that the curve's PSF is averaged over: ``(1.0,)`` for a
        pixel, none where it includes the integration over a pixel.

    Returns
    -------
    (n,) ndarray of float64
    """
    displacement, probability = np.zeros(1), np.ones(1)
    if widths:
        edges = np.linspace(0.0, max_displacement(widths), N_DISPLACEMENTS + 1)
        displacement = 0.5 * (edges[1:] + edges[:-1])
        probability = np.diff(displacement_cdf(edges, widths))
    angle = np.pi * (np.arange(N_ANGLES) + 0.5) / N_ANGLES
    along = distance[:, None, None] + displacement[:, None] * np.cos(angle)
    radius = np.hypot(along, displacement[:, None] * np.sin(angle)) * scale
    radius = np.maximum(radius, limits[0] / 4)  # flat core: no division by zero
    slope = np.where(radius < limits[1], curve(radius, 1), 0.0)
    density = slope / (2 * np.pi * radius) * scale**2
    return np.maximum(density.mean(axis=-1) @ probability, 0.0)
