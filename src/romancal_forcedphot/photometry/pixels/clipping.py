"""Sigma clipping of many rows of sorted pixels at once.

Clipping removes pixels only at the two ends of a sorted row: the retained pixels of a row are the
contiguous range from `first` to before `stop`. Their median is at its middle, their mean and
standard deviation come from sums over it, and its ends are found by bisection. Most rounds remove
a handful of pixels, so that the sums are not computed anew: these pixels are subtracted. Rows that
have converged are left alone while others iterate.

The retained pixels are those of `astropy.stats.SigmaClip` in float64: pixels *beyond*
median ± sigma * std are clipped, std without Bessel's correction.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

import numpy as np

__all__ = ["clipped_statistics"]

#: The sums of a row are recomputed, not updated, after clipping has removed more than 99.99 % of
#: its sum of squares, where the subtraction would cancel: at least 12 digits remain.
MIN_REMAINING_SQUARES = 1e-4

#: Columns are added up in groups of so many or of fewer that divide it: zeros that fill the last
#: group change no digit of a sum, so that it does not depend on the length of other rows.
_SUMMED_TOGETHER = 32


def clipped_statistics(pixels, sigma, maxiters):
    """Clip the pixels of rows around their medians.

    Parameters
    ----------
    pixels : (n, k) ndarray of float32
        Pixels of each row in ascending order; inf or NaN, at the end, where there is none. At least
        the last pixel of each row is none.
    sigma : float
        Clipping limit in standard deviations from the median.
    maxiters : int
        Maximum number of rounds; 0 iterates to convergence.

    Returns
    -------
    (4, n) ndarray of float64
        Median, mean, standard deviation and number of the retained pixels; 0 in empty rows.
    """
    result = np.zeros((4, len(pixels)))
    not_empty = np.flatnonzero(pixels[:, 0] < np.inf)
    if not not_empty.size:
        return result
    if not_empty.size < len(pixels):
        pixels = pixels[not_empty]
    retained = _Retained.of_finite(pixels)
    for n_rounds in count():
        median, mean, std, n_pixels = retained.statistics()
        result[:, not_empty[retained.rows]] = median, mean, std, n_pixels
        if maxiters and n_rounds == maxiters:
            break
        retained = retained.clipped(median - sigma * std, median + sigma * std)
        if not retained.rows.size:
            break
    return result


@dataclass(frozen=True)
class _Retained:
    """The pixels that clipping has retained in m rows.

    Sums are of deviations from the initial median of the row, so that they keep their digits at any
    level of the background.

    Attributes
    ----------
    flat : (n * k,) ndarray of float32
        The sorted pixels of all n rows.
    width : int
        Length k of a row.
    rows : (m,) ndarray of intp
        Numbers of the rows.
    first, stop : (m,) ndarray of intp
        Range of the retained pixels of each row, as indices into `flat`.
    pivot : (m,) ndarray of float64
        Initial median of each row.
    sums : (2, m) ndarray of float64
        Sums over the retained pixels of the deviations from the pivot, and of their squares.
    computed_squares : (m,) ndarray of float64
        Sum of squares when it was last computed rather than updated.
    """

    flat: np.ndarray
    width: int
    rows: np.ndarray
    first: np.ndarray
    stop: np.ndarray
    pivot: np.ndarray
    sums: np.ndarray
    computed_squares: np.ndarray

    @classmethod
    def of_finite(cls, pixels):
        """Retain all finite pixels of sorted rows, of which each has at least one."""
        n, width = pixels.shape
        flat, rows = pixels.reshape(-1), np.arange(n)
        first = rows * width
        stop = _search_sorted(flat, width, first, first + width, np.float32(np.inf))
        pivot = _medians(flat, first, stop)
        sums = _sums_of_rows(pixels, stop - first, pivot)
        return cls(flat, width, rows, first, stop, pivot, sums, sums[1].copy())

    def statistics(self):
        """Median, mean, standard deviation and number of the retained pixels: four (m,)."""
        n_pixels = self.stop - self.first
        mean, mean_square = self.sums / np.maximum(n_pixels, 1)
        variance = np.maximum(mean_square - mean * mean, 0.0)
        median = _medians(self.flat, self.first, self.stop)
        return median, self.pivot + mean, np.sqrt(variance), n_pixels

    def clipped(self, lower, upper):
        """Clip the pixels outside bounds (m,); return the rows that lost any."""
        m = self.first.size
        bounds = np.concatenate([lower, np.nextafter(upper, np.inf)])
        ranges = (np.concatenate([ends, ends]) for ends in (self.first, self.stop))
        ends = _search_sorted(self.flat, self.width, *ranges, bounds)
        first, stop = ends[:m], ends[m:]
        changed = np.flatnonzero((first != self.first) | (stop != self.stop))
        first, stop, pivot = first[changed], stop[changed], self.pivot[changed]
        begin = np.concatenate([self.first[changed], stop])
        end = np.concatenate([first, self.stop[changed]])
        sums = self.sums[:, changed] - self._sums_between(begin, end, pivot)
        computed = self.computed_squares[changed]
        for i in np.flatnonzero(sums[1] < MIN_REMAINING_SQUARES * computed):
            deviation = self.flat[first[i] : stop[i]] - pivot[i]
            sums[:, i] = deviation.sum(), (deviation * deviation).sum()
            computed[i] = sums[1, i]
        rows = self.rows[changed]
        return _Retained(self.flat, self.width, rows, first, stop, pivot, sums, computed)

    def _sums_between(self, begin, end, pivot):
        """Sums (2, m) over two ranges of pixels of each row: begin and end are (2 m,)."""
        n_pixels = end - begin
        last = np.cumsum(n_pixels)
        owner = np.repeat(np.arange(begin.size), n_pixels)
        indices = (begin - last + n_pixels).take(owner)
        indices += np.arange(indices.size)
        deviation = self.flat.take(indices) - np.tile(pivot, 2).take(owner)
        sums = [np.bincount(owner, each, begin.size) for each in (deviation, deviation * deviation)]
        return np.reshape(sums, (2, 2, pivot.size)).sum(axis=1)


def _sums_of_rows(pixels, n_pixels, pivot):
    """Sums (2, n) of the first pixels of each row minus its pivot, and of their squares."""
    n, width = pixels.shape
    deviation = np.zeros((n, -(-width // _SUMMED_TOGETHER) * _SUMMED_TOGETHER))
    deviation[:, :width] = pixels
    deviation -= pivot[:, None]
    shortest = int(n_pixels.min())
    is_none = np.arange(shortest, deviation.shape[1]) >= n_pixels[:, None]
    np.copyto(deviation[:, shortest:], 0.0, where=is_none)
    sums = np.einsum("ij->i", deviation), np.einsum("ij,ij->i", deviation, deviation)
    return np.stack(sums)


def _medians(flat, first, stop):
    """Medians of ranges of sorted pixels, in float64."""
    middle = first + stop
    return 0.5 * (flat.take((middle - 1) >> 1).astype(np.float64) + flat.take(middle >> 1))


def _search_sorted(flat, width, first, stop, bound):
    """First index in each sorted range that is not below a bound; `stop` if there is none.

    This is `numpy.searchsorted` for many ranges, of up to `width` pixels, at once, by bisection:
    `last` is the last index known to be below the bound.
    """
    last, end = first - 1, stop - 1
    step = 1 << width.bit_length()
    while step := step >> 1:
        probe = np.minimum(last + step, end)
        np.copyto(last, probe, where=flat.take(probe) < bound)
    return last + 1
