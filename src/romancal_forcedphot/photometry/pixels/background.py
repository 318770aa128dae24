"""Local sky: the sigma-clipped median or mean of an annulus, for many sources at once.

Each block of sources goes through four steps, all on small tables with a row per source:

1. cut out: the pixels that can lie in the annulus, for any position of the source within a quarter
   of its central pixel, are the same list of offsets for all (mirrored for the other quarters).
   Only the few at the rims need their distance; those that prove to lie outside become inf.
2. sort each row once. Clipping can only remove pixels at the two ends of a sorted row.
3. clip: what survives of a row is the run of pixels from `first` to `stop`. The median is read
   off in its middle, the standard deviation comes from sums over the run, and the ends move in
   by bisection. A row that has come to rest stays as it is while others still move.
4. estimate: median or mean of the survivors, and its error.

The survivors are those of `astropy.stats.SigmaClip` in float64 (which clips values *beyond*
median ± sigma * std, std without Bessel's correction), and the pixels those of photutils'
`method='center'`: r_in <= distance < r_out. A source's numbers depend on its own pixels alone,
to the last bit, whatever block it sits in.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import count, product

import numpy as np

from ...table.statistics import MEDIAN_ERROR_FACTOR
from .cutouts import neighbor_values, split_position

__all__ = ["Background", "local_background"]

MIN_PIXELS = 30
"""Fewer surviving pixels than this make no background."""

LEAST_LEFT = 1e-3
"""Recompute the sums of a row after clipping more than 99.9 % of its sum of squares, which would
cancel: 13 digits are always left."""

BLOCK_SIZE = 1024
"""Sources worked on at a time: enough to hide numpy's overhead, few enough for the cache."""

BLOCK_PIXELS = 700_000
"""Fewer sources at a time than that where their number times r_out squared exceeds this."""


@dataclass(frozen=True)
class Background:
    """Local background of n sources, in units of the image.

    Attributes
    ----------
    value, err : float64 array (n,)
        The background and its standard error; NaN where fewer than 30 pixels are left.
    n_pixels : int64 array (n,)
        Pixels left after clipping.
    """

    value: np.ndarray
    err: np.ndarray
    n_pixels: np.ndarray


