"""Means, baselines and differences of many light curves, source by source with numpy."""

from __future__ import annotations

import numpy as np
import pytest

from romancal_forcedphot.lightcurves.collating.summaries import (
    Groups,
    baseline_columns,
    baseline_of,
    flux_difference,
    summarize,
    summary_columns,
)


@pytest.fixture
def curves():
    rng = np.random.default_rng(6)
    groups = Groups(np.array([0, 7, 1, 0, 30, 2, 0]))
    n = int(groups.counts.sum())
    flux, err = rng.normal(1e6, 50.0, n), rng.uniform(10, 90, n)
    good, in_band = rng.uniform(size=n) < 0.8, rng.uniform(size=n) < 0.6
    good[groups.offsets[5] :] = False
    return groups, flux, err, good, in_band


def points_of(groups, source):
    return slice(groups.offsets[source], groups.offsets[source + 1])


def test_summaries_are_those_of_each_source_alone(curves):
    groups, flux, err, good, in_band = curves
    found = summarize(*curves, "F106")
    assert list(found) == [column.name for column in summary_columns("F106")]
    for source in range(7):
        points = points_of(groups, source)
        use = (good & in_band)[points]
        f, w = flux[points][use], err[points][use] ** -2.0
        row = {name: values[source] for name, values in found.items()}
        assert row["f106_n_good"] == use.sum()
        if not use.any():
            assert np.isnan(list(row.values())[1:]).all()
            continue
        mean = np.average(f, weights=w)
        assert row["f106_mean_flux"] == pytest.approx(mean, rel=1e-7)
        assert row["f106_mean_flux_err"] == pytest.approx(w.sum() ** -0.5, rel=1e-6)
        assert row["f106_chi2"] == pytest.approx((w * (f - mean) ** 2).sum(), rel=1e-5, abs=1e-9)
        assert row["f106_min_flux"] == pytest.approx(f.min(), rel=1e-7)
        assert row["f106_max_flux"] == pytest.approx(f.max(), rel=1e-7)


def test_errors_of_differences_are_honest_inside_and_outside_of_the_baseline():
    """Ten thousand constant sources of twelve points; the first five are the baseline."""
    rng = np.random.default_rng(7)
    n, k = 10_000, 12
    groups = Groups(np.full(n, k))
    err = np.tile(np.linspace(5, 20, k), n)
    flux = 300 + err * rng.normal(size=n * k)
    every = np.ones(n * k, dtype=bool)
    use = np.tile(np.arange(k) < 5, n)
    base = baseline_of(groups, flux, err, use)
    difference, difference_err = flux_difference(groups, flux, err, every, use, base)
    pull = (difference / difference_err).reshape(n, k)
    np.testing.assert_allclose(pull.std(axis=0), 1.0, atol=0.025)
    np.testing.assert_allclose(pull.mean(axis=0), 0.0, atol=0.04)
    assert np.mean(base.chi2) == pytest.approx(4.0, rel=0.03)


def test_rescaling_makes_errors_what_the_baseline_says():
    rng = np.random.default_rng(8)
    groups = Groups(np.array([200, 9]))
    err = np.full(209, 10.0)
    flux = 300 + 3 * err * rng.normal(size=209)
    use = np.ones(209, dtype=bool)
    base = baseline_of(groups, flux, err, use, rescale=True)
    assert base.error_scale[0] == pytest.approx(flux[:200].std(ddof=1) / 10.0)
    assert base.error_scale[1] == 1.0  # too few points to judge by
    assert base.chi2[0] == pytest.approx(199.0)
    assert base.flux_err[0] == pytest.approx(flux[:200].std(ddof=1) / np.sqrt(200))
    assert list(base.columns("F158")) == [column.name for column in baseline_columns("F158")]


def test_a_source_without_baseline_has_no_difference():
    groups = Groups(np.array([2, 2]))
    flux, err = np.arange(4.0), np.ones(4)
    use = np.array([True, False, False, False])
    base = baseline_of(groups, flux, err, use)
    every = np.ones(4, dtype=bool)
    difference, error = flux_difference(groups, flux, err, every, use, base)
    np.testing.assert_array_equal(difference, [0.0, 1.0, np.nan, np.nan])
    np.testing.assert_allclose(error, [0.0, np.sqrt(2.0), np.nan, np.nan])
