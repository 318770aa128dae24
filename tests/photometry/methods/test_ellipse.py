"""Elliptical apertures against photutils, circles, and stars of a known PSF."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import QTable
from photutils.aperture import EllipticalAperture
from scipy.special import ndtr

from romancal_forcedphot.catalogs import read_sources
from romancal_forcedphot.photometry import Settings, measure, methods_for
from romancal_forcedphot.photometry.calibration import flux_scale
from romancal_forcedphot.photometry.methods import CircularApertures, EllipticalApertures
from romancal_forcedphot.psfs import CurveOfGrowth, GriddedEPSF
from romancal_forcedphot.table import WarningFlag
from small import SCALE_DEG, exposure_of

SHAPE = (300, 320)
SCALE = SCALE_DEG * 3600


def flat_exposure(data):
    """With the same error everywhere."""
    return exposure_of(data.astype(np.float32), np.full(SHAPE, 0.1, dtype=np.float32))


def sources_at(x, y, semimajor, semiminor, angle, **more):
    """Sources on the pixels with shapes in arcsec and position angles: north is up here."""
    columns = {"x": x, "y": y, "semimajor": semimajor, "semiminor": semiminor}
    return read_sources(QTable({**columns, "orientation_sky": angle, **more}), shapes=True)


@pytest.fixture(scope="module")
def scene():
    """Noise with a slope, masked and saturated pixels."""
    rng = np.random.default_rng(8)
    x = np.arange(SHAPE[1]) + np.zeros(SHAPE)
    data = rng.normal(1 + 0.001 * x, 0.1).astype(np.float32)
    data[rng.random(SHAPE) < 0.01] = np.nan
    err = rng.uniform(0.05, 0.2, SHAPE).astype(np.float32)
    return exposure_of(data, err, saturated=rng.random(SHAPE) < 0.002)


@pytest.fixture(scope="module")
def sources():
    rng = np.random.default_rng(9)
    n = 120
    x, y = rng.uniform(-15, SHAPE[1] + 15, n), rng.uniform(-15, SHAPE[0] + 15, n)
    semimajor = 10 ** rng.uniform(-1.3, 0.3, n)
    return sources_at(x, y, semimajor, semimajor * rng.uniform(0.1, 1, n), rng.uniform(0, 360, n))


def photutils_weights(sources, row, scale):
    """On the whole image: half axes from arcsec, angles from north through east, which is left.

    North turns by up to 2e-4 across the image, which is left out here.
    """
    shapes = sources.shapes
    aperture = EllipticalAperture(
        (sources.x[row], sources.y[row]),
        scale * shapes.semimajor[row] / SCALE,
        scale * shapes.semiminor[row] / SCALE,
        theta=np.radians(shapes.angle_deg[row] + 90),
    )
    weights = aperture.to_mask(method="exact").to_image(SHAPE)
    whole = np.isclose(aperture.area, 0 if weights is None else weights.sum(), rtol=1e-9)
    return np.zeros(SHAPE) if weights is None else weights, whole


def test_fluxes_errors_and_flags_are_those_of_photutils_weights(scene, sources):
    method = EllipticalApertures(shape_scale=2.0, bkg_estimator="none")
    area = (1 + 0.01 * np.mgrid[: SHAPE[0], : SHAPE[1]][0] / SHAPE[0]).astype(np.float32)
    table = measure(scene, sources, [method], area=area)
    unit = flux_scale(scene.conversion, scene.pixel_area)
    good = np.isfinite(scene.data)
    for row in range(len(sources)):
        weights, whole = photutils_weights(sources, row, 2.0)
        used = np.where(good, weights * area, 0)
        flags = table["warning_flags"][row]
        assert bool(flags & WarningFlag.NOT_PLACED) == (not weights.any())
        if not weights.any():
            continue
        flux = unit * np.sum(used * np.nan_to_num(scene.data))
        flux_err = unit * np.sqrt(np.sum((used * scene.err) ** 2))
        assert table["ellipse_flux"][row] == pytest.approx(flux, rel=1e-3)
        assert table["ellipse_flux_err"][row] == pytest.approx(flux_err, rel=1e-3)
        assert bool(flags & WarningFlag.MASKED) == ((weights > 0) & ~good).any()
        assert bool(flags & WarningFlag.SATURATED) == ((weights > 0) & scene.saturated).any()
        assert bool(flags & WarningFlag.EDGE) == (not whole)
        semimajor = 2 * sources.shapes.semimajor[row]
        assert table["ellipse_semimajor"][row] == pytest.approx(semimajor, rel=1e-5)
        turned = np.radians(table["ellipse_orientation"][row] - sources.shapes.angle_deg[row])
        assert abs(np.sin(turned)) < 1e-6


def test_round_shapes_are_circles(scene, sources):
    """To the last bit of what the table holds: fluxes, errors, corrections, flags, background."""
    n = len(sources)
    round_ones = sources_at(sources.x, sources.y, np.full(n, 0.11), np.full(n, 0.11), np.zeros(n))
    epsf = gaussian_epsf()
    ellipses = measure(scene, round_ones, [EllipticalApertures(shape_scale=3.0)], correction=epsf)
    circles = measure(scene, round_ones, [CircularApertures()], correction=epsf)
    np.testing.assert_array_equal(ellipses["warning_flags"], circles["warning_flags"])
    np.testing.assert_array_equal(ellipses["aper_bkg_flux"], circles["aper_bkg_flux"])
    for name in ("flux", "flux_err", "total_flux", "total_flux_err", "abmag", "ee_fraction"):
        theirs = circles[f"aper3pix_{name}"]
        np.testing.assert_allclose(ellipses[f"ellipse_{name}"], theirs, rtol=2e-6, atol=2e-5)


def gaussian_epsf(half_size=30, sigma=0.9):
    offset = np.arange(-4 * half_size, 4 * half_size + 1) / 4
    along = ndtr((offset + 0.5) / sigma) - ndtr((offset - 0.5) / sigma)
    return GriddedEPSF((along[:, None] * along)[None], [50], [50], 4)


def gaussian_curve(sigma=0.9):
    radii = np.arange(1, 201) * 0.025
    fractions = 1 - np.exp(-((radii / (sigma * SCALE)) ** 2) / 2)
    entry = {"ee_radii": radii, "ee_fractions": fractions, "ap_corrections": 1 / fractions}
    return CurveOfGrowth.from_reference(entry, pixel_scale=SCALE)


@pytest.mark.parametrize(
    ("correction", "tolerance"), [(gaussian_epsf(), 1e-4), (gaussian_curve(), 4e-3)]
)
def test_stars_have_their_total_flux_from_any_ellipse(correction, tolerance):
    """The curve knows the mean over the sub-pixel phase alone."""
    rng = np.random.default_rng(2)
    grid = np.meshgrid(np.arange(40, 300, 50.0), np.arange(40, 280, 50.0))
    x, y = (axis.ravel() for axis in grid)
    x, y = x + rng.uniform(-0.5, 0.5, x.size), y + rng.uniform(-0.5, 0.5, x.size)
    data = np.full(SHAPE, 2.0)
    flux = 1000.0
    j, i = np.mgrid[: SHAPE[0], : SHAPE[1]]
    for x0, y0 in zip(x, y, strict=True):
        along_x, along_y = (
            ndtr((at - center + 0.5) / 0.9) - ndtr((at - center - 0.5) / 0.9)
            for at, center in ((i, x0), (j, y0))
        )
        data += flux * along_x * along_y
    data[j % 70 == 41] = np.nan  # rows of masked pixels, one of them through stars
    n = x.size
    shapes = (rng.uniform(0.15, 0.3, n), rng.uniform(0.1, 0.15, n), rng.uniform(0, 180, n))
    exposure = flat_exposure(data)
    table = measure(
        exposure, sources_at(x, y, *shapes), [EllipticalApertures()], correction=correction
    )
    expected = flux * flux_scale(exposure.conversion, exposure.pixel_area)
    total = np.asarray(table["ellipse_total_flux"])
    complete = (table["warning_flags"] & WarningFlag.MASKED) == 0
    assert 5 < np.count_nonzero(~complete) < 25
    np.testing.assert_allclose(total[complete], expected, rtol=tolerance)
    np.testing.assert_allclose(total[~complete], expected, rtol=30 * tolerance)
    assert (table["ellipse_ee_fraction"] < 0.999).any()


def test_a_large_ellipse_has_its_annulus_outside():
    """A flat galaxy of 30 x 10 pixels on a sky of 2; the usual annulus lies on the galaxy."""
    j, i = np.mgrid[: SHAPE[0], : SHAPE[1]]
    rng = np.random.default_rng(0)
    galaxy = np.hypot((i - 160) / 30, (j - 150) / 10) < 1
    data = 2 + 1.0 * galaxy + rng.normal(0, 0.01, SHAPE)
    sources = sources_at([160.0], [150.0], [15 * SCALE], [5 * SCALE], [90.0])
    exposure = flat_exposure(data)
    table = measure(exposure, sources, [EllipticalApertures(shape_scale=2.5)])
    unit = flux_scale(exposure.conversion, exposure.pixel_area)
    assert table["ellipse_flux"][0] / unit == pytest.approx(galaxy.sum(), rel=0.01)


def test_sources_without_a_shape_are_measured_in_the_circle(scene):
    x, y = [100.0, 150.0, 200.0], [80.0, 90.0, 100.0]
    shapes = {"n": [1.0, np.nan, 25.0], "half_light_radius": [0.2, 0.0, 0.2]}
    shapes |= {"ba": [0.5, 1.0, 0.5], "pa": [0.0, 0.0, 0.0], "type": ["SER", "PSF", "SER"]}
    sources = read_sources(QTable({"x": x, "y": y, **shapes}), shapes=True)
    table = measure(scene, sources, [EllipticalApertures(aperture_radii=(4.0,))])
    circles = measure(scene, sources, [CircularApertures(aperture_radii=(4.0,))])
    np.testing.assert_allclose(
        table["ellipse_flux"][1], circles["aper4pix_flux"][1], rtol=1e-5, atol=1e-4
    )
    is_bad = (table["warning_flags"] & WarningFlag.BAD_SHAPE) > 0
    np.testing.assert_array_equal(is_bad, [False, False, True])
    np.testing.assert_array_equal(np.isnan(table["ellipse_flux"]), is_bad)


def test_an_impossible_shape_has_the_flags_of_its_place():
    """On good pixels, on a dead one, and beyond the edge, but as near as another's ellipse."""
    data = np.ones(SHAPE)
    data[60, 60] = np.nan
    shape = np.array([np.nan] * 3 + [0.5])
    places = [100.0, 60.0, -5.0, 5.0], [150.0, 60.0, 90.0, 40.0]
    sources = sources_at(*places, shape, shape, np.zeros(4))
    table = measure(flat_exposure(data), sources, [EllipticalApertures()])
    off_image = WarningFlag.CENTER_UNUSABLE | WarningFlag.NOT_PLACED
    of_place = np.array([0, WarningFlag.CENTER_UNUSABLE, off_image])
    np.testing.assert_array_equal(table["warning_flags"][:3], of_place | WarningFlag.BAD_SHAPE)
    np.testing.assert_array_equal(np.isnan(table["ellipse_flux"]), np.isnan(shape))


