"""Robust figures against normal samples, scipy, and arithmetic by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from romancal_forcedphot.table.statistics import (
    MEDIAN_ERROR_FACTOR,
    ONE_SIGMA_PERCENTILES,
    bin_by_magnitude,
    format_signed,
    magnitude_edges,
    pull_width,
    robust_statistics,
)

#: Of normal values: half of them lie within one MAD of the median.
SIGMA_PER_MAD = 1 / stats.norm.ppf(0.75)


def test_constants_are_those_of_a_normal_distribution():
    assert pytest.approx(np.sqrt(np.pi / 2), abs=5e-5) == MEDIAN_ERROR_FACTOR
    np.testing.assert_allclose(ONE_SIGMA_PERCENTILES, 100 * stats.norm.cdf([-1, 1]), atol=1e-3)


def test_spread_of_numbers_by_hand():
    found = robust_statistics([1.0, 2.0, 3.0, 4.0, 100.0, np.nan])
    assert found.n == 5
    assert found.median == 3.0
    assert found.scatter == pytest.approx(SIGMA_PER_MAD * 1.0)  # deviations 2, 1, 0, 1, 97
    assert found.median_err == pytest.approx(1.2533 * SIGMA_PER_MAD / np.sqrt(5))


def test_spread_and_width_of_normal_values():
    values = np.random.default_rng(2).normal(0.3, 2.0, 40_000)
    found = robust_statistics(values)
    assert found.scatter == pytest.approx(2.0, rel=0.02)
    assert found.scatter == pytest.approx(stats.median_abs_deviation(values, scale="normal"), 1e-4)
    assert pull_width(values) == pytest.approx(2.0, rel=0.02)


def test_the_error_of_the_median_is_how_medians_scatter():
    samples = np.random.default_rng(3).normal(0, 1, (2000, 101))
    claimed = np.median([robust_statistics(sample).median_err for sample in samples])
    assert claimed == pytest.approx(np.median(samples, axis=1).std(), rel=0.06)


def test_a_source_without_positive_flux_counts_as_faint():
    """Leaving it out would pull the median of the others up."""
    assert robust_statistics([-1.0, 0.0, 1.0, np.inf, np.inf]).median == 1.0
    lost = robust_statistics([0.0, np.inf, np.inf])
    assert (lost.n, lost.median) == (3, np.inf)
    assert np.isnan(lost.scatter)


def test_nothing_gives_nan():
    assert robust_statistics([]).n == 0
    assert np.isnan(
        [robust_statistics([]).median, robust_statistics([np.nan]).scatter, pull_width([np.inf])]
    ).all()


def test_edges_hold_all():
    np.testing.assert_allclose(
        magnitude_edges([17.2, 19.0, np.nan], 0.5), [17, 17.5, 18, 18.5, 19, 19.5]
    )
    np.testing.assert_array_equal(magnitude_edges([18.0]), [18, 19])
    np.testing.assert_array_equal(magnitude_edges([]), [0, 1])


def test_bins_hold_their_lower_edge():
    magnitude = [17.0, 17.9, 18.0, 20.5, 20.9, np.nan]
    bins = bin_by_magnitude(magnitude, [1, 3, 5, 0, 0, 9], [0, 2, 4, 1, 3, 9], [17, 18, 19, 20, 21])
    np.testing.assert_array_equal(bins["n"], [2, 1, 0, 2])
    np.testing.assert_array_equal(bins["bright"], [17, 18, 19, 20])
    np.testing.assert_array_equal(bins["offset"], [2, 5, np.nan, 0])
    np.testing.assert_array_equal(bins["pull"], [1, 4, np.nan, 2])
    assert bins["scatter"][0] == pytest.approx(SIGMA_PER_MAD)


def test_zero_has_no_minus():
    shown = [format_signed(value, 2) for value in (-0.004, 0.004, -0.006, np.inf, np.nan)]
    assert shown == ["+0.00", "+0.00", "-0.01", "+inf", "+nan"]
