"""Model photometry of stars and galaxies that GalSim has drawn, against dense least squares."""

from __future__ import annotations

from dataclasses import replace

import galsim
import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table

from romancal_forcedphot import WarningFlag, measure, read_sources
from romancal_forcedphot.photometry import (
    CircularApertures,
    ModelPhotometry,
    PSFPhotometry,
    Settings,
    Shapes,
    methods_for,
)
from romancal_forcedphot.psfs import EPSFBySpectralType, GriddedEPSF, PSFError
from small import CONVERSION, PIXEL_AREA, exposure_of, pixel_sources

pytestmark = pytest.mark.slow  # GalSim draws the field

SHAPE = NY, NX = 140, 160
SCALE = 0.11  # arcsec per pixel, as of the small image, whose north is up and whose east is left
OVERSAMPLE = 4
SKY, NOISE, PHOTONS = 0.5, 0.05, 1e-3  # variance per light
ACCURATE = galsim.GSParams(folding_threshold=1e-3, maxk_threshold=5e-4)
FITTED = WarningFlag.PSF_MASKED | WarningFlag.PSF_DEGENERATE | WarningFlag.PSF_POOR_FIT
STAR = (np.nan,) * 4

# x, y, flux, and n, half-light radius in arcsec, axis ratio and position angle of galaxies.
FIELD = (
    (30.2, 25.7, 60.0, 1.0, 0.25, 0.6, 30.0),
    (80.6, 27.1, 80.0, 2.5, 0.20, 0.4, 110.0),
    (130.3, 28.4, 100.0, 4.0, 0.30, 0.8, 75.0),
    # A star on a galaxy and a galaxy beside a brighter star, 0.4 and 0.5 arcsec apart.
    (28.4, 71.9, 90.0, 1.5, 0.30, 0.5, 160.0),
    (31.7, 73.1, 30.0, *STAR),
    (79.2, 69.3, 150.0, *STAR),
    (81.9, 72.9, 40.0, 1.0, 0.22, 0.7, 20.0),
    # Two galaxies 0.6 arcsec apart, and stars by themselves.
    (127.1, 72.2, 70.0, 1.0, 0.30, 0.3, 45.0),
    (131.8, 74.9, 50.0, 3.0, 0.15, 0.9, 95.0),
    (35.4, 115.2, 40.0, *STAR),
    (82.5, 113.5, 5.0, *STAR),
    (125.7, 114.3, 8.0, 1.0, 0.20, 0.8, 0.0),
)
X, Y, FLUX, INDEX, RADIUS, RATIO, ANGLE = np.array(FIELD).T
IS_GALAXY = np.isfinite(INDEX)


@pytest.fixture(scope="module")
def star():
    optical = galsim.OpticalPSF(lam=1580, diam=2.36, obscuration=0.32, scale_unit=galsim.arcsec)
    return galsim.Convolve(optical, galsim.Pixel(SCALE), galsim.Gaussian(sigma=0.02))


@pytest.fixture(scope="module")
def psf(star):
    side = 90 * OVERSAMPLE + 1
    drawn = star.drawImage(nx=side, ny=side, scale=SCALE / OVERSAMPLE, method="no_pixel")
    stamp = drawn.array[None].astype(float) * OVERSAMPLE**2
    return GriddedEPSF(stamp, [80.0], [70.0], OVERSAMPLE)


@pytest.fixture(scope="module")
def design(star):
    """The light of each source of the field on all pixels, drawn by GalSim."""
    return np.stack([drawn(star, *source[:2], *source[3:]) for source in FIELD])


def drawn(star, x, y, n, radius, ratio, angle):
    """Light of a source on pixels, 1 in all."""
    seen = star
    if np.isfinite(n):
        profile = galsim.Sersic(n, half_light_radius=radius, gsparams=ACCURATE)
        # From the x axis, where north is up and east is left.
        profile = profile.shear(q=ratio, beta=(angle + 90) * galsim.degrees)
        seen = galsim.Convolve(profile, star, gsparams=ACCURATE)
    offset = (x - (NX - 1) / 2, y - (NY - 1) / 2)
    options = {"nx": NX, "ny": NY, "scale": SCALE, "method": "no_pixel", "offset": offset}
    return seen.drawImage(**options, dtype=float).array


def image_of(light, *, seed=1):
    """Data and errors of light on a flat sky: the variance grows with the light."""
    err = np.sqrt(NOISE**2 + PHOTONS * np.maximum(light, 0.0))
    data = light + SKY + err * np.random.default_rng(seed).normal(0, 1, SHAPE)
    return data.astype(np.float32), err.astype(np.float32)