def test_an_ellipse_larger_than_the_psf_is_not_corrected(scene):
    sources = sources_at([100.0, 150.0], [100.0, 150.0], [0.1, 2.0], [0.1, 0.5], [0.0, 0.0])
    table = measure(scene, sources, [EllipticalApertures()], correction=gaussian_epsf(8))
    uncorrected = (table["warning_flags"] & WarningFlag.NO_CORRECTION) > 0
    np.testing.assert_array_equal(uncorrected, [False, True])
    assert np.isfinite(table["ellipse_flux"]).all()
    np.testing.assert_array_equal(np.isnan(table["ellipse_total_flux"]), uncorrected)


def test_every_row_is_independent_of_the_others(scene, sources):
    method = EllipticalApertures()
    together = measure(scene, sources, [method], correction=gaussian_curve(), n_threads=2)
    alone = measure(scene, sources.take(np.arange(7, 50, 6)), [method], correction=gaussian_curve())
    for name in together.colnames:
        if name not in ("warning_flags", "label"):  # of which one tells of neighbours
            np.testing.assert_array_equal(alone[name], together[name][7:50:6])


def test_sources_at_nowhere_keep_their_rows(scene):
    x, y = [np.nan, 1e6, -40.0, 5.0], [10.0, 5.0, 100.0, 5.0]
    sources = sources_at(x, y, np.full(4, 0.3), np.full(4, 0.2), np.zeros(4))
    table = measure(scene, sources, [EllipticalApertures()])
    placed = (table["warning_flags"] & WarningFlag.NOT_PLACED) == 0
    np.testing.assert_array_equal(placed, [False, False, False, True])
    np.testing.assert_array_equal(np.isfinite(table["ellipse_flux"]), placed)
    nothing = measure(scene, sources.take(slice(0)), [EllipticalApertures()])
    assert len(nothing) == 0


def test_settings_choose_the_shape():
    (method,) = methods_for(Settings(aperture_shape="ellipse", shape_scale=1.5))
    assert method == EllipticalApertures(
        shape_scale=1.5, aperture_radii=(3.0,), annulus_radii=(20.0, 25.0)
    )
    with pytest.raises(ValueError, match="aperture_shape 'nonsense' is unknown: use one of circle"):
        methods_for(Settings(aperture_shape="nonsense"))
    with pytest.raises(ValueError, match="shape_scale is -1: expected a number above 0"):
        EllipticalApertures(shape_scale=-1)
    with pytest.raises(ValueError, match="annulus_radii has 1 numbers"):
        EllipticalApertures(annulus_radii=(3.0,))


def test_a_catalog_without_shapes_is_refused(scene):
    sources = read_sources(QTable({"x": [1.0], "y": [2.0]}))
    with pytest.raises(ValueError, match="was read without shapes"):
        measure(scene, sources, [EllipticalApertures()])
