"""One exposure in a file, and back."""

from __future__ import annotations

import io
import math

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from lightcurves.series import CHI2, made_catalog, made_exposure

from romancal_forcedphot.lightcurves.measuring.exposure_files import (
    read_exposure,
    read_record,
    to_parquet,
)
from romancal_forcedphot.lightcurves.measuring.records import ExposureRecord, MeasuredExposure
from romancal_forcedphot.lightcurves.measuring.rows import exposure_columns

MADE_FROM = {"settings": "abc", "catalog": "def"}


def written(number=0, **options):
    catalog = made_catalog(names=True)
    return to_parquet(
        made_exposure(number), catalog.label, catalog.source_name, made_from=MADE_FROM, **options
    )


def test_what_is_written_comes_back():
    found, expected = read_exposure(io.BytesIO(written())), made_exposure(0)
    assert found.record == expected.record
    assert found.quality == (CHI2,)
    assert found.catalog_row.tolist() == expected.catalog_row.tolist()
    for name, values in expected.columns.items():
        dtype = "float64" if name == "bjd_tdb" else found.columns[name].dtype
        np.testing.assert_array_equal(found.columns[name], values.astype(dtype))


def test_only_what_is_asked_for_is_read():
    found = read_exposure(io.BytesIO(written()), columns=["x"])
    assert set(found.columns) == {"x", "flux", "flux_err", "warning_flags"}
    assert found.quality == ()


def test_the_file_is_a_plain_table_with_units():
    content = io.BytesIO(written(limit_sigma=5.0))
    frame = pd.read_parquet(content)
    columns = exposure_columns([CHI2], source_names=True)
    assert list(frame) == [column.name for column in columns]
    catalog = made_catalog(names=True)
    assert (frame["label"] == catalog.label[frame["catalog_row"]]).all()
    assert (frame["source_name"] == catalog.source_name[frame["catalog_row"]]).all()
    assert (frame["exposure"] == "exposure_0000").all()
    assert (frame["band"] == "F106").all()
    limit = 31.4 - 2.5 * np.log10(5.0 * frame["flux_err"])
    np.testing.assert_allclose(frame["limit_abmag"], limit, rtol=1e-6)
    for column, entry in zip(columns, pq.read_schema(content), strict=True):
        assert entry.metadata[b"unit"].decode() == column.unit
        assert entry.metadata[b"description"].decode() == column.description


def test_the_same_exposure_gives_the_same_bytes():
    assert written() == written()
    assert written() != written(1)


def test_the_record_is_read_without_the_rows():
    record, made_from = read_record(io.BytesIO(written()))
    assert record == made_exposure(0).record
    assert made_from == MADE_FROM


@pytest.mark.parametrize("cut", [0, 100, -50])
def test_a_damaged_file_is_told(cut, tmp_path):
    path = tmp_path / "damaged.parquet"
    path.write_bytes(written()[:cut])
    for read in (read_record, read_exposure):
        with pytest.raises(ValueError, match=r"damaged\.parquet"):
            read(path)


def test_a_flipped_bit_is_told(tmp_path):
    content = bytearray(written())
    chunks = pq.read_metadata(io.BytesIO(content)).row_group(0)
    flux = next(c for c in map(chunks.column, range(99)) if c.path_in_schema == "flux")
    content[flux.data_page_offset + flux.total_compressed_size // 2] ^= 1
    path = tmp_path / "flipped.parquet"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"flipped\.parquet.*run again"):
        read_exposure(path)


def test_an_exposure_without_sources_is_a_file_of_no_rows():
    empty = {name: np.empty(0) for name in ("flux", "flux_err", "warning_flags")}
    exposure = MeasuredExposure(made_exposure(0).record, np.empty(0, int), empty)
    found = read_exposure(io.BytesIO(to_parquet(exposure, np.arange(3))))
    assert len(found.catalog_row) == len(found.columns["x"]) == 0


def test_a_column_that_was_not_measured_is_nan():
    columns = {name: np.ones(2) for name in ("flux", "flux_err", "warning_flags")}
    exposure = MeasuredExposure(made_exposure(0).record, np.arange(2), columns)
    found = read_exposure(io.BytesIO(to_parquet(exposure, np.arange(3))))
    assert np.isnan(found.columns["x"]).all()
    assert found.columns["flux"].tolist() == [1.0, 1.0]


def test_what_is_not_known_of_an_exposure_stays_unknown():
    record = ExposureRecord("e", "/e.asdf", "F106", "WFI01", 61000.0, 100.0, warnings=("a", "b"))
    found = ExposureRecord.from_json(record.as_json())
    assert math.isnan(found.sky_rms)
    assert found.warnings == ("a", "b")
    newer = record.as_json().replace("{", '{"of_a_later_version": 1, ', 1)
    assert ExposureRecord.from_json(newer).exposure == "e"


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"mjd_tai": np.nan}, "time nan"), ({"band": ""}, "band ''"), ({"detector": ""}, "detector")],
)
def test_an_exposure_without_time_band_or_detector_is_refused(changes, said):
    values = {"band": "F106", "detector": "WFI01", "mjd_tai": 61000.0, "exptime": 1.0} | changes
    with pytest.raises(ValueError, match=said):
        ExposureRecord("e", "/e.asdf", **values)


def test_rows_that_repeat_a_source_or_lack_a_column_are_refused():
    good = made_exposure(0)
    with pytest.raises(ValueError, match="does not rise"):
        MeasuredExposure(good.record, np.zeros(2, int), dict.fromkeys(good.columns, np.zeros(2)))
    columns = {name: values for name, values in good.columns.items() if name != "flux"}
    with pytest.raises(ValueError, match=r"lacks the columns \['flux'\]"):
        MeasuredExposure(good.record, good.catalog_row, columns)
    with pytest.raises(ValueError, match="shape"):
        MeasuredExposure(good.record, good.catalog_row, dict(good.columns) | {"x": np.zeros(1)})