def shapes_of(index, radius, ratio, angle, *, bad=()):
    """Shapes as a reader of catalogs makes them."""
    index, radius, ratio, angle = (
        np.array(each, dtype=float) for each in (index, radius, ratio, angle)
    )
    is_bad = np.zeros(index.shape, dtype=bool)
    is_bad[list(bad)] = True
    axes = (np.where(is_bad, np.nan, radius * ratio**power) for power in (-0.5, 0.5))
    return Shapes(*axes, angle, is_bad, sersic_index=np.where(is_bad, np.nan, index))


FIELD_SHAPES = shapes_of(INDEX, RADIUS, RATIO, ANGLE)


def stars_at(x, y, **fields):
    """Sources without shapes in a catalog that may have them."""
    none = np.full(len(x), np.nan)
    return pixel_sources(x, y, **{"shapes": shapes_of(none, none, none, none)} | fields)


def njy(flux):
    return (np.asarray(flux) * CONVERSION * PIXEL_AREA * u.MJy).to_value(u.nJy)


@pytest.fixture(scope="module")
def field(design):
    """The field as an exposure."""
    return exposure_of(*image_of(np.tensordot(FLUX, design, 1)))


def model_table(exposure, sources, psf, *methods, **options):
    return measure(exposure, sources, [*methods, ModelPhotometry()], psf=psf, **options)


def test_fluxes_and_errors_are_those_of_all_pixels_at_once(field, design, psf):
    """The oracle solves the dense equations for the very sky that is in the image."""
    table = model_table(field, pixel_sources(X, Y, shapes=FIELD_SHAPES), psf)
    weighted = (design / field.err).reshape(len(FIELD), -1).T
    right = ((field.data.astype(float) - SKY) / field.err).ravel()
    expected, *_ = np.linalg.lstsq(weighted, right, rcond=None)
    sigma = np.sqrt(np.diag(np.linalg.inv(weighted.T @ weighted)))
    difference = (np.array(table["model_flux"]) - njy(expected)) / njy(sigma)
    assert (abs(difference) < 0.6).all()
    ratio = np.array(table["model_flux_err"]) / njy(sigma)
    assert ((ratio > 0.9) & (ratio < 1.5)).all()
    pull = (np.array(table["model_flux"]) - njy(FLUX)) / np.array(table["model_flux_err"])
    assert abs(pull).max() < 3.2
    assert (table["model_chi2"] < 1.5).all()
    assert (table["warning_flags"] == 0).all()
    magnitude = (np.array(table["model_flux"]) * u.nJy).to_value(u.ABmag)
    np.testing.assert_allclose(table["model_abmag"], magnitude, rtol=1e-6)
    error = 2.5 / np.log(10) * np.array(table["model_flux_err"] / table["model_flux"])
    np.testing.assert_allclose(table["model_abmag_err"], error, rtol=1e-5)
    assert {table[name].dtype for name in table.colnames if "model" in name} == {np.dtype("f4")}


def test_errors_are_the_scatter_of_many_noises(design, psf):
    light = np.tensordot(FLUX, design, 1)
    sources = pixel_sources(X, Y, shapes=FIELD_SHAPES)
    tables = [
        model_table(exposure_of(*image_of(light, seed=seed)), sources, psf) for seed in range(12)
    ]
    pulls = np.array([(t["model_flux"] - njy(FLUX)) / t["model_flux_err"] for t in tables])
    assert 0.85 < pulls.std() < 1.15
    assert abs(pulls.mean()) < 0.25
    assert abs(pulls.mean(axis=0)).max() < 3.5 / np.sqrt(len(tables))


def test_all_galaxies_are_points_to_psf_photometry(field, psf):
    """Without it half of their light is missed, and the fit says so."""
    table = model_table(field, pixel_sources(X, Y, shapes=FIELD_SHAPES), psf, PSFPhotometry())
    bright = IS_GALAXY & (FLUX > 50)
    assert (table["psf_flux"][bright] < 0.8 * njy(FLUX[bright])).all()
    assert (table["psf_chi2"][bright] > 2 * table["model_chi2"][bright]).all()
    np.testing.assert_allclose(table["psf_flux"][9], table["model_flux"][9], rtol=0.02)


def test_stars_alone_are_psf_photometry(field, psf):
    table = model_table(field, stars_at(X, Y), psf, PSFPhotometry())
    for quantity in ("flux", "flux_err", "abmag", "abmag_err", "chi2"):
        np.testing.assert_array_equal(table[f"model_{quantity}"], table[f"psf_{quantity}"])