def local_background(
    data, x, y, r_in, r_out, *, estimator="median", sigma=3.0, maxiters=5
) -> Background:
    """Sigma-clipped background in an annulus around each position.

    Parameters
    ----------
    data : float32 array (ny, nx)
        Image with NaN at pixels that may not be used. Best C-contiguous: it is copied otherwise.
    x, y : float64 array (n,)
        Finite 0-indexed positions, on the image or not. For the sake of speed, neighbours in
        the image should be neighbours in the list, and the list several hundred long.
    r_in, r_out : float or float64 array (n,)
        Radii in pixels, for all sources or for each: pixel centres at r_in <= distance < r_out
        count.
    estimator : {'median', 'mean'}
        What is taken of the pixels that survive the clipping (around the median in both cases).
    sigma : float
        Pixels farther than this many standard deviations from the median are clipped.
    maxiters : int
        Most rounds of clipping; 0 clips until nothing changes (as `SigmaClip` has it).

    Returns
    -------
    Background
        The error is 1.2533 s / sqrt(n) for the median and s / sqrt(n) for the mean, with the
        standard deviation s and number n of the survivors.
    """
    if estimator not in ("median", "mean"):
        raise ValueError(f"background estimator {estimator!r}: expected 'median' or 'mean'")
    data = np.ascontiguousarray(data, dtype=np.float32)
    radii = [np.broadcast_to(radius, np.shape(x)) for radius in (r_in, r_out)]
    reach = _Annulus.reach_of(np.max(r_out, initial=0.0))
    y_pixel, y_fraction = split_position(y, data.shape[0], reach)
    x_pixel, x_fraction = split_position(x, data.shape[1], reach)
    result = np.empty((4, y_pixel.size))
    size = max(min(BLOCK_SIZE, BLOCK_PIXELS // (reach * reach)), 1)
    for start in range(0, y_pixel.size, size):
        block = slice(start, start + size)
        places = y_pixel[block], x_pixel[block], y_fraction[block], x_fraction[block]
        pixels = _sorted_pixels(data, *places, *(radius[block] for radius in radii))
        result[:, block] = clipped_moments(pixels, sigma, maxiters)
    return _estimate(*result, estimator)


def _estimate(median, mean, std, n_pixels, estimator):
    """Background from the moments of the survivors."""
    err = std / np.sqrt(np.maximum(n_pixels, 1))
    value, err = (mean, err) if estimator == "mean" else (median, MEDIAN_ERROR_FACTOR * err)
    enough = n_pixels >= MIN_PIXELS
    return Background(
        value=np.where(enough, value, np.nan),
        err=np.where(enough, err, np.nan),
        n_pixels=n_pixels.astype(np.int64),
    )


@dataclass(frozen=True)
class _Annulus:
    """Offsets of the pixels that can lie in the annulus of a source in the central pixel.

    They are for sources in one quarter of that pixel, 0 <= fraction <= 0.5 in y and in x. The
    first `n_certain` offsets lie in the annulus wherever in the quarter the source is and whatever
    radii of a range it has; for the others `holds` tells. The last offset never does: it makes
    sure that each row of pixels has an end.
    """

    dy: np.ndarray
    dx: np.ndarray
    n_certain: int

    @staticmethod
    def reach_of(r_out):
        """Pixels from the central one to the farthest that can lie in the annulus."""
        return int(np.ceil(r_out + 0.5))

    @classmethod
    @lru_cache(maxsize=64)
    def between(cls, least_in, most_in, least_out, most_out):
        """Offsets for inner radii and outer radii in two ranges."""
        reach = cls.reach_of(most_out)
        offset = np.arange(-reach, reach + 1)
        nearest = np.maximum(np.maximum(-offset, offset - 0.5), 0.0) ** 2
        farthest = np.maximum(np.abs(offset), np.abs(offset - 0.5)) ** 2
        nearest, farthest = np.add.outer(nearest, nearest), np.add.outer(farthest, farthest)
        squares = np.square([least_in, most_in, least_out, most_out])  # rounded as in `holds`
        certain = (nearest >= squares[1]) & (farthest < squares[2])
        uncertain = (farthest >= squares[0]) & (nearest < squares[3]) & ~certain
        offsets = [np.argwhere(certain), np.argwhere(uncertain), [[2 * reach, 2 * reach]]]
        dy, dx = np.concatenate(offsets).T - reach
        return cls(dy, dx, np.count_nonzero(certain))

    def holds(self, y_fraction, x_fraction, r_in, r_out):
        """Which of the uncertain offsets lie in the annulus of each source: bool (n, k)."""
        dy, dx = self.dy[self.n_certain :], self.dx[self.n_certain :]
        distance2 = np.square(dy - y_fraction[:, None])
        distance2 += np.square(dx - x_fraction[:, None])
        return (distance2 >= np.square(r_in)[:, None]) & (distance2 < np.square(r_out)[:, None])


def _sorted_pixels(data, y_pixel, x_pixel, y_fraction, x_fraction, r_in, r_out):
    """Annulus pixels of each source in ascending order, then inf and NaN: float32 (n, k)."""
    annulus = _Annulus.between(r_in.min(), r_in.max(), r_out.min(), r_out.max())
    pixels = np.empty((len(y_pixel), annulus.dy.size), dtype=np.float32)
    for low_y, low_x in product((False, True), repeat=2):
        quarter = np.flatnonzero(((y_fraction < 0) == low_y) & ((x_fraction < 0) == low_x))
        dy, dx = -annulus.dy if low_y else annulus.dy, -annulus.dx if low_x else annulus.dx
        pixels[quarter] = neighbor_values(
            data, y_pixel[quarter], x_pixel[quarter], dy, dx, fill=np.inf
        )
    inside = annulus.holds(np.abs(y_fraction), np.abs(x_fraction), r_in, r_out)
    uncertain = pixels[:, annulus.n_certain :]
    uncertain[...] = np.where(inside, uncertain, np.float32(np.inf))
    pixels.sort(axis=1)
    return pixels


def clipped_moments(pixels, sigma, maxiters):
    """Median, mean, standard deviation and number of each row's survivors: float64 (4, n)."""
    result = np.zeros((4, len(pixels)))
    not_empty = np.flatnonzero(pixels[:, 0] < np.inf)
    if not not_empty.size:
        return result
    runs = _Runs.of_finite_pixels(pixels if not_empty.size == len(pixels) else pixels[not_empty])
    moving = np.arange(not_empty.size)
    for n_rounds in count():
        median, mean, std = runs.moments(moving)
        result[:3, not_empty[moving]] = median, mean, std
        if maxiters and n_rounds == maxiters:
            break
        moving = runs.clip(moving, median - sigma * std, median + sigma * std)
        if not moving.size:
            break
    result[3, not_empty] = runs.stop - runs.first
    return result


@dataclass(frozen=True)
class _Runs:
    """What survives of sorted rows of pixels: in each row the run from `first` to before `stop`.

    `first` and `stop` count through the whole flattened table. `deviation` is the pixels less
    the first median of their row, in float64, `square` its square: sums of them keep their
    digits on any level of sky. `sums` of both over the runs (2, n) follow the moving ends: what a
    round clips is a handful of pixels, and subtracting them is much less work than summing the
    rest again. A row that loses nearly all of its squares (a star has been clipped) would lose
    digits too; it is summed anew. `summed` is the squares when that was done last.
    """

    pixels: np.ndarray
    pivot: np.ndarray
    deviation: np.ndarray
    square: np.ndarray
    first: np.ndarray
    stop: np.ndarray
    sums: np.ndarray
    summed: np.ndarray

    @classmethod
    def of_finite_pixels(cls, pixels):
        n, width = pixels.shape
        first = np.arange(n) * width
        stop = _bisect(pixels, first, first + width, np.float32(np.inf))
        pivot = _medians(pixels, first, stop)
        deviation = pixels.astype(np.float64)
        deviation -= pivot[:, None]
        sums, summed = np.empty((2, n)), np.empty(n)
        runs = cls(pixels, pivot, deviation, deviation * deviation, first, stop, sums, summed)
        runs._sum(np.arange(n))
        return runs

    def moments(self, rows):
        """Median, mean and standard deviation of the runs of some rows: three float64 (m,)."""
        first, stop = self.first[rows], self.stop[rows]
        mean, mean_square = self.sums[:, rows] / np.maximum(stop - first, 1)
        variance = np.maximum(mean_square - mean * mean, 0.0)
        return _medians(self.pixels, first, stop), self.pivot[rows] + mean, np.sqrt(variance)

    def clip(self, rows, lower, upper):
        """Move the ends of the runs of some rows to within bounds; return the rows that moved."""
        before = np.stack([self.first[rows], self.stop[rows]])
        bounds = _float32_not_below(np.concatenate([lower, np.nextafter(upper, np.inf)]))
        after = _bisect(self.pixels, *np.tile(before, 2), bounds).reshape(2, -1)
        moved = (after != before).any(axis=0)
        rows, (old_first, old_stop), (first, stop) = rows[moved], before[:, moved], after[:, moved]
        self.first[rows], self.stop[rows] = first, stop
        self._subtract(rows, np.append(old_first, stop), np.append(first, old_stop))
        faded = self.sums[1, rows] < LEAST_LEFT * self.summed[rows]
        self._sum(rows[faded])
        return rows

    def _sum(self, rows):
        """Sum the runs of some rows, in rising order."""
        # reduceat sums from each index to the next: every other sum is a run, the rest is waste.
        ends = np.stack([self.first[rows], self.stop[rows]], axis=1).reshape(-1)
        for total, table in zip(self.sums, (self.deviation, self.square), strict=True):
            total[rows] = np.add.reduceat(table.reshape(-1), ends)[::2]
        self.summed[rows] = self.sums[1, rows]

    def _subtract(self, rows, first, stop):
        """Subtract what lies from `first` to before `stop` (2 m,), two pieces of each row."""
        lengths = stop - first
        last = np.cumsum(lengths)
        places = np.arange(last[-1] if last.size else 0) + np.repeat(
            first - last + lengths, lengths
        )
        owner = np.repeat(np.tile(np.arange(rows.size), 2), lengths)
        for total, table in zip(self.sums, (self.deviation, self.square), strict=True):
            total[rows] -= np.bincount(owner, table.reshape(-1)[places], minlength=rows.size)


def _medians(pixels, first, stop):
    """Medians of runs in sorted rows, in float64."""
    flat = pixels.reshape(-1)
    return 0.5 * (flat[(first + stop - 1) >> 1].astype(np.float64) + flat[(first + stop) >> 1])


def _bisect(pixels, first, stop, bound):
    """First place in each sorted run that is not below a bound; `stop` if there is none.

    All runs are bisected at once: `last` is the last place known to be below the bound.
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
