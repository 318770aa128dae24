"""Sums over apertures that see the sky through the PSF of another filter."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...geometry import ellipse_overlap, stamp_reach
from ...psfs import PSFMatching
from ...psfs.matching import MARGIN_PIX
from ..pixels.aperture_sums import ApertureSums, Stamps, sum_with_weights

__all__ = ["MARGIN_PIX", "matched_fraction", "matched_sums"]

LEAST_WEIGHT = 0.01  # of a pixel that is worth a flag


def matched_sums(
    stamps: Stamps,
    matching: PSFMatching,
    x: NDArray,
    y: NDArray,
    semimajor: ArrayLike,
    semiminor: ArrayLike,
    theta: ArrayLike,
) -> ApertureSums:
    """Sum stamps over ellipses, with the weights that match the PSF.

    Parameters
    ----------
    stamps : Stamps
        Stamps of n sources, cut for `MARGIN_PIX` more than the half axes.
    matching : PSFMatching
        Matching of the PSF to that of another filter.
    x, y : (n,) ndarray of float64
        0-indexed pixel positions.
    semimajor, semiminor, theta : float or (n,) array_like
        Half axes in pixels, and angle of the major axis in radian.

    Returns
    -------
    ApertureSums
        Masked and saturated pixels and the edge count from a weight of 0.01 on.
    """
    ellipse = (np.broadcast_to(axis, x.shape) for axis in (semimajor, semiminor, theta))
    reach = min(stamps.reach, stamp_reach(np.max(semimajor, initial=0.0) + MARGIN_PIX))
    weights = matching.aperture_weights(x, y, *ellipse, reach)
    return sum_with_weights(stamps, weights, least=LEAST_WEIGHT)


def matched_fraction(
    sums: ApertureSums,
    matching: PSFMatching,
    x: NDArray,
    y: NDArray,
    aperture: float | NDArray | tuple[NDArray, NDArray, NDArray],
    in_annulus: NDArray,
) -> NDArray:
    """Return the encircled-energy fraction of matched sums: that of the other filter.

    So total fluxes have the colours of those in apertures. The sum over a star also depends on its
    place on the pixel, by a percent in a sharp PSF; that over a galaxy, which is smooth, does not.

    Parameters
    ----------
    sums : ApertureSums
        From `matched_sums`.
    matching : PSFMatching
        Matching of the PSF to that of another filter.
    x, y : (n,) ndarray of float64
        0-indexed pixel positions.
    aperture : float, (n,) ndarray, or tuple of three (n,) ndarray
        Radius of circles, or half axes and angles of ellipses, as for `matched_sums`.
    in_annulus : (n,) ndarray
        Mean fraction of the source's flux per pixel of its annulus in the other filter.

    Returns
    -------
    (n,) ndarray of float64
        NaN where it is not positive.
    """
    if isinstance(aperture, tuple):
        reach = sums.weights.shape[-1] // 2
        nominal = ellipse_overlap(x - np.rint(x), y - np.rint(y), *aperture, reach)
        fraction = matching.other.in_aperture(x, y, None, weights=nominal)
    else:
        fraction = matching.other.in_aperture(x, y, aperture)
    cut = np.flatnonzero((sums.weights != sums.full_weights).any(axis=(1, 2)))
    held, whole = (
        matching.own.in_aperture(x[cut], y[cut], None, weights=weights[cut])
        for weights in (sums.weights, sums.full_weights)
    )
    fraction[cut] *= held / whole
    fraction = fraction - sums.area * in_annulus
    return np.where(fraction > 0, fraction, np.nan)
