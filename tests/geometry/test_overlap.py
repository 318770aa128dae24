"""Overlaps of circles with pixels against photutils, and exact where they must be."""

from __future__ import annotations

import numpy as np
import pytest

from circles import RADII, exact_weights, scattered_positions
from romancal_forcedphot.geometry import circle_overlap, stamp_reach


@pytest.mark.parametrize("radius", RADII)
def test_weights_equal_photutils(radius):
    x, y = scattered_positions()
    near = np.abs(x) < 1e6
    x, y = x[near][-400:], y[near][-400:]
    reach = stamp_reach(radius)
    ours = circle_overlap(x - np.rint(x), y - np.rint(y), radius)
    theirs = np.array([exact_weights(*place, radius, reach) for place in zip(x, y, strict=True)])
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("radius", RADII)
def test_weights_are_exact_fractions(radius):
    rng = np.random.default_rng(3)
    fx, fy = rng.uniform(-0.5, 0.5, (2, 300))
    weights = circle_overlap(fx, fy, radius)
    np.testing.assert_allclose(weights.sum(axis=(1, 2)), np.pi * radius**2, rtol=1e-13)
    k = np.arange(weights.shape[1]) - stamp_reach(radius)
    dy, dx = k[:, None] - fy[:, None, None], k - fx[:, None, None]
    nearest = np.hypot(np.maximum(np.abs(dy) - 0.5, 0), np.maximum(np.abs(dx) - 0.5, 0))
    farthest = np.hypot(np.abs(dy) + 0.5, np.abs(dx) + 0.5)
    assert (weights[nearest > radius + 1e-9] == 0).all()
    assert (weights[farthest < radius - 1e-9] == 1).all()
    on_rim = (nearest < radius - 1e-6) & (farthest > radius + 1e-6)
    assert (weights[on_rim] > 0).all()
    assert (weights[on_rim] < 1).all()