def test_impossible_shapes_are_fitted_as_points_and_flagged(field, psf):
    """All others, fitted with them, are as beside points; their own fluxes are NaN."""
    bad = [2, 7]
    shapes = shapes_of(INDEX, RADIUS, RATIO, ANGLE, bad=bad)
    as_stars = replace(shapes, is_bad=np.zeros(len(FIELD), dtype=bool))
    points = model_table(field, pixel_sources(X, Y, shapes=as_stars), psf)
    table = model_table(field, pixel_sources(X, Y, shapes=shapes), psf)
    has_flag = table["warning_flags"] & WarningFlag.BAD_SHAPE > 0
    np.testing.assert_array_equal(np.flatnonzero(has_flag), bad)
    for name in ("model_flux", "model_flux_err", "model_abmag", "model_chi2"):
        np.testing.assert_array_equal(table[name], np.where(has_flag, np.nan, points[name]))


def test_impossible_shapes_of_a_catalog_end_in_flags(field, psf):
    """No number, axis ratios of 0 and 2, an index of 20, a negative radius; and a good one."""
    shapes = {
        "type": ["SER"] * 6,
        "n": [np.nan, 1.0, 2.5, 20.0, 1.0, INDEX[0]],
        "half_light_radius": [0.3, 0.3, 0.3, 0.3, -0.3, RADIUS[0]],
        "ba": [0.5, 0.0, 2.0, 0.5, 0.5, RATIO[0]],
        "pa": [0.0, 0.0, 0.0, 0.0, 0.0, ANGLE[0]],
    }
    places = {"x": X[[1, 3, 5, 7, 9, 0]], "y": Y[[1, 3, 5, 7, 9, 0]]}
    sources = read_sources(Table(places | shapes), shapes=True)
    table = model_table(field, sources, psf)
    has_flag = table["warning_flags"] & WarningFlag.BAD_SHAPE > 0
    np.testing.assert_array_equal(has_flag, [True] * 5 + [False])
    np.testing.assert_array_equal(np.isnan(table["model_flux"]), has_flag)
    assert table["model_flux"][-1] == pytest.approx(njy(FLUX[0]), rel=0.03)


def test_a_bad_shape_off_the_image_has_both_flags(field, psf):
    shapes = shapes_of([1.0, 1.0], [0.2, 0.2], [0.5, 0.5], [0.0, 0.0], bad=[1])
    table = model_table(field, pixel_sources([30.0, -90.0], [25.0, 60.0], shapes=shapes), psf)
    assert table["warning_flags"][1] & WarningFlag.BAD_SHAPE
    assert table["warning_flags"][1] & WarningFlag.NOT_PLACED
    assert np.isnan(table["model_flux"][1])
    assert not table["warning_flags"][0] & WarningFlag.BAD_SHAPE


def test_a_galaxy_without_size_in_the_place_of_a_star_has_a_flag(star, psf):
    exposure = exposure_of(*image_of(40 * drawn(star, 60.3, 70.2, *STAR)))
    shapes = shapes_of([np.nan, 1.0], [np.nan, 1e-4], [np.nan, 0.9], [np.nan, 10.0])
    table = model_table(exposure, pixel_sources([60.3] * 2, [70.2] * 2, shapes=shapes), psf)
    assert (table["warning_flags"] & WarningFlag.PSF_DEGENERATE > 0).all()
    assert np.isfinite(table["model_flux"]).all()
    assert table["model_flux"].sum() == pytest.approx(njy(40), rel=0.03)


def test_a_wrong_shape_shows_in_the_fit(star, psf):
    """A galaxy with three times its size; one without pixels in its middle; a right one."""
    x, y = np.array([30.2, 80.4, 130.3]), np.array([70.0, 70.0, 70.0])
    light = sum(300 * drawn(star, *at, 1.0, 0.3, 0.7, 40.0) for at in zip(x, y, strict=True))
    data, err = image_of(light)
    data[66:75, 76:85] = np.nan
    sources = pixel_sources(
        x, y, shapes=shapes_of([1.0] * 3, [0.9, 0.3, 0.3], [0.7] * 3, [40.0] * 3)
    )
    table = model_table(exposure_of(data, err), sources, psf)
    flags = table["warning_flags"] & FITTED
    assert flags[0] & WarningFlag.PSF_POOR_FIT
    assert flags[1] & WarningFlag.PSF_MASKED
    assert np.isnan(table["model_flux"][1])
    assert flags[2] == 0


