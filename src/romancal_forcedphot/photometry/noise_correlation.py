"""How the noise of neighbouring pixels is correlated, measured on blank sky.

The variance of a weighted sum of pixels is ::

    var(Σ wᵢ dᵢ) = Σᵢⱼ wᵢ wⱼ σᵢ σⱼ ρ(i - j)

where ρ is the mean product of two pixels' noise by their errors σ, for each lag between them. On an
image as it was taken ρ is 1 at the lag 0 and 0 elsewhere. Drizzling shares each pixel's noise among
neighbours: ρ(0) is less than 1 (0.47 for romancal's errors and pixels of equal size), while the
noise of all the light of a source is that of the pixels that it fell on, Σρ, about 1.

Structure of the sky on larger scales (wings of stars, faint sources) adds to the products at all
lags, most in few places. It is no noise of pixels: the median is taken over many places, and what
lags just beyond the reach of drizzling have is subtracted.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .blank_positions import blank_positions, chunks_of_positions
from .exposure import Exposure

__all__ = ["NoiseCorrelation", "measure_noise_correlation"]

log = logging.getLogger(f"romancal.{__name__}")

_SEED = 20261126
_HALF_PIX = 8  # of the squares of blank sky
_N_SQUARES, _LEAST_SQUARES = 1500, 50
_BEYOND_PIX = 2  # lags of structure of the sky, beyond the reach of drizzling
_LARGEST_REACH_PIX = 5
_LARGEST = 5.0  # multiples of the error: more is a source, or less a defect


@dataclass(frozen=True, eq=False)
class NoiseCorrelation:
    """Mean products of the noise of two pixels, by their errors.

    Attributes
    ----------
    products : (2k + 1, 2k + 1) ndarray of float64, indexed [lag along y, lag along x]
        ρ, for lags of -k to k pixels.
    n_squares : int
        Number of squares of blank sky that it was measured on.
    """

    products: NDArray
    n_squares: int

    @property
    def of_light(self) -> float:
        """Noise by error of a sum with all the light of a source, for the noise of that light."""
        return math.sqrt(max(float(self.products.sum()), 0.0))

    def of_sky(self, area: NDArray | float) -> NDArray:
        """Return noise by error of sums over the sky, weighted by a profile.

        Parameters
        ----------
        area : (n,) ndarray of float64 or float
            Noise-equivalent area (Σw)²/Σw² in pixels. The profile is taken to be a Gaussian of that
            area, whose autocorrelation is exp(-π lag²/area).

        Returns
        -------
        (n,) ndarray of float64
        """
        area = np.asarray(area, dtype=np.float64)
        reach = self.products.shape[0] // 2
        lag = np.arange(-reach, reach + 1)
        squared, at = np.unique(np.square(lag) + np.square(lag[:, None]), return_inverse=True)
        products = np.bincount(at.ravel(), self.products.ravel())
        variance = sum(
            product * np.exp(-np.pi * each / area)
            for each, product in zip(squared, products, strict=True)
        )
        return np.sqrt(np.maximum(variance, 0.0))

    def scale(self, area: NDArray, share: NDArray) -> NDArray:
        """Return what errors of sources are to be multiplied by.

        Parameters
        ----------
        area : (n,) ndarray of float64
            Noise-equivalent areas in pixels.
        share : (n,) ndarray of float64
            Share of the variance that comes with the light of the sources, 0 to 1.

        Returns
        -------
        (n,) ndarray of float64
        """
        return np.sqrt((1 - share) * self.of_sky(area) ** 2 + share * self.of_light**2)

    def provenance(self) -> dict[str, Any]:
        """Return plain values for the product's metadata."""
        return {
            "noise_of_single_pixels": float(self.of_sky(1e-9)),
            "noise_of_light": self.of_light,
            "n_squares": self.n_squares,
        }


def measure_noise_correlation(
    exposure: Exposure, x: NDArray, y: NDArray, *, seed: int = _SEED
) -> NoiseCorrelation | None:
    """Measure the correlation of the noise of pixels on blank sky.

    Parameters
    ----------
    exposure : Exposure
        The image.
    x, y : (n,) ndarray
        0-indexed pixel positions of the sources to avoid, NaN where there is none.
    seed : int
        Seed of the random positions.

    Returns
    -------
    NoiseCorrelation or None
        None if fewer than 50 squares of 17 pixels fit on blank sky.
    """
    reach = _reach(exposure)
    positions, _ = blank_positions(
        exposure.data, x, y, reach=math.sqrt(2) * _HALF_PIX, n_positions=_N_SQUARES, seed=seed
    )
    n_lags = reach + _BEYOND_PIX
    of_squares = [
        _products(_noise_on_squares(exposure, positions[chunk]), n_lags)
        for chunk in chunks_of_positions(len(positions), math.sqrt(2) * _HALF_PIX)
    ]
    n_squares = sum(map(len, of_squares))
    if n_squares < _LEAST_SQUARES:
        log.warning(
            "Only %d squares of blank sky on %s: expected at least %d to measure how the noise of "
            "pixels is correlated",
            n_squares,
            exposure.name,
            _LEAST_SQUARES,
        )
        return None
    products = np.median(np.concatenate(of_squares), axis=0)
    inner = slice(_BEYOND_PIX, -_BEYOND_PIX)
    is_beyond = np.ones(products.shape, dtype=bool)
    is_beyond[inner, inner] = False
    return NoiseCorrelation(products[inner, inner] - products[is_beyond].mean(), n_squares)


def _reach(exposure: Exposure) -> int:
    """Largest lag of two pixels that a detector pixel can be in."""
    if exposure.resampling is None:
        return 1
    droplet = exposure.resampling.pixfrac / exposure.resampling.pixel_scale_ratio
    return min(math.ceil(1 + droplet), _LARGEST_REACH_PIX)


def _noise_on_squares(exposure: Exposure, positions: NDArray) -> NDArray:
    """Data less their median, by the errors, on squares (n, s, s) without bright pixels."""
    offset = np.arange(-_HALF_PIX, _HALF_PIX + 1)
    column, row = (np.rint(at).astype(np.intp)[:, None] + offset for at in positions.T)
    at = row[:, :, None], column[:, None, :]
    data, err = (np.asarray(plane[at], float) for plane in (exposure.data, exposure.err))
    noise = (data - np.median(data, axis=(1, 2), keepdims=True)) / err
    return np.maximum(noise[(noise < _LARGEST).all(axis=(1, 2))], -_LARGEST)


def _products(noise: NDArray, n_lags: int) -> NDArray:
    """Mean products of the pixels of each square (n, s, s), for lags up to some number."""
    length = noise.shape[-1]
    side = length + n_lags
    power = np.abs(np.fft.rfft2(noise, s=(side, side))) ** 2
    lag = np.arange(-n_lags, n_lags + 1)
    sums = np.fft.irfft2(power, s=(side, side))[:, lag[:, None] % side, lag % side]
    return sums / np.outer(length - np.abs(lag), length - np.abs(lag))
