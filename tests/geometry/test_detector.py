"""The frame of a detector: 4096 pixels a side, 4 of them on each side for reference."""

from __future__ import annotations

import numpy as np
import pytest

from romancal_forcedphot.geometry import N_SCIENCE_PIXELS, REFERENCE_BORDER, trim_border


def test_numbers_of_the_detector():
    assert (N_SCIENCE_PIXELS, REFERENCE_BORDER) == (4088, 4)
    assert N_SCIENCE_PIXELS + 2 * REFERENCE_BORDER == 4096


def test_a_border_is_cut_off_and_nothing_else():
    frame = np.arange(20 * 24.0).reshape(20, 24)
    inner = trim_border(frame, (12, 16), "map")
    np.testing.assert_array_equal(inner, frame[4:16, 4:20])
    assert np.shares_memory(inner, frame)
    assert trim_border(inner, (12, 16), "map") is inner


@pytest.mark.parametrize("shape", [(12, 24), (20, 16), (16, 12), (28, 32)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(
        ValueError, match=r"gain map has shape .* the image has \(12, 16\): expected"
    ):
        trim_border(np.ones(shape), (12, 16), "gain map")
