"""Local background: sigma-clipped median or mean of annulus pixels, for many sources at once.

This is photutils' `~photutils.background.LocalBackground`, vectorised over sources. Each block of
sources goes through four steps, on arrays with one row per source:

1. Cut out the pixels of the annulus. The offsets of the pixels that can be in the annulus are the
   same for all sources in one quadrant of their central pixel, and mirrored for the others. Only
   the few at the rims need to be tested by their distance; those outside are set to inf.
2. Sort each row once. Clipping removes pixels only at the two ends of a sorted row.
3. Clip. The retained pixels of a row are the contiguous range from `first` to before `stop`: their
   median is at its middle, their mean and standard deviation come from sums over it, and its ends
   are found by bisection. Rows that have converged are left alone while others iterate.
4. Estimate the background from the median or mean of the retained pixels, and its error.

The retained pixels are those of `astropy.stats.SigmaClip` in float64: pixels *beyond*
median ± sigma * std are clipped, std without Bessel's correction. The pixels of the annulus are
those of photutils' ``method='center'``: r_in <= distance < r_out. The result of a source depends on
its own pixels only, bit by bit, not on the other sources of its block.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import count, product

import numpy as np

from ...table.statistics import MEDIAN_ERROR_FACTOR
from .cutouts import cutout_values, split_position

__all__ = ["Background", "local_background"]

#: Least number of retained pixels for a background.
MIN_PIXELS = 30

#: The sums of a row are recomputed, not updated, after clipping has removed more than 99.9 % of its
#: sum of squares, where the subtraction would cancel: at least 13 digits remain.
MIN_REMAINING_SQUARES = 1e-3

#: Sources per block: many enough to amortise numpy's overhead, few enough for the CPU cache.
BLOCK_SIZE = 1024

#: Upper limit of the number of sources per block times r_out squared.
BLOCK_PIXELS = 700_000


@dataclass(frozen=True)
class Background:
    """Local backgrounds of n sources, in units of the image.

    Attributes
    ----------
    value, err : (n,) ndarray of float64
        The background per pixel and its standard error; NaN where fewer than `MIN_PIXELS` pixels
        were retained.
    n_pixels : (n,) ndarray of int64
        Number of pixels retained by the clipping.
    """

    value: np.ndarray
    err: np.ndarray
    n_pixels: np.ndarray


def local_background(
    data, x, y, r_in, r_out, *, estimator="median", sigma=3.0, maxiters=5
) -> Background:
    """Estimate the sigma-clipped background in an annulus around each position.

    Parameters
    ----------
    data : (ny, nx) ndarray of float32
        Image with NaN at unusable pixels. It is copied unless C-contiguous.
    x, y : (n,) ndarray of float64
        Finite 0-indexed pixel positions, on the image or off it. The computation is fastest for
        several hundred positions or more, ordered such that successive ones are close together.
    r_in, r_out : float or (n,) ndarray of float64
        Inner and outer radius in pixels, common to all sources or one per source. Pixels with
        r_in <= distance of the pixel's centre < r_out belong to the annulus.
    estimator : {'median', 'mean'}
        Statistic of the retained pixels. Clipping is around the median in both cases.
    sigma : float
        Clipping limit in standard deviations from the median.
    maxiters : int
        Maximum number of clipping iterations; 0 iterates to convergence, as ``maxiters=None`` of
        `~astropy.stats.SigmaClip`.

    Returns
    -------
    Background
        The standard error is 1.2533 s / sqrt(n) for the median (sqrt(pi/2) for normal errors) and
        s / sqrt(n) for the mean, with the standard deviation s and the number n of the retained
        pixels.

    Raises
    ------
    ValueError
        The estimator is unknown.
    """
    if estimator not in ("median", "mean"):
        raise ValueError(f"background estimator {estimator!r}: expected 'median' or 'mean'")
    data = np.ascontiguousarray(data, dtype=np.float32)
    radii = [np.broadcast_to(radius, np.shape(x)) for radius in (r_in, r_out)]
    reach = _AnnulusOffsets.reach_of(np.max(r_out, initial=0.0))
    y_pixel, y_fraction = split_position(y, data.shape[0], reach)
    x_pixel, x_fraction = split_position(x, data.shape[1], reach)
    result = np.empty((4, y_pixel.size))
    size = max(min(BLOCK_SIZE, BLOCK_PIXELS // (reach * reach)), 1)
    for start in range(0, y_pixel.size, size):
        block = slice(start, start + size)
        positions = y_pixel[block], x_pixel[block], y_fraction[block], x_fraction[block]
        pixels = _sorted_pixels(data, *positions, *(radius[block] for radius in radii))
        result[:, block] = clipped_statistics(pixels, sigma, maxiters)
    return _estimate(*result, estimator)


def _estimate(median, mean, std, n_pixels, estimator):
    """Background from the statistics (n,) of the retained pixels."""
    err = std / np.sqrt(np.maximum(n_pixels, 1))
    value, err = (mean, err) if estimator == "mean" else (median, MEDIAN_ERROR_FACTOR * err)
    enough = n_pixels >= MIN_PIXELS
    return Background(
        value=np.where(enough, value, np.nan),
        err=np.where(enough, err, np.nan),
        n_pixels=n_pixels.astype(np.int64),
    )


@dataclass(frozen=True)
class _AnnulusOffsets:
    """Offsets of the pixels that can be in the annulus of a source, from its central pixel.

    They are for sources in one quadrant of that pixel, 0 <= fraction <= 0.5 in y and x, and for
    ranges of inner and outer radii. The last offset is in no annulus: it ensures that each row of
    pixels has an end.

    Attributes
    ----------
    dy, dx : (k,) ndarray of intp
        The offsets in pixels.
    n_certain : int
        The first `n_certain` offsets are in the annulus for all positions and radii of these
        ranges; the others are tested by `contains`.
    """

    dy: np.ndarray
    dx: np.ndarray
    n_certain: int

    @staticmethod
    def reach_of(r_out):
        """Largest offset in pixels that can be in an annulus of outer radius `r_out`."""
        return int(np.ceil(r_out + 0.5))

    @classmethod
    @lru_cache(maxsize=64)
    def for_radii(cls, min_in, max_in, min_out, max_out):
        """Offsets for inner and outer radii (pixels) in two ranges."""
        reach = cls.reach_of(max_out)
        offset = np.arange(-reach, reach + 1)
        nearest = np.maximum(np.maximum(-offset, offset - 0.5), 0.0) ** 2
        farthest = np.maximum(np.abs(offset), np.abs(offset - 0.5)) ** 2
        nearest, farthest = np.add.outer(nearest, nearest), np.add.outer(farthest, farthest)
        squares = np.square([min_in, max_in, min_out, max_out])  # rounded as in `contains`
        certain = (nearest >= squares[1]) & (farthest < squares[2])
        uncertain = (farthest >= squares[0]) & (nearest < squares[3]) & ~certain
        offsets = [np.argwhere(certain), np.argwhere(uncertain), [[2 * reach, 2 * reach]]]
        dy, dx = np.concatenate(offsets).T - reach
        return cls(dy, dx, np.count_nonzero(certain))

    def contains(self, y_fraction, x_fraction, r_in, r_out):
        """Whether the uncertain offsets are in the annulus of each source: bool (n, k)."""
        dy, dx = self.dy[self.n_certain :], self.dx[self.n_certain :]
        distance2 = np.square(dy - y_fraction[:, None])
        distance2 += np.square(dx - x_fraction[:, None])
        return (distance2 >= np.square(r_in)[:, None]) & (distance2 < np.square(r_out)[:, None])


def _sorted_pixels(data, y_pixel, x_pixel, y_fraction, x_fraction, r_in, r_out):
    """Annulus pixels of each source in ascending order, then inf and NaN: float32 (n, k)."""
    annulus = _AnnulusOffsets.for_radii(r_in.min(), r_in.max(), r_out.min(), r_out.max())
    pixels = np.empty((len(y_pixel), annulus.dy.size), dtype=np.float32)
    for low_y, low_x in product((False, True), repeat=2):
        quadrant = np.flatnonzero(((y_fraction < 0) == low_y) & ((x_fraction < 0) == low_x))
        dy, dx = -annulus.dy if low_y else annulus.dy, -annulus.dx if low_x else annulus.dx
        pixels[quadrant] = cutout_values(
            data, y_pixel[quadrant], x_pixel[quadrant], dy, dx, fill=np.inf
        )
    inside = annulus.contains(np.abs(y_fraction), np.abs(x_fraction), r_in, r_out)
    uncertain = pixels[:, annulus.n_certain :]
    uncertain[...] = np.where(inside, uncertain, np.float32(np.inf))
    pixels.sort(axis=1)
    return pixels


def clipped_statistics(pixels, sigma, maxiters):
    """Median, mean, standard deviation and number of retained pixels per row: float64 (4, n)."""
    result = np.zeros((4, len(pixels)))
    not_empty = np.flatnonzero(pixels[:, 0] < np.inf)
    if not not_empty.size:
        return result
    retained = _RetainedPixels.of_finite_pixels(
        pixels if not_empty.size == len(pixels) else pixels[not_empty]
    )
    active = np.arange(not_empty.size)
    for n_iterations in count():
        median, mean, std = retained.statistics(active)
        result[:3, not_empty[active]] = median, mean, std
        if maxiters and n_iterations == maxiters:
            break
        active = retained.clip(active, median - sigma * std, median + sigma * std)
        if not active.size:
            break
    result[3, not_empty] = retained.stop - retained.first
    return result


@dataclass(frozen=True)
class _RetainedPixels:
    """The pixels that clipping has retained: in each sorted row those from `first` to `stop`.

    Most clipping iterations remove a handful of pixels, so that the sums of a row are updated by
    subtracting these. Where that would cancel (`MIN_REMAINING_SQUARES`), because a star has been
    clipped, they are recomputed. Sums are of deviations from the initial median of the row, so
    that they keep their digits at any level of the background.

    Attributes
    ----------
    pixels : (n, k) ndarray of float32
        Pixels of each source in ascending order.
    pivot : (n,) ndarray of float64
        Initial median of each row.
    deviation, square : (n, k) ndarray of float64
        Pixels minus the pivot of their row, and the squares of these.
    first, stop : (n,) ndarray of intp
        Range of the retained pixels of each row, as indices into the flattened `pixels`.
    sums : (2, n) ndarray of float64
        Sums of `deviation` and `square` over the retained pixels.
    computed_squares : (n,) ndarray of float64
        Sum of squares when it was last computed rather than updated.
    """

    pixels: np.ndarray
    pivot: np.ndarray
    deviation: np.ndarray
    square: np.ndarray
    first: np.ndarray
    stop: np.ndarray
    sums: np.ndarray
    computed_squares: np.ndarray

    @classmethod
    def of_finite_pixels(cls, pixels):
        """Retain all finite pixels of sorted rows, of which each has at least one."""
        n, width = pixels.shape
        first = np.arange(n) * width
        stop = _search_sorted(pixels, first, first + width, np.float32(np.inf))
        pivot = _medians(pixels, first, stop)
        deviation = pixels.astype(np.float64)
        deviation -= pivot[:, None]
        sums, computed_squares = np.empty((2, n)), np.empty(n)
        square = deviation * deviation
        retained = cls(pixels, pivot, deviation, square, first, stop, sums, computed_squares)
        retained._sum(np.arange(n))
        return retained

    def statistics(self, rows):
        """Median, mean and standard deviation of the retained pixels of rows: three (m,)."""
        first, stop = self.first[rows], self.stop[rows]
        mean, mean_square = self.sums[:, rows] / np.maximum(stop - first, 1)
        variance = np.maximum(mean_square - mean * mean, 0.0)
        return _medians(self.pixels, first, stop), self.pivot[rows] + mean, np.sqrt(variance)

    def clip(self, rows, lower, upper):
        """Clip the pixels of rows outside bounds (m,); return the rows that lost any."""
        before = np.stack([self.first[rows], self.stop[rows]])
        bounds = _float32_not_below(np.concatenate([lower, np.nextafter(upper, np.inf)]))
        after = _search_sorted(self.pixels, *np.tile(before, 2), bounds).reshape(2, -1)
        changed = (after != before).any(axis=0)
        rows, (old_first, old_stop) = rows[changed], before[:, changed]
        first, stop = after[:, changed]
        self.first[rows], self.stop[rows] = first, stop
        self._subtract(rows, np.append(old_first, stop), np.append(first, old_stop))
        cancelled = self.sums[1, rows] < MIN_REMAINING_SQUARES * self.computed_squares[rows]
        self._sum(rows[cancelled])
        return rows

    def _sum(self, rows):
        """Compute the sums of rows, in ascending order of the pixels."""
        # reduceat sums from each index to the next: every other sum is that of a row.
        ends = np.stack([self.first[rows], self.stop[rows]], axis=1).reshape(-1)
        for total, values in zip(self.sums, (self.deviation, self.square), strict=True):
            total[rows] = np.add.reduceat(values.reshape(-1), ends)[::2]
        self.computed_squares[rows] = self.sums[1, rows]

    def _subtract(self, rows, first, stop):
        """Subtract the pixels from `first` to before `stop` (2 m,), two ranges of each row."""
        lengths = stop - first
        last = np.cumsum(lengths)
        indices = np.arange(last[-1] if last.size else 0) + np.repeat(
            first - last + lengths, lengths
        )
        owner = np.repeat(np.tile(np.arange(rows.size), 2), lengths)
        for total, values in zip(self.sums, (self.deviation, self.square), strict=True):
            total[rows] -= np.bincount(owner, values.reshape(-1)[indices], minlength=rows.size)


def _medians(pixels, first, stop):
    """Medians of ranges of sorted rows, in float64."""
    flat = pixels.reshape(-1)
    return 0.5 * (flat[(first + stop - 1) >> 1].astype(np.float64) + flat[(first + stop) >> 1])


def _search_sorted(pixels, first, stop, bound):
    """First index in each sorted range that is not below a bound; `stop` if there is none.

    This is `numpy.searchsorted` for many ranges at once, by bisection: `last` is the last index
    known to be below the bound.
    """
    flat, last, end = pixels.reshape(-1), first - 1, stop - 1
    step = 1 << pixels.shape[1].bit_length()
    while step := step >> 1:
        probe = np.minimum(last + step, end)
        last = np.where(flat[probe] < bound, probe, last)
    return last + 1


def _float32_not_below(numbers):
    """Smallest float32 not below each number: the same float32 pixels are below both."""
    rounded = numbers.astype(np.float32)
    return np.where(rounded < numbers, np.nextafter(rounded, np.float32(np.inf)), rounded)
