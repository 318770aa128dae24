"""Many stamps at once against the same stamps one by one, and against photutils."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from astropy.nddata import NDData
from photutils.psf import GriddedPSFModel
from scipy.special import ndtr

from romancal_forcedphot.psfs import GriddedEPSF

GRID_X, GRID_Y = (axis.ravel() for axis in np.meshgrid([3.0, 100.0, 180.0], [0.0, 90.0, 190.0]))


def gaussian_stamp(half_size, oversample, sigma_x, sigma_y):
    """ePSF stamp of a Gaussian star, of odd side."""
    offset = np.arange(-half_size * oversample, half_size * oversample + 1) / oversample
    along_x, along_y = (
        ndtr((offset + 0.5) / sigma) - ndtr((offset - 0.5) / sigma) for sigma in (sigma_x, sigma_y)
    )
    return along_y[:, None] * along_x


def gridded(oversample=4, half_size=12):
    """Stamps that differ at every grid position."""
    stamps = [
        gaussian_stamp(half_size, oversample, 0.7 + 0.05 * i, 0.9 - 0.02 * i) for i in range(9)
    ]
    return GriddedEPSF(np.array(stamps), GRID_X, GRID_Y, oversample)


@pytest.mark.parametrize("oversample", [2, 3, 4])
@pytest.mark.parametrize("side", [1, 5, 13])
def test_many_sources_at_once_equal_few(oversample, side):
    epsf = gridded(oversample)
    x, y = np.random.default_rng(2).uniform(-20, 220, (2, 1000))
    x[:5] = [10.0, 10.5, 11.5, 99.999999, 100.0]  # at and around the rounding of phases
    together = epsf.on_pixels(x, y, side)
    one_by_one = np.concatenate(
        [epsf.on_pixels(x[i : i + 1], y[i : i + 1], side) for i in range(1000)]
    )
    assert together.shape == (1000, side, side)
    np.testing.assert_allclose(together, one_by_one, rtol=0, atol=3e-7)


def test_many_sources_equal_photutils_with_finer_stamps():
    epsf, finer = gridded(), gridded(8)
    places = list(zip(GRID_X, GRID_Y, strict=True))
    meta = {"grid_xypos": places, "oversampling": 8}
    photutils = GriddedPSFModel(NDData(finer.stamps, meta=meta))
    x, y = np.random.default_rng(3).uniform(10, 170, (2, 300))
    stamps = epsf.on_pixels(x, y, 11)
    dy, dx = np.mgrid[-5:6, -5:6]
    for k in range(0, 300, 20):
        at = partial(photutils.evaluate, flux=1.0, x_0=x[k], y_0=y[k])
        expected = at(dx + np.rint(x[k]), dy + np.rint(y[k]))
        np.testing.assert_allclose(stamps[k], expected, atol=2e-7)
