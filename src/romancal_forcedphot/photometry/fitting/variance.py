"""The noise of a pixel as a smooth function of its light.

The ``err`` of a Level-2 image follows the noise of its own pixel: one that happens to be low has a
low ``err`` too, and weights 1/err² would pull every flux down. The variance as a function of the
data, in the median over many pixels, has no such memory; evaluated on the model of the image it
gives weights that are independent of the noise.

Some pixels are much noisier than their light tells: where a cosmic ray cut a ramp, for instance,
only a part of it counts. What their err² has beyond the curve is kept with them (`excess`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["VarianceCurve"]

_SAMPLED = 2_000_000
_BULK_BINS = 50  # each with as many pixels, below BULK
_BULK = 0.99
_TAIL_BINS = 30  # of equal width in the logarithm of the light, above
_LEAST_IN_BIN = 20
_STEPS = 4096  # of a table for the many faint pixels
_MOST_IN_TABLE = 4.0  # times the lowest variance: in a step it changes by about a thousandth
_EXCEPTIONAL = 4.0  # times the curve's variance: far beyond what a pixel's own noise does to err²


@dataclass(frozen=True, eq=False)
class VarianceCurve:
    """Variance of a pixel against its light, linear between knots.

    Attributes
    ----------
    level : (k,) ndarray of float64
        Light in units of the image, rising.
    variance : (k,) ndarray of float64
        Its variance there. Below the first level the variance is that of the first, above the
        last it grows in proportion to the light, as photon noise does.
    """

    level: NDArray
    variance: NDArray

    @classmethod
    def of_image(cls, data: NDArray, err: NDArray) -> VarianceCurve:
        """Read the curve off an image.

        Parameters
        ----------
        data, err : (ny, nx) ndarray
            Light and standard deviation of each pixel; those that are not finite, or have no
            error, are left out.

        Returns
        -------
        VarianceCurve
            Medians of err² in bins of the light. One pixel has no say. Of an image without a
            usable pixel, 1 everywhere.
        """
        step = max(data.size // _SAMPLED, 1)
        level = np.asarray(data).reshape(-1)[::step].astype(np.float32)
        variance = np.asarray(err).reshape(-1)[::step].astype(np.float32) ** 2
        usable = np.isfinite(level) & np.isfinite(variance) & (variance > 0)
        if not usable.any():
            return cls(np.zeros(1), np.ones(1))
        order = np.argsort(level[usable])
        level, variance = level[usable][order], variance[usable][order]
        bins = np.split(np.arange(level.size), _ends_of_bins(level))
        filled = [b for b in bins if b.size >= _LEAST_IN_BIN] or [np.arange(level.size)]
        medians = np.array([[np.median(level[b]), np.median(variance[b])] for b in filled])
        # Noisy pixels fill the bins below and far above the sky. The variance grows with the
        # light, so no bin is noisier than those of more light.
        rising = np.minimum.accumulate(medians[::-1, 1])[::-1]
        return cls(medians[:, 0], rising)

    def __call__(self, level: NDArray) -> NDArray:
        """Return the variance of pixels with some light, in the floating type of `level`."""
        variance = np.interp(level, self.level, self.variance)
        top = self.level[-1]
        if top > 0:
            variance *= np.maximum(np.asarray(level) / top, 1.0)
        return variance.astype(np.asarray(level).dtype, copy=False)

    def on_pixels(self, level: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the variance of many pixels, to a thousandth, from a table where most are.

        Parameters
        ----------
        level : (...) ndarray of float32
            Their light, finite.
        """
        low, high, table = self._table
        steps_per_level = np.float32(table.size) / (high - low or np.float32(1))
        step = np.clip((level - low) * steps_per_level, 0, table.size - 1)
        variance = table[step.astype(np.int32)]
        beyond = level > high
        variance[beyond] = self(level[beyond])
        return variance

    @cached_property
    def _table(self) -> tuple[np.float32, np.float32, NDArray[np.float32]]:
        """First and last level, and the variance in the middle of each step between them."""
        last = np.searchsorted(self.variance, _MOST_IN_TABLE * self.variance[0], side="right") - 1
        low, high = np.float32(self.level[0]), np.float32(self.level[last])
        middle = low + (np.arange(_STEPS) + 0.5) * (high - low) / _STEPS
        return low, high, self(middle).astype(np.float32)

    def excess(self, data: NDArray, err: NDArray) -> NDArray[np.float32]:
        """Return the variance that exceptional pixels have beyond the curve.

        Parameters
        ----------
        data, err : (...) ndarray
            Light and standard deviation of each pixel.

        Returns
        -------
        (...) ndarray of float32
            0 for all pixels whose err² is at most 4 times that of the curve at their light, and
            for those that are not finite.
        """
        data, variance = np.asarray(data, dtype=np.float32), np.asarray(err, np.float32) ** 2
        usable = np.isfinite(data) & np.isfinite(variance)
        expected = self.on_pixels(np.where(usable, data, np.float32(0)))
        exceptional = usable & (variance > _EXCEPTIONAL * expected)
        return np.where(exceptional, variance - expected, np.float32(0))

    def level_of(self, variance: NDArray) -> NDArray:
        """Return the level up to which pixels have no more than some variance."""
        level = np.interp(variance, self.variance, self.level)
        beyond = np.asarray(variance) > self.variance[-1]
        top = self.level[-1]
        growth = np.asarray(variance) / self.variance[-1]
        return np.where(beyond, top * growth if top > 0 else np.inf, level)


def _ends_of_bins(level: NDArray) -> NDArray[np.intp]:
    """Return where bins of sorted pixels end: of equal number, then of equal width in the log."""
    bulk = int(level.size * _BULK)
    ends = np.linspace(0, bulk, _BULK_BINS + 1).astype(np.intp)[1:]
    low, high = level[min(bulk, level.size - 1)], level[-1]
    if not 0 < low < high:
        return ends
    return np.append(ends, np.searchsorted(level, np.geomspace(low, high, _TAIL_BINS + 1)[1:-1]))
