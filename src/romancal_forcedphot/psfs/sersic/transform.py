"""The Fourier transform of the round Sérsic profile, as a table.

It is the profile's Hankel transform, a function of radius times frequency and of n alone. It has no
closed form but for n = 1/2 and 1; on a logarithmic grid it is a convolution (FFTLog; Hamilton 2000,
MNRAS 312, 257), which gives it to 1e-13 for every n in a millisecond.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from .round import INDEX_RANGE, log_surface_brightness

__all__ = ["TransformTable", "hankel_transform", "transform_table"]

_LOG_STEP = 0.015  # of r and of the frequency in `hankel_transform`
_N_LOG = 4096  # so that both run over e**±30
_BIAS = -0.5  # power of r that evens the integrand out; 1e-13 at n = 1/2 and 1


def hankel_transform(n: float) -> tuple[NDArray, NDArray]:
    """Return the two-dimensional Fourier transform of the profile.

    Parameters
    ----------
    n : float
        Sérsic index.

    Returns
    -------
    log_frequency : (k,) ndarray of float64
        Logarithm of 2 pi times cycles per half-light radius, in equal steps.
    transform : (k,) ndarray of float64
        1 at frequency 0; absolute error below 1e-12 between frequencies of 1e-5 and 1e5.
    """
    log_radius = (np.arange(_N_LOG) - (_N_LOG - 1) / 2) * _LOG_STEP
    with np.errstate(under="ignore"):
        integrand = np.exp(log_radius + log_surface_brightness(n, np.exp(log_radius)))
    offset = scipy.fft.fhtoffset(_LOG_STEP, 0, bias=_BIAS)
    transform = scipy.fft.fht(integrand, _LOG_STEP, 0, offset=offset, bias=_BIAS)
    log_frequency = log_radius + offset
    return log_frequency, 2 * np.pi * transform * np.exp(-log_frequency)


@dataclass(frozen=True, eq=False)
class TransformTable:
    """`hankel_transform` of many indices, to be read at (2 pi cycles per half-light radius)².

    It is tabulated against log(1 + square / `KNEE`²), in which it is smooth from frequency 0 on
    and which needs no square root.

    Attributes
    ----------
    indices : (m,) ndarray of float64
        Sérsic indices at equal steps of their logarithm.
    values : (m, k) ndarray of float64
        The transforms.
    """

    indices: NDArray
    values: NDArray

    KNEE = 0.02  # the steepest profiles still change below this frequency
    STEP = 0.008  # of log(1 + ...); read linearly it errs by less than 4e-6
    LARGEST = 5e3  # frequency at which the table ends and stays as it is

    @property
    def n_samples(self) -> int:
        """Number k of samples."""
        return self.values.shape[1]

    def for_indices(self, n: ArrayLike) -> NDArray:
        """Return the transforms of some Sérsic indices (j,), to be read with `read`.

        Cubic between the tabulated indices; beyond them as at the first or last.

        Returns
        -------
        (j, k) ndarray of complex64
            Value and step to the next one, as real and imaginary part: both come with one look-up.
        """
        log_n = np.log(np.clip(n, *INDEX_RANGE))
        place = (log_n - np.log(self.indices[0])) / np.log(self.indices[1] / self.indices[0])
        first = np.clip(np.floor(place).astype(int) - 1, 0, self.indices.size - 4)
        values = np.zeros((log_n.size, self.n_samples))
        for tap, weight in enumerate(_cubic_weights(place - first)):
            values += weight[:, None] * self.values[first + tap]
        pairs = np.zeros(values.shape, dtype=np.complex64)
        pairs.real = values
        pairs.imag[:, :-1] = np.diff(values, axis=1)
        return pairs

    def read(self, pairs: NDArray, one_plus_square: NDArray) -> NDArray[np.float32]:
        """Read the transforms of j profiles at frequencies of their own.

        Parameters
        ----------
        pairs : (j, k) ndarray of complex64
            From `for_indices`.
        one_plus_square : (j, ...) ndarray of float32
            1 + (frequency / `KNEE`)²; is overwritten.

        Returns
        -------
        (j, ...) ndarray of float32
        """
        place = np.log(one_plus_square, out=one_plus_square)
        place *= np.float32(1 / self.STEP)
        np.minimum(place, np.float32(self.n_samples - 1), out=place)
        sample = place.astype(np.intp)
        place -= sample
        start = np.arange(len(pairs)) * self.n_samples
        sample += start.reshape(-1, *[1] * (sample.ndim - 1))
        found = pairs.ravel().take(sample, mode="clip")
        place *= found.imag
        place += found.real
        return place


def _cubic_weights(place: NDArray) -> list[NDArray]:
    """Return Lagrange's weights of four nodes at 0, 1, 2, 3."""
    s = [place - node for node in range(4)]
    return [
        -s[1] * s[2] * s[3] / 6,
        s[0] * s[2] * s[3] / 2,
        -s[0] * s[1] * s[3] / 2,
        s[0] * s[1] * s[2] / 6,
    ]


@lru_cache(maxsize=1)
def transform_table() -> TransformTable:
    """Return the table of the transforms of all indices, made at the first call in 0.1 s."""
    indices = np.geomspace(*INDEX_RANGE, 65)
    last = np.log1p((TransformTable.LARGEST / TransformTable.KNEE) ** 2)
    place = np.arange(int(last / TransformTable.STEP) + 2) * TransformTable.STEP
    frequency = TransformTable.KNEE * np.sqrt(np.expm1(place))
    values = np.ones((indices.size, place.size))
    for row, n in zip(values, indices, strict=True):
        log_frequency, transform = hankel_transform(n)
        row[1:] = scipy.interpolate.CubicSpline(log_frequency, transform)(np.log(frequency[1:]))
    return TransformTable(indices, values)
