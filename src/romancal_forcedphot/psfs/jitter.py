"""Pointing jitter: a Gaussian, exchanged in ePSF stamps in the Fourier domain.

The jitter of about 10 mas is much narrower than the samples of a stamp, and cannot be convolved
as a sampled kernel. Its Fourier transform is known analytically; a well-sampled stamp is convolved
with it or deconvolved from it exactly (Lang 2020, arXiv:2012.15797).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .fourier import sample_frequencies

__all__ = ["NOMINAL_PIXEL_ARCSEC", "Jitter", "gaussian_transform", "with_jitter"]

NOMINAL_PIXEL_ARCSEC = 0.11


@dataclass(frozen=True)
class Jitter:
    """Gaussian pointing jitter of an exposure.

    Attributes
    ----------
    major, minor : float
        Standard deviations along the two axes in mas.
    position_angle : float
        Angle of the major axis in degrees, from +y towards +x.
    """

    major: float
    minor: float
    position_angle: float = 0.0

    def __str__(self) -> str:
        return f"{self.major:g} x {self.minor:g} mas at {self.position_angle:g} deg"

    @classmethod
    def of_image(cls, guide_star: Mapping[str, Any] | None) -> Jitter | None:
        """Read the jitter of an image or of an ePSF reference.

        Parameters
        ----------
        guide_star : mapping or None
            ``meta.guide_star`` of an image, or ``meta`` of an ePSF reference, with
            ``jitter_major``, ``jitter_minor`` and ``jitter_position_angle``.

        Returns
        -------
        Jitter or None
            None unless all three are finite numbers, and the first two not negative.
        """
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
        Side of a pixel in arcsec.

    Returns
    -------
    ndarray of float64
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
    """Replace the jitter in ePSF stamps by another one.

    Parameters
    ----------
    stamps : (..., ny, nx) ndarray
        The stamps.
    oversample : int
        Samples per pixel.
    old, new : Jitter
        The jitter that the stamps include, and the one that the result shall include.
    pixel_arcsec : float
        Side of a pixel in arcsec; the nominal value is accurate enough for a blur so narrow.

    Returns
    -------
    (..., ny, nx) ndarray of float64
    """
    ny, nx = stamps.shape[-2:]
    u, v = sample_frequencies(ny, nx, oversample)
    added, removed = (gaussian_transform(u, v, width, pixel_arcsec) for width in (new, old))
    transform = np.fft.rfft2(stamps, axes=(-2, -1)) * (added / removed)
    return np.fft.irfft2(transform, axes=(-2, -1), s=(ny, nx))
