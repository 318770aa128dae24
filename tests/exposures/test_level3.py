"""What is taken of a Level-3 mosaic, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from astropy.table import Table
from astropy.time import Time
from roman_datamodels import datamodels as rdm
from scipy.ndimage import uniform_filter

from romancal_forcedphot import CircularApertures, ForcedPhotometryStep, Settings, measure
from romancal_forcedphot.exposures import (
    ExposureError,
    InputError,
    check_settings,
    open_image,
    read_level3,
)
from romancal_forcedphot.exposures.ingredients import area_map
from romancal_forcedphot.references import CRDSFinder
from small import CENTER, SCALE_DEG, GrowingPixels, pixel_sources
from small_mosaic import END, MOSAIC, START, level3_mosaic

SHAPE = (12, 16)
SMALL = CircularApertures(aperture_radii=(1.0,), annulus_radii=(2.0, 4.0))
TILTED = math.radians(SCALE_DEG) ** 2  # solid angle of a pixel at the tangent point


@pytest.fixture
def model():
    mosaic = level3_mosaic(SHAPE)
    mosaic.data = np.arange(192, dtype=np.float32).reshape(SHAPE) + 1
    return mosaic


def bad_pixels(exposure):
    return {tuple(map(int, place)) for place in np.argwhere(~np.isfinite(exposure.data))}


def test_unusable_pixels_are_not_finite(model):
    model.weight[1, 1] = 0
    model.context[0, 2, 2] = 0
    model.data[3, 3] = np.nan
    model.err[4, 4] = 0
    model.err[5, 5] = np.inf
    model.weight[6, 6] = np.nan
    exposure = read_level3(model)
    assert bad_pixels(exposure) == {(k, k) for k in range(1, 7)}
    kept = np.isfinite(exposure.data)
    np.testing.assert_array_equal(exposure.data[kept], np.asarray(model.data)[kept])
    assert exposure.saturated is None


def test_one_exposure_in_any_plane_of_the_context_will_do(model):
    model.context = np.zeros((2, *SHAPE), dtype=np.uint32)
    model.context[0, :6] = 1
    model.context[1, 6:] = 4
    model.context[:, 7, 8] = 0
    assert bad_pixels(read_level3(model)) == {(7, 8)}


def test_a_mosaic_without_context_is_masked_by_its_weights(model):
    _without("context")(model)
    model.weight[2, 3] = 0
    assert bad_pixels(read_level3(model)) == {(2, 3)}


def test_sources_have_the_exposures_and_weights_of_their_pixels(model):
    """One exposure of 33 everywhere, two more in the corner, one of which has few pixels."""
    model.context = np.zeros((2, *SHAPE), dtype=np.uint32)
    model.context[1] = 1
    model.context[0, :6, :8] = 4
    model.context[0, 5, 7] = 5
    model.weight = np.tile(np.arange(SHAPE[1], dtype=np.float32) + 1, (SHAPE[0], 1))
    model.weight[0] = 100
    sources = pixel_sources((4.2, 12.0, 8.0, -40.0, np.nan, 3), (4.0, 6.3, 6.0, 3.0, 5.0, 0))
    table = measure(read_level3(model), sources, [SMALL])
    assert table["n_exposures"].tolist() == [2, 1, 3, 0, 0, 2]
    np.testing.assert_allclose(table["weight"], [5, 13, 9, np.nan, np.nan, 5])


def test_without_context_the_number_of_exposures_is_unknown(model):
    _without("context")(model)
    table = measure(read_level3(model), pixel_sources((4,), (4,)), [SMALL])
    assert table["n_exposures"].tolist() == [-1]


def test_units_band_and_pixel_area(model):
    exposure = read_level3(model)
    assert exposure.conversion == 1
    assert exposure.pixel_area == pytest.approx(TILTED, rel=1e-6)
    assert (exposure.band, exposure.detector, exposure.name) == ("F106", "WFI02", MOSAIC)
    assert exposure.is_mosaic
    resampling = exposure.resampling
    assert (resampling.pixel_scale_ratio, resampling.pixfrac) == (1, 1)
    assert (resampling.weight_type, resampling.n_exposures) == ("exptime", 3)
    assert resampling.exposure_pixel_area == 2.81e-13
    chosen_by = exposure.reference_parameters
    assert chosen_by["roman.meta.instrument.detector"] == "WFI02"
    assert chosen_by["roman.meta.instrument.optical_element"] == "F106"
    assert "individual_image_meta" not in exposure.metadata


def test_the_time_is_the_mean_of_the_middles_of_the_exposures(model):
    expected = np.mean([START.mjd, END.mjd])
    assert read_level3(model).mid_time.mjd == pytest.approx(expected, abs=1e-8)


def test_without_times_of_exposures_the_mean_start_is_taken(model):
    model.meta.individual_image_meta = {}
    model.meta.coadd_info.time_mean = Time("2027-03-04T00:00:00")
    exposure = read_level3(model)
    assert exposure.mid_time.isot == "2027-03-04T00:00:00.000"
    assert exposure.detector == ""
    assert exposure.resampling.exposure_pixel_area is None


def test_the_model_is_not_changed(model):
    model.weight[1, 1] = 0
    before = np.array(model.data)
    read_level3(model)
    np.testing.assert_array_equal(model.data, before)


@pytest.mark.parametrize(("weights", "warned"), [("ivm", True), ("ivm-sky", True), ("exptime", 0)])
def test_weights_that_take_light_are_told(model, weights, warned, caplog):
    model.meta.resample.weight_type = weights
    read_level3(model)
    assert len([r for r in caplog.records if "takes light from the cores" in r.message]) == warned


# --- what is refused -----------------------------------------------------------------------------


def _without(name):
    return lambda model: model.__delitem__(name)


def _set(path, value):
    def change(model):
        *groups, key = path.split(".")
        node = model.meta
        for group in groups:
            node = node[group]
        node[key] = value

    return change


REFUSED = {
    "in DN": (_set("cal_step.flux", "INCOMPLETE"), "is a mosaic in DN/s .*flux step"),
    "no weight": (_without("weight"), "has no weight array"),
    "no err": (_without("err"), "has no err array"),
    "no WCS": (lambda model: model.meta.__delitem__("wcs"), "has no WCS"),
    "no WCS in it": (_set("wcs", None), "has no WCS"),
    "no band": (_set("instrument.optical_element", None), "no meta.instrument.optical_element"),
    "other shape": (lambda m: m.__setitem__("weight", np.ones((3, 4))), "of shapes"),
    "flat context": (lambda m: m.__setitem__("context", np.ones(SHAPE, "u4")), "of shapes"),
    "ratio": (_set("resample.pixel_scale_ratio", -999999.0), "pixel_scale_ratio=-999999"),
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_measured_is_told_in_one_line(model, change, message):
    change(model)
    with pytest.raises(ExposureError, match=message) as caught:
        read_level3(model)
    assert "\n" not in str(caught.value)


def test_light_curves_are_of_exposures(model):
    assert open_image(model) is model
    with pytest.raises(InputError, match="a mosaic has no single time"):
        open_image(model, mosaics=False)


# --- through the step ----------------------------------------------------------------------------

SOURCES = {"ra": [CENTER[0]], "dec": [CENTER[1]]}


@pytest.fixture
def wide():
    return level3_mosaic()


def run(mosaic, **parameters):
    options = {"aperture_correction": "none", **parameters}
    return ForcedPhotometryStep.call(mosaic, catalog=Table(SOURCES), **options)


def test_the_flux_is_surface_brightness_times_solid_angle(wide, workplace):
    """A square of 3 x 3 pixels with 1 MJy/sr more than the rest."""
    wide.data = np.full(wide.data.shape, 0.2, dtype=np.float32)
    wide.data[74:77, 79:82] += 1.0
    product = run(wide, aperture_radii=0.6, output_units="nJy")
    meta = product.meta.forced_phot
    assert (meta.aperture_radius_unit, meta.annulus_radii) == ("arcsec", [2.2, 2.75])
    flux = float(product.source_catalog["aper06_flux"][0])
    assert flux == pytest.approx(9 * 1e15 * TILTED, rel=1e-5)
    assert meta.pixel_area.source == "wcs"
    assert meta.pixel_area.zero_point_steradian == pytest.approx(TILTED, rel=1e-6)
    assert "mosaic's WCS" in meta.pixel_area.zero_point_from
    assert meta.pixel_area.nominal_steradian_of_exposures == 2.81e-13
    assert meta.mosaic.weight_type == "exptime"


def test_pixels_on_request_and_arcsec_by_default(wide, workplace):
    by_default = run(wide)
    assert "aper0p33arcsec_flux" in by_default.source_catalog.colnames
    assert by_default.meta.forced_phot.parameters["aperture_radii"] == [0.33]
    in_pixels = run(wide, radius_unit="pixel")
    np.testing.assert_allclose(
        in_pixels.source_catalog["aper3pix_flux"],
        by_default.source_catalog["aper0p33arcsec_flux"],
        rtol=1e-4,
    )


def test_pixels_that_grow_count_by_their_own_solid_angle(wide, workplace):
    """The tangent plane's do not grow by 1e-5 and need no map; these do by 5e-4 along x."""
    wide.data = np.full(wide.data.shape, 0.2, dtype=np.float32)
    columns = (45, 115)
    for x in columns:
        wide.data[74:77, x - 1 : x + 2] += 1.0
    finder = CRDSFinder()  # which is not asked
    assert area_map(read_level3(wide), Settings(), finder)[0] is None
    wide.meta.wcs = GrowingPixels()
    exposure = read_level3(wide)
    area, _ = area_map(exposure, Settings(), finder)
    sources = pixel_sources(columns, (75, 75))
    method = CircularApertures(
        aperture_radii=(0.6,), annulus_radii=(2.2, 2.75), radius_unit="arcsec"
    )
    flux = measure(exposure, sources, [method], area=area)["aper06_flux"]
    expected = [9 * 1e15 * TILTED * (1 + 5e-4 * x) for x in columns]
    np.testing.assert_allclose(flux, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gain_correction": True}, "is a mosaic: expected an image for gain_correction"),
        ({"aperture_radii": 3}, r"aperture radius 3 is larger .*2.2 \(arcsec\)"),
    ],
)
def test_what_mosaics_do_not_have_is_refused(wide, workplace, options, message):
    with pytest.raises(ValueError, match=message):
        run(wide, **options)


