"""The pure measurement against photutils' pixels and arithmetic by hand."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u
from astropy.stats import SigmaClip
from astropy.table import Table
from astropy.time import Time
from photutils.aperture import CircularAnnulus, CircularAperture

from romancal_forcedphot.catalogs import Sources
from romancal_forcedphot.columns import WarningFlag
from romancal_forcedphot.exposure import Exposure
from romancal_forcedphot.forced import measure
from romancal_forcedphot.geometry import solid_angle
from romancal_forcedphot.recipe import Circles, Recipe
from small import tangent_wcs

SHAPE = (180, 200)
CONVERSION, PIXEL_AREA = 0.3, 2.8e-13


@pytest.fixture
def exposure():
    rng = np.random.default_rng(11)
    data = rng.normal(2.0, 0.1, SHAPE).astype(np.float32)
    data[rng.random(SHAPE) < 0.01] = np.nan
    saturated = np.zeros(SHAPE, dtype=bool)
    return Exposure(
        data=data,
        err=rng.uniform(0.05, 0.2, SHAPE).astype(np.float16),
        saturated=saturated,
        wcs=tangent_wcs(SHAPE),
        conversion=CONVERSION,
        pixel_area=PIXEL_AREA,
        detector="WFI01",
        band="F106",
        mid_time=Time("2027-01-01"),
    )


@pytest.fixture
def area():
    return np.random.default_rng(5).uniform(0.95, 1.05, SHAPE).astype(np.float32)


def pixel_sources(x, y):
    x, y = np.atleast_1d(np.asarray(x, float)), np.atleast_1d(np.asarray(y, float))
    return sources(x=x, y=y)


def sources(**fields):
    n = len(next(iter(fields.values())))
    values = {
        "label": np.arange(1, n + 1),
        "ra": None,
        "dec": None,
        "x": None,
        "y": None,
        "source_name": None,
        "name": "test",
    }
    return Sources(**(values | fields))


def by_hand(exposure, area, x, y, radius, annulus):
    """Flux and error of one source, in nJy, from photutils' pixel weights and SigmaClip."""
    good = np.isfinite(exposure.data)
    values = np.where(good, exposure.data, 0.0).astype(float)
    errors = exposure.err.astype(float)
    ring = CircularAnnulus((x, y), *annulus).to_mask(method="center").to_image(SHAPE).astype(bool)
    clipped = SigmaClip(3.0, maxiters=5)(values[ring & good], masked=False)
    background = np.median(clipped)
    background_err = np.sqrt(np.pi / 2) * clipped.std() / np.sqrt(clipped.size)
    w = CircularAperture((x, y), radius).to_mask(method="exact").to_image(SHAPE) * good
    scale = 1e15 * CONVERSION * PIXEL_AREA
    flux = scale * (w * (values - background) * area).sum()
    variance = (w**2 * errors**2 * area**2).sum() + (background_err * (w * area).sum()) ** 2
    return flux, scale * np.sqrt(variance), background


def test_flux_error_and_background_by_hand(exposure, area):
    rng = np.random.default_rng(3)
    x, y = rng.uniform(30, 160, 40), rng.uniform(30, 150, 40)
    recipe = Recipe(aperture_radii=(3.0, 4.5))
    table = measure(exposure, pixel_sources(x, y), recipe=recipe, area=area)
    brightness = (CONVERSION * u.MJy / u.sr).to_value(u.nJy / u.arcsec**2)
    for name, radius in (("aper3pix", 3.0), ("aper4p5pix", 4.5)):
        for row, xi, yi in zip(table, x, y, strict=True):
            flux, err, background = by_hand(exposure, area, xi, yi, radius, (20, 25))
            assert row[f"{name}_flux"] == pytest.approx(flux, rel=1e-5, abs=1e-4 * err)
            # 1.2533 of DESIGN.md is sqrt(pi / 2) to five digits
            assert row[f"{name}_flux_err"] == pytest.approx(err, rel=1e-5)
            assert row["aper_bkg_flux"] == pytest.approx(background * brightness, rel=1e-6)


