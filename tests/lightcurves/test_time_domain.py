"""Rows as RAD's time-domain catalogs, and back."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.time import Time
from lightcurves.series import made_catalog, made_exposure
from lightcurves.test_collation import light_curves, make_dataset
from roman_datamodels import datamodels as rdm

from romancal_forcedphot.lightcurves.collating.collation import collate
from romancal_forcedphot.lightcurves.time_domain import (
    export_time_domain,
    from_time_domain,
    import_time_domain,
    to_time_domain,
)
from romancal_forcedphot.product.time_domain import TimeDomainError, read_time_domain

META = {
    "exposure": {
        "start_time": Time("2026-03-01T00:00:00"),
        "end_time": Time("2026-03-01T00:02:00"),
        "exposure_time": 107.0,
    },
    "instrument": {"detector": "WFI07", "optical_element": "F158"},
}
IS_NEW = hasattr(rdm, "TimeDomainSourceCatalogModel")


def test_rows_become_a_table_and_rows_again():
    sources, measured = made_catalog(50), made_exposure(0)
    table = to_time_domain(measured, sources)
    assert table["id"].tolist() == sources.label[measured.catalog_row].tolist()
    assert "by aper3pix" in table["forced_psf_flux"].description
    by_label = sources.take(np.argsort(sources.label))
    found = from_time_domain(table, META, by_label, "/t_tdcat.asdf")
    assert (found.record.band, found.record.detector) == ("F158", "WFI07")
    assert found.record.mjd_tai == pytest.approx(61100.0 + (60 + 37) / 86400, abs=1e-8)
    assert found.record.exptime == 107.0
    order = np.argsort(sources.label[measured.catalog_row])
    assert (by_label.label[found.catalog_row] == np.sort(table["id"])).all()
    for name in ("flux", "flux_err", "bkg_flux", "x"):
        expected = measured.columns[name][order].astype(np.float32)
        np.testing.assert_array_equal(found.columns[name], expected)
    flagged = measured.columns["warning_flags"][order] != 0
    assert ((found.columns["warning_flags"] != 0) == flagged).all()


def test_an_aperture_that_rad_knows_is_the_flux_in_it():
    from dataclasses import replace

    measured = made_exposure(0)
    columns = {k: v for k, v in measured.columns.items() if k != "chi2"}
    columns["ee_fraction"] = np.full(len(measured.catalog_row), 0.8)
    from romancal_forcedphot.table import Column

    quality = (Column("ee_fraction", "float32", "", "fraction"),)
    record = replace(measured.record, flux="aper04")
    measured = replace(measured, record=record, columns=columns, quality=quality)
    table = to_time_domain(measured, made_catalog(50))
    np.testing.assert_allclose(table["forced_aper04_flux"], 0.8 * columns["flux"], rtol=1e-6)
    assert np.isnan(table["forced_psf_flux"]).all()
    sources = made_catalog(50)
    sources = sources.take(np.argsort(sources.label))
    found = from_time_domain(table, META, sources, "/t_tdcat.asdf")
    assert found.record.flux == "aper04"
    assert np.isfinite(found.columns["flux"]).all()


def test_files_make_the_same_light_curves(tmp_path):
    """With roman_datamodels 1.2; an older one is told that it does not know such files."""
    dataset = make_dataset(tmp_path / "made", range(6))
    if not IS_NEW:
        with pytest.raises(TimeDomainError, match=r"need roman_datamodels 1\.2"):
            export_time_domain(dataset, tmp_path / "files")
        with pytest.raises(TimeDomainError, match=r"need roman_datamodels 1\.2"):
            import_time_domain(tmp_path / "*.asdf", output_dir=tmp_path / "again")
        return
    collate(dataset)
    written = export_time_domain(dataset, tmp_path / "files")
    assert len(written) == 6
    with rdm.open(written[0]) as model:
        assert model.validate() is None
        assert model.meta.instrument.optical_element == "F106"
        assert list(model.meta.forced_psf_catalogs) == ["made up"]
    table, meta = read_time_domain(written[1])
    assert len(table) == len(made_exposure(1).catalog_row)
    assert meta["image"]["filename"] == "exposure_0001_cal.asdf"
    (tmp_path / "files" / "x_tdcat.asdf").write_bytes(b"nothing")
    done = import_time_domain(
        tmp_path / "files" / "*_tdcat.asdf", output_dir=tmp_path / "again", n_workers=1
    )
    assert len(done.state.done) == 6
    assert "not an ASDF file" in done.failed["x_tdcat"]
    from romancal_forcedphot.lightcurves.dataset import Dataset

    again = light_curves(Dataset.at(tmp_path / "again")).set_index("label").sort_index()
    first = light_curves(dataset).set_index("label").sort_index()
    for label, curve in first["lightcurve"].items():
        other = again.loc[label, "lightcurve"]
        np.testing.assert_array_equal(other["flux"], curve["flux"])
        np.testing.assert_allclose(other["mjd_tai"], curve["mjd_tai"], rtol=0, atol=1e-8)


def test_some_labels_alone_are_written(tmp_path):
    if IS_NEW:
        dataset = make_dataset(tmp_path / "made", range(1))
        [path] = export_time_domain(dataset, tmp_path, labels=[1003, 1007])
        table, _ = read_time_domain(path)
        assert set(table["id"]) <= {1003, 1007}
    else:
        table = to_time_domain(made_exposure(0), made_catalog(50))
        assert len(table) == len(made_exposure(0).catalog_row)
