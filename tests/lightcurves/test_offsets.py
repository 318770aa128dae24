"""Offsets of sources from a catalog, on images whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from romancal_forcedphot.lightcurves.measuring.offsets import centroids, median_offset, vote


def image_of(x, y, flux, *, side=400, sigma=0.9, noise=1.0, seed=10):
    """Gaussian stars on a noisy sky of 5."""
    rng = np.random.default_rng(seed)
    image = rng.normal(5.0, noise, (side, side))
    for at_x, at_y, total in zip(x, y, flux, strict=True):
        left, low = int(at_x) - 8, int(at_y) - 8
        if not (-8 < left < side and -8 < low < side):
            continue
        rows, columns = np.mgrid[
            max(low, 0) : min(low + 17, side), max(left, 0) : min(left + 17, side)
        ]
        star = np.exp(-((columns - at_x) ** 2 + (rows - at_y) ** 2) / (2 * sigma**2))
        image[rows, columns] += total * star / (2 * np.pi * sigma**2)
    return image.astype(np.float32)


@pytest.fixture
def field():
    rng = np.random.default_rng(11)
    x, y = rng.uniform(12, 388, (2, 150))
    return x, y, 10 ** rng.uniform(2.5, 4.5, 150)


def test_centroids_are_where_the_stars_are(field):
    x, y, flux = field
    lonely = np.array([np.sort(np.hypot(x - a, y - b))[1] > 12 for a, b in zip(x, y, strict=True)])
    image = image_of(x, y, flux)
    found = centroids(image, x + 0.6, y - 0.4)
    bright = lonely & (flux > 3000)
    for value, truth in zip(found, (x, y), strict=True):
        np.testing.assert_allclose(value[bright], truth[bright], atol=0.03)


def test_a_stamp_off_the_image_or_masked_has_no_centroid():
    image = image_of([50.0, 100.0], [50.0, 100.0], [5000.0, 5000.0], side=150)
    image[101, 100] = np.nan
    found_x, _ = centroids(
        image, np.array([50.0, 100.0, 3.0, np.nan]), np.array([50.0, 100.0, 3.0, 1.0])
    )
    assert np.isfinite(found_x).tolist() == [True, False, False, False]


@pytest.mark.parametrize("drift", [(0.0, 0.0), (0.25, -0.1), (-0.8, 0.9)])
def test_the_median_offset_is_the_drift(field, drift):
    x, y, flux = field
    image = image_of(x + drift[0], y + drift[1], flux)
    bright = flux > 2000
    offset = median_offset(image, x[bright], y[bright])
    assert (offset.x, offset.y) == pytest.approx(drift, abs=0.02)
    assert offset.n_sources > 30
    assert offset.scatter < 0.1


@pytest.mark.parametrize("drift", [(27.3, -12.6), (-55.0, 40.2), (0.2, 0.1)])
def test_a_vote_finds_drifts_of_arcseconds(field, drift):
    x, y, flux = field
    offset = vote(image_of(x + drift[0], y + drift[1], flux), x, y)
    assert (offset.x, offset.y) == pytest.approx(drift, abs=0.03)


def test_a_catalog_of_something_else_has_no_offset(field):
    x, y, flux = field
    rng = np.random.default_rng(12)
    offset = vote(image_of(x, y, flux), *rng.uniform(0, 400, (2, 150)))
    assert np.isnan(offset.x)


def test_too_few_sources_or_an_empty_image_have_no_offset():
    image = image_of([50.0], [50.0], [5000.0], side=100)
    assert np.isnan(median_offset(image, np.array([50.0]), np.array([50.0])).x)
    assert np.isnan(vote(image, np.array([50.0]), np.array([50.0])).x)
    nothing = np.full((50, 50), np.nan, np.float32)
    assert np.isnan(vote(nothing, np.array([20.0]), np.array([20.0])).x)
    assert median_offset(nothing, np.empty(0), np.empty(0)).n_sources == 0
