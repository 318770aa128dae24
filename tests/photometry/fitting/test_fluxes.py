"""Joint fits against least squares written otherwise, photutils, the truth, and bad input."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.nddata import NDData
from astropy.stats import mad_std
from astropy.table import Table
from photutils.psf import GriddedPSFModel, PSFPhotometry
from scipy.sparse import csc_array, diags_array
from scipy.sparse.linalg import splu
from simulated_stars import field, simulate

from romancal_forcedphot.photometry.fitting import (
    AnnulusSky,
    MeshSky,
    NoSky,
    PointSources,
    fit_fluxes,
    stamp_sizes,
    tiles,
)

SHAPE = (200, 200)


def fit(image, epsf, sky=None, **options):
    sources = PointSources.of(epsf, image.x, image.y)
    return fit_fluxes(image.data, image.err, sources, sky=sky, **options)


def least_squares(result, epsf, area=1.0):
    """Fluxes and errors with the stamps, weights and far wings of a fit, by sparse LU."""
    estimate, image = result.estimate, result.image
    ny, nx = image.shape
    rows, columns, values = [], [], []
    for k in np.flatnonzero(estimate.is_fitted):
        half = estimate.half_size[k]
        x, y = result.of_unknowns.x[k : k + 1], result.of_unknowns.y[k : k + 1]
        stamp = epsf.on_pixels(x, y, 2 * half + 1)[0].astype(np.float64)
        dy, dx = np.mgrid[-half : half + 1, -half : half + 1]
        row, column = dy + int(np.rint(y[0])), dx + int(np.rint(x[0]))
        on = (row >= 0) & (row < ny) & (column >= 0) & (column < nx)
        rows.append(row[on] * nx + column[on])
        columns.append(np.full(on.sum(), k))
        values.append(stamp[on])
    places = np.concatenate(rows), np.concatenate(columns)
    design = csc_array((np.concatenate(values), places), shape=(ny * nx, estimate.flux.size))
    usable = np.isfinite(image.data)
    beyond = estimate.far_wings
    light = np.where(usable, (image.data - estimate.sky) * area - beyond, 0.0).ravel()
    weight = estimate.weight.astype(np.float64).ravel()
    of_model = image.variance(image.level(estimate)) * area**2  # of a last round, not of the first
    off = abs(weight * np.where(usable, of_model, 0.0).ravel() - usable.ravel())
    assert np.quantile(off, 0.999) < 0.1
    fitted = np.flatnonzero(estimate.is_fitted)
    design = design[:, fitted]
    solver = splu((design.T @ diags_array(weight) @ design).tocsc())
    flux, err = np.full((2, estimate.flux.size), np.nan)
    flux[fitted] = solver.solve(design.T @ (weight * light))
    err[fitted] = np.sqrt(np.diagonal(solver.solve(np.eye(fitted.size))))
    return flux, err


@pytest.mark.parametrize("n_stars", [40, 400])
def test_equals_least_squares_written_otherwise(epsf, n_stars):
    image = simulate(epsf, *field(n_stars, seed=3), sky=0.0)
    image.data[60:64, 80:90] = np.nan
    result = fit(image, epsf, NoSky())
    flux, err = least_squares(result, epsf)
    measured = result.estimate.is_fitted
    assert measured.sum() > 0.9 * n_stars
    off = (result.estimate.flux - flux)[measured] / err[measured]
    assert np.max(abs(off)) < 0.01
    ratio = (result.estimate.err / err)[measured]
    assert np.all(abs(ratio - 1) < 0.02)


def test_no_number_depends_on_the_tiles(epsf, monkeypatch):
    image = simulate(epsf, *field(800, seed=4))
    whole = fit(image, epsf)
    monkeypatch.setattr(tiles, "_MOST_STAMP_PIXELS", 20_000)
    in_parts = fit(image, epsf)
    off = (in_parts.flux - whole.flux) / whole.flux_err
    assert np.nanmax(abs(off)) < 0.01
    np.testing.assert_allclose(in_parts.flux_err, whole.flux_err, rtol=0.01)


def test_no_digit_depends_on_the_threads(epsf):
    image = simulate(epsf, *field(300, seed=5))
    one, three = (fit(image, epsf, n_threads=n) for n in (1, 3))
    np.testing.assert_array_equal(one.flux, three.flux)
    np.testing.assert_array_equal(one.residual_image(), three.residual_image())


@pytest.mark.slow
def test_pulls_of_a_crowded_field_are_those_of_noise(epsf):
    pulls = []
    for seed in range(4):
        image = simulate(epsf, *field(1500, seed=seed), seed=seed)
        result = fit(image, epsf)
        inside = result.is_measured & ~result.is_masked & ~result.is_degenerate
        pulls.append(((result.flux - image.flux) / result.flux_err)[inside])
    pulls = np.concatenate(pulls)
    assert pulls.size > 4500
    assert abs(np.median(pulls)) < 3 * 1.25 / np.sqrt(pulls.size) + 0.01
    assert mad_std(pulls) == pytest.approx(1.0, abs=0.04)
    assert (abs(pulls) > 5).mean() < 0.001


def test_pixels_that_lost_a_part_of_their_ramp_weigh_what_their_errors_say(epsf):
    """Three in a hundred are 15 times as noisy as others, under stars and on the sky."""
    image = simulate(epsf, *field(300, seed=8))
    noisy = np.random.default_rng(8).random(SHAPE) < 0.03
    extra = np.random.default_rng(9).normal(0, 15, SHAPE) * image.err
    image.data[noisy] += extra[noisy]
    image.err[noisy] *= np.sqrt(1 + 15**2)
    result = fit(image, epsf)
    inside = result.is_measured & ~result.is_masked & ~result.is_degenerate
    pulls = ((result.flux - image.flux) / result.flux_err)[inside]
    assert np.std(pulls) == pytest.approx(1.0, abs=3 / np.sqrt(2 * pulls.size))
    assert np.median(result.chi2[inside]) == pytest.approx(1.0, abs=0.05)
    assert not result.is_poor[inside].any()


@pytest.mark.parametrize("sky", [MeshSky(50), AnnulusSky(12, 20), AnnulusSky(20, 25)], ids=str)
@pytest.mark.parametrize("seed", [7, 10, 12])
def test_sky_and_pixel_area_in_a_field_of_moderate_density(epsf, sky, seed, caplog):
    y, x = np.mgrid[:200, :200]
    level = 2.0 + 0.004 * x
    area = 1 + 0.0004 * (y - 100)
    image = simulate(epsf, *field(250, seed=seed), sky=level, area=area)
    result = fit(image, epsf, sky, area=area)
    assert "still changes" not in caplog.text
    good = result.is_measured & ~result.is_masked & ~result.is_degenerate
    pulls = ((result.flux - image.flux) / result.flux_err)[good]
    assert abs(np.mean(pulls)) < 0.25
    assert np.std(pulls) == pytest.approx(1.0, abs=0.15)
    expected = 2.0 + 0.004 * image.x
    assert np.nanmedian(abs(result.sky - expected)) < 0.03
    assert np.nanmedian(result.sky_err) < 0.05


@pytest.mark.slow
def test_equals_photutils_where_it_can_do_it(epsf, monkeypatch):
    for limit in ("_LIGHT_IN_NOISE", "_LIGHT_IN_NOISE_CROWDED"):  # photutils' stamps do not end
        monkeypatch.setattr(stamp_sizes, limit, 1e-3)
    x, y, flux = field(12, shape=(60, 60), margin=-8, decades=(2.0, 3.0), seed=8)
    image = simulate(epsf, x, y, flux, shape=(60, 60), sky=0.0)
    result = fit(image, epsf, NoSky())
    places = list(zip(epsf.x, epsf.y, strict=True))
    model = GriddedPSFModel(NDData(epsf.stamps, meta={"grid_xypos": places, "oversampling": 4}))
    model.x_0.fixed = model.y_0.fixed = True
    photometry = PSFPhotometry(model, (119, 119), aperture_radius=3)
    table = Table({"x_init": x, "y_init": y, "flux_init": flux, "group_id": np.ones(12, int)})
    variance = result.scale**2 / result.estimate.weight
    fitted = photometry(image.data.astype(float), error=np.sqrt(variance), init_params=table)
    off = (result.flux - fitted["flux_fit"]) / result.flux_err
    # photutils counts a pixel once for each star that it fits with it, so its errors are too small
    # here; those of the fit are compared with sparse LU above.
    assert np.max(abs(off)) < 0.02


def test_images_add_up(epsf):
    image = simulate(epsf, *field(60, seed=9))
    result = fit(image, epsf)
    np.testing.assert_allclose(
        result.model_image() + result.residual_image(), image.data, rtol=1e-4, atol=1e-4
    )
    bare = result.model_image(with_sky=False)
    bright = np.argmax(image.flux)
    row, column = int(np.rint(image.y[bright])), int(np.rint(image.x[bright]))
    assert bare[row, column] == pytest.approx(image.light[row, column], rel=0.02)


def test_own_light_is_the_image_without_the_others(epsf):
    x, y = np.array([50.3, 54.1, 120.0]), np.array([60.2, 61.0, 80.0])
    flux = np.array([300.0, 3000.0, 100.0])
    image = simulate(epsf, x, y, flux, noise=False)
    result = fit(image, epsf)
    alone = simulate(epsf, x[:1], y[:1], flux[:1], sky=0.0, noise=False)
    own = result.own_light(np.array([0]), 11)[0]
    cutout = result.residual_image()[55:66, 45:56] + own
    np.testing.assert_allclose(cutout, alone.data[55:66, 45:56], atol=0.3)


# --- quality --------------------------------------------------------------------------------


def test_chi2_is_1_where_the_model_is_right(epsf):
    image = simulate(epsf, *field(1000, seed=10))
    result = fit(image, epsf)
    good = result.is_measured & ~result.is_masked
    assert np.median(result.chi2[good]) == pytest.approx(1.0, abs=0.03)
    assert np.mean(result.gof[good]) == pytest.approx(1.0, abs=0.1)
    assert result.is_poor[good].mean() < 0.01


def test_a_source_that_the_catalog_lacks_shows_in_its_neighbours(epsf):
    x, y = np.array([100.0, 103.0, 30.0]), np.array([100.0, 101.0, 30.0])
    image = simulate(epsf, x, y, np.array([400.0, 600.0, 400.0]))
    sources = PointSources.of(epsf, x[[0, 2]], y[[0, 2]])
    result = fit_fluxes(image.data, image.err, sources)
    assert result.is_poor.tolist() == [True, False]
    assert result.chi2[0] > 5
    assert result.chi2[1] == pytest.approx(1, abs=0.4)


def test_blend_is_the_share_of_others(epsf):
    x, y = np.array([100.0, 101.0, 30.0]), np.array([100.0, 100.0, 30.0])
    flux = np.array([400.0, 400.0, 400.0])
    result = fit(simulate(epsf, x, y, flux, noise=False), epsf)
    stamps = epsf.on_pixels(x, y, 9)
    own, other = stamps[0][3:6, 3:6].sum(), stamps[1][3:6, 2:5].sum()
    assert result.blend[0] == pytest.approx(other / (own + other), abs=0.01)
    assert result.blend[2] == pytest.approx(0, abs=0.01)


def test_noise_equivalent_area(epsf):
    image = simulate(epsf, np.array([100.3]), np.array([90.8]), np.array([50.0]))
    stamp = epsf.on_pixels(image.x, image.y, 13)[0]
    assert fit(image, epsf).nea[0] == pytest.approx(1 / (stamp**2).sum(), rel=0.01)


# --- sources that can not be told apart --------------------------------------------------------


def test_two_sources_in_one_place_share_a_flux(epsf):
    x, y = np.array([100.0, 100.0, 30.0]), np.array([90.0, 90.0, 30.0])
    image = simulate(epsf, x, y, np.array([500.0, 300.0, 800.0]))
    result = fit(image, epsf)
    assert result.is_degenerate.tolist() == [True, True, False]
    assert result.flux[0] == result.flux[1]
    assert result.flux[:2].sum() == pytest.approx(800, abs=5 * result.flux_err[2])
    assert np.all(result.flux_err[:2] > 300)
    assert result.flux_err[2] < 10


@pytest.mark.slow
def test_a_close_pair_has_large_errors_that_hold(epsf):
    pulls = []
    for seed in range(30):
        x, y = np.array([100.2, 100.35]), np.array([90.1, 90.15])
        image = simulate(epsf, x, y, np.array([500.0, 300.0]), seed=seed)
        result = fit(image, epsf)
        assert result.is_degenerate.all()
        pulls.append((result.flux - image.flux) / result.flux_err)
        assert result.flux.sum() == pytest.approx(800, abs=50)
    assert np.all(result.flux_err > 35)
    assert np.std(pulls) == pytest.approx(1.0, abs=0.3)


def test_a_hundred_thousand_sources_in_one_place(epsf):
    n = 100_000
    x, y = np.full(n + 1, 100.0), np.full(n + 1, 90.0)
    x[-1] = 30.0
    image = simulate(epsf, x[-2:], y[-2:], np.array([1000.0, 200.0]))
    result = fit_fluxes(image.data, image.err, PointSources.of(epsf, x, y))
    assert result.is_degenerate[:n].all()
    assert result.flux[:n].sum() == pytest.approx(1000, abs=50)
    assert np.isfinite(result.flux_err).all()
    assert result.flux[-1] == pytest.approx(200, abs=5 * result.flux_err[-1])


def test_more_sources_than_pixels_in_a_region(epsf):
    rng = np.random.default_rng(2)
    x = np.append(rng.uniform(90, 100, 2000), 30.0)
    y = np.append(rng.uniform(90, 100, 2000), 30.0)
    image = simulate(epsf, x, y, np.append(np.full(2000, 5.0), 200.0))
    result = fit(image, epsf)
    assert result.unknowns.row.size <= 201
    assert np.isfinite(result.flux_err).all()
    assert result.is_degenerate[:2000].all()
    assert result.flux[-1] == pytest.approx(200, abs=5 * result.flux_err[-1])
    assert np.nansum(result.flux[:2000]) == pytest.approx(10000, rel=0.05)


def test_fewer_usable_pixels_than_sources(epsf):
    x, y = np.array([100.0, 100.8, 100.2]), np.array([100.0, 100.3, 100.9])
    image = simulate(epsf, x, y, np.full(3, 500.0))
    image.data[...] = np.nan
    image.data[100, 100:102] = 50.0
    result = fit(image, epsf, NoSky())
    assert result.is_degenerate.all()
    assert np.isfinite(result.flux).all()
    assert np.all(result.flux_err > 100)


# --- masks, edges, nothing ----------------------------------------------------------------------


def test_masked_pixels_have_no_say(epsf):
    image = simulate(epsf, np.array([100.2]), np.array([90.4]), np.array([5000.0]))
    image.data[89:92, 100] = np.nan
    hit = simulate(epsf, image.x, image.y, image.flux)
    hit.data[89:92, 100] = 1e6
    hit.err[89:92, 100] = np.nan
    results = [fit(each, epsf) for each in (image, hit)]
    assert results[0].flux[0] == pytest.approx(results[1].flux[0], rel=1e-6)
    for result in results:
        assert result.is_masked[0]
        assert result.flux[0] == pytest.approx(5000, abs=5 * result.flux_err[0])


def test_a_star_without_its_core_is_measured_by_its_wings(epsf):
    x, y = np.array([100.2, 109.0]), np.array([90.4, 90.0])
    image = simulate(epsf, x, y, np.array([50000.0, 200.0]))
    row, column = np.mgrid[:200, :200]
    image.data[np.hypot(row - 90.4, column - 100.2) < 5] = np.nan
    result = fit(image, epsf)
    assert result.is_masked.tolist() == [True, False]
    assert np.all(abs(result.flux - image.flux) < 5 * result.flux_err)


def test_bright_stars_beyond_the_edge_take_part(epsf):
    x, y = np.array([-6.0, 2.0, 190.0]), np.array([90.4, 93.0, 206.0])
    image = simulate(epsf, x, y, np.array([40000.0, 150.0, 60000.0]))
    result = fit(image, epsf)
    assert np.isnan(result.flux[[0, 2]]).all()
    assert result.flux[1] == pytest.approx(150, abs=5 * result.flux_err[1])
    assert np.nanstd(result.residual_image() / np.sqrt(image.variance)) < 1.1


def test_sources_far_away_are_not_measured(epsf):
    x, y = np.array([1e9, -500.0, 100.0]), np.array([10.0, 1e6, 100.0])
    image = simulate(epsf, x, y, np.full(3, 300.0))
    result = fit(image, epsf)
    assert result.is_measured.tolist() == [False, False, True]
    assert np.isnan(result.flux[:2]).all()
    assert np.isnan(result.chi2[:2]).all()


def test_no_sources(epsf):
    image = simulate(epsf, np.zeros(0), np.zeros(0), np.zeros(0))
    result = fit(image, epsf)
    assert result.flux.shape == (0,)
    assert np.median(result.model_image()) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("sky", [MeshSky(), AnnulusSky(), NoSky()])
def test_all_pixels_masked(epsf, sky):
    image = simulate(epsf, np.array([100.0]), np.array([100.0]), np.array([50.0]))
    image.data[...] = np.nan
    result = fit(image, epsf, sky)
    assert np.isnan(result.flux).all()
    assert not result.is_measured.any()
    assert result.is_masked.all()


def test_negative_fluxes_stay(epsf):
    image = simulate(epsf, np.array([100.0]), np.array([100.0]), np.array([-20.0]), sky=20.0)
    result = fit(image, epsf)
    assert result.flux[0] == pytest.approx(-20, abs=5 * result.flux_err[0])
    assert result.flux[0] < 0


@pytest.mark.parametrize("unit", [1e-20, 1e12])
def test_any_unit_will_do(epsf, unit):
    image = simulate(epsf, *field(100, seed=11))
    sources = PointSources.of(epsf, image.x, image.y)
    usual = fit_fluxes(image.data, image.err, sources)
    data, err = image.data * np.float32(unit), image.err * np.float32(unit)
    other = fit_fluxes(data, err, sources)
    off = (other.flux / unit - usual.flux) / usual.flux_err
    assert np.nanmax(abs(off)) < 0.01
