"""The gain option against arithmetic by hand."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from astropy.table import Table
from roman_datamodels import datamodels as rdm

from romancal_forcedphot import ForcedPhotometryStep
from romancal_forcedphot.exposure import Exposure
from romancal_forcedphot.gain import relative_gain, with_gain
from romancal_forcedphot.references import ReferenceFileError, read_gain
from small import level2_image

SHAPE = (180, 200)


@pytest.fixture
def gain():
    return np.random.default_rng(6).uniform(1.6, 2.4, SHAPE).astype(np.float32)


def reference(data, detector="WFI01"):
    return rdm.GainRefModel.create_fake_data(
        {"data": data, "meta": {"instrument": {"detector": detector}}}
    )


def product(override_gain, image=None, **options):
    step = ForcedPhotometryStep(
        catalog=Table({"x": [60.0], "y": [70.0]}),
        override_gain=override_gain,
        pixel_area="none",
        aperture_correction="none",
        **options,
    )
    return step.process(image or level2_image())


def test_the_median_is_one(gain):
    relative = relative_gain(gain, SHAPE)
    assert np.median(relative) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(relative * np.median(gain), gain, rtol=1e-6)


def test_a_border_of_reference_pixels_is_cut(gain):
    bordered = np.pad(gain, 4, constant_values=9.0)
    np.testing.assert_array_equal(relative_gain(bordered, SHAPE), relative_gain(gain, SHAPE))


def test_bad_gains_make_unusable_pixels(gain):
    gain[3, 4], gain[5, 6], gain[7, 8] = 0, np.nan, -1
    bad = np.zeros(SHAPE, dtype=bool)
    bad[[3, 5, 7], [4, 6, 8]] = True
    relative = relative_gain(gain, SHAPE)
    np.testing.assert_array_equal(np.isnan(relative), bad)
    assert np.nanmedian(relative) == pytest.approx(1, abs=1e-6)
    exposure = with_gain(Exposure.from_model(level2_image()), relative)
    np.testing.assert_array_equal(np.isnan(exposure.data), bad)


def test_data_and_errors_are_multiplied_and_the_model_is_not(gain):
    image = level2_image()
    before = Exposure.from_model(image)
    err = np.array(image.err)
    after = with_gain(before, relative_gain(gain, SHAPE))
    factor = gain / np.median(gain)
    np.testing.assert_allclose(after.data, image.data * factor, rtol=1e-6)
    np.testing.assert_allclose(after.err, err.astype(float) * factor, rtol=1e-6)
    np.testing.assert_array_equal(image.err, err)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (np.ones((50, 60)), r"\(50, 60\).*\(180, 200\).*--override_gain.*--gain_correction=False"),
        (np.zeros(SHAPE), "no pixel that is finite and positive.*--gain_correction=False"),
    ],
)
def test_useless_gains(data, said):
    with pytest.raises(ValueError, match=said):
        relative_gain(data, SHAPE)


def test_a_gain_of_another_detector():
    with pytest.raises(ReferenceFileError, match=r"WFI07.*expected WFI01.*--override_gain"):
        read_gain(reference(np.ones(SHAPE), "WFI07"), detector="WFI01")


def test_the_step_multiplies_only_when_told(gain):
    """An image in DN of pixels with different gains is the flat one over the gain."""
    flat = product("N/A")
    image = level2_image()
    image.data = (image.data / (gain / np.median(gain))).astype(np.float32)
    raw = product(reference(gain), image)
    mended = product(reference(gain), image, gain_correction=True)
    right, wrong, found = (float(p.source_catalog["aper3pix_flux"][0]) for p in (flat, raw, mended))
    err = float(flat.source_catalog["aper3pix_flux_err"][0])
    assert found == pytest.approx(right, abs=1e-3 * err)
    assert abs(wrong - right) > err
    assert raw.meta.forced_phot["gain_correction"]["applied"] is False
    assert mended.meta.forced_phot["gain_correction"]["applied"] is True


def test_flattened_images_get_a_warning(gain, caplog):
    image = level2_image()
    image.meta.cal_step = {"flat_field": "COMPLETE"}
    with caplog.at_level(logging.WARNING):
        product(reference(gain), image, gain_correction=True)
    assert "its flat contains the gain" in caplog.text


def test_without_a_gain_reference_there_is_an_error():
    with pytest.raises(ReferenceFileError, match=r"no gain.*--override_gain.*gain_correction"):
        product("N/A", gain_correction=True)