def test_pixel_areas_enter_as_light(design, psf):
    """Pixels that are larger on one side of the image hold more light at the same brightness."""
    area = np.broadcast_to(np.linspace(0.95, 1.05, NX), SHAPE).astype(np.float32)
    data, err = image_of(np.tensordot(FLUX, design, 1))
    data = ((data - SKY) / area + SKY).astype(np.float32)
    sources = pixel_sources(X, Y, shapes=FIELD_SHAPES)
    table = model_table(exposure_of(data, err), sources, psf, area=area)
    pull = (table["model_flux"] - njy(FLUX)) / table["model_flux_err"]
    assert abs(pull).max() < 3.5


def test_the_residual_image_is_that_of_galaxies_too(field, psf):
    bound = []
    model_table(
        field, pixel_sources(X, Y, shapes=FIELD_SHAPES), psf, PSFPhotometry(), inspect=bound.extend
    )
    of_points, of_models = (each.fit.residual_image() / field.err for each in bound)
    assert np.std(of_models) == pytest.approx(1, abs=0.05)
    assert abs(of_models).max() < 5.5
    assert abs(of_points).max() > 10


def test_numbers_do_not_depend_on_threads_nor_on_other_methods(field, psf):
    sources = pixel_sources(X, Y, shapes=FIELD_SHAPES)
    one = model_table(field, sources, psf)
    others = CircularApertures(), PSFPhotometry()
    all_three = model_table(field, sources, psf, *others, n_threads=2)
    alone = measure(field, sources, others, psf=psf)
    for name in ("model_flux", "model_flux_err", "model_chi2"):
        np.testing.assert_array_equal(all_three[name], one[name], err_msg=name)
    for name in ("aper3pix_flux", "psf_flux", "psf_flux_err"):
        np.testing.assert_array_equal(all_three[name], alone[name], err_msg=name)
    np.testing.assert_array_equal(
        all_three["warning_flags"], alone["warning_flags"] | one["warning_flags"]
    )


def test_galaxies_have_the_psf_of_unknown_types(field, psf):
    """A galaxy is a mixture of stars, whatever type its row may name."""
    sources = pixel_sources(X, Y, shapes=FIELD_SHAPES)
    wider = replace(
        psf, stamps=np.roll(psf.stamps, 1, axis=2) / 2 + np.roll(psf.stamps, -1, axis=2) / 2
    )
    types = np.where(IS_GALAXY, "M5V", "G2V")
    mixed = EPSFBySpectralType.of_sources([psf, wider], ["G2V", "M5V"], types, default="G2V")
    table, plain = (model_table(field, sources, each) for each in (mixed, psf))
    np.testing.assert_allclose(table["model_flux"], plain["model_flux"], rtol=1e-4)


def test_rows_without_a_position_are_kept(field, psf):
    shapes = shapes_of([1.0, 1.0], [0.25, 0.25], [0.6, 0.6], [30.0, 30.0])
    table = model_table(field, pixel_sources([np.nan, X[0]], [3.0, Y[0]], shapes=shapes), psf)
    assert np.isnan(table["model_flux"][0])
    assert table["model_flux"][1] == pytest.approx(njy(FLUX[0]), rel=0.05)
    empty = model_table(field, stars_at([], []), psf)
    assert len(empty) == 0


def test_catalogs_without_sersic_shapes_are_refused(field, psf):
    with pytest.raises(ValueError, match="catalog test was read without shapes: expected Sérsic"):
        model_table(field, pixel_sources(X, Y), psf)
    moments = replace(FIELD_SHAPES, sersic_index=None)
    with pytest.raises(ValueError, match="has ellipses of moments: expected Sérsic profiles"):
        model_table(field, pixel_sources(X, Y, shapes=moments), psf)


def test_only_an_epsf_makes_galaxies(field, psf):
    class Other:
        def for_rows(self, rows):
            return self

        def on_pixels(self, x, y, side):
            return psf.on_pixels(x, y, side)

    with pytest.raises(PSFError, match="can not be convolved with a Other: expected a GriddedEPSF"):
        model_table(field, pixel_sources(X, Y, shapes=FIELD_SHAPES), Other())
    with pytest.raises(PSFError, match="method model needs a PSF on pixels"):
        model_table(field, pixel_sources(X, Y, shapes=FIELD_SHAPES), None)


def test_settings_name_the_method():
    settings = Settings(methods=("model",), psf_background="annulus", psf_mesh=32)
    assert methods_for(settings) == [ModelPhotometry("annulus", 32)]
    assert settings.needs_shapes
    assert not Settings(methods=("psf",)).needs_shapes
    assert Settings(aperture_shape="kron").needs_shapes
    with pytest.raises(ValueError, match="psf_mesh is 3: expected 16"):
        ModelPhotometry(psf_mesh=3)
