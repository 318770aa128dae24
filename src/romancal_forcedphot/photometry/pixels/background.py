"""Local background: sigma-clipped median or mean of annulus pixels, for many sources at once.

This is photutils' `~photutils.background.LocalBackground`, vectorised over sources. Each block of
sources goes through four steps, on arrays with one row per source:

1. Cut out the pixels of the annulus. The offsets of the pixels that can be in the annulus are the
   same for all sources in one quadrant of their central pixel, and mirrored for the others. Only
   the few at the rims need to be tested by their distance; those outside are set to inf.
2. Sort each row once.
3. Clip (`clipping`).
4. Estimate the background from the median or mean of the retained pixels, and its error.

The pixels of the annulus are those of photutils' ``method='center'``: r_in <= distance < r_out. The
result of a source depends on its own pixels only, bit by bit, not on the other sources of its
block.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from ...table.statistics import MEDIAN_ERROR_FACTOR
from .clipping import clipped_statistics
from .cutouts import Cutouts, split_position

__all__ = ["Background", "local_background"]

#: Least number of retained pixels for a background.
MIN_PIXELS = 30

#: Sources per block: many enough to amortise numpy's overhead, few enough for the CPU cache.
BLOCK_SIZE = 512

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
    mirrored = product((annulus.dy, -annulus.dy), (annulus.dx, -annulus.dx))
    dy, dx = np.stack(list(mirrored)).transpose(1, 0, 2)
    quadrant = 2 * (y_fraction < 0) + (x_fraction < 0)
    cutouts = Cutouts.around(data.shape, y_pixel, x_pixel, dy, dx, quadrant)
    pixels = cutouts.values(data, fill=np.inf)
    inside = annulus.contains(np.abs(y_fraction), np.abs(x_fraction), r_in, r_out)
    np.copyto(pixels[:, annulus.n_certain :], np.float32(np.inf), where=~inside)
    pixels.sort(axis=1)
    return pixels
