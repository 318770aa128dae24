"""Which sources share an unknown, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from romancal_forcedphot.photometry.fitting.unknowns import DEGENERATE_PIX, Unknowns


def unknowns(*places, shape_id=None):
    x, y = np.array(places, dtype=float).reshape(-1, 2).T
    alike = np.zeros(x.size, dtype=int) if shape_id is None else np.array(shape_id)
    return Unknowns.of(x, y, alike)


def test_sources_in_one_place_are_one_unknown():
    found = unknowns((5, 5), (40, 8), (5, 5), (5.001, 5))
    assert found.of_source.tolist() == [found.of_source[0], found.of_source[1], *[0, 0]]
    assert found.n_sources[found.of_source].tolist() == [3, 1, 3, 3]
    assert found.is_degenerate[found.of_source].tolist() == [True, False, True, True]
    assert found.row[found.of_source].tolist() == [0, 1, 0, 0]


def test_other_shapes_in_one_place_are_told_apart():
    found = unknowns((5, 5), (5, 5), shape_id=[0, 1])
    assert found.row.size == 2
    assert found.is_degenerate.all()


@pytest.mark.parametrize("distance", [0.9 * DEGENERATE_PIX, 1.1 * DEGENERATE_PIX])
def test_near_sources_are_degenerate(distance):
    found = unknowns((5, 5), (5 + distance, 5))
    assert found.row.size == 2
    assert found.is_degenerate.tolist() == 2 * [distance < DEGENERATE_PIX]


def test_no_more_unknowns_than_pixels():
    """Nine in a pixel, or 26 on five by five of them, share one flux for each pixel."""
    rng = np.random.default_rng(1)
    in_pixel = np.array([7.0, 7.0]) + rng.uniform(-0.45, 0.45, (9, 2))
    assert unknowns(*in_pixel).row.size == 1
    assert unknowns(*in_pixel[:8]).row.size == 8
    in_cell = rng.uniform(-0.4, 4.4, (60, 2))
    n_pixels = len({tuple(place) for place in np.rint(in_cell)})
    found = unknowns(*in_cell)
    assert found.row.size == n_pixels <= 25
    assert found.n_sources.sum() == 60


def test_no_sources():
    assert unknowns().row.size == 0
