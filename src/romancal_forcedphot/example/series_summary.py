"""Light curves of a simulated series beside its truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.table import Table

from ..lightcurves import open as open_light_curves
from ..table.statistics import pull_width
from .series import Series, true_flux

__all__ = ["SeriesSummary", "summarize_series"]


@dataclass(frozen=True)
class SeriesSummary:
    """How light curves compare with the truth.

    Attributes
    ----------
    n_points : int
        Points of all light curves.
    constant_chi2 : float
        Chi-squared per degree of freedom of the constant stars, calibrated to one another.
    transient_pull_width : float
        Scatter of (measured - true) / error of the transients, calibrated.
    zero_point_error : float
        Largest error of a relative zero point, in units of their drift's amplitude.
    offset_error : float
        Error of the offset of the last exposure, in units of the drift.
    """

    n_points: int
    constant_chi2: float
    transient_pull_width: float
    zero_point_error: float
    offset_error: float

    @property
    def problems(self) -> list[str]:
        """What is out of bounds."""
        bounds = {
            "constant_chi2": (0.85, 1.15),
            "transient_pull_width": (0.7, 1.3),
            "zero_point_error": (0, 0.2),
            "offset_error": (0, 0.1),
        }
        return [
            f"{name} {getattr(self, name):.3f}, expected {low} to {high}"
            for name, (low, high) in bounds.items()
            if not low <= getattr(self, name) <= high
        ]

    def __str__(self) -> str:
        """Lines of words and figures."""
        rows = (
            ("points", f"{self.n_points}"),
            ("chi2/dof of constant stars", f"{self.constant_chi2:.3f}"),
            ("pull width of transients", f"{self.transient_pull_width:.3f}"),
            ("zero points, error / drift", f"{self.zero_point_error:.3f}"),
            ("last offset, error / drift", f"{self.offset_error:.3f}"),
        )
        return "\n".join(f"{name:<28}{value}" for name, value in rows)


def summarize_series(directory: str | Path, series: Series) -> SeriesSummary:
    """Compare light curves, made with relative calibration, with the truth.

    Parameters
    ----------
    directory : path
        The data set.
    series : Series
        What it was measured on.

    Returns
    -------
    SeriesSummary
    """
    curves, recipe = open_light_curves(directory), series.recipe
    truth = Table.read(series.catalog, format="ascii.ecsv")
    kind = dict(zip(truth["label"].tolist(), truth["kind"].tolist(), strict=True))
    flux = dict(zip(truth["label"].tolist(), true_flux(truth, recipe.mjd), strict=True))
    exposures = curves.exposures[np.argsort(curves.exposures["mjd_tai"])]
    zero_point = np.asarray(exposures["zero_point"])
    usual = np.median(recipe.zero_points)  # relative zero points are 1 in the median
    constant, pulls, n_points = [], [], 0
    for each in curves:
        n_points += len(each)
        label = int(each.meta["label"])
        epoch = np.searchsorted(recipe.mjd, each.time.mjd - 0.5 * recipe.days)
        found, error = (np.asarray(each[n].value, dtype=float) for n in ("flux", "flux_err"))
        good = np.asarray(each["warning_flags"]) == 0
        if kind[label] == "constant":
            weight = error[good] ** -2
            mean = np.average(found[good], weights=weight)
            constant.append((np.sum(weight * (found[good] - mean) ** 2), good.sum() - 1))
        elif kind[label] == "transient":
            pulls += ((found - usual * flux[label][epoch]) / error)[good].tolist()
    chi2, dof = np.sum(constant, axis=0)
    offset = np.array([exposures["offset_x"][-1], exposures["offset_y"][-1]])
    drift = np.array(recipe.wcs_drift)
    first = np.array([np.median(exposures[f"offset_{a}"][: len(exposures) // 2]) for a in "xy"])
    return SeriesSummary(
        n_points=n_points,
        constant_chi2=float(chi2 / dof),
        transient_pull_width=pull_width(np.array(pulls)),
        zero_point_error=float(
            np.abs(zero_point - recipe.zero_points / usual).max() / recipe.zero_point_drift
        ),
        offset_error=float(np.hypot(*(offset - first - drift)) / np.hypot(*drift)),
    )
