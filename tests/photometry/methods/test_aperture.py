"""Circular apertures against photutils' pixels and arithmetic by hand."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u
from astropy.stats import SigmaClip
from photutils.aperture import CircularAnnulus, CircularAperture

from romancal_forcedphot import CircularApertures, WarningFlag, measure
from romancal_forcedphot.geometry import solid_angle
from romancal_forcedphot.photometry.methods.radii import RadiiOnImage
from small import CONVERSION, PIXEL_AREA, SHAPE, GrowingPixels, pixel_sources


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
    method = CircularApertures(aperture_radii=(3.0, 4.5))
    table = measure(exposure, pixel_sources(x, y), [method], area=area)
    brightness = (CONVERSION * u.MJy / u.sr).to_value(u.nJy / u.arcsec**2)
    for name, radius in (("aper3pix", 3.0), ("aper4p5pix", 4.5)):
        for row, xi, yi in zip(table, x, y, strict=True):
            flux, err, background = by_hand(exposure, area, xi, yi, radius, (20, 25))
            assert row[f"{name}_flux"] == pytest.approx(flux, rel=1e-5, abs=1e-4 * err)
            # 1.2533 of DESIGN.md is sqrt(pi / 2) to five digits
            assert row[f"{name}_flux_err"] == pytest.approx(err, rel=1e-5)
            assert row["aper_bkg_flux"] == pytest.approx(background * brightness, rel=1e-6)


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


def test_apertures_in_arcsec_have_one_size_on_the_sky(exposure, area):
    exposure = replace(exposure, wcs=GrowingPixels())
    rng = np.random.default_rng(4)
    x, y = rng.uniform(35, 165, 30), rng.uniform(35, 145, 30)
    x[:3] = np.nan, 5000.0, -1e9
    method = CircularApertures(
        aperture_radii=(0.33, 0.4), annulus_radii=(2.4, 2.8), radius_unit="arcsec"
    )
    table = measure(exposure, pixel_sources(x, y), [method], area=area)
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
    exposure = replace(exposure, wcs=GrowingPixels())
    rng = np.random.default_rng(8)
    x, y = rng.uniform(-5, 205, 1500), rng.uniform(-5, 185, 1500)
    method = CircularApertures(radius_unit="arcsec", annulus_radii=(0.6, 0.9))
    everyone = measure(exposure, pixel_sources(x, y), [method], area=area, n_threads=2)
    some = slice(700, 760)
    few = measure(exposure, pixel_sources(x[some], y[some]), [method], area=area, n_threads=1)
    for name in set(everyone.colnames) - {"label", "warning_flags"}:
        np.testing.assert_array_equal(everyone[name][some], few[name])


def test_a_neighbor_in_arcsec_is_one_within_the_source_s_own_radius(exposure):
    exposure = replace(exposure, wcs=GrowingPixels())
    method = CircularApertures(radius_unit="arcsec", annulus_radii=(1.0, 1.5))
    x = np.array([20.0, 180.0])
    (radius,) = RadiiOnImage.on(exposure, "arcsec").at(x, np.full(2, 90.0), method.aperture_radii)
    distance = radius.mean()  # too far for the source whose pixels are larger
    x = np.tile(x, 2)
    y = np.array([90.0, 90.0, 90.0 + distance, 90.0 + distance])
    table = measure(exposure, pixel_sources(x, y), [method])
    crowded = (table["warning_flags"] & WarningFlag.NEIGHBOR) > 0
    np.testing.assert_array_equal(crowded, [True, False, True, False])


def test_pixels_near_any_source_are_no_background(exposure, area):
    """By hand: the same as where the image has no such pixels; apertures are not concerned."""
    rng = np.random.default_rng(14)
    x, y = rng.uniform(-3, 203, 60), rng.uniform(-3, 183, 60)
    x[0], y[1] = np.nan, np.inf
    method = CircularApertures(annulus_radii=(8.0, 14.0), bkg_mask_radius=4.3)
    masked = measure(exposure, pixel_sources(x, y), [method], area=area)
    plain = measure(exposure, pixel_sources(x, y), [replace(method, bkg_mask_radius=0)])
    yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    data = exposure.data.copy()
    for xi, yi in zip(x[2:], y[2:], strict=True):
        data[np.hypot(xx - xi, yy - yi) < 4.3] = np.nan
    by_mask = measure(
        replace(exposure, data=data), pixel_sources(x, y), [replace(method, bkg_mask_radius=0)]
    )
    for name in ("aper_bkg_flux", "aper_bkg_flux_err"):
        np.testing.assert_array_equal(masked[name], by_mask[name])
        assert (masked[name] != plain[name]).sum() > 30
    seen = np.isfinite(masked["aper3pix_flux"]) & np.isfinite(plain["aper3pix_flux"])
    few = WarningFlag.FEW_BKG_PIXELS
    np.testing.assert_array_equal(masked["warning_flags"] & ~few, plain["warning_flags"] & ~few)
    assert seen.sum() > 40
    # as for blank sky: the mask is of other sources than those that are measured
    sky = method.background.masked_image(exposure.data, x[:0], y[:0])
    bound = method.bind(exposure, pixel_sources(x, y), x, y, sky=sky)
    (rows,) = bound.batches()
    elsewhere = np.full(x.size, np.nan, dtype=np.float32)
    elsewhere[rows] = bound.measure(rows)["aper_bkg_flux"]
    np.testing.assert_array_equal(elsewhere, plain["aper_bkg_flux"])


def test_a_mask_that_reaches_an_annulus_in_arcsec_is_refused(exposure):
    method = CircularApertures(radius_unit="arcsec", annulus_radii=(1.1, 2.0), bkg_mask_radius=11)
    with pytest.raises(ValueError, match=r"bkg_mask_radius 11 is larger than .* 9\.9\d* pixels"):
        measure(exposure, pixel_sources([50.0], [50.0]), [method])


def test_without_background_nothing_is_subtracted(exposure):
    exposure.data[:] = 1.0
    method = CircularApertures(bkg_estimator="none")
    row = measure(exposure, pixel_sources(100.0, 90.0), [method])[0]
    assert row["aper3pix_flux"] == pytest.approx(1e15 * CONVERSION * PIXEL_AREA * np.pi * 9)
    assert np.isnan(row["aper_bkg_flux"])
    assert row["warning_flags"] == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"aperture_radii": (3.0, 0.0)}, "aperture_radii has 0"),
        ({"aperture_radii": (-1.0,)}, "aperture_radii has -1"),
        ({"aperture_radii": (float("nan"),)}, "aperture_radii has nan"),
        ({"annulus_radii": (25.0, 20.0)}, "annulus_radii is 25, 20"),
        ({"annulus_radii": (20.0,)}, "annulus_radii has 1 number"),
        ({"aperture_radii": (21.0,)}, "aperture radius 21 is larger than .* 20"),
        ({"bkg_estimator": "mode"}, "bkg_estimator 'mode'"),
        ({"bkg_sigma": 0.0}, "bkg_sigma is 0"),
        ({"bkg_mask_radius": -1.0}, "bkg_mask_radius is -1"),
        ({"bkg_mask_radius": 20.5}, "bkg_mask_radius 20.5 is larger than .* 20 pixels"),
        ({"radius_unit": "deg"}, "radius_unit 'deg'"),
        ({"radius_unit": "arcsec", "aperture_radii": (3.0,)}, r"radius 3 .* 2.4 \(arcsec\)"),
        ({"radius_unit": "arcsec", "annulus_radii": (3.0,)}, "such as 2.4,2.8 arcsec"),
    ],
)
def test_parameters_that_cannot_work_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        CircularApertures(**options)


def test_default_radii_depend_on_their_unit():
    method = CircularApertures(radius_unit="arcsec")
    assert method == CircularApertures(aperture_radii=(), annulus_radii=(), radius_unit="arcsec")
    assert method.aperture_radii == (0.33,)
    assert method.annulus_radii == (2.4, 2.8)
    assert CircularApertures().annulus_radii == (20.0, 25.0)


def test_a_large_aperture_needs_no_annulus_without_background():
    assert CircularApertures(aperture_radii=(30.0,), bkg_estimator="none").aperture_radii == (30.0,)


def test_a_source_is_placed_where_its_largest_aperture_is(exposure):
    """The small aperture is off the image, the large one has a flux: the row must stay."""
    catalog, method = (
        pixel_sources([-5.0, -12.0], [60.0, 60.0]),
        CircularApertures(aperture_radii=(2.0, 9.0)),
    )
    everything = measure(exposure, catalog, [method])
    np.testing.assert_array_equal(np.isfinite(everything["aper9pix_flux"]), [True, False])
    assert not np.isfinite(everything["aper2pix_flux"]).any()
    placed = (everything["warning_flags"] & WarningFlag.NOT_PLACED) == 0
    np.testing.assert_array_equal(placed, [True, False])
    kept = measure(exposure, catalog, [method], on_image_only=True)
    np.testing.assert_array_equal(kept["label"], [1])


@pytest.mark.parametrize(
    "method",
    [
        CircularApertures(aperture_radii=55.0, bkg_estimator="none"),
        CircularApertures(aperture_radii=3.0, annulus_radii=(60.0, 110.0)),
    ],
)
def test_large_circles_take_no_more_memory_for_more_sources(exposure, method):
    """Pixels of 500 such sources at once would be 50 MB or more in each of many arrays."""
    rng = np.random.default_rng(2)
    catalog = pixel_sources(rng.uniform(0, 200, 500), rng.uniform(0, 180, 500))
    tracemalloc.start()
    try:
        measure(exposure, catalog, [method], n_threads=1)
        assert tracemalloc.get_traced_memory()[1] < 120e6
    finally:
        tracemalloc.stop()
