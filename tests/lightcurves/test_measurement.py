"""One small image becomes rows whose truth is known."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from astropy.table import Table
from astropy.time import Time
from lightcurves.images import NJY_PER_DN, PLAIN, SIGMA_PIX, Field, pixel_scale_arcsec
from lightcurves.test_times import ephemeris_at
from roman_datamodels import datamodels as rdm

from reference_models import HALF_SIZE, OVERSAMPLE, SIGMA, Given, epsf_model, gaussian_pixels
from romancal_forcedphot.catalogs import read_sources
from romancal_forcedphot.lightcurves.measuring.measurement import flux_prefix, measure_image
from romancal_forcedphot.lightcurves.options import MeasureOptions
from romancal_forcedphot.lightcurves.running.parameters import RunParameters
from romancal_forcedphot.references import CRDSFinder
from romancal_forcedphot.table import WarningFlag

SETTINGS = RunParameters.parse(PLAIN).settings


@pytest.fixture(scope="module")
def field():
    return Field()


@pytest.fixture(scope="module")
def sources(field):
    """Five sources off the image come first, so that rows of the catalog are no rows of tables."""
    catalog = field.catalog
    off = Table(catalog[:5], copy=True)
    off["dec"] = off["dec"] + 0.1 * off["dec"].unit
    from astropy.table import vstack

    return read_sources(vstack([off, catalog], metadata_conflicts="silent"))


def measured(path, sources, **options):
    options = MeasureOptions(**options)
    return measure_image(str(path), SETTINGS, sources, CRDSFinder(), options=options)


def test_rows_are_those_on_the_image_with_their_fluxes(field, sources, tmp_path):
    found = measured(field.save(tmp_path / "e_cal.asdf", 61000.0), sources)
    assert found.catalog_row.tolist() == list(range(5, 35))
    truth = field.flux * NJY_PER_DN
    pull = (found.columns["flux"] - truth) / found.columns["flux_err"]
    assert np.abs(pull).max() < 4.5
    np.testing.assert_allclose(found.columns["x"], field.x, atol=1e-3)
    assert [column.name for column in found.quality] == ["ee_fraction"]
    assert (found.columns["ee_fraction"] == 1).all()


def test_the_record_tells_time_noise_and_scale(field, sources, tmp_path):
    record = measured(field.save(tmp_path / "e_cal.asdf", 61000.0), sources).record
    middle = Time(61000.0, format="mjd", scale="utc").tai.mjd + 60 / 86400
    assert record.mjd_tai == pytest.approx(middle, abs=1e-9)
    assert record.flux_scale == pytest.approx(NJY_PER_DN)
    assert record.sky_rms == pytest.approx(field.noise, rel=0.3)
    assert record.pixel_scale == pytest.approx(pixel_scale_arcsec())
    assert record.exptime == 107.0
    assert (record.band, record.detector, record.flux) == ("F106", "WFI01", "aper6pix")
    assert record.observer.startswith("Earth: ")
    assert np.hypot(record.offset_x, record.offset_y) < 0.02
    assert record.n_offset > 20


def test_the_spacecrafts_place_is_used(field, sources, tmp_path):
    path = field.save(tmp_path / "e_cal.asdf", 61000.0)
    at_earth = measured(path, sources)
    with rdm.open(path) as model:
        image = model.copy()
    for name, value in ephemeris_at(Time(61000.0, format="mjd", scale="utc")).items():
        image.meta.ephemeris[name] = value
    image.save(path)
    there = measured(path, sources)
    assert there.record.observer == "spacecraft"
    difference = (there.columns["bjd_tdb"] - at_earth.columns["bjd_tdb"]) * 86400
    assert 0.1 < np.abs(difference).max() < 6  # light takes 5 s to a place beyond the Moon


@pytest.mark.parametrize("drift", [(0.4, -0.3), (14.0, -9.5)])
def test_drifts_are_found_and_followed(field, sources, tmp_path, drift):
    path = field.save(tmp_path / "e_cal.asdf", 61000.0, drift=drift)
    before, after = measured(path, sources), measured(path, sources, align=True)
    for found in (before, after):
        offset = (found.record.offset_x, found.record.offset_y)
        assert offset == pytest.approx(drift, abs=0.05)
    assert (before.record.shift_x, after.record.shift_x) == (0.0, after.record.offset_x)
    truth = field.flux[after.catalog_row - 5] * NJY_PER_DN
    pull = (after.columns["flux"] - truth) / after.columns["flux_err"]
    assert np.median(np.abs(pull)) < 1.5
    assert np.abs(pull[after.columns["warning_flags"] == 0]).max() < 5


def test_a_fit_that_is_poor_for_a_drift_does_not_hide_the_drift(sources, tmp_path):
    """Bright stars fit worst beside their places; those that happen to fit lie nearest to them."""
    drift = (0.12, -0.08)
    path = Field(noise=0.3).save(tmp_path / "e_cal.asdf", 61000.0, drift=drift)
    settings = RunParameters.parse(PLAIN | {"methods": "psf", "psf_source": "epsf"}).settings
    epsf = epsf_model()
    at = np.arange(-HALF_SIZE * OVERSAMPLE, HALF_SIZE * OVERSAMPLE + 1) / OVERSAMPLE
    star = np.exp(-(at**2 + at[:, None] ** 2) / (2 * SIGMA_PIX**2)) / (2 * np.pi * SIGMA_PIX**2)
    epsf.psf = np.broadcast_to(star.astype(np.float32), epsf.psf.shape).copy()
    found = measure_image(str(path), settings, sources, Given({"epsf": epsf}))
    is_poor = found.columns["warning_flags"] & WarningFlag.PSF_POOR_FIT > 0
    assert 5 <= np.count_nonzero(is_poor) < len(is_poor) - 5
    offset = (found.record.offset_x, found.record.offset_y)
    assert offset == pytest.approx(drift, abs=0.01)
    assert found.record.n_offset == len(is_poor)


@pytest.mark.parametrize("shape", ["ellipse", "kron"])
def test_ellipses_of_the_catalog_are_followed(field, tmp_path, shape):
    """Of stars, with axes of half a pixel, beside one whose shape is impossible."""
    catalog = field.catalog.copy()
    catalog["semimajor"] = catalog["semiminor"] = np.full(len(catalog), 0.5 * pixel_scale_arcsec())
    catalog["orientation_sky"] = np.zeros(len(catalog))
    catalog["semiminor"][3] = -1.0
    sources = read_sources(catalog, shapes=True)
    settings = replace(SETTINGS, aperture_shape=shape, shape_scale=12.0)
    path = field.save(tmp_path / "e_cal.asdf", 61000.0)
    found = measure_image(str(path), settings, sources, CRDSFinder())
    assert found.record.flux == shape
    flux = found.columns["flux"] / (field.flux * NJY_PER_DN)
    assert np.flatnonzero(np.isnan(flux)).tolist() == [3]
    assert np.nanmedian(flux) > 0.5
    assert found.columns["warning_flags"][3] & WarningFlag.BAD_SHAPE


def test_which_flux_is_taken():
    names = [
        "label",
        "aper3pix_flux",
        "aper3pix_total_flux",
        "aper_bkg_flux",
        "psf_flux",
        "kron_flux",
    ]
    assert flux_prefix(names) == "psf"
    assert flux_prefix(names[:4]) == "aper3pix"
    assert flux_prefix(names, "kron") == "kron"
    assert flux_prefix(names, "aperture") == "aper3pix"
    for shape in ("ellipse", "kron"):
        assert flux_prefix([f"{shape}_flux"]) == flux_prefix([f"{shape}_flux"], "aperture") == shape
    with pytest.raises(ValueError, match="one of aper3pix, psf, kron"):
        flux_prefix(names, "aper5pix")


def test_the_noise_equivalent_area_is_that_of_the_fitted_psf(field, sources, tmp_path):
    path = field.save(tmp_path / "e_cal.asdf", 61000.0)
    settings = RunParameters.parse(PLAIN | {"methods": "psf", "psf_source": "epsf"}).settings
    found = measure_image(str(path), settings, sources, Given({"epsf": epsf_model()}))
    assert found.record.flux == "psf"
    grid = np.arange(-8, 9)
    areas = [
        1 / np.sum(gaussian_pixels(grid - x, grid[:, None] - y, SIGMA["G2V"]) ** 2)
        for x in (-0.25, 0.25)
        for y in (-0.25, 0.25)
    ]
    np.testing.assert_allclose(found.columns["nea"], np.mean(areas), rtol=0.02)


def test_an_image_that_cannot_be_measured_says_why(sources, tmp_path):
    (tmp_path / "x_cal.asdf").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"x_cal\.asdf"):
        measured(tmp_path / "x_cal.asdf", sources)
    with pytest.raises(ValueError, match=r"gone_cal\.asdf"):
        measured(tmp_path / "gone_cal.asdf", sources)


def test_it_can_be_pickled(field, sources, tmp_path):
    import pickle

    measure = pickle.loads(pickle.dumps(partial(measure_image, options=MeasureOptions())))
    path = field.save(tmp_path / "e_cal.asdf", 61000.0)
    assert len(measure(str(path), SETTINGS, sources, CRDSFinder()).catalog_row) == 30
