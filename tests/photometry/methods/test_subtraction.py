"""Apertures on the image less all other sources, against the truth of simulated pairs of stars."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from astropy.stats import mad_std
from astropy.table import vstack
from simulated_stars import make_epsf, simulate

from hostile import at_most
from romancal_forcedphot import CircularApertures, Settings, WarningFlag, measure
from romancal_forcedphot.photometry import ModelPhotometry, PSFPhotometry, methods_for
from romancal_forcedphot.photometry.calibration import flux_scale
from romancal_forcedphot.photometry.methods import EllipticalApertures, KronApertures
from romancal_forcedphot.photometry.shapes import Shapes
from small import exposure_of, pixel_sources

SHAPE = (200, 200)
RADII = 2.0, 3.0, 5.0
NAMES = "aper2pix", "aper3pix", "aper5pix"


@pytest.fixture(scope="module")
def epsf():
    return make_epsf()


def pairs(seed):
    """Pairs of stars 3 to 6 pixels apart, 28 pixels from the next pair."""
    rng = np.random.default_rng(seed)
    x, y = (at.ravel() + rng.uniform(-2, 2, 49) for at in np.mgrid[16:200:28, 16:200:28])
    distance, angle = rng.uniform(3, 6, 49), rng.uniform(0, 2 * np.pi, 49)
    x, y = (np.append(x, x + distance * np.cos(angle)), np.append(y, y + distance * np.sin(angle)))
    return x, y, 10 ** rng.uniform(1.5, 3.5, 98)


def njy(flux):
    image = exposure_of(np.zeros((2, 2)), None)
    return np.asarray(flux) * flux_scale(image.conversion, image.pixel_area)


def measured(image, epsf, apertures, *methods, sources=None, **options):
    sources = pixel_sources(image.x, image.y) if sources is None else sources
    exposure = exposure_of(image.data, image.err)
    return measure(exposure, sources, [apertures, *methods], psf=epsf, correction=epsf, **options)


@pytest.fixture(scope="module")
def of_pairs(epsf):
    """Many noisy images of pairs, measured without and with subtraction; fluxes of the truth."""
    tables = {None: [], "psf": []}
    truth = []
    for seed in range(6):
        image = simulate(epsf, *pairs(seed), seed=seed)
        truth.append(njy(image.flux))
        for name, method in ((None, None), ("psf", PSFPhotometry())):
            apertures = CircularApertures(RADII, (12.0, 16.0), neighbors=method)
            tables[name].append(measured(image, epsf, apertures))
    return {name: vstack(each) for name, each in tables.items()}, np.concatenate(truth)


@pytest.mark.parametrize("name", NAMES)
def test_pairs_have_the_fluxes_of_the_truth_and_errors_that_hold(of_pairs, name):
    tables, truth = of_pairs
    table = tables["psf"]
    pull = (table[f"{name}_total_flux"] - truth) / table[f"{name}_total_flux_err"]
    assert abs(np.median(pull)) < 0.2
    assert mad_std(pull) == pytest.approx(1.0, abs=0.12)
    assert (abs(pull) > 5).sum() <= 1
    as_it_is = tables[None]
    pull = (as_it_is[f"{name}_total_flux"] - truth) / as_it_is[f"{name}_total_flux_err"]
    assert np.mean(pull) > 2


def test_an_isolated_star_is_what_it_was(epsf):
    """But for the light in its annulus, which is subtracted there or corrected for."""
    image = simulate(epsf, np.array([100.3]), np.array([90.8]), np.array([3000.0]))
    plain = measured(image, epsf, CircularApertures(RADII, (12.0, 16.0)))
    table = measured(image, epsf, CircularApertures(RADII, (12.0, 16.0), neighbors=PSFPhotometry()))
    for name in NAMES:
        difference = table[f"{name}_total_flux"] - plain[f"{name}_total_flux"]
        assert abs(difference[0]) < 0.25 * plain[f"{name}_total_flux_err"][0]
        for error in ("flux_err", "total_flux_err"):
            assert table[f"{name}_{error}"][0] == pytest.approx(
                plain[f"{name}_{error}"][0], rel=0.02
            )
    assert table["warning_flags"][0] == plain["warning_flags"][0]


def test_a_faint_star_keeps_the_light_beyond_its_stamp(epsf):
    """The model ends where a faint star's stamp does, the aperture does not."""
    image = simulate(epsf, np.array([100.3]), np.array([90.8]), np.array([20.0]), noise=False)
    apertures = CircularApertures((10.0,), (12.0, 16.0), neighbors=PSFPhotometry())
    table = measured(image, epsf, apertures)
    assert table["aper10pix_total_flux"][0] == pytest.approx(njy(20.0), rel=2e-3)


def test_apertures_share_the_fit_of_the_method_that_is_measured(epsf, monkeypatch):
    image = simulate(epsf, *pairs(1), seed=1)
    settings = Settings(("psf", "aperture"), annulus_radii=(12, 16), subtract_neighbors=True)
    n_fits = []
    fit = PSFPhotometry.profiles
    monkeypatch.setattr(
        PSFPhotometry, "profiles", lambda *given: (n_fits.append(1), fit(*given))[1]
    )
    psf, apertures = methods_for(settings)
    table = measured(image, epsf, apertures, psf)
    assert n_fits == [1]
    alone = measured(
        image, epsf, CircularApertures((3.0,), (12.0, 16.0), neighbors=PSFPhotometry())
    )
    np.testing.assert_array_equal(table["aper3pix_flux"], alone["aper3pix_flux"])