def test_rows_survive_in_order_with_flags_that_say_why(exposure):
    x = np.array([np.nan, 100.2, -500.0, 1.0, 60.0, 150.0])
    y = np.array([50.0, 90.7, 40.0, 90.0, 60.0, 120.0])
    exposure.data[59:62, 59:62] = np.nan
    exposure.data[115:125, 145:155] = np.nan
    exposure.data[85:97, 95:106] = 2.0
    table = measure(exposure, pixel_sources(x, y), area=None)
    F = WarningFlag
    np.testing.assert_array_equal(table["label"], [1, 2, 3, 4, 5, 6])
    lost = F.CENTER_UNUSABLE | F.NOT_PLACED
    assert [F(int(flag)) for flag in table["warning_flags"]][:3] == [lost, F(0), lost]
    assert F(int(table["warning_flags"][3])) & (F.EDGE | F.NO_CORRECTION)
    assert F(int(table["warning_flags"][4])) == F.CENTER_UNUSABLE | F.MASKED | F.NO_CORRECTION
    wholly_masked = table[5]
    assert F(int(wholly_masked["warning_flags"])) & F.CENTER_UNUSABLE
    measured = np.isfinite(table["aper3pix_flux"])
    np.testing.assert_array_equal(measured, [False, True, False, True, True, False])
    # without a correction, what a cut or masked aperture lost is not known
    total = np.isfinite(table["aper3pix_total_flux"])
    np.testing.assert_array_equal(total, [False, True, False, False, False, False])


def test_saturated_neighbor_and_few_background_pixels(exposure):
    exposure.data[:] = 1.0
    exposure.saturated[100, 52] = True
    x, y = [50.0, 52.0, 120.0, 150.0], [100.0, 101.0, 100.0, 100.0]
    yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    ring = np.hypot(xx - 150.0, yy - 100.0)
    exposure.data[(ring > 19) & (ring < 26)] = np.nan
    table = measure(exposure, pixel_sources(x, y))
    F = WarningFlag
    flags = [F(int(flag)) for flag in table["warning_flags"]]
    assert flags[0] == flags[1] == F.SATURATED | F.NEIGHBOR
    assert flags[2] == F(0)
    assert flags[3] == F.FEW_BKG_PIXELS
    assert np.isnan(table["aper3pix_flux"][3])
    assert np.isfinite(table["aper3pix_flux"][:3]).all()


class HalfCaught:
    """A correction of known numbers: half of the light in the aperture, a tenth in the annulus."""

    description = {}  # noqa: RUF012

    def for_rows(self, rows):
        return self

    def in_aperture(self, x, y, radius, *, weights, full_weights):
        return np.full(len(x), 0.5)

    def in_annulus(self, x, y, r_in, r_out):
        return np.full(len(x), 0.1)


def test_total_flux_and_magnitude_by_hand(exposure):
    exposure.data[:] = 1.0
    exposure.data[98:103, 98:103] = 51.0
    table = measure(exposure, pixel_sources(100.0, 100.0), correction=HalfCaught())
    circle, annulus = np.pi * 9, np.pi * (25**2 - 20**2)
    caught = 0.5 - 0.1 * circle / annulus
    w = CircularAperture((100.0, 100.0), 3.0).to_mask(method="exact").to_image(SHAPE)
    flux = 1e15 * CONVERSION * PIXEL_AREA * 50.0 * w[98:103, 98:103].sum()
    row = table[0]
    assert row["aper3pix_ee_fraction"] == pytest.approx(caught, rel=1e-6)
    assert row["aper3pix_total_flux"] == pytest.approx(flux / caught, rel=1e-6)
    assert row["aper3pix_abmag"] == pytest.approx(
        (flux / caught * u.nJy).to_value(u.ABmag), abs=2e-6
    )
    ratio = row["aper3pix_total_flux_err"] / row["aper3pix_total_flux"]
    assert row["aper3pix_abmag_err"] == pytest.approx(2.5 / np.log(10) * ratio, rel=1e-5)
    assert row["warning_flags"] == 0


def test_negative_flux_keeps_flux_and_error(exposure):
    exposure.data[:] = 1.0
    exposure.data[100, 100] = -5.0
    row = measure(exposure, pixel_sources(100.0, 100.0))[0]
    assert row["aper3pix_total_flux"] == pytest.approx(-6e15 * CONVERSION * PIXEL_AREA, rel=1e-6)
    assert row["aper3pix_total_flux_err"] > 0
    assert np.isnan(row["aper3pix_abmag"])


def test_sky_and_pixel_positions_agree(exposure):
    x, y = np.array([40.3, 120.9]), np.array([50.1, 99.6])
    from_pixels = measure(exposure, pixel_sources(x, y))
    sky = sources(ra=from_pixels["ra"].data, dec=from_pixels["dec"].data)
    from_sky = measure(exposure, sky)
    np.testing.assert_allclose(from_sky["x"], x, atol=1e-6)
    np.testing.assert_allclose(from_sky["y"], y, atol=1e-6)
    np.testing.assert_allclose(from_sky["aper3pix_flux"], from_pixels["aper3pix_flux"], rtol=1e-4)


