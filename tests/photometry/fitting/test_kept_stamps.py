"""Kept stamps against those of the PSF."""

from __future__ import annotations

import numpy as np
import pytest

from romancal_forcedphot.photometry.fitting import PointSources, kept_stamps
from romancal_forcedphot.photometry.fitting.kept_stamps import KeptStamps

N = 50


@pytest.fixture
def profiles(epsf):
    return PointSources.of(epsf, *np.random.default_rng(1).uniform(0, 200, (2, N)))


def test_stamps_of_any_size_are_those_of_the_psf(profiles):
    """Smaller than those that are kept, as large, larger, mixed; and after some have grown."""
    half_size = np.arange(N) % 9
    kept = KeptStamps.of(profiles).with_sizes(half_size, 2)
    half_size[::3] = 12
    grown = kept.with_sizes(half_size, 1)
    rows = np.random.default_rng(2).permutation(N)[:40]
    for some in (KeptStamps.of(profiles), kept, grown):
        for side in (1, 7, 13, 21):
            expected = profiles.stamps(rows, side)
            np.testing.assert_allclose(some.stamps(rows, side), expected, atol=1e-7)
    assert grown.half_size.max() == 12
    assert (grown.half_size >= kept.half_size).all()


def test_none_are_kept_where_they_are_too_many(profiles, monkeypatch):
    monkeypatch.setattr(kept_stamps, "_MOST_PIXELS", 49 * N - 1)
    sizes = np.full(N, 2), np.full(N, 3)
    small = KeptStamps.of(profiles).with_sizes(sizes[0], 1)
    assert (small.half_size == 2).all()
    large = small.with_sizes(sizes[1], 1)
    assert (large.half_size == -1).all()
    np.testing.assert_array_equal(large.stamps(np.arange(N), 7), profiles.stamps(np.arange(N), 7))