def test_pixels_of_another_grid_are_refused(wide, workplace):
    far = Table({"x": [20.0, 30.0, 900.0], "y": [20.0, 2000.0, 50.0]})
    with pytest.raises(ValueError, match=r"2 of 3 are not on mosaic .* 160 x 150 .* ra and dec"):
        ForcedPhotometryStep.call(wide, catalog=far, aperture_correction="none")


def test_smeared_sources_are_told(wide, workplace, caplog):
    """Three arcsec a year: 0.06 arcsec in the week that the exposures take."""
    wide.meta.coadd_info.time_mean = START[1]
    moving = Table(SOURCES | {"pmra": [3000.0], "pmdec": [0.0], "ref_epoch": [2027.17]})
    product = ForcedPhotometryStep.call(wide, catalog=moving, aperture_correction="none")
    assert product.meta.forced_phot.mosaic["n_smeared"] == 1
    (warning,) = [r.message for r in caplog.records if "smeared" in r.message]
    assert "up to 0.5" in warning
    slow = moving.copy()
    slow["pmra"] = 100.0
    product = ForcedPhotometryStep.call(wide, catalog=slow, aperture_correction="none")
    assert product.meta.forced_phot.mosaic["n_smeared"] == 0


def test_correlated_noise_is_in_the_product_and_scaling_advised(wide, workplace, caplog):
    """Noise smoothed over 3 x 3 pixels, with the errors of single pixels."""
    rng = np.random.default_rng(4)
    shape = (400, 420)
    big = level3_mosaic(shape)
    noise = uniform_filter(rng.normal(0, 0.03, shape), 3)
    big.data = (0.2 + noise).astype(np.float32)
    product = run(big)
    noise = product.meta.forced_phot.mosaic["noise"]
    assert noise["radii_arcsec"] == [0.165, 0.33, 0.55, 1.1]
    assert np.diff(noise["ratios"]).min() > 0
    assert noise["ratios"][-1] == pytest.approx(3, rel=0.2)  # of large apertures: 3 x 3 pixels
    assert any("set error_calibration to empty_scale" in r.message for r in caplog.records)
    caplog.clear()
    scaled = run(big, error_calibration="empty_scale")
    assert not any("to empty_scale" in r.message for r in caplog.records)
    ratio = (
        scaled.source_catalog["aper0p33arcsec_flux_err"]
        / (product.source_catalog["aper0p33arcsec_flux_err"])
    )
    assert float(ratio[0]) == pytest.approx(noise["ratios"][1], rel=0.15)


def test_radii_of_mosaics_pass_before_there_is_an_image():
    check_settings(Settings(annulus_radii=(1.0, 1.5)))
    with pytest.raises(ValueError, match="larger than the annulus"):
        check_settings(Settings(annulus_radii=(1.0, 1.5), radius_unit="pixel"))
    with pytest.raises(ValueError, match=r"\(pixel\)"):
        check_settings(Settings(aperture_radii=30))


def test_the_product_is_written_and_opened(wide, workplace):
    wide.save(MOSAIC)
    for ending in (".asdf", ".parquet"):
        product = ForcedPhotometryStep.call(
            MOSAIC,
            catalog=Table(SOURCES),
            aperture_correction="none",
            save_results=True,
            output_ext=ending,
        )
        assert product.meta.coadd_info.time_first == wide.meta.coadd_info.time_first
    with rdm.open(MOSAIC.replace("_coadd", "_forcedphot")) as product:
        assert product.meta.instrument.optical_element == "F106"
        assert product.meta.image.filename == MOSAIC
