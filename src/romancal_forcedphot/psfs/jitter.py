"""Jitter of the pointing: a Gaussian, applied to ePSF stamps in the Fourier domain.

Jitter of some 10 mas is much narrower than the samples of a stamp. Its transform is known exactly,
so that a stamp whose detail the samples resolve is blurred (or rid of a blur) exactly (Lang 2020,
arXiv:2012.15797).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["NOMINAL_PIXEL_ARCSEC", "Jitter", "gaussian_transform", "with_jitter"]

NOMINAL_PIXEL_ARCSEC = 0.11


@dataclass(frozen=True)
class Jitter:
    """Jitter of the pointing.

    Attributes
    ----------
    major, minor : float
        Standard deviations in mas.
    position_angle : float
        Degrees from +y towards +x.
    """

    major: float
    minor: float
    position_angle: float = 0.0

    @classmethod
    def of_image(cls, guide_star: Mapping[str, Any] | None) -> Jitter | None:
        """Read a jitter from ``meta.guide_star`` or an ePSF's ``meta``; None unless all is told."""
        names = ("jitter_major", "jitter_minor", "jitter_position_angle")
        values = [(guide_star or {}).get(name) for name in names]
        if any(value is None or not math.isfinite(value) for value in values):
            return None
        return cls(*map(float, values)) if min(values[:2]) >= 0 else None


def gaussian_transform(u: NDArray, v: NDArray, width: Jitter, pixel_arcsec: float) -> NDArray:
    """Return the Fourier transform of a Gaussian of unit integral.

    Parameters
    ----------
    u, v : ndarray
        Frequencies along x and y in cycles per pixel, of shapes that broadcast.
    width : Jitter
        Its standard deviations and position angle.
    pixel_arcsec : float
        Side of a pixel.

    Returns
    -------
    ndarray
        exp(-2 π² (σ₁² f₁² + σ₂² f₂²)) with the frequencies f along the two axes.
    """
    angle = np.deg2rad(width.position_angle)
    along = u * np.sin(angle) + v * np.cos(angle)
    across = u * np.cos(angle) - v * np.sin(angle)
    sigmas = np.array([width.major, width.minor]) / 1000 / pixel_arcsec
    return np.exp(-2 * np.pi**2 * ((sigmas[0] * along) ** 2 + (sigmas[1] * across) ** 2))


def with_jitter(
    stamps: NDArray,
    oversample: int,
    *,
    old: Jitter,
    new: Jitter,
    pixel_arcsec: float = NOMINAL_PIXEL_ARCSEC,
) -> NDArray:
    """Exchange the jitter in ePSF stamps for another.

    Parameters
    ----------
    stamps : (..., ny, nx) ndarray
        The stamps.
    oversample : int
        Samples per pixel.
    old, new : Jitter
        The jitter that is in them, and the one that shall be.
    pixel_arcsec : float
        Side of a pixel; jitter is so small that the nominal one does.

    Returns
    -------
    (..., ny, nx) ndarray of float64
    """
    ny, nx = stamps.shape[-2:]
    v, u = np.fft.fftfreq(ny)[:, None] * oversample, np.fft.rfftfreq(nx) * oversample
    added, removed = (gaussian_transform(u, v, width, pixel_arcsec) for width in (new, old))
    transform = np.fft.rfft2(stamps, axes=(-2, -1)) * (added / removed)
    return np.fft.irfft2(transform, axes=(-2, -1), s=(ny, nx))
