"""Matched radii against Gaussians, whose encircled energy can be inverted by hand, and ePSFs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from romancal_forcedphot.geometry import circle_overlap
from romancal_forcedphot.psfs import GriddedEPSF
from romancal_forcedphot.psfs.matching import matched_radius


def gaussian_energy(sigma):
    return lambda radius: 1 - np.exp(-((radius / sigma) ** 2) / 2)


def test_radii_of_gaussians_go_as_their_widths():
    rng = np.random.default_rng(0)
    here, named = rng.uniform(0.8, 1.6, (2, 200))
    nominal = rng.uniform(1.0, 5.0, 200)
    found = matched_radius(gaussian_energy(here), gaussian_energy(named)(nominal), nominal)
    fraction = gaussian_energy(here)(found)
    np.testing.assert_allclose(fraction, gaussian_energy(named)(nominal), rtol=0, atol=1e-6)
    steep = fraction < 0.99  # where the radius can be told
    np.testing.assert_allclose(found[steep], (nominal * here / named)[steep], rtol=1e-4)


def test_a_filter_matches_itself():
    energy = gaussian_energy(np.array([1.0, 1.3]))
    np.testing.assert_allclose(matched_radius(energy, energy(3.0), 3.0), 3.0, rtol=1e-4)


def test_there_is_no_radius_for_more_light_than_there_is():
    energy = gaussian_energy(np.array([1.0, 1.0, 20.0]))
    found = matched_radius(energy, [1.2, 0.5, 0.9], 2.0, largest=2.0)
    np.testing.assert_array_equal(np.isnan(found), [True, False, True])
    assert np.isnan(matched_radius(energy, [np.nan, 0.5, 0.5], 2.0)[0])


def gaussian_epsf(sigma):
    offset = np.arange(-60, 61) / 4
    along = ndtr((offset + 0.5) / sigma) - ndtr((offset - 0.5) / sigma)
    return GriddedEPSF((along[:, None] * along)[None], [50], [50], 4)


def test_stars_have_the_same_fraction_in_matched_apertures():
    x, y = np.random.default_rng(1).uniform(20, 80, (2, 30))
    blue, red = gaussian_epsf(0.7), gaussian_epsf(1.1)
    fraction = red.in_aperture(x, y, 3.0)
    radius = matched_radius(lambda r: blue.in_aperture(x, y, r), fraction, 3.0, largest=3.0)
    weights = circle_overlap(x - np.rint(x), y - np.rint(y), radius)
    caught = (weights * blue.on_pixels(x, y, weights.shape[-1])).sum(axis=(1, 2))
    np.testing.assert_allclose(caught, fraction, rtol=0, atol=2e-6)
    assert radius.mean() == pytest.approx(3.0 * np.hypot(0.7, 0.4) / np.hypot(1.1, 0.4), rel=0.05)