def test_numbers_do_not_depend_on_threads(epsf):
    image = simulate(epsf, *pairs(2), seed=2)
    apertures = CircularApertures(RADII, (12.0, 16.0), neighbors=PSFPhotometry())
    one, two = (measured(image, epsf, apertures, n_threads=n) for n in (1, 2))
    for name in one.colnames:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)


def test_pixel_areas_enter_as_light(epsf):
    area = np.broadcast_to(np.linspace(0.95, 1.05, SHAPE[1]), SHAPE).astype(np.float32)
    x, y, flux = pairs(3)
    image = simulate(epsf, x, y, flux, area=area, noise=False)
    apertures = CircularApertures((3.0,), (12.0, 16.0), neighbors=PSFPhotometry())
    table = measured(image, epsf, apertures, area=area)
    np.testing.assert_allclose(table["aper3pix_total_flux"], njy(flux), rtol=0.01, atol=njy(0.5))


def test_a_masked_star_has_no_share_in_its_neighbour(epsf):
    """The star without a core has no flux, but its wings are subtracted from the other."""
    x, y = np.array([100.2, 105.0]), np.array([90.4, 92.0])
    image = simulate(epsf, x, y, np.array([20000.0, 300.0]))
    image.data[88:93, 98:103] = np.nan
    apertures = CircularApertures((2.0,), (12.0, 16.0), neighbors=PSFPhotometry())
    table = measured(image, epsf, apertures)
    pull = (table["aper2pix_total_flux"][1] - njy(300.0)) / table["aper2pix_total_flux_err"][1]
    assert abs(pull) < 4


@pytest.mark.parametrize("kind", [EllipticalApertures, KronApertures])
@pytest.mark.parametrize("method", [PSFPhotometry, ModelPhotometry])
def test_ellipses_are_without_neighbours_too(epsf, kind, method):
    """Stars in circles of 3 pixels: as the circular apertures are."""
    x, y, flux = pairs(4)
    image = simulate(epsf, x, y, flux, seed=4)
    lengths = np.full(x.size, np.nan)
    shapes = Shapes(lengths, lengths, lengths, np.zeros(x.size, bool), sersic_index=lengths)
    sources = replace(pixel_sources(x, y), shapes=shapes)
    given = {"aperture_radii": (3.0,), "annulus_radii": (12.0, 16.0), "neighbors": method()}
    circles = measured(image, epsf, CircularApertures(**given), sources=sources)
    ellipses = measured(image, epsf, kind(**given), sources=sources)
    name = kind.name
    for quantity in ("flux", "flux_err"):
        np.testing.assert_allclose(
            ellipses[f"{name}_{quantity}"], circles[f"aper3pix_{quantity}"], rtol=1e-3
        )
    assert (circles["warning_flags"] & WarningFlag.BAD_SHAPE == 0).all()


def test_the_fit_is_named_among_the_methods():
    settings = Settings(("aperture", "psf", "model"), subtract_neighbors=True)
    apertures, _, model = methods_for(settings)
    assert apertures.neighbors is model
    for names in (("aperture",), ("psf",)):
        with pytest.raises(ValueError, match=r"subtract_neighbors is on and methods is '\w+': exp"):
            methods_for(Settings(names, subtract_neighbors=True))


# --- bad input -----------------------------------------------------------------------------------


def without_neighbors(epsf, image, x, y):
    psf = PSFPhotometry()
    apertures = CircularApertures((3.0,), (12.0, 16.0), neighbors=psf)
    sources = pixel_sources(x, y)
    return measured(image, epsf, apertures, psf, sources=sources)


@pytest.mark.slow
@pytest.mark.parametrize("scatter", [0.0, 0.5])
def test_a_hundred_thousand_sources_in_one_place_share_its_light(epsf, scatter):
    """Within seconds, in flags and errors as large as what they share."""
    rng, n = np.random.default_rng(3), 100_000
    image = simulate(epsf, np.array([100.0]), np.array([90.0]), np.array([1000.0]))
    x, y = 100 + scatter * rng.normal(size=n), 90 + scatter * rng.normal(size=n)
    with at_most(60):
        table = without_neighbors(epsf, image, x, y)
    for flag in (WarningFlag.PSF_DEGENERATE, WarningFlag.NEIGHBOR):
        assert (table["warning_flags"] & flag != 0).all()
    assert table["psf_flux"].sum() == pytest.approx(njy(1000.0), rel=0.02)
    if not scatter:
        truth = njy(1000.0) / n
        assert (abs(table["aper3pix_total_flux"] - truth) < table["aper3pix_total_flux_err"]).all()


def test_fewer_pixels_than_sources(epsf):
    image = simulate(epsf, np.array([100.0]), np.array([90.0]), np.array([1000.0]))
    usable = np.zeros(SHAPE, dtype=bool)
    usable[90, 99:102] = True
    image.data[~usable] = np.nan
    rng = np.random.default_rng(0)
    table = without_neighbors(epsf, image, *(at + rng.normal(0, 1, 8) for at in (100, 90)))
    flags = WarningFlag.PSF_MASKED | WarningFlag.PSF_DEGENERATE
    assert (table["warning_flags"] & flags != 0).all()
    assert (table["warning_flags"] & WarningFlag.MASKED != 0).all()


def test_no_sources(epsf):
    image = simulate(epsf, *np.zeros((3, 0)))
    assert len(without_neighbors(epsf, image, [], [])) == 0
