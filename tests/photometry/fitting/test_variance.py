"""The variance of pixels against the noise that an image was drawn with."""

from __future__ import annotations

import numpy as np
import pytest

from romancal_forcedphot.photometry.fitting.variance import VarianceCurve

READ, GAIN = 0.04, 20.0


@pytest.fixture
def curve():
    """Of an image whose errors have the noise of their own pixels in them."""
    rng = np.random.default_rng(5)
    light = 1.0 + 10 ** rng.uniform(-2, 3, (600, 600))
    data = rng.poisson(light * GAIN) / GAIN + rng.normal(0, READ**0.5, light.shape)
    err = np.sqrt(READ + np.maximum(data, 0) / GAIN)
    data[::7, ::5], err[::5, ::7] = np.nan, 0.0
    return VarianceCurve.of_image(data, err)


def test_it_is_that_of_photons(curve):
    level = np.array([2.0, 10.0, 100.0, 900.0], dtype=np.float32)
    assert curve(level).dtype == np.float32
    np.testing.assert_allclose(curve(level), READ + level / GAIN, rtol=0.05)


def test_beyond_the_brightest_pixel_it_grows_with_the_light(curve):
    top = curve.level[-1]
    assert curve(np.array(10 * top)) == pytest.approx(10 * curve(np.array(top)))
    assert curve(np.array(-100.0)) == curve.variance[0]


def test_level_of_a_variance_is_the_inverse(curve):
    for level in (5.0, 200.0, 20 * curve.level[-1]):
        assert curve.level_of(curve(np.array(level))) == pytest.approx(level)


def test_an_image_without_a_usable_pixel():
    curve = VarianceCurve.of_image(np.full((4, 4), np.nan), np.ones((4, 4)))
    np.testing.assert_array_equal(curve(np.array([-1.0, 0.0, 50.0])), 1.0)


def test_the_excess_is_what_exceptional_pixels_have_beyond_the_curve(curve):
    data = np.full((3, 4), 10.0, dtype=np.float32)
    expected = float(curve(np.float32([10.0]))[0])
    err = np.full(data.shape, expected**0.5)
    err[0, 1] *= 1.9  # noisy, but not beyond what its own noise may do
    err[1, 2] *= 10
    data[2, 3] = np.nan
    excess = curve.excess(data, err)
    assert excess[1, 2] == pytest.approx(99 * expected, rel=1e-4)
    excess[1, 2] = 0
    np.testing.assert_array_equal(excess, 0)


def test_the_table_for_many_pixels_is_the_curve(curve):
    """Below the first level, between levels, and beyond the last; for any unit and a flat curve."""
    level = np.geomspace(1e-2, 1e5, 200_001).astype(np.float32)
    np.testing.assert_allclose(curve.on_pixels(level - 1), curve(level - 1), rtol=2e-3)
    assert curve.on_pixels(level.reshape(3, -1)).shape == (3, 66_667)
    flat = VarianceCurve(np.zeros(1), np.ones(1))
    np.testing.assert_array_equal(flat.on_pixels(np.float32([-5, 0, 7])), 1.0)
