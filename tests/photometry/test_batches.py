"""Batches of sources: everyone near the image once, and no more pixels than fit in memory."""

from __future__ import annotations

import numpy as np
import pytest

from romancal_forcedphot.photometry.batches import divided_batches, rows_near, spatial_batches
from small import SHAPE


def positions(n=20_000):
    x, y = np.random.default_rng(6).uniform(-60, 260, (2, n))
    x[:3], y[3:5] = np.nan, np.inf
    return x, y


@pytest.mark.parametrize("reach", [0.5, 3.0, 40.0])
def test_rows_near_are_those_whose_circle_may_touch_the_image(reach):
    x, y = positions()
    rows = rows_near(x, y, SHAPE, reach)
    ny, nx = SHAPE
    to_x, to_y = (np.maximum(np.maximum(-0.5 - p, p - (n - 0.5)), 0) for p, n in ((x, nx), (y, ny)))
    with np.errstate(invalid="ignore"):
        touching = np.flatnonzero(np.hypot(to_x, to_y) < reach)
        far = np.flatnonzero(np.maximum(to_x, to_y) > reach + 2)
    assert np.isin(touching, rows).all()
    assert not np.isin(far, rows).any()
    assert np.isfinite(x[rows] + y[rows]).all()
    assert (np.diff(rows) > 0).all()


@pytest.mark.parametrize("n_pixels_each", [1, 1000, 10**9])
def test_each_row_is_in_one_batch_with_its_neighbours(n_pixels_each):
    x, y = positions()
    batches = list(spatial_batches(x, y, SHAPE, 3.0, n_pixels_each=n_pixels_each))
    rows = np.concatenate(batches)
    np.testing.assert_array_equal(np.sort(rows), rows_near(x, y, SHAPE, 3.0))
    assert max(map(len, batches)) <= max(1_000_000 // n_pixels_each, 1)
    assert max(map(len, batches)) <= 4096
    assert (np.diff(y[rows] // 64) >= 0).all()  # strip after strip


def test_nobody_makes_no_batch():
    nowhere = np.full(4, np.nan)
    assert list(spatial_batches(nowhere, nowhere, SHAPE, 3.0, n_pixels_each=49)) == []
    assert list(spatial_batches(nowhere[:0], nowhere[:0], SHAPE, 3.0, n_pixels_each=49)) == []


def test_parts_of_batches_lie_in_one_square():
    rng = np.random.default_rng(2)
    x, y = rng.uniform(-30, 300, (2, 500))
    batches = list(spatial_batches(x, y, (280, 280), 5.0, n_pixels_each=10_000))
    parts = list(divided_batches(batches, x, y, 100.0))
    for rows in parts:
        assert len({tuple(each) for each in np.stack([x, y])[:, rows].T // 100}) == 1
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.sort(np.concatenate(batches)))
    assert len(list(divided_batches(batches, x, y, 1000.0))) <= 4 * len(batches)
    assert list(divided_batches([], x, y, 100.0)) == []
