"""Sources by place, against healpix' own arithmetic."""

from __future__ import annotations

import numpy as np
from astropy import units as u
from astropy_healpix import HEALPix

from romancal_forcedphot.lightcurves.collating.partitioning import partitions, spatial_index


def scattered(n, seed=3):
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))


def test_the_index_of_lower_orders_is_its_first_bits():
    ra, dec = scattered(1000)
    index = spatial_index(ra, dec)
    for order in (0, 3, 10):
        grid = HEALPix(nside=2**order, order="nested")
        expected = grid.lonlat_to_healpix(ra * u.deg, dec * u.deg)
        assert (index >> (2 * (29 - order)) == expected).all()


def test_a_position_that_is_none_has_no_index():
    assert spatial_index(np.array([np.nan, 1.0]), np.array([0.0, np.nan])).tolist() == [-1, -1]


def test_partitions_hold_each_source_once_and_no_more_points_than_allowed():
    index = np.sort(spatial_index(*scattered(5000)))
    n_points = np.random.default_rng(4).integers(0, 50, 5000)
    found = partitions(index, n_points, 5000)
    assert [part.start for part in found] == [0, *(part.stop for part in found)][:-1]
    assert found[-1].stop == 5000
    for part in found:
        inside = index[part.start : part.stop] >> (2 * (29 - part.order))
        assert (inside == part.pixel).all()
        assert n_points[part.start : part.stop].sum() <= 5000
    orders = {part.order for part in found}
    assert min(orders) > 0
    assert max(orders) <= 15


def test_sources_in_one_place_stay_together():
    index = np.full(100, int(spatial_index(np.array([10.0]), np.array([20.0]))[0]))
    [part] = partitions(index, np.full(100, 1000), 5000)
    assert (part.start, part.stop, part.order) == (0, 100, 15)


def test_no_sources_have_no_partitions():
    assert partitions(np.empty(0, np.int64), np.empty(0, int), 10) == []
