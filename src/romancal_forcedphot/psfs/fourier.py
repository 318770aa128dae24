"""Frequencies and transforms for convolutions of oversampled stamps in the Fourier domain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["pixel_transform", "sample_frequencies"]


def sample_frequencies(ny: int, nx: int, oversample: int) -> tuple[NDArray, NDArray]:
    """Return the frequencies of `numpy.fft.rfft2` of a stamp.

    Parameters
    ----------
    ny, nx : int
        Shape of the stamp in samples.
    oversample : int
        Samples per pixel.

    Returns
    -------
    u : (nx // 2 + 1,) ndarray of float64
        Frequencies along x in cycles per pixel; a real transform has no negative ones.
    v : (ny, 1) ndarray of float64
        Frequencies along y in cycles per pixel.
    """
    return np.fft.rfftfreq(nx) * oversample, np.fft.fftfreq(ny)[:, None] * oversample


def pixel_transform(u: NDArray, v: NDArray, oversample: int) -> NDArray:
    """Return the Fourier transform of the integration over a square pixel.

    Parameters
    ----------
    u, v : ndarray
        Frequencies along x and y in cycles per pixel, of shapes that broadcast.
    oversample : int
        Samples per pixel.

    Returns
    -------
    ndarray of float64
        ``oversample² sinc(u) sinc(v)`` with sinc(u) = sin(πu)/(πu): turns values per sample into
        values per pixel.
    """
    return np.sinc(v) * np.sinc(u) * oversample**2
