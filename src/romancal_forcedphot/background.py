"""Local sky: the sigma-clipped median or mean of an annulus, for many sources at once.

Each block of sources goes through four steps, all on one small table with a row per source:

1. gather: the pixels that can lie in the annulus, for any place of the source within its central
   pixel, are the same list of offsets for all; those that lie outside after all become inf.
2. sort each row once. Clipping can only remove pixels at the two ends of a sorted row.
3. clip: a row's survivors are the pixels from `first` to `stop`. The median is read off in the
   middle, the standard deviation comes from sums over that run, and the two ends move inwards.
4. estimate: median or mean of the survivors, and its error.

The survivors are those of `astropy.stats.SigmaClip` in float64 (which clips values *beyond*
median ± sigma * std, std without Bessel's correction), and the pixels those of photutils'
`method='center'`: r_in <= distance < r_out.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

import numpy as np

from romancal_forcedphot.gather import neighbor_indices, split_position

MIN_PIXELS = 30
"""Fewer surviving pixels than this make no background."""

MEDIAN_ERROR_FACTOR = 1.2533
"""Standard error of the median over that of the mean for normal noise, sqrt(pi/2)."""

BLOCK_SIZE = 256
"""Sources worked on at a time: many enough to hide numpy's overhead, few enough for the cache."""


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
        Finite 0-indexed positions, on the image or not.
    r_in, r_out : float
        Radii in pixels: pixel centres at r_in <= distance < r_out count.
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
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    annulus = _Annulus.between(r_in, r_out)
    value, err, n_pixels = np.empty(x.size), np.empty(x.size), np.empty(x.size, dtype=np.int64)
    for start in range(0, x.size, BLOCK_SIZE):
        block = slice(start, start + BLOCK_SIZE)
        pixels = _sorted_annulus_pixels(data, x[block], y[block], annulus)
        first, stop = _clip(pixels, sigma, maxiters)
        value[block], err[block] = _estimate(pixels, first, stop, estimator)
        n_pixels[block] = stop - first
    too_few = n_pixels < MIN_PIXELS
    value[too_few] = err[too_few] = np.nan
    return Background(value, err, n_pixels)


@dataclass(frozen=True)
class _Annulus:
    """Offsets of the pixels that can lie in the annulus of a source in the central pixel."""

    r_in: float
    r_out: float
    dy: np.ndarray
    dx: np.ndarray

    @classmethod
    def between(cls, r_in, r_out):
        reach = int(np.ceil(r_out + 0.5))
        dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1)
        distance = np.hypot(dy, dx)
        half_diagonal = 0.7072
        possible = (distance > r_in - half_diagonal) & (distance < r_out + half_diagonal)
        return cls(r_in, r_out, dy[possible], dx[possible])


def _sorted_annulus_pixels(data, x, y, annulus):
    """Usable annulus pixels of each source in ascending order, then inf: float32 (n, k + 1)."""
    reach = annulus.dy.max()
    y_pixel, y_fraction = split_position(y, data.shape[0], reach)
    x_pixel, x_fraction = split_position(x, data.shape[1], reach)
    indices, off_image = neighbor_indices(data.shape, y_pixel, x_pixel, annulus.dy, annulus.dx)
    values = np.full((x.size, annulus.dy.size + 1), np.inf, dtype=np.float32)
    values[:, :-1] = data.reshape(-1)[indices]
    distance2 = (annulus.dy - y_fraction[:, None]) ** 2 + (annulus.dx - x_fraction[:, None]) ** 2
    unusable = (distance2 < annulus.r_in**2) | (distance2 >= annulus.r_out**2)
    unusable |= ~np.isfinite(values[:, :-1])
    if off_image is not None:
        unusable |= off_image
    values[:, :-1][unusable] = np.inf
    values.sort(axis=1)
    return values


def _clip(pixels, sigma, maxiters):
    """First and past-the-end column of the pixels of each sorted row that survive."""
    first = np.zeros(len(pixels), dtype=np.intp)
    stop = (pixels == np.inf).argmax(axis=1)
    for _ in range(maxiters) if maxiters else count():
        median, _, std = _moments(pixels, first, stop)
        lower, upper = median - sigma * std, median + sigma * std
        new_first = np.maximum(first, (pixels >= lower[:, None]).argmax(axis=1))
        new_stop = np.minimum(stop, (pixels > upper[:, None]).argmax(axis=1))
        if (new_first == first).all() and (new_stop == stop).all():
            break
        first, stop = new_first, new_stop
    return first, stop


def _moments(pixels, first, stop):
    """Median, mean and standard deviation of each row's run of columns."""
    rows = np.arange(len(pixels))
    low = pixels[rows, np.maximum(first + stop - 1, 0) // 2].astype(np.float64)
    median = 0.5 * (low + pixels[rows, (first + stop) // 2])
    mean, std = np.zeros(len(pixels)), np.zeros(len(pixels))
    for row in range(len(pixels)):
        run = pixels[row, first[row] : stop[row]].astype(np.float64)
        if run.size:
            mean[row], std[row] = run.mean(), run.std()
    return median, mean, std


def _estimate(pixels, first, stop, estimator):
    """Background and error from the survivors of each row."""
    median, mean, std = _moments(pixels, first, stop)
    error_of_mean = std / np.sqrt(np.maximum(stop - first, 1))
    if estimator == "mean":
        return mean, error_of_mean
    return median, MEDIAN_ERROR_FACTOR * error_of_mean
