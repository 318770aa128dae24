"""Windows and matrices of stamps against images filled in pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_stars import render

from romancal_forcedphot.photometry.fitting import PointSources
from romancal_forcedphot.photometry.fitting.stamps import (
    HALF_SIZES,
    inner_stamps,
    rounded_up,
    scaled_columns,
    stamp_matrix,
)
from romancal_forcedphot.photometry.fitting.windows import Window

X, Y = np.array([20.3, 24.6, 3.0, 38.2]), np.array([15.4, 16.0, 1.2, 30.0])
HALF = np.array([3, 3, 5, 10])
SHAPE = (35, 40)


@pytest.fixture
def window():
    return Window.around(X, Y, HALF)


def test_a_window_holds_all_stamps(window):
    assert (window.top, window.left, window.shape) == (-4, -2, (45, 51))
    assert window.n_pixels == 45 * 51
    assert window.index(np.array(-4), np.array(-2)) == 0
    assert window.index(np.array(-3), np.array(0)) == 51 + 2


def test_cut_and_add_are_those_of_an_image_with_a_margin(window):
    image = np.random.default_rng(1).normal(size=SHAPE)
    padded = np.pad(image, 20, constant_values=np.nan)
    np.testing.assert_array_equal(window.cut(image, np.nan), padded[16:61, 18:69])
    twice = image.copy()
    window.add_to(twice, window.cut(image).ravel())
    np.testing.assert_array_equal(twice, 2 * image)
    grown = window.grown(3)
    np.testing.assert_array_equal(grown.cut(image, np.nan), padded[13:64, 15:72])


def test_the_matrix_is_the_light_of_the_stars(epsf, window):
    """On the pixels of each stamp, nothing beyond."""
    profiles, rows = PointSources.of(epsf, X, Y), np.arange(4)
    matrix = stamp_matrix(profiles, rows, HALF, window)
    for k in rows:
        alone = render(X[k : k + 1], Y[k : k + 1], np.ones(1), SHAPE, epsf)
        y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
        alone[np.maximum(abs(y - np.rint(Y[k])), abs(x - np.rint(X[k]))) > HALF[k]] = 0
        found = np.zeros(SHAPE)
        window.add_to(found, matrix[[k]].toarray())
        np.testing.assert_allclose(found, alone, atol=1e-6)


def test_inner_stamps_are_smaller_ones(epsf, window):
    profiles, rows = PointSources.of(epsf, X, Y), np.arange(4)
    inner = np.array([2, 2, 4, 4])
    found = inner_stamps(stamp_matrix(profiles, rows, HALF, window), HALF, inner)
    expected = stamp_matrix(profiles, rows, inner, window)
    np.testing.assert_allclose(found.toarray(), expected.toarray(), atol=1e-7)
    factor = np.arange(window.n_pixels, dtype=np.float32)
    scaled = scaled_columns(expected, factor)
    np.testing.assert_allclose(scaled.toarray(), expected.toarray() * factor)


def test_half_sizes_are_rounded_up_to_few():
    assert rounded_up(np.array([1, 9, 13, 60, 100]), 64).tolist() == [1, 10, 14, 64, 64]
    assert rounded_up(np.array([1, 9, 13, 60, 100]), 30).tolist() == [1, 10, 14, 30, 30]
    assert HALF_SIZES[-1] == 64
