"""Apertures that hold the same fraction of a star's light in every filter.

The PSF is wider at longer wavelengths, so that one radius holds less of a star there. Radii that
hold the same encircled-energy fraction give colours of stars without any aperture correction.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["matched_radius"]

TOLERANCE = 1e-6  # of the encircled energy
MAX_ROUNDS = 60


def matched_radius(
    energy: Callable[[NDArray], NDArray],
    fraction: ArrayLike,
    nominal: ArrayLike,
    *,
    smallest: float = 0.25,
    largest: float = 4.0,
) -> NDArray:
    """Find the radii in which a PSF has given encircled-energy fractions.

    False position with halved weights (Illinois), which holds each root between two radii.

    Parameters
    ----------
    energy : callable
        (n,) radii in pixels -> (n,) encircled-energy fractions of n sources on this image, rising
        with the radius; see `Correction.in_aperture`.
    fraction : (n,) array_like
        What `nominal` holds in the filter that is to be matched.
    nominal : float or (n,) array_like
        Radius in pixels in that filter.
    smallest, largest : float
        Limits of the radii in units of `nominal`.

    Returns
    -------
    radius : (n,) ndarray of float64
        Pixels; good to 1e-6 in encircled energy. NaN where no radius within the limits holds the
        fraction.
    """
    fraction = np.asarray(fraction, dtype=np.float64)
    nominal = np.broadcast_to(np.asarray(nominal, dtype=np.float64), fraction.shape)
    low, high = smallest * nominal, largest * nominal
    below, above = energy(low) - fraction, energy(high) - fraction
    radius = np.where((below <= 0) & (above >= 0), nominal, np.nan)
    last_side = np.zeros(fraction.shape)
    with np.errstate(invalid="ignore", divide="ignore"):  # those without a root are NaN
        for _ in range(MAX_ROUNDS):
            step = (low * above - high * below) / (above - below)
            radius = np.where(np.isnan(radius), np.nan, np.clip(step, low, high))
            miss = energy(np.where(np.isnan(radius), nominal, radius)) - fraction
            if not np.any(np.abs(miss[~np.isnan(radius)]) > TOLERANCE):
                break
            side = np.sign(miss)
            stuck = side == last_side
            low, high = np.where(side < 0, radius, low), np.where(side > 0, radius, high)
            above = np.where(stuck & (side < 0), above / 2, np.where(side > 0, miss, above))
            below = np.where(stuck & (side > 0), below / 2, np.where(side < 0, miss, below))
            last_side = side
    return radius
