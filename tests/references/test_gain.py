"""Gain references against arithmetic by hand."""

from __future__ import annotations

import numpy as np
import pytest
from roman_datamodels import datamodels as rdm

from reference_models import reference
from romancal_forcedphot.references import ReferenceFileError, read_relative_gain
from romancal_forcedphot.references.gain import relative_gain
from small import SHAPE


@pytest.fixture
def gain():
    return np.random.default_rng(6).uniform(1.6, 2.4, SHAPE).astype(np.float32)


def read(data, detector="WFI01"):
    """Read a gain reference of a detector for an image of WFI01."""
    meta = {"instrument": {"detector": detector}}
    model = rdm.GainRefModel.create_fake_data({"data": data, "meta": meta})
    return read_relative_gain(reference("gain", model), detector="WFI01", shape=SHAPE)


def test_the_median_is_one(gain):
    relative = read(gain)
    assert relative.dtype == np.float32
    assert np.median(relative) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(relative * np.median(gain), gain, rtol=1e-6)


def test_a_border_of_reference_pixels_is_cut(gain):
    bordered = np.pad(gain, 4, constant_values=9.0)
    np.testing.assert_array_equal(relative_gain(bordered, SHAPE), relative_gain(gain, SHAPE))


def test_bad_gains_are_nan(gain):
    gain[3, 4], gain[5, 6], gain[7, 8] = 0, np.nan, -1
    bad = np.zeros(SHAPE, dtype=bool)
    bad[[3, 5, 7], [4, 6, 8]] = True
    relative = relative_gain(gain, SHAPE)
    np.testing.assert_array_equal(np.isnan(relative), bad)
    assert np.nanmedian(relative) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (np.ones((50, 60)), r"\(50, 60\).*\(180, 200\)"),
        (np.zeros(SHAPE), "no pixel that is finite and positive"),
    ],
)
def test_useless_gains(data, said):
    with pytest.raises(ValueError, match=said):
        relative_gain(data, SHAPE)
    with pytest.raises(ReferenceFileError, match=f"{said}.*--override_gain.*gain_correction=False"):
        read(data)


def test_a_gain_of_another_detector():
    with pytest.raises(ReferenceFileError, match=r"WFI07.*expected WFI01.*--override_gain"):
        read(np.ones(SHAPE), "WFI07")
