"""Figures of merit of measured fluxes against true ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

AB_ZERO_NJY = 3631e9
MMAG = 1000.0


@dataclass(frozen=True)
class Truth:
    """Stars of a scene: fluxes in nJy, AB magnitudes, and where they are on the image."""

    flux: np.ndarray
    magnitude: np.ndarray
    x: np.ndarray
    y: np.ndarray
    area: np.ndarray
    isolated: np.ndarray

    def between(self, bright: float, faint: float) -> np.ndarray:
        """Tell which stars lie between two magnitudes (bool)."""
        return (self.magnitude >= bright) & (self.magnitude < faint)


@dataclass(frozen=True)
class Figures:
    """Offsets in mmag with their standard errors; pulls without a unit."""

    n: int
    offset: float
    offset_err: float
    scatter: float
    pull_mean: float
    pull_width: float

    @property
    def pull_mean_err(self) -> float:
        """Standard error of the mean."""
        return self.pull_width / np.sqrt(max(self.n, 1))

    @property
    def pull_width_err(self) -> float:
        """Of half the range between two quantiles, √(0.925/n)."""
        return self.pull_width * np.sqrt(0.925 / max(self.n, 1))


def isolated(
    x: np.ndarray, y: np.ndarray, magnitude: np.ndarray, *, radius: float = 45.0, fainter: float
) -> np.ndarray:
    """Tell who has no neighbour within a radius (pixels) that is less than so much fainter."""
    alone = np.ones(len(x), dtype=bool)
    pairs = cKDTree(np.column_stack([x, y])).query_pairs(radius, output_type="ndarray")
    for one, other in (pairs.T, pairs.T[::-1]):
        alone[one[magnitude[other] < magnitude[one] + fainter]] = False
    return alone


def figures(flux: np.ndarray, err: np.ndarray, true: np.ndarray) -> Figures:
    """Compare fluxes; rows that were not measured do not count.

    ``scatter`` is the robust scatter of the flux over the median error, ``pull_width`` half the
    central 68.3 % of (flux - truth) / error, ``pull_mean`` its mean without what is beyond 5.
    """
    known = np.isfinite(flux) & np.isfinite(err)
    flux, err, true = flux[known], err[known], true[known]
    n = len(flux)
    if n < 5:
        return Figures(n, *[np.nan] * 5)
    offset = -2.5 * MMAG * np.log10(np.where(flux > 0, flux / true, np.nan))
    middle = np.nanmedian(offset)
    spread = 1.4826 * np.nanmedian(np.abs(offset - middle))
    residual = flux - true
    scatter = 1.4826 * np.median(np.abs(residual - np.median(residual))) / np.median(err)
    pull = residual / err
    low, high = np.percentile(pull, [15.865, 84.135])
    within = pull[np.abs(pull - np.median(pull)) < 5]
    mean = within.mean() if within.size else np.nan
    err_of_median = np.sqrt(np.pi / 2) * spread / np.sqrt(n)
    return Figures(n, middle, err_of_median, scatter, mean, (high - low) / 2)


def trends(
    flux: np.ndarray, err: np.ndarray, truth: Truth, rows: np.ndarray, side: int
) -> dict[str, tuple[float, float]]:
    """Return slopes of the offset and their standard errors, mmag.

    Across the detector for x and y, over the whole range of areas for the pixel area, from the
    corner of a pixel to its centre for the sub-pixel phase. Outliers beyond 4 σ are left out.
    """
    rows = rows & np.isfinite(flux) & (flux > 0) & np.isfinite(truth.flux)
    offset = -2.5 * MMAG * np.log10(flux[rows] / truth.flux[rows])
    x, y, area = truth.x[rows], truth.y[rows], truth.area[rows]
    phase = (np.cos(2 * np.pi * x) + np.cos(2 * np.pi * y)) / 4
    against = {
        "x": x / side,
        "y": y / side,
        "area": area / max(np.ptp(truth.area), 1e-9),
        "phase": phase,
    }
    weight = flux[rows] / err[rows]  # 1 / σ of the magnitude, but for a factor
    return {name: _slope(values, offset, weight) for name, values in against.items()}


def _slope(u: np.ndarray, offset: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Slope of a straight line, and its standard error from the scatter about it."""
    keep = np.ones(len(u), dtype=bool)
    for _ in range(4):
        (slope, constant), covariance = np.polyfit(
            u[keep], offset[keep], 1, w=np.minimum(weight[keep], 1000.0), cov=True
        )
        residual = (offset - slope * u - constant) * weight
        spread = 1.4826 * np.median(np.abs(residual[keep]))
        keep = np.abs(residual) < 4 * spread
    return float(slope), float(np.sqrt(covariance[0, 0]))
