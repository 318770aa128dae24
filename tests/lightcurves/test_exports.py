"""Light curves in others' forms, read as they read them."""

from __future__ import annotations

import numbers

import numpy as np
import pytest
from astropy import units as u
from astropy.table import QTable
from astropy.timeseries import TimeSeries
from lightcurves.series import made_exposure
from lightcurves.test_collation import make_dataset

from romancal_forcedphot.lightcurves.collating.collation import collate
from romancal_forcedphot.lightcurves.exports import chosen, export_ecsv, export_snappl
from romancal_forcedphot.lightcurves.reading import open_light_curves
from romancal_forcedphot.storage import StorageError

#: What snappl's Lightcurve asks of each column and of the metadata (snappl.lightcurve, 2026).
SNAPPL = {
    "mjd": (numbers.Real, u.d),
    "flux": (numbers.Real, u.count / u.s),
    "flux_err": (numbers.Real, u.count / u.s),
    "zpt": (numbers.Real, u.mag),
    "NEA": (numbers.Real, u.pix**2),
    "sky_rms": (numbers.Real, u.count / u.s),
    "observation_id": (str, None),
    "sca": (numbers.Integral, None),
    "pix_x": (numbers.Real, u.pix),
    "pix_y": (numbers.Real, u.pix),
}


@pytest.fixture(scope="module")
def curves(tmp_path_factory):
    dataset = make_dataset(tmp_path_factory.mktemp("series"), range(12))
    collate(dataset)
    return open_light_curves(dataset.directory)


def test_ecsv_is_a_time_series_again(curves, tmp_path):
    [path] = export_ecsv([curves.source(1003)], tmp_path / "new" / "deep")
    assert path.name == "1003.ecsv"
    found, expected = TimeSeries.read(path, format="ascii.ecsv"), curves.source(1003)
    assert found.time.scale == "tai"
    np.testing.assert_allclose(found.time.mjd, expected.time.mjd, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(found["flux"], expected["flux"])
    assert found["flux"].unit == u.nJy
    assert found["mjd_tai"].unit == u.d
    np.testing.assert_array_equal(found["mjd_tai"].value, expected.time.mjd)
    assert "MJD, TAI" in found["mjd_tai"].info.description
    assert "MJD, TAI" in path.read_text().split("name: time,")[1].splitlines()[0]
    assert found.meta["label"] == 1003


def test_snappl_takes_what_is_written(curves, tmp_path):
    written = export_snappl([curves.source(1003)], curves.exposures, tmp_path)
    assert [path.name for path in written] == ["1003.F106.ltcv.parquet", "1003.F158.ltcv.parquet"]
    for path, band in zip(written, ("F106", "F158"), strict=True):
        table = QTable.read(path)
        assert table.colnames[: len(SNAPPL)] == list(SNAPPL)
        for name, (kind, unit) in SNAPPL.items():
            assert getattr(table[name], "unit", None) == unit
            values = table[name] if unit is None else table[name].value
            assert all(isinstance(value, kind) for value in values), name
        meta = table.meta
        for name in ("provenance_id", "diaobject_id", "diaobject_position_id", "iau_name"):
            assert meta[name] is None
        for name in ("ra_err", "dec_err", "ra_dec_covar"):
            assert meta[name] is None
        for name in ("ra", "dec", f"local_surface_brightness_{band}"):
            assert isinstance(meta[name], numbers.Real)
        assert meta["band"] == band


def test_snappl_fluxes_and_zero_points_are_the_same_magnitudes(curves, tmp_path):
    series = curves.source(1003)
    path = export_snappl([series], curves.exposures, tmp_path)[0]
    table, points = QTable.read(path), series[series["band"] == "F106"]
    magnitude = -2.5 * np.log10(table["flux"].value) + table["zpt"].value
    np.testing.assert_allclose(magnitude, points["abmag"].value, atol=1e-5)
    np.testing.assert_allclose(table["flux"].value, points["flux"].value / 70.0, rtol=1e-6)
    assert table["sca"].tolist() == [int(name[3:]) for name in points["detector"]]
    record = made_exposure(0).record
    assert points["exposure"][0] == record.exposure
    tai_minus_utc = (points.time[0].mjd - table["mjd"][0].value) * 86400
    assert tai_minus_utc == pytest.approx(37.0, abs=1e-3)


def test_observation_ids_are_names_without_detector_and_band(curves, tmp_path):
    from romancal_forcedphot.lightcurves.exports import snappl_table

    series = curves.source(1003)
    name = "r0003201001001001004_0001_wfi01_f106"
    series["exposure"] = np.full(len(series), name)
    table = snappl_table(series, "F106", {name: {"flux_scale": 70.0, "sky_rms": 0.1}})
    assert set(table["observation_id"]) == {"r0003201001001001004_0001"}


def test_all_or_some_are_chosen(curves, tmp_path):
    assert len(list(chosen(curves, None))) == len(curves)
    assert [s.meta["label"] for s in chosen(curves, [1005, 1001])] == [1005, 1001]


def test_labels_that_repeat_have_files_of_their_own(curves, tmp_path):
    written = export_ecsv([curves.source(1003), curves.source(1003)], tmp_path)
    assert [path.name for path in written] == ["1003.ecsv", "1003_2.ecsv"]


def test_a_directory_that_cannot_be_is_refused(curves, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        export_ecsv([curves.source(1003)], tmp_path / "file" / "below")
