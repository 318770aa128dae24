"""What is taken of a Level-2 model, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from roman_datamodels.dqflags import pixel

from romancal_forcedphot.exposure import Exposure, ExposureError, dq_bits
from small import level2_image

SHAPE = (12, 16)


@pytest.fixture
def model():
    image = level2_image(SHAPE)
    image.data = np.arange(192, dtype=np.float32).reshape(SHAPE) + 1
    return image


def test_unusable_pixels_are_not_finite(model):
    model.dq[1, 1] = pixel.DO_NOT_USE.value | pixel.HOT.value
    model.dq[2, 2] = pixel.HOT.value
    model.dq[3, 3] = pixel.SATURATED.value
    model.data[4, 4] = np.inf
    model.err[5, 5] = 0
    model.err[6, 6] = np.nan
    model.err[7, 7] = -1
    exposure = Exposure.from_model(model)
    bad = {tuple(map(int, place)) for place in np.argwhere(~np.isfinite(exposure.data))}
    assert bad == {(1, 1), (4, 4), (5, 5), (6, 6), (7, 7)}
    assert np.argwhere(exposure.saturated).tolist() == [[3, 3]]
    kept = np.isfinite(exposure.data)
    np.testing.assert_array_equal(exposure.data[kept], np.asarray(model.data)[kept])


@pytest.mark.parametrize(
    ("names", "n_bad"),
    [("NONE", 0), ("ANY", 3), (["HOT", "SATURATED"], 2), ("do_not_use", 1), (["DEAD"], 0)],
)
def test_dq_mask_chooses_by_name(model, names, n_bad):
    for row, flag in enumerate((pixel.DO_NOT_USE, pixel.HOT, pixel.SATURATED)):
        model.dq[row, 0] = flag.value
    exposure = Exposure.from_model(model, dq_mask=names)
    assert np.isnan(exposure.data).sum() == n_bad


def test_dq_names_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match=r"'BAD_PIXEL' is not a DQ flag: .*DO_NOT_USE"):
        dq_bits(["HOT", "BAD_PIXEL"])


def test_the_model_is_left_as_it_was(model):
    model.dq[1, 1] = pixel.DO_NOT_USE.value
    before = [np.array(plane) for plane in (model.data, model.err, model.dq)]
    Exposure.from_model(model)
    for plane, earlier in zip((model.data, model.err, model.dq), before, strict=True):
        np.testing.assert_array_equal(plane, earlier)


def test_zero_point_and_time(model):
    exposure = Exposure.from_model(model)
    assert (exposure.conversion, exposure.pixel_area) == (0.25, 2.8e-13)
    assert exposure.mid_time.isot == "2027-03-01T00:01:00.000"
    assert (exposure.detector, exposure.band) == ("WFI01", "F106")


def light(exposure):
    """What a point source of one pixel would be worth, and the error of that, pixel by pixel."""
    scale = exposure.conversion * exposure.pixel_area
    return exposure.data * scale, exposure.err * scale


@pytest.mark.parametrize("sign", [1, -1])
def test_fluxes_are_the_same_after_flux_step(model, sign, recwarn):
    """By FluxStep itself, with the negative numbers of romanisim too."""
    from romancal.flux import FluxStep

    model.meta.photometry.conversion_megajanskys *= sign
    model.meta.photometry.pixel_area *= sign
    model.meta["cal_step"] = {"flux": "INCOMPLETE"}
    before = light(Exposure.from_model(model))
    FluxStep().run(model)
    after_step = Exposure.from_model(model)
    assert after_step.conversion == 1
    after = light(after_step)
    np.testing.assert_allclose(after[0], before[0], rtol=1e-6)
    np.testing.assert_allclose(after[1], before[1], rtol=1e-3)  # err is float16
    assert (before[0] > 0).all()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("conversion_megajanskys", None),
        ("conversion_megajanskys", math.nan),
        ("pixel_area", None),
        ("pixel_area", 0.0),
        ("conversion_megajanskys", -0.25),
        ("pixel_area", -2.8e-13),
    ],
)
def test_photometry_that_cannot_be_used_is_refused(model, key, value):
    model.meta.photometry[key] = value
    with pytest.raises(ExposureError, match=rf"meta\.photometry\..*{key}.*expected.*photom step"):
        Exposure.from_model(model)


def test_an_image_without_wcs_is_refused(model):
    model.meta["wcs"] = None
    with pytest.raises(ExposureError, match=r"has no WCS .*assign_wcs"):
        Exposure.from_model(model)


def test_planes_of_different_shapes_are_refused(model):
    model.err = np.ones((5, 5), dtype=np.float16)
    with pytest.raises(ExposureError, match="expected three images of one shape"):
        Exposure.from_model(model)