def test_numbers_do_not_depend_on_threads_or_company(exposure, area):
    rng = np.random.default_rng(8)
    x, y = rng.uniform(-5, 205, 3000), rng.uniform(-5, 185, 3000)
    recipe = Recipe(aperture_radii=(1.0, 3.0), annulus_radii=(6.0, 9.0))
    everyone = measure(exposure, pixel_sources(x, y), recipe=recipe, area=area, n_threads=1)
    threaded = measure(exposure, pixel_sources(x, y), recipe=recipe, area=area, n_threads=3)
    some = slice(1200, 1300)
    few = measure(exposure, pixel_sources(x[some], y[some]), recipe=recipe, area=area)
    for name in everyone.colnames:
        np.testing.assert_array_equal(everyone[name], threaded[name])
        if name not in ("label", "warning_flags"):
            np.testing.assert_array_equal(everyone[name][some], few[name])


class ConeWCS:
    """A WCS whose pixels grow along x, by a tenth over the image."""

    def __init__(self):
        self.plane = tangent_wcs(SHAPE)

    def __call__(self, x, y, **options):
        return self.plane(x + 2.5e-4 * x**2, y, **options)


def test_apertures_in_arcsec_have_one_size_on_the_sky(exposure, area):
    exposure = replace(exposure, wcs=ConeWCS())
    rng = np.random.default_rng(4)
    x, y = rng.uniform(35, 165, 30), rng.uniform(35, 145, 30)
    x[:3] = np.nan, 5000.0, -1e9
    recipe = Recipe(aperture_radii=(0.33, 0.4), annulus_radii=(2.4, 2.8), radius_unit="arcsec")
    table = measure(exposure, pixel_sources(x, y), recipe=recipe, area=area)
    assert table.colnames[5:14:7] == ["aper0p33arcsec_flux", "aper04_flux"]
    assert np.isnan(table["aper04_flux"][:3]).all()
    scale = 3600 * np.degrees(np.sqrt(solid_angle(exposure.wcs, x[3:], y[3:])))
    assert np.ptp(scale) > 0.02 * scale.mean()
    brightness = (CONVERSION * u.MJy / u.sr).to_value(u.nJy / u.arcsec**2)
    for row, xi, yi, si in zip(table[3:], x[3:], y[3:], scale, strict=True):
        annulus = 2.4 / si, 2.8 / si
        for name, radius in (("aper0p33arcsec", 0.33), ("aper04", 0.4)):
            flux, err, background = by_hand(exposure, area, xi, yi, radius / si, annulus)
            # the interpolated scale is good to about 1e-6
            assert row[f"{name}_flux"] == pytest.approx(flux, rel=1e-4, abs=1e-3 * err)
            assert row[f"{name}_flux_err"] == pytest.approx(err, rel=1e-4)
            assert row["aper_bkg_flux"] == pytest.approx(background * brightness, rel=1e-5)


def test_numbers_in_arcsec_do_not_depend_on_company(exposure, area):
    exposure = replace(exposure, wcs=ConeWCS())
    rng = np.random.default_rng(8)
    x, y = rng.uniform(-5, 205, 1500), rng.uniform(-5, 185, 1500)
    recipe = Recipe(radius_unit="arcsec", annulus_radii=(0.6, 0.9))
    everyone = measure(exposure, pixel_sources(x, y), recipe=recipe, area=area, n_threads=2)
    some = slice(700, 760)
    few = measure(exposure, pixel_sources(x[some], y[some]), recipe=recipe, area=area, n_threads=1)
    for name in set(everyone.colnames) - {"label", "warning_flags"}:
        np.testing.assert_array_equal(everyone[name][some], few[name])


def test_a_neighbor_in_arcsec_is_one_within_the_source_s_own_radius(exposure):
    exposure = replace(exposure, wcs=ConeWCS())
    recipe = Recipe(radius_unit="arcsec", annulus_radii=(1.0, 1.5))
    x = np.array([20.0, 180.0])
    radius = Circles.on(exposure, recipe).at(x, np.full(2, 90.0)).apertures[0]
    distance = radius.mean()  # too far for the source whose pixels are larger
    x = np.tile(x, 2)
    y = np.array([90.0, 90.0, 90.0 + distance, 90.0 + distance])
    table = measure(exposure, pixel_sources(x, y), recipe=recipe)
    crowded = (table["warning_flags"] & WarningFlag.NEIGHBOR) > 0
    np.testing.assert_array_equal(crowded, [True, False, True, False])


