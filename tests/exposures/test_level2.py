"""What is taken of a Level-2 model, and what is refused."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from roman_datamodels.dqflags import pixel

from romancal_forcedphot.exposures import ExposureError, dq_bits, read_level2
from small import level2_image
from small_mosaic import level3_mosaic

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
    exposure = read_level2(model)
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
    exposure = read_level2(model, dq_mask=names)
    assert np.isnan(exposure.data).sum() == n_bad


def test_the_bits_of_names_are_those_of_romancals_flags():
    flags = [flag for flag in pixel if flag.value]
    for flag in flags:
        assert dq_bits(flag.name.lower()) == flag.value
    assert dq_bits([flag.name for flag in flags]) == sum(flag.value for flag in flags)
    assert dq_bits(["NONE", "HOT"]) == pixel.HOT.value
    assert (dq_bits([]), dq_bits("NONE"), dq_bits(["HOT", "ANY"])) == (0, 0, 2**32 - 1)


@pytest.mark.parametrize(("names", "n_bad"), [("DO_NOT_USE", 0), ("ANY", 1), ("NONE", 0)])
def test_bits_of_a_second_dq_array_count_with_any(model, names, n_bad):
    """As RAD 1.2 has them; they have no names yet."""
    model["dq2"] = np.zeros(SHAPE, dtype=np.uint32)
    model["dq2"][4, 5] = 2
    assert np.isnan(read_level2(model, dq_mask=names).data).sum() == n_bad


def test_dq_names_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match=r"'BAD_PIXEL' is not a DQ flag: .*DO_NOT_USE"):
        dq_bits(["HOT", "BAD_PIXEL"])


def test_the_model_is_left_as_it_was(model):
    model.dq[1, 1] = pixel.DO_NOT_USE.value
    before = [np.array(plane) for plane in (model.data, model.err, model.dq)]
    read_level2(model)
    for plane, earlier in zip((model.data, model.err, model.dq), before, strict=True):
        np.testing.assert_array_equal(plane, earlier)


def test_zero_point_and_time(model):
    exposure = read_level2(model)
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
    before = light(read_level2(model))
    FluxStep().run(model)
    after_step = read_level2(model)
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
        read_level2(model)


def test_metadata_are_plain_and_a_copy(model):
    """They outlive the file of the image, and can be pickled."""
    exposure = read_level2(model)
    assert type(exposure.metadata) is dict
    assert "wcs" not in exposure.metadata
    exposure.metadata["instrument"]["detector"] = "WFI02"
    assert model.meta.instrument.detector == "WFI01"
    assert pickle.loads(pickle.dumps(exposure.metadata)).keys() == exposure.metadata.keys()
    assert exposure.reference_parameters == model.get_crds_parameters()


def test_an_image_without_wcs_is_refused(model):
    model.meta["wcs"] = None
    with pytest.raises(ExposureError, match=r"has no WCS .*assign_wcs"):
        read_level2(model)


def test_planes_of_different_shapes_are_refused(model):
    model.err = np.ones((5, 5), dtype=np.float16)
    with pytest.raises(ExposureError, match="expected three images of one shape"):
        read_level2(model)


@pytest.mark.parametrize("kind", ["<f2", ">f2", "<f4"])
def test_errors_must_be_finite_and_positive_whatever_their_bits(kind):
    """All numbers of float16 that there are, in several types."""
    every = np.arange(2**16, dtype=np.uint16).view(np.float16).reshape(256, 256)
    image = level2_image(every.shape)
    image.data, image.err = np.ones(every.shape, np.float32), every.astype(kind)
    exposure = read_level2(image)
    usable = [math.isfinite(number) and number > 0 for number in every.ravel().tolist()]
    assert np.isfinite(exposure.data).ravel().tolist() == usable


def test_a_mosaic_is_told_where_it_is_read():
    with pytest.raises(ExposureError, match=r"_coadd.asdf is a mosaic: .*with read_level3"):
        read_level2(level3_mosaic())
