"""Relative zero points of simulated exposures whose truth is known."""

from __future__ import annotations

import numpy as np

from romancal_forcedphot.lightcurves.collating.zero_points import relative_zero_points


def simulated(zero_points, *, n_sources=60, error=0.01, seed=5, variable=0):
    """Points of sources that each fall on four of five exposures."""
    rng = np.random.default_rng(seed)
    n_exposures = len(zero_points)
    exposure, source = (a.ravel() for a in np.indices((n_exposures, n_sources)))
    seen = rng.uniform(size=exposure.size) < 0.8
    exposure, source = exposure[seen], source[seen]
    truth = 10 ** rng.uniform(4, 5, n_sources)
    flux = truth[source] * np.asarray(zero_points)[exposure]
    flux = flux * (1 + error * rng.normal(size=flux.size))
    flux[source < variable] *= rng.uniform(0.3, 3.0, (source < variable).sum())
    return exposure, source, flux, error * flux


def test_zero_points_are_found_within_their_errors():
    truth = 1 + 0.03 * np.sin(np.arange(40) / 5)
    truth /= np.median(truth)
    found = relative_zero_points(*simulated(truth), 40)
    pull = (found.value - truth) / found.error
    assert np.abs(pull).max() < 4
    assert 0.6 < pull.std() < 1.5
    np.testing.assert_allclose(np.median(found.scatter), 0.01, rtol=0.1)
    assert (found.n_sources > 35).all()


def test_variable_sources_are_left_out():
    truth = np.linspace(0.97, 1.03, 30)
    found = relative_zero_points(*simulated(truth, variable=20), 30)
    assert np.abs(found.value / truth / np.median(found.value / truth) - 1).max() < 0.012
    assert (found.n_sources <= 40).all()


def test_too_few_sources_give_no_zero_point():
    exposure, source, flux, err = simulated(np.ones(6))
    few = (exposure != 2) | (source < 3)
    found = relative_zero_points(exposure[few], source[few], flux[few], err[few], 7)
    assert np.isnan(found.value[[2, 6]]).all()
    assert np.isfinite(np.delete(found.value, [2, 6])).all()
    assert found.n_sources[6] == 0


def test_nothing_gives_nothing():
    empty = np.empty(0)
    found = relative_zero_points(empty.astype(int), empty.astype(int), empty, empty, 3)
    assert np.isnan(found.value).all()
    assert (found.n_sources == 0).all()


def test_one_exposure_is_its_own_measure():
    exposure, source, flux, err = simulated(np.ones(1))
    found = relative_zero_points(exposure, source, flux, err, 1)
    assert np.isnan(found.value[0])  # no source has the three points that constancy needs
