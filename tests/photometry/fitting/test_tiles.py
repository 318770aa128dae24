"""Tiles and work on threads: each source once, in order."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from romancal_forcedphot.photometry.fitting import PointSources, tiles
from romancal_forcedphot.photometry.fitting.parallel import in_order


@pytest.mark.parametrize("most", [1_000, 20_000, 5_000_000])
def test_each_source_belongs_to_one_tile_with_its_neighbours(epsf, monkeypatch, most):
    monkeypatch.setattr(tiles, "_MOST_STAMP_PIXELS", most)
    rng = np.random.default_rng(6)
    x, y = rng.uniform(0, 200, (2, 500))
    half_size = rng.choice([0, 3, 5, 12], 500)
    found = tiles.tiles_of(PointSources.of(epsf, x, y), half_size)
    own = np.concatenate([tile.rows[tile.is_own] for tile in found])
    np.testing.assert_array_equal(np.sort(own), np.flatnonzero(half_size))
    for tile in found:
        sizes = half_size[tile.rows]
        assert (np.diff(sizes) >= 0).all()
        assert ((2 * sizes[tile.is_own] + 1) ** 2).sum() <= most or tile.is_own.sum() == 1
        for row in tile.rows[tile.is_own]:
            near = (np.hypot(x - x[row], y - y[row]) < 9.9) & (half_size > 0)
            assert np.isin(np.flatnonzero(near), tile.rows).all()


def test_no_sources_no_tiles(epsf):
    none = np.zeros(0)
    assert tiles.tiles_of(PointSources.of(epsf, none, none), np.zeros(0, dtype=np.intp)) == []


@pytest.mark.parametrize("n_threads", [1, 3])
def test_results_come_in_the_order_of_the_items(n_threads):
    """However long each takes, and with errors that are raised."""
    first_may_end = threading.Event()

    def work(item):
        if item == 0 and n_threads > 1:
            assert first_may_end.wait(10)
        first_may_end.set()
        if item == 7:
            raise ValueError("seven")
        return 2 * item

    assert list(in_order(work, range(5), n_threads)) == [0, 2, 4, 6, 8]
    assert list(in_order(work, [], n_threads)) == []
    with pytest.raises(ValueError, match="seven"):
        list(in_order(work, range(5, 10), n_threads))
