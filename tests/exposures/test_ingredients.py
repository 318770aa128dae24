"""The gain and the area map that settings ask for, against arithmetic by hand."""

from __future__ import annotations

import logging
import re

import numpy as np
import pytest
from astropy.table import Table
from roman_datamodels import datamodels as rdm

from reference_models import Given
from romancal_forcedphot import ForcedPhotometryStep, Settings, read_level2
from romancal_forcedphot.exposures.ingredients import area_map, gain_corrected
from romancal_forcedphot.references import ReferenceFileError
from small import SHAPE, level2_image

WITH_GAIN = Settings(gain_correction=True)


@pytest.fixture
def gain():
    return np.random.default_rng(6).uniform(1.6, 2.4, SHAPE).astype(np.float32)


def gain_reference(data, detector="WFI01"):
    return rdm.GainRefModel.create_fake_data(
        {"data": data, "meta": {"instrument": {"detector": detector}}}
    )


def area_reference(data, steradian=2.8e-13):
    model = rdm.PixelareaRefModel.create_fake_data(shape=SHAPE)
    model.data = data.astype(np.float32)
    model.meta.instrument.detector = "WFI01"
    model.meta.photometry = {"pixelarea_steradians": steradian, "pixelarea_arcsecsq": None}
    return model


def product(override_gain, image=None, **options):
    step = ForcedPhotometryStep(
        catalog=Table({"x": [60.0], "y": [70.0]}),
        override_gain=override_gain,
        pixel_area="none",
        aperture_correction="none",
        **options,
    )
    return step.process(image or level2_image())


def test_pixels_with_bad_gains_are_unusable(gain):
    gain[3, 4], gain[5, 6], gain[7, 8] = 0, np.nan, -1
    bad = np.zeros(SHAPE, dtype=bool)
    bad[[3, 5, 7], [4, 6, 8]] = True
    finder = Given({"gain": gain_reference(gain)})
    exposure, provenance = gain_corrected(read_level2(level2_image()), WITH_GAIN, finder)
    np.testing.assert_array_equal(np.isnan(exposure.data), bad)
    assert provenance == {"applied": True, "reference": "gain of a test"}


def test_data_and_errors_are_multiplied_and_the_model_is_not(gain):
    image = level2_image()
    before = read_level2(image)
    err = np.array(image.err)
    finder = Given({"gain": gain_reference(gain)})
    after, _ = gain_corrected(before, WITH_GAIN, finder)
    factor = gain / np.median(gain)
    np.testing.assert_allclose(after.data, image.data * factor, rtol=1e-6)
    np.testing.assert_allclose(after.err, err.astype(float) * factor, rtol=1e-6)
    np.testing.assert_array_equal(image.err, err)


def test_without_the_setting_nothing_is_asked_for():
    exposure, finder = read_level2(level2_image()), Given({})
    same, provenance = gain_corrected(exposure, Settings(), finder)
    assert same is exposure
    assert provenance == {"applied": False}
    area, provenance = area_map(exposure, Settings(pixel_area="none"), finder)
    assert (area, provenance) == (None, {"source": "none"})
    assert finder.asked == []


@pytest.mark.parametrize(
    ("differs", "said"),
    [
        ({"data": 1.002}, "area reference and the image's WCS differ by up to 0.2"),
        ({"steradian": 2.81e-13}, "nominal pixel areas .* differ by up to 0.36"),
        ({}, ""),
    ],
)
def test_areas_that_disagree_with_the_image_are_reported(differs, said, caplog):
    exposure = read_level2(level2_image())
    data = exposure.pixel_areas.relative() * differs.pop("data", 1)
    finder = Given({"area": area_reference(data, **differs)})
    with caplog.at_level(logging.WARNING):
        area, provenance = area_map(exposure, Settings(), finder)
    np.testing.assert_allclose(area, data, rtol=1e-6)
    assert provenance == {"source": "crds", "reference": "area of a test"}
    if said:
        (record,) = caplog.records
        assert re.search(said, record.getMessage())
    else:
        assert not caplog.records


def test_without_an_area_reference_the_wcs_gives_the_areas(caplog):
    exposure = read_level2(level2_image())
    area, provenance = area_map(exposure, Settings(), Given({}))
    np.testing.assert_array_equal(area, exposure.pixel_areas.relative())
    assert provenance == {"source": "wcs"}
    assert "no area reference" in caplog.text


def test_the_step_multiplies_only_when_told(gain):
    """An image in DN of pixels with different gains is the flat one over the gain."""
    flat = product("N/A")
    image = level2_image()
    image.data = (image.data / (gain / np.median(gain))).astype(np.float32)
    raw = product(gain_reference(gain), image)
    mended = product(gain_reference(gain), image, gain_correction=True)
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
        product(gain_reference(gain), image, gain_correction=True)
    assert "its flat contains the gain" in caplog.text


def test_without_a_gain_reference_there_is_an_error():
    with pytest.raises(ReferenceFileError, match=r"no gain.*--override_gain.*gain_correction"):
        product("N/A", gain_correction=True)
