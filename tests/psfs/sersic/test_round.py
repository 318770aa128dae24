"""The round profile and its transform against quadrature, closed forms and GalSim."""

from __future__ import annotations

import galsim
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.interpolate import CubicSpline
from scipy.special import gammaincinv

from romancal_forcedphot.psfs.sersic.round import (
    light_within,
    log_surface_brightness,
    radius_brighter_than,
)
from romancal_forcedphot.psfs.sersic.transform import (
    TransformTable,
    hankel_transform,
    transform_table,
)

INDICES = [0.3, 0.5, 1.0, 2.3, 4.0, 6.0, 8.0]


@pytest.mark.parametrize("n", INDICES)
def test_light_within_is_the_integral_of_the_surface_brightness(n):
    def light(log_radius):
        radius = np.exp(log_radius)
        return 2 * np.pi * radius**2 * np.exp(log_surface_brightness(n, radius))

    for radius in (0.1, 1.0, 3.0):
        expected, _ = quad(light, -40, np.log(radius), epsabs=1e-12, epsrel=1e-10, limit=400)
        assert light_within(n, radius) == pytest.approx(expected, abs=1e-10)
    assert light_within(n, 1.0) == pytest.approx(0.5, abs=1e-14)


@pytest.mark.parametrize("n", [0.5, 1.0, 4.0, 6.0])
def test_surface_brightness_is_that_of_galsim(n):
    profile = galsim.Sersic(n, half_light_radius=1.0)
    for radius in (0.01, 0.4, 1.5, 4.0):
        expected = np.log(profile.xValue(radius, 0))
        assert log_surface_brightness(n, radius) == pytest.approx(expected, abs=1e-6)
        assert radius_brighter_than(n, expected) == pytest.approx(radius, rel=1e-5)
    assert radius_brighter_than(n, np.log(profile.xValue(0, 0)) + 1) == 0


def test_transforms_of_gaussian_and_exponential_have_their_closed_forms():
    for n, closed in (
        (0.5, lambda k, b: np.exp(-(k**2) / (4 * b))),
        (1.0, lambda k, b: (1 + (k / b) ** 2) ** -1.5),
    ):
        log_frequency, transform = hankel_transform(n)
        used = np.abs(log_frequency) < 11
        expected = closed(np.exp(log_frequency[used]), gammaincinv(2 * n, 0.5))
        np.testing.assert_allclose(transform[used], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("n", [0.4, 1.7, 3.0, 4.0, 6.0])
def test_transforms_are_those_of_galsim(n):
    accurate = galsim.GSParams(kvalue_accuracy=1e-8, folding_threshold=1e-5, maxk_threshold=1e-4)
    profile = galsim.Sersic(n, half_light_radius=1.0, gsparams=accurate)
    log_frequency, transform = hankel_transform(n)
    frequency = np.geomspace(1e-2, min(profile.maxk, 300), 80)
    ours = CubicSpline(log_frequency, transform)(np.log(frequency))
    theirs = [profile.kValue(k, 0).real for k in frequency]
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)  # theirs is good to some 5e-6


@pytest.mark.parametrize("n", [0.3, 0.37, 0.5, 0.93, 1.0, 2.6, 4.0, 5.5, 8.0])
def test_the_table_reads_as_what_it_was_made_from(n):
    table = transform_table()
    frequency = np.concatenate([[0.0], np.geomspace(1e-5, 4e3, 3000)])
    one_plus_square = (1 + (frequency / TransformTable.KNEE) ** 2).astype(np.float32)
    found = table.read(table.for_indices([n]), one_plus_square[None])[0]
    log_frequency, transform = hankel_transform(n)
    expected = CubicSpline(log_frequency, transform)(np.log(frequency[1:]))
    np.testing.assert_allclose(found[1:], expected, rtol=0, atol=1e-5)
    assert found[0] == 1


def test_each_profile_is_read_by_its_own_index():
    table = transform_table()
    indices = np.array([0.5, 4.0, 1.0])
    square = np.random.default_rng(0).uniform(1, 1e4, (3, 4, 5)).astype(np.float32)
    together = table.read(table.for_indices(indices), square.copy())
    for i in range(3):
        alone = table.read(table.for_indices(indices[i : i + 1]), square[i : i + 1].copy())
        np.testing.assert_array_equal(together[i], alone[0])
    beyond = np.full((1, 1), 1e30, dtype=np.float32)
    assert abs(table.read(table.for_indices([1.0]), beyond)[0, 0]) < 1e-9
