"""Light curves of many sources at once, as arrays of points: means, baselines, differences.

The points of all sources lie in one array, those of a source together; `Groups` says where. Every
figure is computed in double precision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...table import Column

__all__ = [
    "Baseline",
    "Groups",
    "baseline_columns",
    "baseline_of",
    "flux_difference",
    "summarize",
    "summary_columns",
]

#: Fewest points of a baseline that errors are rescaled by.
MIN_RESCALING_POINTS = 10


@dataclass(frozen=True, eq=False)
class Groups:
    """Which points belong to which source.

    Attributes
    ----------
    counts : (n,) ndarray of int64
        Points of each source, which follow one another.
    """

    counts: NDArray

    @property
    def offsets(self) -> NDArray:
        """Where the points of each source begin, and where the last ends; (n + 1,)."""
        return np.concatenate([[0], np.cumsum(self.counts)])

    @property
    def of_point(self) -> NDArray:
        """Source of each point."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    def sums(self, source: NDArray, values: NDArray) -> NDArray:
        """Sum of values, of points of the given sources, for each source; (n,)."""
        return np.bincount(source, weights=values, minlength=len(self.counts))

    def extreme(self, values: NDArray, function: np.ufunc) -> NDArray:
        """Apply `np.fmin` or `np.fmax` to the points of each source; NaN where there are none."""
        found = np.full(len(self.counts), np.nan)
        some = self.counts > 0
        if some.any():
            found[some] = function.reduceat(values, self.offsets[:-1][some])
        return found


def summary_columns(band: str) -> list[Column]:
    """List the columns that `summarize` gives for a band."""
    name = band.lower()
    return [
        Column(f"{name}_n_good", "int32", "", f"Number of good points in {band}"),
        Column(f"{name}_mean_flux", "float32", "nJy", f"Weighted mean flux in {band}"),
        Column(f"{name}_mean_flux_err", "float32", "nJy", f"Uncertainty in {name}_mean_flux"),
        Column(f"{name}_chi2", "float32", "", f"Chi-squared of constancy in {band}"),
        Column(f"{name}_min_flux", "float32", "nJy", f"Least flux of a good point in {band}"),
        Column(f"{name}_max_flux", "float32", "nJy", f"Greatest flux of a good point in {band}"),
    ]


def baseline_columns(band: str) -> list[Column]:
    """List the columns that a baseline gives for a band."""
    name = band.lower()
    rows = (
        ("n_baseline", "int32", "", "Number of good points of the baseline"),
        ("baseline_flux", "float32", "nJy", "Weighted mean flux of the baseline"),
        ("baseline_flux_err", "float32", "nJy", "Uncertainty in the flux of the baseline"),
        ("baseline_chi2", "float32", "", "Chi-squared of constancy of the baseline"),
        ("error_scale", "float32", "", "What all errors were multiplied by"),
    )
    return [
        Column(f"{name}_{end}", kind, unit, f"{what}, {band}") for end, kind, unit, what in rows
    ]


