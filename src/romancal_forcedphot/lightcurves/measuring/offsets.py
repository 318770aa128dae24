"""How far the sources of an exposure lie off the catalog's positions: arrays in, numbers out.

Centroids of bright sources tell to a few hundredths of a pixel, where the sources are within a
pixel or two of where the catalog has them. A WCS may be off by more: then the brightest peaks of
the image are paired with all catalog positions around them, and the offset that most pairs share
is the one (a vote, in which chance pairs spread over all offsets).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy.stats import mad_std
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter
from scipy.spatial import cKDTree

__all__ = ["Offset", "centroids", "median_offset", "vote"]

#: Standard deviation of the Gaussian window of a centroid, half of its stamp, in pixels.
_WINDOW, _HALF = 1.5, 6
_ROUNDS = 10
#: A centroid that runs further than this is another source's, in pixels.
_LARGEST_STEP = 2.5
_MIN_SOURCES = 5
#: How the vote is taken: side of the region, peaks, widest offset, all in pixels but the peaks.
_REGION, _MOST_PEAKS, _WIDEST = 1024, 300, 60.0
_PEAK_SIGMA, _VOTE_SIGMA = 10.0, 8.0
_MATCH = 1.5


@dataclass(frozen=True)
class Offset:
    """Where sources are, less where the catalog has them; pixels.

    Attributes
    ----------
    x, y : float
        Medians; NaN for fewer than five sources.
    scatter : float
        Robust standard deviation along one axis.
    n_sources : int
        Sources that it was taken of.
    """

    x: float = np.nan
    y: float = np.nan
    scatter: float = np.nan
    n_sources: int = 0


def centroids(data: NDArray, x: NDArray, y: NDArray) -> tuple[NDArray, NDArray]:
    """Return the centroids of sources in a Gaussian window that follows them.

    As SExtractor's windowed positions (Bertin & Arnouts 1996, A&AS 117, 393; version 2.4 and
    later): x ← x + 2 Σ wᵢ Iᵢ (xᵢ − x) / Σ wᵢ Iᵢ until it rests, here ten times.

    Parameters
    ----------
    data : (ny, nx) ndarray
        The image, NaN where it may not be used.
    x, y : (n,) ndarray
        Where to begin, 0-indexed pixels.

    Returns
    -------
    x, y : (n,) ndarray of float64
        NaN where a stamp leaves the image or has an unusable pixel within the window, or the
        centroid runs away.
    """
    ny, nx = data.shape
    left, low = (np.rint(np.nan_to_num(v, nan=-1.0)).astype(int) - _HALF for v in (x, y))
    side = 2 * _HALF + 1
    inside = (left >= 0) & (low >= 0) & (left + side <= nx) & (low + side <= ny)
    found_x, found_y = (np.full(len(x), np.nan) for _ in range(2))
    rows = np.flatnonzero(inside)
    if not rows.size:
        return found_x, found_y
    along = np.arange(side)
    columns = left[rows, None] + along
    lines = low[rows, None] + along
    stamps = data[lines[:, :, None], columns[:, None, :]].astype(np.float64)
    border = np.concatenate(
        [stamps[:, 0], stamps[:, -1], stamps[:, 1:-1, 0], stamps[:, 1:-1, -1]], axis=1
    )
    stamps -= np.nanmedian(np.where(np.isfinite(border), border, 0.0), axis=1)[:, None, None]
    at_x, at_y = x[rows].astype(np.float64), y[rows].astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        for _ in range(_ROUNDS):
            away_x, away_y = columns - at_x[:, None], lines - at_y[:, None]
            weight_x, weight_y = (np.exp(-0.5 * (a / _WINDOW) ** 2) for a in (away_x, away_y))
            total = np.einsum("kyx,ky,kx->k", stamps, weight_y, weight_x)
            at_x = at_x + 2 * np.einsum("kyx,ky,kx->k", stamps, weight_y, weight_x * away_x) / total
            at_y = at_y + 2 * np.einsum("kyx,ky,kx->k", stamps, weight_y * away_y, weight_x) / total
        good = np.hypot(at_x - x[rows], at_y - y[rows]) <= _LARGEST_STEP
    found_x[rows[good]], found_y[rows[good]] = at_x[good], at_y[good]
    return found_x, found_y


def median_offset(data: NDArray, x: NDArray, y: NDArray) -> Offset:
    """Return the median offset of the centroids of sources from their positions.

    Parameters
    ----------
    data : (ny, nx) ndarray
        The image, NaN where it may not be used.
    x, y : (n,) ndarray
        Positions of bright, isolated sources, 0-indexed pixels.

    Returns
    -------
    Offset
    """
    found_x, found_y = centroids(data, x, y)
    known = np.isfinite(found_x) & np.isfinite(found_y)
    n_known = int(known.sum())
    if n_known < _MIN_SOURCES:
        return Offset(n_sources=n_known)
    dx, dy = found_x[known] - x[known], found_y[known] - y[known]
    scatter = np.hypot(mad_std(dx), mad_std(dy)) / np.sqrt(2)
    return Offset(float(np.median(dx)), float(np.median(dy)), float(scatter), n_known)


def vote(data: NDArray, x: NDArray, y: NDArray) -> Offset:
    """Return the offset that most pairs of a bright peak and a catalog position share.

    Parameters
    ----------
    data : (ny, nx) ndarray
        The image, NaN where it may not be used. Its middle 1024 by 1024 pixels are looked at.
    x, y : (n,) ndarray
        Positions of all sources of the catalog, 0-indexed pixels.

    Returns
    -------
    Offset
        Up to 60 pixels along each axis; NaN where no offset stands out.
    """
    peak_x, peak_y = _peaks(data)
    near = np.isfinite(x) & np.isfinite(y)
    if len(peak_x) < _MIN_SOURCES or not near.any():
        return Offset()
    positions = np.column_stack([x[near], y[near]])
    peaks = np.column_stack([peak_x, peak_y])
    pairs = cKDTree(positions).query_ball_point(peaks, _WIDEST * np.sqrt(2))
    of_peak = np.repeat(np.arange(len(peaks)), [len(each) for each in pairs])
    dx, dy = (peaks[of_peak] - positions[np.concatenate(pairs).astype(int)]).T
    edges = np.arange(-_WIDEST - 0.5, _WIDEST + 1)
    counts, _, _ = np.histogram2d(dx, dy, bins=(edges, edges))
    votes = sum(np.roll(counts, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1))
    best = np.unravel_index(np.argmax(votes), votes.shape)
    expected = votes.mean()
    if votes[best] < max(_MIN_SOURCES, expected + _VOTE_SIGMA * np.sqrt(expected + 1)):
        return Offset()
    centers = 0.5 * (edges[:-1] + edges[1:])
    close = np.hypot(dx - centers[best[0]], dy - centers[best[1]]) < _MATCH + 0.5
    coarse_x, coarse_y = np.median(dx[close]), np.median(dy[close])
    matched = np.unique(of_peak[np.hypot(dx - coarse_x, dy - coarse_y) < _MATCH])
    return _refined(data, positions, peaks[matched], (coarse_x, coarse_y))


def _refined(
    data: NDArray, positions: NDArray, peaks: NDArray, coarse: tuple[float, float]
) -> Offset:
    """Offset of the centroids of the sources at some peaks, beginning where the vote has them."""
    shifted = positions + coarse
    distance, source = cKDTree(shifted).query(peaks)
    source = np.unique(source[distance < _MATCH])
    offset = median_offset(data, shifted[source, 0], shifted[source, 1])
    if not np.isfinite(offset.x):
        return offset
    x, y = float(coarse[0] + offset.x), float(coarse[1] + offset.y)
    return Offset(x, y, offset.scatter, offset.n_sources)


def _peaks(data: NDArray) -> tuple[NDArray, NDArray]:
    """Brightest local maxima in the middle of an image, x and y."""
    ny, nx = data.shape
    low, left = max((ny - _REGION) // 2, 0), max((nx - _REGION) // 2, 0)
    region = np.array(data[low : low + _REGION, left : left + _REGION], dtype=np.float32)
    usable = np.isfinite(region)
    if not usable.any():
        return np.empty(0), np.empty(0)
    sky, noise = float(np.median(region[usable])), float(mad_std(region[usable]))
    region[~usable] = sky
    bright = (region == maximum_filter(region, 3)) & (region > sky + _PEAK_SIGMA * noise)
    y, x = np.nonzero(bright)
    brightest = np.argsort(-region[y, x], kind="stable")[:_MOST_PEAKS]
    return x[brightest] + float(left), y[brightest] + float(low)
