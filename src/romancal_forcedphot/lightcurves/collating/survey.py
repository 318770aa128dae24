"""A first look through all exposures: what there is, and which sources are bright and steady."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...table import Column
from ..dataset import Dataset
from ..measuring.exposure_files import read_exposure
from ..measuring.records import ExposureRecord, MeasuredExposure
from ..measuring.rows import is_good
from .zero_points import ZeroPoints, relative_zero_points

__all__ = ["BrightPoints", "Survey", "survey_exposures"]

log = logging.getLogger(f"romancal.{__name__}")

#: A bright source has this ratio of signal to noise in one exposure.
_BRIGHT_SNR = 30.0
_GOOD_SHARE = 0.8
_MIN_POINTS = 3
#: Most bright sources that are looked at on an exposure, the brightest.
_MOST_BRIGHT = 300


@dataclass
class Survey:
    """What all exposures hold together; n sources.

    Attributes
    ----------
    records : list of ExposureRecord
        In the order of time, then name.
    n_rows, n_good : list of int
        Rows of each exposure, and good ones, in the order of the records.
    quality : tuple of Column
        Quality columns of any exposure.
    n_points : (n,) ndarray of int64
        Points of each source.
    bright : mapping of str to (n,) ndarray
        By band the mean flux of bright sources of good points, NaN for others.
    damaged : mapping of str to str
        Exposures whose file cannot be read, and why.
    """

    records: list[ExposureRecord]
    n_rows: list[int]
    n_good: list[int]
    quality: tuple[Column, ...]
    n_points: NDArray
    bright: dict[str, NDArray]
    damaged: dict[str, str] = field(default_factory=dict)

    @property
    def bands(self) -> list[str]:
        """Names of the bands, sorted."""
        return sorted({record.band for record in self.records})


def survey_exposures(
    dataset: Dataset,
    names: Sequence[str],
    n_sources: int,
    *,
    bad_flags: int,
    progress: Callable[[int], object] = lambda n: None,
) -> Survey:
    """Read flux, error and flags of all exposures.

    Parameters
    ----------
    dataset : Dataset
        The data set.
    names : sequence of str
        Names of the exposures that are done.
    n_sources : int
        Rows of its catalog.
    bad_flags : int
        Bits that make a point no good one.
    progress : callable
        Is told of each exposure.

    Returns
    -------
    Survey
    """
    found, damaged, quality = [], {}, {}
    n_points = np.zeros(n_sources, dtype=np.int64)
    sums: dict[str, _Sums] = {}
    for name in sorted(names):
        try:
            measured = read_exposure(dataset.exposure_file(name))
        except ValueError as error:
            damaged[name] = str(error)
            continue
        rows, good = measured.catalog_row, is_good(measured.columns, bad_flags)
        n_points[rows] += 1
        band = sums.setdefault(measured.record.band, _Sums.of(n_sources))
        band.add(rows, measured, good)
        quality |= {column.name: column for column in measured.quality}
        found.append((measured.record, len(rows), int(good.sum())))
        progress(1)
    found.sort(key=lambda item: (item[0].mjd_tai, item[0].exposure))
    records, n_rows, n_good = ([item[k] for item in found] for k in range(3))
    bright = {band: each.bright() for band, each in sums.items()}
    return Survey(records, n_rows, n_good, tuple(quality.values()), n_points, bright, damaged)


@dataclass
class _Sums:
    """Sums over the good points of each source in one band."""

    n_points: NDArray
    n_good: NDArray
    weight: NDArray
    flux: NDArray

    @classmethod
    def of(cls, n_sources: int) -> _Sums:
        counts = (np.zeros(n_sources, dtype=np.int32) for _ in range(2))
        return cls(*counts, *(np.zeros(n_sources) for _ in range(2)))

    def add(self, rows: NDArray, measured: MeasuredExposure, good: NDArray) -> None:
        """Add an exposure, on which each source is once at most."""
        self.n_points[rows] += 1
        rows = rows[good]
        flux, err = (measured.columns[name][good].astype(float) for name in ("flux", "flux_err"))
        self.n_good[rows] += 1
        self.weight[rows] += 1 / err**2
        self.flux[rows] += flux / err**2

    def bright(self) -> NDArray:
        """Mean fluxes of bright sources, NaN for others."""
        some = self.n_good > 0
        mean = np.full(len(some), np.nan)
        mean[some] = self.flux[some] / self.weight[some]
        snr = mean * np.sqrt(self.weight / np.maximum(self.n_good, 1))
        steady = self.n_good >= np.maximum(_GOOD_SHARE * self.n_points, _MIN_POINTS)
        return np.where(steady & (snr >= _BRIGHT_SNR), mean, np.nan)


class BrightPoints:
    """Points of bright sources, gathered exposure by exposure, for relative zero points."""

    def __init__(self, survey: Survey, bad_flags: int) -> None:
        self._survey, self._bad_flags = survey, bad_flags
        self._gathered: list[tuple[NDArray, ...]] = []

    def add(self, number: int, measured: MeasuredExposure) -> None:
        """Add what is bright on an exposure, given by its number among the records."""
        mean = self._survey.bright[measured.record.band][measured.catalog_row]
        use = is_good(measured.columns, self._bad_flags) & np.isfinite(mean)
        use = np.flatnonzero(use & (measured.columns["flux"] > 0))
        brightest = use[np.argsort(-mean[use], kind="stable")[:_MOST_BRIGHT]]
        columns = (measured.columns["flux"][brightest], measured.columns["flux_err"][brightest])
        number_of_each = np.full(len(brightest), number, dtype=np.int32)
        source = measured.catalog_row[brightest].astype(np.int32)
        self._gathered.append((number_of_each, source, *columns))

    def zero_points(self) -> ZeroPoints:
        """Solve for the zero points of all exposures, band by band."""
        n = len(self._survey.records)
        nothing = np.full(n, np.nan)
        found = ZeroPoints(nothing, nothing.copy(), nothing.copy(), np.zeros(n, dtype=np.int64))
        if not self._gathered:
            return found
        points = [np.concatenate(parts) for parts in zip(*self._gathered, strict=True)]
        bands = np.array([record.band for record in self._survey.records])
        for band in self._survey.bands:
            mine = np.flatnonzero(bands == band)
            place = np.full(n, -1)
            place[mine] = np.arange(len(mine))
            use = place[points[0]] >= 0
            exposure, source, flux, flux_err = (values[use] for values in points)
            solved = relative_zero_points(
                place[exposure], source, flux.astype(float), flux_err.astype(float), len(mine)
            )
            for name, values in vars(solved).items():
                getattr(found, name)[mine] = values
        return found