def _mean(
    groups: Groups, source: NDArray, flux: NDArray, flux_err: NDArray
) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Number, weighted mean, its error and chi-squared of the points of each source."""
    weight = 1.0 / np.square(flux_err)
    total = groups.sums(source, weight)
    number = np.bincount(source, minlength=len(groups.counts))
    some = np.where(number > 0, total, np.nan)
    mean = groups.sums(source, weight * flux) / some
    chi2 = groups.sums(source, weight * np.square(flux - mean[source]))
    return number, mean, np.sqrt(1.0 / some), np.where(number > 0, chi2, np.nan)


def summarize(
    groups: Groups, flux: NDArray, flux_err: NDArray, good: NDArray, in_band: NDArray, band: str
) -> dict[str, NDArray]:
    """Return number, mean, error, chi-squared and extremes of each source in a band.

    Parameters
    ----------
    groups : Groups
        Which of the k points belong to which of the n sources.
    flux, flux_err : (k,) ndarray of float64
        In nJy.
    good, in_band : (k,) ndarray of bool
        Whether a point counts, and whether it is of the band.
    band : str
        Its name.

    Returns
    -------
    dict of str to (n,) ndarray
        `summary_columns`; NaN where a source has no good point. χ² = Σ (F − F̄)²/σ², of
        n_good − 1 degrees of freedom.
    """
    use = good & in_band
    number, mean, mean_err, chi2 = _mean(groups, groups.of_point[use], flux[use], flux_err[use])
    known = np.where(use, flux, np.nan)
    values = (
        *(number, mean, mean_err, chi2),
        *(groups.extreme(known, np.fmin), groups.extreme(known, np.fmax)),
    )
    return _as_columns(summary_columns(band), values)


@dataclass(frozen=True, eq=False)
class Baseline:
    """The baseline of n sources in one band.

    Attributes
    ----------
    number, flux, flux_err, chi2, error_scale : (n,) ndarray
        As `baseline_columns` describes them.
    """

    number: NDArray
    flux: NDArray
    flux_err: NDArray
    chi2: NDArray
    error_scale: NDArray

    def columns(self, band: str) -> dict[str, NDArray]:
        """Return `baseline_columns` of a band."""
        values = (self.number, self.flux, self.flux_err, self.chi2, self.error_scale)
        return _as_columns(baseline_columns(band), values)


def baseline_of(
    groups: Groups, flux: NDArray, flux_err: NDArray, use: NDArray, *, rescale: bool = False
) -> Baseline:
    """Return the mean flux of each source over the points of a baseline.

    Parameters
    ----------
    groups : Groups
        Which of the k points belong to which of the n sources.
    flux, flux_err : (k,) ndarray of float64
        In nJy.
    use : (k,) ndarray of bool
        Good points of one band in the interval.
    rescale : bool
        Whether ``error_scale`` is sqrt(χ²/(n − 1)) of the baseline, where it has ten points or
        more, by which its errors become what its scatter says; 1 otherwise.

    Returns
    -------
    Baseline
    """
    number, mean, mean_err, chi2 = _mean(groups, groups.of_point[use], flux[use], flux_err[use])
    scale = np.ones(len(number))
    if rescale:
        enough = number >= MIN_RESCALING_POINTS
        scale[enough] = np.sqrt(chi2[enough] / (number[enough] - 1))
    return Baseline(number, mean, mean_err * scale, chi2 / scale**2, scale)


def flux_difference(
    groups: Groups, flux: NDArray, flux_err: NDArray, in_band: NDArray, use: NDArray, base: Baseline
) -> tuple[NDArray, NDArray]:
    """Return fluxes less the mean of the baseline, and their errors.

    A point outside of the baseline has σ² = σᵢ² + σ_m². One that the mean was taken of is
    correlated with it: σ² = σᵢ² − σ_m².

    Parameters
    ----------
    groups : Groups
        Which of the k points belong to which source.
    flux, flux_err : (k,) ndarray of float64
        In nJy, rescaled if the baseline's are.
    in_band, use : (k,) ndarray of bool
        Points of the band; those that the baseline was taken of.
    base : Baseline
        The baseline of the band.

    Returns
    -------
    difference, difference_err : (k,) ndarray
        NaN for points of other bands and for sources without a baseline.
    """
    source = groups.of_point
    mean_variance = np.square(base.flux_err[source])
    variance = np.square(flux_err) + np.where(use, -1.0, 1.0) * mean_variance
    difference = np.where(in_band, flux - base.flux[source], np.nan)
    error = np.sqrt(np.maximum(variance, 0.0))  # 0 for the only point of a baseline
    return difference, np.where(np.isfinite(difference), error, np.nan)


def _as_columns(columns: list[Column], values: tuple[NDArray, ...]) -> dict[str, NDArray]:
    pairs: Mapping[str, NDArray] = {c.name: v for c, v in zip(columns, values, strict=True)}
    return {column.name: pairs[column.name].astype(column.dtype) for column in columns}
