"""Correlated noise, as of resampled pixels, and what errors make of it."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from scipy.ndimage import convolve
from scipy.signal import correlate2d

from reference_models import gaussian_pixels
from romancal_forcedphot import CircularApertures, measure
from romancal_forcedphot.photometry import PSFPhotometry
from romancal_forcedphot.photometry.blank_sky import calibrate_errors
from romancal_forcedphot.photometry.noise_correlation import measure_noise_correlation
from romancal_forcedphot.psfs import GriddedEPSF
from romancal_forcedphot.table.statistics import pull_width
from small import CONVERSION, PIXEL_AREA, exposure_of, pixel_sources

SHAPE = (640, 660)
SIGMA, GAIN = 0.1, 40.0  # of the sky; counts per unit of the image
BOX = np.full((2, 2), 0.25)  # resampling by half a pixel in x and y
EXPECTED = correlate2d(BOX, BOX)
APERTURES = CircularApertures(aperture_radii=(2.0, 5.0), annulus_radii=(12.0, 16.0))
WIDTH = 0.7


def resampled(light, seed=3):
    """An exposure of light and its noise, resampled; errors are those of the pixels before."""
    variance = SIGMA**2 + light / GAIN
    noise = np.random.default_rng(seed).normal(0.0, 1.0, SHAPE) * np.sqrt(variance)
    err = convolve(np.sqrt(variance), BOX)
    return exposure_of((convolve(light + noise, BOX) + 1.5).astype(np.float32), err)


@pytest.fixture(scope="module")
def blank():
    return resampled(np.zeros(SHAPE))


def test_the_products_are_those_of_the_kernel(blank):
    noise = measure_noise_correlation(blank, np.array([]), np.array([]))
    np.testing.assert_allclose(noise.products, EXPECTED, atol=0.006)
    assert noise.of_light == pytest.approx(1, abs=0.02)
    assert noise.provenance()["noise_of_single_pixels"] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("sigma", [1.0, 1.7, 4.0])
def test_the_noise_of_weighted_sums(blank, sigma):
    noise = measure_noise_correlation(blank, np.array([]), np.array([]))
    offset = np.arange(-20, 21)
    weight = gaussian_pixels(offset, offset[:, None], sigma)
    area = weight.sum() ** 2 / (weight**2).sum()
    expected = np.sqrt((convolve(weight, BOX) ** 2).sum() / (weight**2).sum())
    assert noise.of_sky(np.array([area]))[0] == pytest.approx(expected, rel=0.02)


def test_structure_of_the_sky_is_no_noise_of_pixels(blank):
    """Waves half as high as the noise, 70 pixels long, add 0.12 to all products."""
    row = np.arange(SHAPE[0])[:, None]
    wavy = exposure_of(blank.data + 0.5 * SIGMA * np.sin(row / 11).astype(np.float32), blank.err)
    noise = measure_noise_correlation(wavy, np.array([]), np.array([]))
    np.testing.assert_allclose(noise.products, EXPECTED, atol=0.01)


def test_without_blank_sky_there_is_no_answer(blank, caplog):
    y, x = (axis.ravel() for axis in np.mgrid[0:640:15, 0:660:15])
    with caplog.at_level(logging.WARNING):
        assert measure_noise_correlation(blank, x, y) is None
    assert "expected at least 50" in caplog.text


# --- the errors of sources -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def field():
    """Isolated stars, every other one bright: its own light makes its noise."""
    rng = np.random.default_rng(7)
    y, x = (axis.ravel() for axis in np.mgrid[25.0:620:38, 25.0:640:38])
    x, y = (axis + rng.uniform(-0.5, 0.5, axis.size) for axis in (x, y))
    return x, y, np.where(np.arange(x.size) % 2, 400.0, 0.3)


@pytest.fixture(scope="module")
def exposure(field):
    light = np.zeros(SHAPE)
    row, column = np.mgrid[: SHAPE[0], : SHAPE[1]]
    for x, y, flux in zip(*field, strict=True):
        cut = np.s_[int(y) - 14 : int(y) + 15, int(x) - 14 : int(x) + 15]
        light[cut] += flux * gaussian_pixels(column[cut] - x, row[cut] - y, WIDTH)
    return resampled(light)


@pytest.fixture(scope="module")
def psf():
    """The Gaussian on resampled pixels, whose centre moves by half a pixel."""
    offset = np.arange(-80, 81) / 4
    stamp = sum(
        0.25 * gaussian_pixels(offset + 0.5 - dx, offset[:, None] + 0.5 - dy, WIDTH)
        for dx in (0, 1)
        for dy in (0, 1)
    )
    return GriddedEPSF(stamp[None], [300.0], [300.0], 4)


def pulls(table, column, field):
    """Widths of the pulls of faint and of bright stars."""
    true = field[2] * CONVERSION * PIXEL_AREA * 1e15
    pull = (np.asarray(table[column]) - true) / np.asarray(table[f"{column}_err"])
    return pull_width(pull[::2]), pull_width(pull[1::2])


def shifted(field):
    x, y, _ = field
    center = np.array([[0.25]])
    shift = convolve(np.pad(center, 2), BOX)  # to which side scipy moves the light
    row, column = np.argwhere(shift > 0).mean(axis=0) - 2
    return pixel_sources(x + column, y + row)


def test_errors_of_fits_have_the_noise_of_pixels(field, exposure, psf):
    plain, scaled = (
        measure(exposure, shifted(field), [PSFPhotometry(error_calibration=mode)], psf=psf)
        for mode in ("none", "empty_scale")
    )
    np.testing.assert_array_equal(plain["psf_flux"], scaled["psf_flux"])
    for width in pulls(scaled, "psf_flux", field):
        assert width == pytest.approx(1, abs=0.17)
    factor = np.asarray(scaled["psf_flux_err"]) / np.asarray(plain["psf_flux_err"])
    weight = psf.on_pixels(np.array([300.0]), np.array([300.0]), 21)[0]
    expected = np.sqrt((convolve(weight, BOX) ** 2).sum() / (weight**2).sum())
    assert expected < 0.9
    assert np.median(factor[::2]) == pytest.approx(expected, abs=0.04)
    assert 0.95 < np.median(factor[1::2]) < 1.03
    of_magnitudes = np.asarray(scaled["psf_abmag_err"] / plain["psf_abmag_err"])
    np.testing.assert_allclose(of_magnitudes[1::2], factor[1::2], rtol=1e-5)


def test_errors_of_apertures_scale_with_the_sky_alone(field, exposure):
    """The sky's noise in 2 pixels is less than errors say, that of a star's light is not."""
    table = measure(exposure, shifted(field), [APERTURES])
    before = pulls(table, "aper5pix_flux", field)
    provenance = calibrate_errors(table, exposure, mode="empty_scale", method=APERTURES)
    after = pulls(table, "aper5pix_flux", field)
    assert provenance["noise_correlation"]["noise_of_light"] == pytest.approx(1, abs=0.03)
    assert after[0] == pytest.approx(before[0] / provenance["ratios"][1], rel=0.02)
    assert after[1] == pytest.approx(1, abs=0.2)
    small = np.asarray(table["aper2pix_flux_err"])
    assert provenance["ratios"][0] < 0.9
    unscaled = np.asarray(measure(exposure, shifted(field), [APERTURES])["aper2pix_flux_err"])
    factor = small / unscaled
    assert np.median(factor[::2]) < 0.95
    assert np.median(factor[1::2]) == pytest.approx(1, abs=0.04)
