"""PSF photometry of all sources at once, on images drawn from a known PSF."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.time import Time
from scipy.optimize import lsq_linear

from romancal_forcedphot import Exposure, Sources, WarningFlag, measure
from romancal_forcedphot.photometry import CircularApertures, PSFPhotometry
from romancal_forcedphot.psfs import GriddedEPSF, PSFError
from small import tangent_wcs

SHAPE = (120, 140)
OVERSAMPLE = 4
SKY = 0.5
NOISE = 0.05
PHOTONS = 1e-3  # variance per light
CONVERSION, PIXEL_AREA = 0.3, 2.8e-13
FITTED = WarningFlag.PSF_MASKED | WarningFlag.PSF_DEGENERATE | WarningFlag.PSF_POOR_FIT


def star(x, y, x0, y0):
    """Light of a star on pixels: a core and wings, 1 in all."""
    r2 = (x - x0) ** 2 + (y - y0) ** 2
    core = np.exp(-r2 / (2 * 0.8**2)) / (2 * np.pi * 0.8**2)
    wings = np.exp(-r2 / (2 * 2.5**2)) / (2 * np.pi * 2.5**2)
    return 0.8 * core + 0.2 * wings


@pytest.fixture(scope="module")
def psf():
    half = 20 * OVERSAMPLE
    offset = np.arange(-half, half + 1) / OVERSAMPLE
    stamp = star(*np.meshgrid(offset, offset), 0.0, 0.0)
    return GriddedEPSF(stamp[None], [70.0], [60.0], OVERSAMPLE)


def image_of(x, y, flux, *, seed=1, shape=SHAPE):
    """Data and errors of stars on a flat sky: the variance grows with the light, as of photons."""
    column, row = np.meshgrid(np.arange(shape[1]), np.arange(shape[0]))
    light = np.zeros(shape)
    for x0, y0, f in zip(x, y, flux, strict=True):
        light += f * star(column, row, x0, y0)
    err = np.sqrt(NOISE**2 + PHOTONS * np.maximum(light, 0.0))
    data = light + SKY + err * np.random.default_rng(seed).normal(0, 1, shape)
    return data.astype(np.float32), err.astype(np.float32)


def exposure_of(data, err):
    return Exposure(
        data=data,
        err=err,
        saturated=np.zeros(data.shape, dtype=bool),
        wcs=tangent_wcs(data.shape),
        conversion=CONVERSION,
        pixel_area=PIXEL_AREA,
        detector="WFI01",
        band="F106",
        mid_time=Time("2027-03-01"),
    )


def sources_at(x, y):
    return Sources(
        label=np.arange(1, len(x) + 1), x=np.array(x, dtype=float), y=np.array(y, dtype=float)
    )


def njy(flux):
    return (np.asarray(flux) * CONVERSION * PIXEL_AREA * u.MJy).to_value(u.nJy)


@pytest.fixture(scope="module")
def field():
    """Sixty stars, many of them close together."""
    rng = np.random.default_rng(5)
    x, y = rng.uniform(3, 136, 60), rng.uniform(3, 116, 60)
    x[1::6], y[1::6] = x[::6] + 1.5, y[::6] + 0.7
    return x, y, 10 ** rng.uniform(0, 2, 60)


@pytest.mark.parametrize("background", ["mesh", "annulus"])
def test_fluxes_and_errors_are_those_of_all_pixels_at_once(psf, field, background):
    """The oracle solves the dense equations for the very sky that is in the image."""
    x, y, flux = field
    data, err = image_of(x, y, flux)
    table = measure(
        exposure_of(data, err),
        sources_at(x, y),
        [PSFPhotometry(psf_background=background)],
        psf=psf,
    )
    column, row = np.meshgrid(np.arange(SHAPE[1]), np.arange(SHAPE[0]))
    design = np.stack([star(column, row, *at).ravel() for at in zip(x, y, strict=True)], axis=1)
    design /= err.ravel()[:, None]
    expected = lsq_linear(design, (data.ravel().astype(float) - SKY) / err.ravel()).x
    sigma = np.sqrt(np.diag(np.linalg.inv(design.T @ design)))
    # The sky is known to a twentieth of a pixel's noise in an annulus, to a fiftieth in a mesh.
    difference = (np.array(table["psf_flux"]) - njy(expected)) / njy(sigma)
    assert (abs(difference) < 0.6).all()
    ratio = np.array(table["psf_flux_err"]) / njy(sigma)
    assert ((ratio > 0.9) & (ratio < 1.35)).all()
    pull = (np.array(table["psf_flux"]) - njy(flux)) / np.array(table["psf_flux_err"])
    assert abs(np.mean(pull)) < 4 / np.sqrt(60)
    assert 0.75 < np.std(pull) < 1.25
    np.testing.assert_allclose(
        table["psf_abmag"], (np.array(table["psf_flux"]) * u.nJy).to_value(u.ABmag), rtol=1e-6
    )
    assert (table["psf_chi2"] < 1.6).all()


def test_a_source_that_the_catalog_lacks_shows_in_the_fit_of_its_neighbour(psf):
    x, y, flux = [40.0, 42.2, 90.0], [50.0, 50.4, 60.0], [30.0, 12.0, 30.0]
    exposure = exposure_of(*image_of(x, y, flux))
    known = measure(exposure, sources_at(x, y), [PSFPhotometry()], psf=psf)
    lacking = measure(exposure, sources_at(x[::2], y[::2]), [PSFPhotometry()], psf=psf)
    assert (known["warning_flags"] & FITTED == 0).all()
    assert lacking["psf_chi2"][0] > 3
    assert lacking["warning_flags"][0] & WarningFlag.PSF_POOR_FIT
    assert lacking["warning_flags"][1] & FITTED == 0
    assert known["psf_blend"][0] > 0.05
    assert known["psf_blend"][2] < 0.01


def test_two_sources_in_one_place_get_a_flag_and_a_large_error(psf):
    x, y = [40.0, 40.0, 90.0], [50.0, 50.0, 60.0]
    exposure = exposure_of(*image_of(x[1:], y[1:], [30.0, 30.0]))
    table = measure(exposure, sources_at(x, y), [PSFPhotometry()], psf=psf)
    flags = table["warning_flags"] & WarningFlag.PSF_DEGENERATE
    np.testing.assert_array_equal(flags != 0, [True, True, False])
    assert np.isfinite(table["psf_flux"]).all()
    assert table["psf_flux"][:2].sum() == pytest.approx(njy(30.0), rel=0.03)
    assert (table["psf_flux_err"][:2] > 20 * table["psf_flux_err"][2]).all()


def test_masked_pixels_have_no_weight(psf):
    x, y, flux = [40.0, 90.0], [50.0, 60.0], [30.0, 30.0]
    data, err = image_of(x, y, flux)
    clean = measure(exposure_of(data, err), sources_at(x, y), [PSFPhotometry()], psf=psf)
    spoilt = data.copy()
    spoilt[51, 40] = np.nan
    spoilt[55:66, 85:96] = np.nan
    table = measure(exposure_of(spoilt, err), sources_at(x, y), [PSFPhotometry()], psf=psf)
    assert abs(table["psf_flux"][0] - clean["psf_flux"][0]) < 2 * clean["psf_flux_err"][0]
    assert table["psf_flux_err"][0] > clean["psf_flux_err"][0]
    assert np.isnan(table["psf_flux"][1])
    assert table["warning_flags"][1] & WarningFlag.PSF_MASKED
    assert table["warning_flags"][1] & WarningFlag.CENTER_UNUSABLE


def test_rows_off_the_image_are_kept_and_their_light_is_fitted(psf):
    """A star just outside leaves light on a star just inside."""
    x, y, flux = [1.0, -1.6, np.nan, 300.0], [50.0, 50.5, 3.0, 60.0], [20.0, 200.0, 0.0, 0.0]
    data, err = image_of(x[:2], y[:2], flux[:2])
    table = measure(exposure_of(data, err), sources_at(x, y), [PSFPhotometry()], psf=psf)
    assert table["psf_flux"][0] == pytest.approx(njy(20.0), abs=5 * float(table["psf_flux_err"][0]))
    assert np.isnan(table["psf_flux"][1:]).all()
    assert (table["warning_flags"][1:] & WarningFlag.NOT_PLACED != 0).all()


def test_negative_fluxes_are_kept(psf):
    x, y = [40.0, 90.0], [50.0, 60.0]
    exposure = exposure_of(*image_of(x, y, [-5.0, 30.0]))
    table = measure(exposure, sources_at(x, y), [PSFPhotometry()], psf=psf)
    assert table["psf_flux"][0] == pytest.approx(njy(-5.0), abs=5 * float(table["psf_flux_err"][0]))
    assert np.isnan(table["psf_abmag"][0])


def test_pixel_areas_enter_as_light(psf):
    """Pixels that are larger on one side of the image hold more light at the same brightness."""
    x, y, flux = [30.0, 110.0], [50.0, 60.0], [30.0, 30.0]
    area = np.broadcast_to(np.linspace(0.95, 1.05, SHAPE[1]), SHAPE).astype(np.float32)
    data, err = image_of(x, y, flux)
    data = ((data - SKY) / area + SKY).astype(np.float32)
    table = measure(exposure_of(data, err), sources_at(x, y), [PSFPhotometry()], area=area, psf=psf)
    np.testing.assert_allclose(table["psf_flux"], njy(flux), rtol=0.03)


def test_numbers_do_not_depend_on_threads_nor_on_other_methods(psf, field):
    x, y, flux = field
    exposure, sources = exposure_of(*image_of(x, y, flux)), sources_at(x, y)
    one = measure(exposure, sources, [PSFPhotometry()], psf=psf, n_threads=1)
    both = measure(exposure, sources, [CircularApertures(), PSFPhotometry()], psf=psf, n_threads=2)
    for name in one.colnames[:-1]:
        np.testing.assert_array_equal(both[name], one[name], err_msg=name)
    apertures = measure(exposure, sources, [CircularApertures()])
    np.testing.assert_array_equal(both["aper3pix_flux"], apertures["aper3pix_flux"])
    np.testing.assert_array_equal(
        both["warning_flags"], apertures["warning_flags"] | one["warning_flags"]
    )


def test_nothing_to_fit(psf):
    data, err = image_of([], [], [])
    empty = measure(exposure_of(data, err), sources_at([], []), [PSFPhotometry()], psf=psf)
    assert len(empty) == 0
    masked = exposure_of(np.full_like(data, np.nan), err)
    table = measure(masked, sources_at([40.0], [50.0]), [PSFPhotometry()], psf=psf)
    assert np.isnan(table["psf_flux"][0])
    assert table["warning_flags"][0] & WarningFlag.PSF_MASKED


def test_many_sources_in_one_place_end_in_flags(psf):
    x, y = np.full(20_000, 40.0), np.full(20_000, 50.0)
    exposure = exposure_of(*image_of([40.0], [50.0], [30.0]))
    table = measure(exposure, sources_at(x, y), [PSFPhotometry()], psf=psf)
    assert (table["warning_flags"] & WarningFlag.PSF_DEGENERATE != 0).all()
    assert np.isfinite(table["psf_flux_err"]).all()


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"psf_background": "plane"}, "psf_background is 'plane': expected one of mesh, annulus"),
        ({"psf_mesh": 3}, "psf_mesh is 3: expected 16 pixels or more"),
    ],
)
def test_parameters_out_of_range_are_refused(parameters, said):
    with pytest.raises(ValueError, match=said):
        PSFPhotometry(**parameters)


def test_a_curve_of_growth_is_no_psf():
    exposure = exposure_of(*image_of([], [], []))
    with pytest.raises(PSFError, match="needs a PSF on pixels"):
        measure(exposure, sources_at([40.0], [50.0]), [PSFPhotometry()])


def test_the_sky_rests_where_an_image_ends_within_cells(psf):
    """As a mosaic does that is turned to its pixels: of some cells a corner is covered."""
    rng, side = np.random.default_rng(2), 300
    (x, y), flux = rng.uniform(0, side - 1, (2, side)), 10 ** rng.uniform(0.5, 4, side)
    data, err = image_of(x, y, flux, seed=2, shape=(side, side))
    column, row = np.meshgrid(*2 * [np.arange(side) - (side - 1) / 2])
    turn, reach = np.deg2rad(20), 0.366 * side
    along = column * np.cos(turn) + row * np.sin(turn), row * np.cos(turn) - column * np.sin(turn)
    data[(abs(along[0]) > reach) | (abs(along[1]) > reach)] = np.nan
    table = measure(exposure_of(data, err), sources_at(x, y), [PSFPhotometry(psf_mesh=16)], psf=psf)
    ratio = np.asarray(table["psf_flux"]) / njy(flux)
    alone = np.isfinite(ratio) & (np.asarray(table["psf_blend"]) < 0.3)
    assert alone.sum() > 100
    assert (abs(ratio[alone] - 1) < 0.5).all()
