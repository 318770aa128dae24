"""A row per exposure: what it is, how it compares with the others, and what to beware of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from ...table import Column
from ..dataset import Requested
from ..measuring.exposure_files import arrow_field
from .survey import Survey
from .zero_points import MIN_SOURCES, ZeroPoints

__all__ = ["EXPOSURE_COLUMNS", "exposure_table"]

#: Centroids further than this from the catalog are worth a warning, in pixels.
_FAR_OFF_PIX = 0.1
#: So is a zero point this far from the others', relative and in its own errors.
_ODD_ZERO_POINT, _ODD_SIGMA = 0.01, 5.0
#: Exposures of a detector and band from which their usual offset is taken for the PSF's.
_ENOUGH_ALIKE = 3

EXPOSURE_COLUMNS = (
    Column("exposure", "str", "", "Name of the exposure"),
    Column("status", "str", "", "done, failed or missing"),
    Column("reason", "str", "", "Why it failed"),
    Column("location", "str", "", "Path or URI of its image"),
    Column("band", "str", "", "Optical element"),
    Column("detector", "str", "", "Detector"),
    Column("mjd_tai", "float64", "d", "Middle of the exposure, MJD, TAI"),
    Column("exptime", "float32", "s", "Exposure time"),
    Column("observer", "str", "", "Observer of barycentric times: spacecraft, or Earth and why"),
    Column("flux", "str", "", "Which flux was taken, by the beginning of its columns' names"),
    Column("n_rows", "int32", "", "Sources on the exposure"),
    Column("n_good", "int32", "", "Good points"),
    Column("zero_point", "float64", "", "Relative zero point: what fluxes are too large by"),
    Column("zero_point_err", "float64", "", "Uncertainty in zero_point"),
    Column("zero_point_scatter", "float64", "", "Relative scatter of its sources"),
    Column("n_zero_point", "int32", "", "Bright constant sources that it was taken of"),
    Column("offset_x", "float64", "pix", "Median offset of centroids from the catalog in x"),
    Column("offset_y", "float64", "pix", "Median offset of centroids from the catalog in y"),
    Column("offset_scatter", "float64", "pix", "Scatter of these offsets along one axis"),
    Column("n_offset", "int32", "", "Bright sources that the offsets were taken of"),
    Column("shift_x", "float64", "pix", "By how much positions were moved in x (align)"),
    Column("shift_y", "float64", "pix", "By how much positions were moved in y (align)"),
    Column("flux_scale", "float64", "nJy s / DN", "Zero point: nJy per DN/s"),
    Column("sky_rms", "float64", "DN / s", "Scatter of the sky from pixel to pixel"),
    Column("pixel_scale", "float64", "arcsec", "Side of a pixel at the detector's centre"),
    Column("warnings", "str", "", "What to beware of"),
)


def exposure_table(
    survey: Survey,
    zero_points: ZeroPoints,
    requested: list[Requested],
    failed: Mapping[str, str],
    *,
    is_calibrated: bool = False,
) -> pa.Table:
    """Return a row for each exposure that was asked for, in the order of their names.

    Parameters
    ----------
    survey : Survey
        What was measured.
    zero_points : ZeroPoints
        Of the survey's exposures.
    requested : list of Requested
        All exposures that were asked for.
    failed : mapping of str to str
        Why some of them failed, by name.
    is_calibrated : bool
        Whether fluxes are divided by the zero points.

    Returns
    -------
    pyarrow.Table
        Of `EXPOSURE_COLUMNS`.
    """
    place = {record.exposure: number for number, record in enumerate(survey.records)}
    failed = {**failed, **survey.damaged}
    rows = []
    for exposure in sorted(requested, key=lambda item: item.name):
        if exposure.name in place:
            rows.append(_measured(survey, zero_points, place[exposure.name], is_calibrated))
        else:
            reason = failed.get(exposure.name, "")
            status = "failed" if exposure.name in failed else "missing"
            known = {"exposure": exposure.name, "location": exposure.location}
            rows.append(known | {"status": status, "reason": reason})
    arrays = [_array(column, [row.get(column.name) for row in rows]) for column in EXPOSURE_COLUMNS]
    fields = [
        arrow_field(column, array.type)
        for column, array in zip(EXPOSURE_COLUMNS, arrays, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _measured(
    survey: Survey, zero_points: ZeroPoints, number: int, is_calibrated: bool
) -> dict[str, Any]:
    """The row of an exposure that was measured."""
    record = survey.records[number]
    row = {column.name: getattr(record, column.name, None) for column in EXPOSURE_COLUMNS}
    row |= {
        "status": "done",
        "reason": "",
        "n_rows": survey.n_rows[number],
        "n_good": survey.n_good[number],
        "zero_point": zero_points.value[number],
        "zero_point_err": zero_points.error[number],
        "zero_point_scatter": zero_points.scatter[number],
        "n_zero_point": int(zero_points.n_sources[number]),
    }
    said = _warnings(row, _usual_offset(survey, number), is_calibrated)
    row["warnings"] = "; ".join([*record.warnings, *said])
    return row


def _warnings(row: Mapping[str, Any], usual: Mapping[str, float], is_calibrated: bool) -> list[str]:
    """What is odd about an exposure."""
    said = []
    if row["n_rows"] == 0:
        said.append("no source of the catalog lies on it")
    elif row["n_zero_point"] < MIN_SOURCES:
        said.append(f"no zero point: {row['n_zero_point']} bright constant sources")
    away, error = row["zero_point"] - 1, row["zero_point_err"]
    if abs(away) > max(_ODD_ZERO_POINT, _ODD_SIGMA * error):
        remedy = "divided out" if is_calibrated else "see relative_calibration"
        said.append(f"its fluxes are off by {100 * away:+.1f} % ({remedy})")
    x, y = (row[f"offset_{axis}"] - usual[axis] for axis in "xy")
    if math.hypot(x, y) > _FAR_OFF_PIX:
        said.append(
            f"its sources lie {math.hypot(x, y):.2f} pixels off the catalog, {x:+.2f} in x and "
            f"{y:+.2f} in y ({'followed' if row['shift_x'] or row['shift_y'] else 'see align'})"
        )
    return said


def _usual_offset(survey: Survey, number: int) -> dict[str, float]:
    """Median offset of the exposures of a detector and band, as far as a PSF may make it.

    The centroid of a PSF that is not symmetric lies beside the star.
    """
    mine = survey.records[number]
    like = [r for r in survey.records if (r.detector, r.band) == (mine.detector, mine.band)]
    usual = {}
    for axis in "xy":
        offsets = np.array([getattr(record, f"offset_{axis}") for record in like])
        offsets = offsets[np.isfinite(offsets)]
        median = float(np.median(offsets)) if len(offsets) >= _ENOUGH_ALIKE else 0.0
        usual[axis] = float(np.clip(median, -_FAR_OFF_PIX, _FAR_OFF_PIX))
    return usual


def _array(column: Column, values: list[Any]) -> pa.Array:
    """Values as Arrow; text and counts that are not there are '' and 0, other numbers NaN."""
    if column.dtype == "str":
        return pa.array([value or "" for value in values], pa.string())
    missing = 0 if column.dtype.startswith("int") else math.nan
    return pa.array(np.array([missing if v is None else v for v in values], dtype=column.dtype))
