"""How bright each exposure is beside the others: relative zero points from constant sources.

A bright source that does not vary shows the same flux on every exposure; where all of them are
fainter by 2 % it is the exposure, not the sources. Medians over sources give each exposure's zero
point, medians over exposures each source's flux, in turn until they rest; sources that scatter
more than their like are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from ...table.statistics import MEDIAN_ERROR_FACTOR

__all__ = ["ZeroPoints", "relative_zero_points"]

#: Fewest sources that a zero point is taken of.
MIN_SOURCES = 5
_MIN_POINTS = 3
_ROUNDS = 5
_SCATTER_LIMIT = 3.0
#: Standard deviation of a normal distribution per median absolute deviation.
_SIGMA_PER_MAD = float(1 / norm.ppf(0.75))


@dataclass(frozen=True, eq=False)
class ZeroPoints:
    """Relative zero points of n exposures.

    Attributes
    ----------
    value : (n,) ndarray
        What fluxes are to be divided by, 1 in the median; NaN where there are too few sources.
    error : (n,) ndarray
        Standard error of the value.
    scatter : (n,) ndarray
        Robust relative scatter of the sources about it.
    n_sources : (n,) ndarray of int
        Sources that it was taken of.
    """

    value: NDArray
    error: NDArray
    scatter: NDArray
    n_sources: NDArray


def relative_zero_points(
    exposure: NDArray, source: NDArray, flux: NDArray, flux_err: NDArray, n_exposures: int
) -> ZeroPoints:
    """Solve for the zero points of exposures of one band.

    Parameters
    ----------
    exposure, source : (k,) ndarray of int
        Exposure (0 to n_exposures − 1) and source of each point.
    flux, flux_err : (k,) ndarray
        Positive fluxes of bright sources and their errors.
    n_exposures : int
        Number of exposures.

    Returns
    -------
    ZeroPoints
    """
    _, source = np.unique(source, return_inverse=True)
    constant = np.ones(source.max(initial=-1) + 1, dtype=bool)
    relative_err = flux_err / flux
    value = np.ones(n_exposures)
    ratio = np.ones(len(flux))
    use = np.ones(len(flux), dtype=bool)
    for _ in range(_ROUNDS):
        mean = _group_medians(source, flux / value[exposure], len(constant), use)
        ratio = flux / mean[source]
        use = constant[source] & np.isfinite(ratio)
        value = _group_medians(exposure, ratio, n_exposures, use)
        value[_counts(exposure, n_exposures, use) < MIN_SOURCES] = np.nan
        value /= np.nanmedian(value) if np.isfinite(value).any() else 1.0
        residual = np.abs(ratio / value[exposure] - 1)
        use &= np.isfinite(residual)
        constant &= _constant(source, residual, relative_err, len(constant), use)
        use &= constant[source]
    residual = np.abs(ratio / value[exposure] - 1)
    n_sources = _counts(exposure, n_exposures, use)
    scatter = _SIGMA_PER_MAD * _group_medians(exposure, residual, n_exposures, use)
    value[n_sources < MIN_SOURCES] = np.nan
    scatter[n_sources < MIN_SOURCES] = np.nan
    error = MEDIAN_ERROR_FACTOR * value * scatter / np.sqrt(np.maximum(n_sources, 1))
    return ZeroPoints(value, error, scatter, n_sources)


def _constant(
    source: NDArray, residual: NDArray, relative_err: NDArray, n_sources: int, use: NDArray
) -> NDArray:
    """Which sources scatter no more than their like or than their errors let them."""
    scatter = _SIGMA_PER_MAD * _group_medians(source, residual, n_sources, use)
    expected = _group_medians(source, relative_err, n_sources, use)
    enough = _counts(source, n_sources, use) >= _MIN_POINTS
    if not (enough & np.isfinite(scatter)).any():
        return np.zeros(n_sources, dtype=bool)
    usual = np.median(scatter[enough & np.isfinite(scatter)])
    return enough & (scatter <= _SCATTER_LIMIT * np.maximum(usual, expected))


def _counts(group: NDArray, n_groups: int, use: NDArray) -> NDArray:
    return np.bincount(group[use], minlength=n_groups)


def _group_medians(group: NDArray, values: NDArray, n_groups: int, use: NDArray) -> NDArray:
    """Median of the values of each group, NaN where there are none; (n_groups,)."""
    group, values = group[use], values[use]
    order = np.lexsort((values, group))
    values = values[order]
    counts = np.bincount(group, minlength=n_groups)
    starts = np.cumsum(counts) - counts
    medians = np.full(n_groups, np.nan)
    some = counts > 0
    lower = values[(starts + (counts - 1) // 2)[some]]
    medians[some] = 0.5 * (lower + values[(starts + counts // 2)[some]])
    return medians
