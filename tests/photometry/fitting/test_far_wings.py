"""Light beyond the stamps against stars drawn whole."""

from __future__ import annotations

import numpy as np
from simulated_stars import field, render

from romancal_forcedphot.photometry.fitting import PointSources
from romancal_forcedphot.photometry.fitting.far_wings import crowded_blocks, far_wings
from romancal_forcedphot.photometry.fitting.mesh import Mesh

SHAPE = (200, 200)


def test_stamps_and_far_wings_make_whole_stars(epsf):
    x, y, flux = field(300, seed=8)
    half_size = np.where(flux > 300, 12, 5)
    profiles = PointSources.of(epsf, x, y)
    blocks = Mesh.over(SHAPE, 512)
    beyond = far_wings(profiles, flux, half_size, blocks, np.ones((1, 1), bool), n_threads=1)
    whole = render(x, y, flux, SHAPE, epsf)
    stamps = np.zeros(SHAPE)
    row, column = np.mgrid[: SHAPE[0], : SHAPE[1]]
    for k in range(x.size):
        inside = np.maximum(abs(row - np.rint(y[k])), abs(column - np.rint(x[k]))) <= half_size[k]
        alone = render(x[k : k + 1], y[k : k + 1], flux[k : k + 1], SHAPE, epsf)
        stamps += np.where(inside, alone, 0.0)
    missing = whole - stamps
    assert np.std(beyond - missing) < 0.15 * np.std(missing)  # no sub-pixel phase


def test_blocks_that_are_not_crowded_have_none(epsf):
    x, y, flux = field(50, seed=9)
    half_size = np.full(50, 5)
    profiles = PointSources.of(epsf, x, y)
    blocks = Mesh.over(SHAPE, 100)
    chosen = np.array([[True, False], [False, False]])
    beyond = far_wings(profiles, flux, half_size, blocks, chosen, n_threads=2)
    assert beyond[:100, :100].any()
    assert not beyond[100:].any()
    assert not beyond[:, 100:].any()


def test_blocks_are_crowded_where_stamps_overlap():
    x, y = np.random.default_rng(1).uniform(0, 99, (2, 400))
    found = crowded_blocks(Mesh.over(SHAPE, 100), x, y, np.full(400, 5))
    assert found.tolist() == [[True, False], [False, False]]  # 400 times 121 pixels of 10,000
    assert not crowded_blocks(Mesh.over(SHAPE, 100), x, y, np.full(400, 2)).any()
