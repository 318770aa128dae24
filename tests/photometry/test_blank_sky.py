"""Blank sky: where it is, and what its scatter says of the errors."""

from __future__ import annotations

import logging
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from photutils.aperture import CircularAperture
from scipy.ndimage import convolve

from romancal_forcedphot import CircularApertures, measure
from romancal_forcedphot.photometry.blank_positions import blank_positions
from romancal_forcedphot.photometry.blank_sky import (
    calibrate_errors,
    measure_blank_sky,
)
from small import exposure_of, pixel_sources

SHAPE = (700, 720)
SIGMA = 0.1
METHOD = CircularApertures(aperture_radii=(2.0, 4.0))


def noise(seed=4):
    return np.random.default_rng(seed).normal(0.0, SIGMA, SHAPE)


def exposure(data, err=SIGMA):
    return exposure_of((data + 1.5).astype(np.float32), np.full(SHAPE, err, dtype=np.float16))


def stars(n=60, seed=8):
    return np.random.default_rng(seed).uniform(0, 700, (2, n))


def judge(image, x=(), y=(), **options):
    return measure_blank_sky(image, np.array(x), np.array(y), method=METHOD, **options)


def assert_ratios(sky, expected, tolerance=0.0):
    for ratio, err, right in zip(sky.ratios, sky.ratio_errs, expected, strict=True):
        assert abs(ratio - right) <= 3 * err + tolerance


def test_right_errors_have_ratio_one():
    sky = judge(exposure(noise()))
    assert sky.n_apertures > 1000
    assert max(sky.ratio_errs) < 0.04
    assert_ratios(sky, (1, 1))


def test_the_mean_of_blank_sky_is_zero():
    sky = judge(exposure(noise()))
    for mean, err in zip(sky.mean_fluxes_njy, sky.mean_flux_errs_njy, strict=True):
        assert abs(mean) < 3 * err


@pytest.mark.parametrize("factor", [0.7, 1.4])
def test_wrong_errors_are_seen(factor):
    """Too small errors; the part of the error that the annulus gives is measured, hence right."""
    sky = judge(exposure(noise(), err=SIGMA * factor))
    assert_ratios(sky, (1 / factor, 1 / factor), tolerance=0.02)


def test_correlated_noise_is_seen():
    """Noise smoothed by a 3 x 3 box: the variance of a sum follows from photutils' weights."""
    box = np.full((3, 3), 1 / 3)
    sky = judge(exposure(convolve(noise(), box, mode="wrap")))
    expected = []
    for radius in METHOD.aperture_radii:
        ratios = []
        for x, y in np.random.default_rng(0).uniform(9.5, 10.5, (20, 2)):
            w = CircularAperture((x, y), radius).to_mask(method="exact").to_image((20, 20))
            ratios.append(np.sum(convolve(w, box) ** 2) / np.sum(w**2))
        expected.append(np.sqrt(np.mean(ratios)))
    assert expected[1] > expected[0] > 1.5
    assert_ratios(sky, expected, tolerance=0.05)


def test_stars_of_no_catalog_do_not_widen_it():
    image = noise()
    x, y = np.rint(stars(400)).astype(int)
    image[np.clip(y, 0, 699), np.clip(x, 0, 719)] += 30 * SIGMA
    assert_ratios(judge(exposure(image)), (1, 1))


def test_places_keep_away_from_everything():
    data, (x, y) = noise(), stars()
    data[np.random.default_rng(2).random(SHAPE) < 0.01] = np.nan
    reach = 3.0
    places, distance = blank_positions(data, x, y, reach=reach, n_positions=500, seed=1)
    assert len(places) > 200
    separations = np.hypot(*(places[:, np.newaxis] - np.stack([x, y], axis=1)).transpose(2, 0, 1))
    np.testing.assert_allclose(separations.min(axis=1), distance)
    assert distance.min() >= reach + 8
    bad_y, bad_x = np.nonzero(np.isnan(data))
    rows, columns = np.rint(places[:, 1]), np.rint(places[:, 0])
    to_bad = np.hypot(rows[:, np.newaxis] - bad_y, columns[:, np.newaxis] - bad_x)
    assert to_bad.min() > reach + 1.5
    mutual = np.hypot(*(places[:, np.newaxis] - places).transpose(2, 0, 1))
    assert mutual[~np.eye(len(places), dtype=bool)].min() >= 2 * reach + 1.5
    assert (places >= reach).all()
    assert (places <= np.array(SHAPE[::-1]) - 1 - reach).all()