def test_pixels_near_any_source_are_no_background(exposure, area):
    """By hand: the same as where the image has no such pixels; apertures are not concerned."""
    rng = np.random.default_rng(14)
    x, y = rng.uniform(-3, 203, 60), rng.uniform(-3, 183, 60)
    x[0], y[1] = np.nan, np.inf
    recipe = Recipe(annulus_radii=(8.0, 14.0), bkg_mask_radius=4.3)
    masked = measure(exposure, pixel_sources(x, y), recipe=recipe, area=area)
    plain = measure(exposure, pixel_sources(x, y), recipe=replace(recipe, bkg_mask_radius=0))
    yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    data = exposure.data.copy()
    for xi, yi in zip(x[2:], y[2:], strict=True):
        data[np.hypot(xx - xi, yy - yi) < 4.3] = np.nan
    by_mask = measure(
        replace(exposure, data=data), pixel_sources(x, y), recipe=replace(recipe, bkg_mask_radius=0)
    )
    for name in ("aper_bkg_flux", "aper_bkg_flux_err"):
        np.testing.assert_array_equal(masked[name], by_mask[name])
        assert (masked[name] != plain[name]).sum() > 30
    seen = np.isfinite(masked["aper3pix_flux"]) & np.isfinite(plain["aper3pix_flux"])
    few = WarningFlag.FEW_BKG_PIXELS
    np.testing.assert_array_equal(masked["warning_flags"] & ~few, plain["warning_flags"] & ~few)
    assert seen.sum() > 40
    # as for empty sky: the mask is of other sources than those that are measured
    elsewhere = measure(exposure, pixel_sources(x, y), recipe=recipe, bkg_masked=(x[:0], y[:0]))
    np.testing.assert_array_equal(elsewhere["aper_bkg_flux"], plain["aper_bkg_flux"])


def test_a_mask_that_reaches_an_annulus_in_arcsec_is_refused(exposure):
    recipe = Recipe(radius_unit="arcsec", annulus_radii=(1.1, 2.0), bkg_mask_radius=11)
    with pytest.raises(ValueError, match=r"bkg_mask_radius 11 is larger than .* 9\.9\d* pixels"):
        measure(exposure, pixel_sources([50.0], [50.0]), recipe=recipe)


def test_a_number_of_threads_below_zero_is_refused(exposure):
    with pytest.raises(ValueError, match="n_threads is -1: expected"):
        measure(exposure, pixel_sources([50.0], [50.0]), n_threads=-1)


def test_without_background_nothing_is_subtracted(exposure):
    exposure.data[:] = 1.0
    recipe = Recipe(bkg_estimator="none")
    row = measure(exposure, pixel_sources(100.0, 90.0), recipe=recipe)[0]
    assert row["aper3pix_flux"] == pytest.approx(1e15 * CONVERSION * PIXEL_AREA * np.pi * 9)
    assert np.isnan(row["aper_bkg_flux"])
    assert row["warning_flags"] == 0


def test_an_empty_catalog_gives_an_empty_table(exposure):
    table = measure(exposure, pixel_sources([], []))
    assert len(table) == 0
    assert table["aper3pix_flux"].unit == u.nJy


def test_the_exposure_is_left_as_it_was(exposure):
    before = replace(exposure, data=exposure.data.copy(), err=exposure.err.copy())
    measure(exposure, pixel_sources([50.0, 3.0], [60.0, 1.0]))
    np.testing.assert_array_equal(exposure.data, before.data)
    np.testing.assert_array_equal(exposure.err, before.err)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"aperture_radii": (3.0, 0.0)}, "aperture_radii has 0"),
        ({"aperture_radii": (-1.0,)}, "aperture_radii has -1"),
        ({"aperture_radii": (float("nan"),)}, "aperture_radii has nan"),
        ({"aperture_radii": ()}, "aperture_radii is empty"),
        ({"annulus_radii": (25.0, 20.0)}, "annulus_radii is 25, 20"),
        ({"annulus_radii": (20.0,)}, "annulus_radii has 1 number"),
        ({"aperture_radii": (21.0,)}, "aperture radius 21 is larger than .* 20"),
        ({"bkg_estimator": "mode"}, "bkg_estimator 'mode'"),
        ({"bkg_sigma": 0.0}, "bkg_sigma is 0"),
        ({"bkg_mask_radius": -1.0}, "bkg_mask_radius is -1"),
        ({"bkg_mask_radius": 20.5}, "bkg_mask_radius 20.5 is larger than .* 20 pixels"),
        ({"radius_unit": "deg"}, "radius_unit 'deg'"),
        ({"radius_unit": "arcsec", "aperture_radii": (3.0,)}, r"radius 3 .* 2.4 \(arcsec\)"),
        ({"radius_unit": "arcsec", "aperture_radii": ()}, "such as 0.33 arcsec"),
    ],
)
def test_a_recipe_that_cannot_work_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        Recipe(**options)


