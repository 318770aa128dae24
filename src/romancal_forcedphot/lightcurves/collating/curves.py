"""Points of a bucket of sources become their light curves: calibrated, compared, put in a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...photometry import Sources
from ...table import Column
from ..measuring.exposure_files import arrow_field
from ..measuring.records import ExposureRecord
from ..measuring.rows import derived_columns, is_good, light_curve_columns
from ..options import CurveOptions
from .hats import INDEX_COLUMN
from .summaries import (
    Groups,
    baseline_columns,
    baseline_of,
    flux_difference,
    summarize,
    summary_columns,
)

__all__ = ["LIGHT_CURVE", "CurveMaker", "source_columns"]

#: Name of the column that holds the light curves.
LIGHT_CURVE = "lightcurve"
_TEXTS = ("exposure", "band", "detector")


def source_columns(
    bands: Sequence[str], *, source_names: bool = False, baseline: bool = False
) -> list[Column]:
    """List what a source holds beside its light curve, in order.

    Parameters
    ----------
    bands : sequence of str
        Names of the bands.
    source_names : bool
        Whether the catalog has text ids.
    baseline : bool
        Whether there is a baseline.

    Returns
    -------
    list of Column
    """
    columns = [
        Column(INDEX_COLUMN, "int64", "", "Nested HEALPix index of order 29"),
        Column("label", "int64", "", "Integer id of the source in the catalog"),
        Column("ra", "float64", "deg", "Right ascension of the catalog (ICRS)"),
        Column("dec", "float64", "deg", "Declination of the catalog (ICRS)"),
        Column("n_points", "int32", "", "Number of points of the light curve"),
    ]
    if source_names:
        columns.insert(2, Column("source_name", "str", "", "Text id of the source"))
    for band in bands:
        columns += summary_columns(band)
        columns += baseline_columns(band) if baseline else []
    return columns


@dataclass(frozen=True, eq=False)
class CurveMaker:
    """What all light curves of a data set share.

    Attributes
    ----------
    sources : Sources
        The catalog, in the order of place.
    index : (n,) ndarray of int64
        Their `partitioning.spatial_index`.
    records : sequence of ExposureRecord
        The exposures, in the order of time.
    zero_point : (n_exposures,) ndarray
        What fluxes are to be divided by.
    options : CurveOptions
        How light curves are made.
    quality : sequence of Column
        Quality columns.
    limit_sigma : float
        How many times the error a limit is.
    """

    sources: Sources
    index: NDArray
    records: Sequence[ExposureRecord]
    zero_point: NDArray
    options: CurveOptions
    quality: Sequence[Column]
    limit_sigma: float

    @property
    def bands(self) -> list[str]:
        """Names of the bands, sorted."""
        return sorted({record.band for record in self.records})

    @property
    def point_columns(self) -> list[Column]:
        """What a point holds."""
        return light_curve_columns(self.quality, baseline=self.options.baseline is not None)

    @property
    def source_columns(self) -> list[Column]:
        """What a source holds beside its light curve."""
        has_names, has_baseline = (
            each is not None for each in (self.sources.source_name, self.options.baseline)
        )
        return source_columns(self.bands, source_names=has_names, baseline=has_baseline)

    @property
    def schema(self) -> pa.Schema:
        """Schema of the table of sources."""
        fields = [arrow_field(column, _arrow_type(column)) for column in self.source_columns]
        points = [
            arrow_field(column, pa.list_(_arrow_type(column))) for column in self.point_columns
        ]
        return pa.schema([*fields, pa.field(LIGHT_CURVE, pa.struct(points))])

    def table(self, start: int, stop: int, points: NDArray) -> pa.Table:
        """Return a range of sources with their light curves.

        Parameters
        ----------
        start, stop : int
            The range, in the order of place.
        points : (k,) structured ndarray
            Their points in the order of source, then time, with the fields ``source``,
            ``exposure`` (number of the record), and what was measured.

        Returns
        -------
        pyarrow.Table
            A row per source, of `schema`.
        """
        counts = np.bincount(points["source"] - start, minlength=stop - start)
        groups = Groups(counts)
        values, summaries = self._calibrated(points, groups)
        rows = slice(start, stop)
        values |= self._constants(points["exposure"])
        columns = {
            INDEX_COLUMN: self.index[rows],
            "label": self.sources.label[rows],
            "ra": self.sources.ra[rows],
            "dec": self.sources.dec[rows],
            "n_points": counts,
            **summaries,
        }
        if self.sources.source_name is not None:
            columns["source_name"] = self.sources.source_name[rows]
        offsets = pa.array(groups.offsets.astype(np.int32))
        schema = self.schema
        lists = [
            pa.ListArray.from_arrays(offsets, _arrow_array(column, values[column.name]))
            for column in self.point_columns
        ]
        fields = list(schema.field(LIGHT_CURVE).type)
        arrays = [_arrow_array(column, columns[column.name]) for column in self.source_columns]
        return pa.Table.from_arrays(
            [*arrays, pa.StructArray.from_arrays(lists, fields=fields)], schema=schema
        )

    def _calibrated(
        self, points: NDArray, groups: Groups
    ) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
        """Return the columns of points that were measured or follow from it, and summaries."""
        values = {name: points[name] for name in points.dtype.names}
        flux, flux_err = (values[name].astype(np.float64) for name in ("flux", "flux_err"))
        if self.options.relative_calibration:
            zero_point = self.zero_point[points["exposure"]]
            flux, flux_err = flux / zero_point, flux_err / zero_point
            values |= {name: values[name] / zero_point for name in ("bkg_flux", "bkg_flux_err")}
        good = is_good(
            {"flux": flux, "flux_err": flux_err, "warning_flags": points["warning_flags"]},
            self.options.bad_flags,
        )
        band_of = np.array([self.bands.index(record.band) for record in self.records], dtype=int)
        band_of = band_of[points["exposure"]]
        difference = {name: np.full(len(flux), np.nan) for name in ("value", "err")}
        summaries: dict[str, NDArray] = {}
        for number, band in enumerate(self.bands):
            in_band = band_of == number
            if self.options.baseline is not None:
                use = good & in_band & self._in_baseline(points["exposure"])
                rescale = self.options.rescale_errors
                base = baseline_of(groups, flux, flux_err, use, rescale=rescale)
                flux_err[in_band] *= base.error_scale[groups.of_point[in_band]]
                found = flux_difference(groups, flux, flux_err, in_band, use, base)
                for name, part in zip(difference, found, strict=True):
                    difference[name][in_band] = part[in_band]
                summaries |= base.columns(band)
            summaries |= summarize(groups, flux, flux_err, good, in_band, band)
        values |= {"flux": flux, "flux_err": flux_err}
        values |= derived_columns(flux, flux_err, limit_sigma=self.limit_sigma)
        values |= {"flux_difference": difference["value"], "flux_difference_err": difference["err"]}
        return values, summaries

    def _in_baseline(self, exposure: NDArray) -> NDArray:
        first, last = self.options.baseline
        mjd = np.array([record.mjd_tai for record in self.records])
        return ((mjd >= first) & (mjd <= last))[exposure]

    def _constants(self, exposure: NDArray) -> dict[str, NDArray | pa.Array]:
        """What is the same for all points of an exposure."""
        numbers = {
            name: np.array([getattr(record, name) for record in self.records], dtype=np.float64)
            for name in ("mjd_tai", "exptime")
        }
        columns = {name: values[exposure] for name, values in numbers.items()}
        for name in _TEXTS:
            text = pa.array([getattr(record, name) for record in self.records], pa.string())
            columns[name] = text.take(pa.array(exposure))
        return columns


def _arrow_type(column: Column) -> pa.DataType:
    return pa.string() if column.dtype == "str" else pa.from_numpy_dtype(np.dtype(column.dtype))


def _arrow_array(column: Column, values: NDArray | pa.Array) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    if column.dtype == "str":
        return pa.array(values.astype(object), pa.string())
    return pa.array(np.ascontiguousarray(values, dtype=column.dtype))
