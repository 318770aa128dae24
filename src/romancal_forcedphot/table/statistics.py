"""Robust figures of how measurements scatter about their reference.

One implementation for the command that validates a product, the example and the pictures. A
median and a scatter from the median absolute deviation bear the few blends and galaxies that any
sample holds. A source that is measured with no positive flux is infinitely faint: an offset of
+inf keeps its place in the median, where leaving it out would pull the median of faint stars up.
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
    "Spread",
    "by_magnitude",
    "magnitude_edges",
    "pull_width",
    "signed",
    "spread",
]

#: Standard error of the median over that of the mean for normal values, sqrt(pi/2).
MEDIAN_ERROR_FACTOR = 1.2533
#: Percentiles of a normal distribution one standard deviation either side of its median.
ONE_SIGMA_PERCENTILES = (15.865, 84.135)


@dataclass(frozen=True)
class Spread:
    """Where values lie and how far they scatter; nan where there are none.

    Attributes
    ----------
    n : int
        Number of values.
    median : float
        Their median.
    median_err : float
        Standard error of the median, 1.2533 scatter / sqrt(n).
    scatter : float
        Robust standard deviation, `astropy.stats.mad_std`.
    """

    n: int
    median: float
    median_err: float
    scatter: float


def spread(values: ArrayLike) -> Spread:
    """Return median, error of the median and robust scatter.

    Parameters
    ----------
    values : array_like
        Any numbers; nan is left out, an infinity counts by its sign.

    Returns
    -------
    Spread
    """
    values = np.asarray(values, dtype=float)
    values = values[~np.isnan(values)]
    median = float(np.median(values)) if values.size else np.nan
    if not np.isfinite(median):
        return Spread(values.size, median, np.nan, np.nan)
    from astropy.stats import mad_std  # a quarter of a second that most runs do without

    scatter = float(mad_std(values))
    return Spread(
        values.size, median, MEDIAN_ERROR_FACTOR * scatter / np.sqrt(values.size), scatter
    )


def pull_width(pull: ArrayLike) -> float:
    """Return half of the range that holds the central 68.27 %: 1 where the errors are honest.

    Parameters
    ----------
    pull : array_like
        (Measured - reference) / error; what is not finite is left out.

    Returns
    -------
    float
        nan without values.
    """
    pull = np.asarray(pull, dtype=float)
    pull = pull[np.isfinite(pull)]
    if not pull.size:
        return np.nan
    low, high = np.percentile(pull, ONE_SIGMA_PERCENTILES)
    return float(high - low) / 2


def signed(value: float, n_digits: int) -> str:
    """Return a number with its sign; what rounds to zero is +0."""
    return f"{round(value, n_digits) + 0.0:+.{n_digits}f}"


def magnitude_edges(magnitude: ArrayLike, width: float = 1.0) -> np.ndarray:
    """Return the edges of bins at multiples of a width that hold all finite magnitudes."""
    magnitude = np.asarray(magnitude, dtype=float)
    magnitude = magnitude[np.isfinite(magnitude)]
    if not magnitude.size:
        return np.array([0.0, width])
    first = np.floor(magnitude.min() / width)
    last = max(np.floor(magnitude.max() / width) + 1, first + 1)
    return width * np.arange(first, last + 1)


def by_magnitude(
    magnitude: ArrayLike, offset: ArrayLike, pull: ArrayLike, edges: Sequence[float]
) -> Table:
    """Return offsets and pulls in bins of magnitude.

    Parameters
    ----------
    magnitude, offset, pull : (n,) array_like
        Reference magnitude, measured minus reference (mag), and (measured - reference) / error of
        the flux.
    edges : sequence of float
        Rising edges; a bin holds its lower one.

    Returns
    -------
    astropy.table.Table
        A row for each bin: ``bright``, ``faint`` (edges), ``n``, ``offset``, ``offset_err``,
        ``scatter`` (mag), ``pull`` (median), ``pull_width``.
    """
    magnitude, offset, pull = (np.asarray(a, dtype=float) for a in (magnitude, offset, pull))
    rows = []
    for bright, faint in itertools.pairwise(edges):
        inside = (magnitude >= bright) & (magnitude < faint)
        offsets, pulls = spread(offset[inside]), spread(pull[inside])
        figures = (offsets.n, offsets.median, offsets.median_err, offsets.scatter)
        rows.append((bright, faint, *figures, pulls.median, pull_width(pull[inside])))
    names = ("bright", "faint", "n", "offset", "offset_err", "scatter", "pull", "pull_width")
    return Table(rows=rows, names=names)