def test_default_radii_depend_on_their_unit():
    recipe = Recipe(radius_unit="arcsec")
    assert recipe.aperture_radii == (0.33,)
    assert recipe.annulus_radii == (2.4, 2.8)
    assert Recipe().annulus_radii == (20.0, 25.0)


def test_a_large_aperture_needs_no_annulus_without_background():
    assert Recipe(aperture_radii=(30.0,), bkg_estimator="none").aperture_radii == (30.0,)


def test_rows_off_the_image_may_be_left_out(exposure, area):
    """The same numbers as with all rows, neighbours from off the image counted too."""
    rng = np.random.default_rng(9)
    x, y = rng.uniform(-30, 230, 400), rng.uniform(-30, 210, 400)
    x[:2], y[:2] = (-2.0, -3.5), (50.0, 50.0)  # one with pixels on the image, its neighbour without
    x[2] = np.nan
    catalog = replace(pixel_sources(x, y), columns=Table({"truth": np.arange(400)}))
    everything = measure(exposure, catalog, area=area)
    table = measure(exposure, catalog, area=area, on_image_only=True)
    kept = (everything["warning_flags"] & WarningFlag.NOT_PLACED) == 0
    assert 100 < kept.sum() < 390
    assert list(kept[:3]) == [True, False, False]
    assert table["warning_flags"][0] & WarningFlag.NEIGHBOR
    for name in everything.colnames:
        np.testing.assert_array_equal(table[name], everything[name][kept], err_msg=name)
        assert table[name].unit == everything[name].unit
        assert table[name].description == everything[name].description


def test_a_source_is_placed_where_its_largest_aperture_is(exposure):
    """The small aperture is off the image, the large one has a flux: the row must stay."""
    catalog, recipe = pixel_sources([-5.0, -12.0], [60.0, 60.0]), Recipe(aperture_radii=(2.0, 9.0))
    everything = measure(exposure, catalog, recipe=recipe)
    np.testing.assert_array_equal(np.isfinite(everything["aper9pix_flux"]), [True, False])
    assert not np.isfinite(everything["aper2pix_flux"]).any()
    placed = (everything["warning_flags"] & WarningFlag.NOT_PLACED) == 0
    np.testing.assert_array_equal(placed, [True, False])
    kept = measure(exposure, catalog, recipe=recipe, on_image_only=True)
    np.testing.assert_array_equal(kept["label"], [1])


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(aperture_radii=55.0, bkg_estimator="none"),
        Recipe(aperture_radii=3.0, annulus_radii=(60.0, 110.0)),
    ],
)
def test_large_circles_take_no_more_memory_for_more_sources(exposure, recipe):
    """Pixels of 500 such sources at once would be 50 MB or more in each of many arrays."""
    rng = np.random.default_rng(2)
    catalog = pixel_sources(rng.uniform(0, 200, 500), rng.uniform(0, 180, 500))
    tracemalloc.start()
    try:
        measure(exposure, catalog, recipe=recipe, n_threads=1)
        assert tracemalloc.get_traced_memory()[1] < 120e6
    finally:
        tracemalloc.stop()


def test_no_row_may_be_left(exposure):
    table = measure(exposure, pixel_sources([-99.0, np.nan], [5.0, 5.0]), on_image_only=True)
    assert len(table) == 0
    assert table.colnames == measure(exposure, pixel_sources([5.0], [5.0])).colnames


def test_columns_of_the_catalog_follow_ours(exposure):
    more = Table({"type": ["PSF", "SER"], "n": np.ma.array([1, 2], mask=[False, True])})
    catalog = replace(pixel_sources([50.0, -90.0], [50.0, 50.0]), columns=more)
    table = measure(exposure, catalog)
    assert table.colnames[-3:] == ["warning_flags", "type", "n"]
    assert list(table["type"]) == ["PSF", "SER"]
    assert list(table["n"].mask) == [False, True]


@pytest.mark.parametrize("name", ["ra", "label", "source_name", "aper3pix_flux", "aper04_abmag"])
def test_columns_with_our_names_are_refused(exposure, name):
    catalog = replace(pixel_sources([50.0], [50.0]), columns=Table({name: [1]}))
    with pytest.raises(ValueError, match=f"keep_columns names '{name}'.*rename"):
        measure(exposure, catalog)
