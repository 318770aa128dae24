"""Sums over apertures that see the sky through the PSF of another filter."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...geometry import stamp_reach
from ...psfs import PSFMatching
from ...psfs.matching import MARGIN_PIX
from ..pixels.aperture_sums import ApertureSums, Stamps, sum_with_weights

__all__ = ["MARGIN_PIX", "matched_sums"]

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
