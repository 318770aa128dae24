"""Sources in each other's way, against all pairs of distances."""

from __future__ import annotations

import numpy as np
import pytest

from romancal_forcedphot.photometry.pixels.neighbors import has_neighbor, mask_sources


def positions(n=400):
    """Random places, some of them twice or thrice, some not finite."""
    x, y = np.random.default_rng(2).uniform(-20, 220, (2, n))
    x[10:20], y[10:20] = x[:10], y[:10]
    x[20:25], y[20:25] = x[:5], y[:5]
    x[30], y[31], x[32:34] = np.nan, np.inf, np.nan
    return x, y


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("own_radii", [False, True])
def test_neighbors_are_those_of_all_pairs(own_radii, n_threads):
    x, y = positions()
    radius = np.random.default_rng(3).uniform(1, 9, x.size) if own_radii else 5.0
    with np.errstate(invalid="ignore"):
        distance = np.hypot(x - x[:, None], y - y[:, None])
    np.fill_diagonal(distance, np.inf)
    expected = (distance < np.reshape(radius, (-1, 1))).any(axis=1)
    assert 0.2 < expected.mean() < 0.8
    found = has_neighbor(x, y, radius, n_threads=n_threads)
    np.testing.assert_array_equal(found, expected)


def test_none_and_one_have_no_neighbor():
    assert has_neighbor(np.empty(0), np.empty(0), 3.0).shape == (0,)
    assert list(has_neighbor(np.array([5.0, np.nan]), np.array([5.0, 5.0]), 3.0)) == [False, False]


def test_an_image_without_sources_by_hand():
    x, y = positions()
    data = np.random.default_rng(1).normal(size=(180, 200)).astype(np.float32)
    before = data.copy()
    masked = mask_sources(data, x, y, 2.5)
    yy, xx = np.mgrid[:180, :200]
    near = np.zeros(data.shape, dtype=bool)
    for place in zip(x, y, strict=True):
        if np.isfinite(place).all():
            near |= np.hypot(xx - place[0], yy - place[1]) < 2.5
    np.testing.assert_array_equal(np.isnan(masked), near)
    np.testing.assert_array_equal(masked[~near], data[~near])
    np.testing.assert_array_equal(data, before)
