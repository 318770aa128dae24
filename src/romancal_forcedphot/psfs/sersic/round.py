"""The round Sérsic profile and its light.

I(r) = I(0) exp(-b r**(1/n)), with b such that half of the light lies within r = 1: all lengths here
are in units of the half-light radius, and the profile is not cut off. The light within r is the
incomplete gamma function of (2 n, b r**(1/n)), after Ciotti (1991, A&A 249, 99).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammainc, gammaincinv, gammaln

__all__ = [
    "INDEX_RANGE",
    "light_within",
    "log_surface_brightness",
    "radius_brighter_than",
]

INDEX_RANGE = (0.3, 8.0)


def _exponent(n: ArrayLike) -> NDArray:
    """Return b of the profile."""
    return gammaincinv(2 * np.asarray(n, dtype=float), 0.5)


def light_within(n: ArrayLike, radius: ArrayLike) -> NDArray:
    """Return the fraction of the light within radii (in half-light radii)."""
    return gammainc(2 * np.asarray(n), _exponent(n) * np.asarray(radius) ** (1 / np.asarray(n)))


def log_surface_brightness(n: ArrayLike, radius: ArrayLike) -> NDArray:
    """Return the logarithm of the light per squared half-light radius; all of it is 1."""
    n = np.asarray(n, dtype=float)
    return _log_center(n) - _exponent(n) * np.asarray(radius) ** (1 / n)


def radius_brighter_than(n: ArrayLike, log_level: ArrayLike) -> NDArray:
    """Return the radius at which `log_surface_brightness` falls to a level; 0 if nowhere above."""
    n = np.asarray(n, dtype=float)
    return (np.maximum(_log_center(n) - log_level, 0.0) / _exponent(n)) ** n


def _log_center(n: NDArray) -> NDArray:
    return 2 * n * np.log(_exponent(n)) - np.log(2 * np.pi * n) - gammaln(2 * n)
