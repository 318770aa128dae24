"""Robust statistics of differences between measurements and a reference.

Used by the validation command, the example and the plots. The median, and the standard deviation
from the median absolute deviation, are robust against the few blends and galaxies in any sample. A
source with a measured flux that is not positive has an infinite magnitude: its offset of +inf
counts in the median, which would be biased towards bright measurements without it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from astropy.table import Table
from numpy.typing import ArrayLike

__all__ = [
    "MEDIAN_ERROR_FACTOR",
    "ONE_SIGMA_PERCENTILES",
    "RobustStatistics",
    "bin_by_magnitude",
    "format_signed",
    "magnitude_edges",
    "pull_width",
    "robust_statistics",
]

#: Standard error of the median over that of the mean for a normal distribution, sqrt(pi/2).
MEDIAN_ERROR_FACTOR = 1.2533
#: Percentiles of a normal distribution at -1 and +1 standard deviation.
ONE_SIGMA_PERCENTILES = (15.865, 84.135)


@dataclass(frozen=True)
class RobustStatistics:
    """Robust location and scale of a sample; NaN for an empty one.

    Attributes
    ----------
    n : int
        Number of values.
    median : float
        Median.
    median_err : float
        Standard error of the median, 1.2533 scatter / sqrt(n).
    scatter : float
        Robust standard deviation, `astropy.stats.mad_std`.
    """

    n: int
    median: float
    median_err: float
    scatter: float


def robust_statistics(values: ArrayLike) -> RobustStatistics:
    """Return the median of values, its standard error and their robust standard deviation.

    Parameters
    ----------
    values : array_like
        NaN is ignored; infinities count in the median.

    Returns
    -------
    RobustStatistics
        In the unit of the values.
    """
    values = np.asarray(values, dtype=float)
    values = values[~np.isnan(values)]
    median = float(np.median(values)) if values.size else np.nan
    if not np.isfinite(median):
        return RobustStatistics(values.size, median, np.nan, np.nan)
    from astropy.stats import mad_std  # imports take a quarter of a second; most runs need none

    scatter = float(mad_std(values))
    return RobustStatistics(
        values.size, median, MEDIAN_ERROR_FACTOR * scatter / np.sqrt(values.size), scatter
    )


def pull_width(pull: ArrayLike) -> float:
    """Return half the width of the central 68.27 % of pulls, which is 1 for correct errors.

    Parameters
    ----------
    pull : array_like
        (Measured - reference) / error; values that are not finite are ignored.

    Returns
    -------
    float
        NaN without values.
    """
    pull = np.asarray(pull, dtype=float)
    pull = pull[np.isfinite(pull)]
    if not pull.size:
        return np.nan
    low, high = np.percentile(pull, ONE_SIGMA_PERCENTILES)
    return float(high - low) / 2


def format_signed(value: float, n_digits: int) -> str:
    """Format a number with its sign.

    Parameters
    ----------
    value : float
        The number.
    n_digits : int
        Number of decimals.

    Returns
    -------
    str
        Such as ``'+0.012'``; a number that rounds to zero is positive.
    """
    return f"{round(value, n_digits) + 0.0:+.{n_digits}f}"


def magnitude_edges(magnitude: ArrayLike, width: float = 1.0) -> np.ndarray:
    """Return bin edges at multiples of a width that include all finite magnitudes.

    Parameters
    ----------
    magnitude : array_like
        Magnitudes; values that are not finite are ignored.
    width : float
        Width of the bins in mag.

    Returns
    -------
    ndarray of float64
        Increasing edges, at least two; the last is above all magnitudes.
    """
    magnitude = np.asarray(magnitude, dtype=float)
    magnitude = magnitude[np.isfinite(magnitude)]
    if not magnitude.size:
        return np.array([0.0, width])
    first = np.floor(magnitude.min() / width)
    last = max(np.floor(magnitude.max() / width) + 1, first + 1)
    return width * np.arange(first, last + 1)


def bin_by_magnitude(
    magnitude: ArrayLike, offset: ArrayLike, pull: ArrayLike, edges: Sequence[float]
) -> Table:
    """Return statistics of magnitude offsets and flux pulls in bins of magnitude.

    Parameters
    ----------
    magnitude : (n,) array_like
        Reference magnitude.
    offset : (n,) array_like
        Measured minus reference magnitude.
    pull : (n,) array_like
        (Measured - reference flux) / error of the measured flux.
    edges : sequence of float
        Increasing bin edges in mag; a bin includes its lower edge.

    Returns
    -------
    astropy.table.Table
        One row per bin: ``bright``, ``faint`` (edges, mag), ``n``, ``offset`` (median, mag),
        ``offset_err``, ``scatter`` (mag), ``pull`` (median), ``pull_width``.
    """
    magnitude, offset, pull = (np.asarray(a, dtype=float) for a in (magnitude, offset, pull))
    rows = []
    for bright, faint in itertools.pairwise(edges):
        inside = (magnitude >= bright) & (magnitude < faint)
        offsets, pulls = robust_statistics(offset[inside]), robust_statistics(pull[inside])
        figures = (offsets.n, offsets.median, offsets.median_err, offsets.scatter)
        rows.append((bright, faint, *figures, pulls.median, pull_width(pull[inside])))
    names = ("bright", "faint", "n", "offset", "offset_err", "scatter", "pull", "pull_width")
    return Table(rows=rows, names=names)
