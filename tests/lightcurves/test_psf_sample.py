"""What is known of a PSF, of Gaussians whose figures are known."""

from __future__ import annotations

import numpy as np
import pytest

from romancal_forcedphot.lightcurves.measuring.psf_sample import PSFSample
from romancal_forcedphot.psfs import GriddedEPSF

SHAPE = (180, 200)
SIGMA = 1.1


def gaussian(shift=(0.0, 0.0), radius=20, growth=0.0):
    """An ePSF whose light is off its star by some pixels; wider to the right by a share."""
    oversample = 4
    grid = np.arange(-radius * oversample, radius * oversample + 1) / oversample
    stamps = []
    for sigma in (SIGMA, SIGMA * (1 + growth), SIGMA, SIGMA * (1 + growth)):
        r2 = (grid[:, None] - shift[1]) ** 2 + (grid - shift[0]) ** 2
        stamps.append(np.exp(-r2 / (2 * sigma**2)) / (2 * np.pi * sigma**2))
    places = np.array([0, 199, 0, 199.0]), np.array([0, 0, 179, 179.0])
    return GriddedEPSF(np.stack(stamps), *places, oversample)


def test_the_area_of_a_gaussian_follows_its_width():
    sample = PSFSample.of(gaussian(growth=0.2), SHAPE)
    area = sample.noise_equivalent_area(np.array([0.0, 199.0]), np.array([90.0, 90.0]))
    np.testing.assert_allclose(area, 4 * np.pi * SIGMA**2 * np.array([1, 1.44]), rtol=0.01)


def test_the_centroid_is_where_the_light_is():
    assert PSFSample.of(gaussian(), SHAPE).centroid == pytest.approx((0, 0), abs=1e-3)
    found = PSFSample.of(gaussian((0.12, -0.07)), SHAPE).centroid
    assert found == pytest.approx((0.12, -0.07), abs=0.01)


@pytest.mark.parametrize("psf", [None, gaussian(radius=5)])
def test_without_a_psf_or_one_that_is_too_small_nothing_is_known(psf):
    sample = PSFSample.of(psf, SHAPE)
    assert sample.centroid == (0.0, 0.0)
    assert np.isnan(sample.noise_equivalent_area(np.array([5.0]), np.array([5.0]))).all()