def test_the_farthest_places_are_taken():
    x, y = stars()
    _, few = blank_positions(noise(), x, y, reach=3.0, n_positions=20, seed=1)
    _, many = blank_positions(noise(), x, y, reach=3.0, n_positions=2000, seed=1)
    assert few.min() >= np.median(many)


def test_the_same_seed_gives_the_same_answer():
    image, (x, y) = exposure(noise()), stars()
    assert judge(image, x, y) == judge(image, x, y)
    assert judge(image, x, y) != judge(image, x, y, seed=5)


def table_of(image):
    return measure(image, pixel_sources(*stars()), [METHOD])


@pytest.mark.parametrize("mode", ["none", "empty", "empty_scale"])
def test_only_scaling_changes_errors(mode):
    image = exposure(noise(), err=SIGMA * 0.7)
    table = table_of(image)
    before = table.copy()
    provenance = calibrate_errors(table, image, mode=mode, method=METHOD)
    for index, name in enumerate(("aper2pix", "aper4pix")):
        factor = provenance["ratios"][index] if mode == "empty_scale" else 1
        for kind in ("flux_err", "total_flux_err", "abmag_err"):
            expected = np.asarray(before[f"{name}_{kind}"]) * factor
            np.testing.assert_allclose(table[f"{name}_{kind}"], expected, rtol=3e-3)
        np.testing.assert_array_equal(table[f"{name}_flux"], before[f"{name}_flux"])
    assert provenance["scaled"] is (mode == "empty_scale")
    assert provenance["mode"] == mode
    assert "aperture correction" in provenance["not_in_errors"]


def test_scaled_errors_hold():
    """An image whose errors are 0.7 of what they should be, put right."""
    image = exposure(noise(), err=SIGMA * 0.7)
    table = table_of(image)
    calibrate_errors(table, image, mode="empty_scale", method=METHOD)
    truth = table_of(exposure(noise()))
    ratio = np.asarray(table["aper4pix_flux_err"]) / np.asarray(truth["aper4pix_flux_err"])
    np.testing.assert_allclose(ratio[np.isfinite(ratio)], 1, atol=0.1)


def test_too_little_sky_is_said_and_nothing_scaled(caplog):
    image = exposure(noise())
    masked = replace(image, data=np.where(np.arange(720) < 690, np.nan, image.data))
    table = table_of(image)
    before = np.array(table["aper2pix_flux_err"])
    with caplog.at_level(logging.WARNING):
        provenance = calibrate_errors(table, masked, mode="empty_scale", method=METHOD)
    assert "expected at least 100" in caplog.text
    assert provenance["scaled"] is False
    np.testing.assert_array_equal(table["aper2pix_flux_err"], before)


def test_large_apertures_need_little_memory():
    """Positions of the pixels around all 4800 candidates at once would be 180 MB each for x, y."""
    tracemalloc.start()
    try:
        method = CircularApertures(aperture_radii=(40.0,), annulus_radii=(45.0, 50.0))
        measure_blank_sky(exposure(noise()), *stars(1), method=method, n_apertures=400)
        assert tracemalloc.get_traced_memory()[1] < 200e6
    finally:
        tracemalloc.stop()


def test_an_image_smaller_than_an_aperture_has_no_blank_sky():
    places, distance = blank_positions(
        np.ones((7, 300)), np.array([]), np.array([]), reach=3.0, n_positions=10, seed=1
    )
    assert places.shape == (0, 2)
    assert distance.shape == (0,)
