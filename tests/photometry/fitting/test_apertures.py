"""Errors of apertures without their neighbours, against dense linear algebra."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_stars import simulate

from romancal_forcedphot.photometry.fitting import NeighborErrors, NoSky, PointSources, fit_fluxes

SHAPE = (60, 60)
HALF = 4


def weights_on_image(weights, x, y):
    """Weights (k, s, s) on all pixels (k, p)."""
    on_image = np.zeros((x.size, *SHAPE))
    for each, stamp, x0, y0 in zip(on_image, weights, np.rint(x), np.rint(y), strict=True):
        each[int(y0) - HALF : int(y0) + HALF + 1, int(x0) - HALF : int(x0) + HALF + 1] = stamp
    return on_image.reshape(x.size, -1)


@pytest.fixture
def fitted(epsf):
    x = np.array([30.2, 33.1, 29.0, 45.0, 44.2, 12.0])
    y = np.array([30.1, 31.0, 34.6, 20.3, 24.9, 45.0])
    image = simulate(epsf, x, y, np.array([300.0, 900, 200, 500, 80, 100]), shape=SHAPE, sky=0.0)
    return image, fit_fluxes(image.data, image.err, PointSources.of(epsf, x, y), sky=NoSky())


def test_equals_the_variance_of_the_linear_estimate(epsf, fitted):
    """The sum less the neighbours' fitted light is linear in the pixels: so is its variance."""
    image, result = fitted
    rows = np.arange(image.x.size)
    offset = np.arange(-HALF, HALF + 1)
    disk = (np.hypot(offset, offset[:, None]) < 3.2).astype(float)
    weights = np.repeat(disk[None], rows.size, axis=0)
    variance = (result.scale**2 / result.estimate.weight).ravel()
    on_pixels = weights_on_image(weights, image.x, image.y)
    of_pixels = (on_pixels**2) @ variance

    design = np.zeros((rows.size, *SHAPE))
    for k in rows:
        half = int(result.estimate.half_size[k])
        stamp = epsf.on_pixels(image.x[k : k + 1], image.y[k : k + 1], 2 * half + 1)[0]
        for (dy, dx), light in np.ndenumerate(stamp):
            row, column = int(np.rint(image.y[k])) + dy - half, int(np.rint(image.x[k])) + dx - half
            if 0 <= row < SHAPE[0] and 0 <= column < SHAPE[1]:
                design[k, row, column] = light
    design = design.reshape(rows.size, -1)
    normal = (design / variance) @ design.T
    solution = np.linalg.solve(normal, design / variance)  # fluxes from pixels
    caught = on_pixels @ design.T
    np.fill_diagonal(caught, 0.0)
    expected = ((on_pixels - caught @ solution) ** 2) @ variance
    errors = NeighborErrors.around(result, rows, HALF)
    np.testing.assert_allclose(errors.variance(weights, of_pixels), expected, rtol=0.01)
    assert abs(expected / of_pixels - 1).max() > 0.2


def test_sources_that_are_not_fitted_have_the_variance_of_their_pixels(epsf, fitted):
    image, _ = fitted
    image.data[28:60, 0:30] = np.nan
    profiles = PointSources.of(epsf, image.x, image.y)
    result = fit_fluxes(image.data, image.err, profiles, sky=NoSky())
    assert not result.is_measured[5]
    weights, of_pixels = np.full((2, 3, 3), 0.5), np.array([2.0, 3.0])
    errors = NeighborErrors.around(result, np.array([5, 3]), 1)
    assert errors.variance(weights, of_pixels)[0] == 2.0
    assert NeighborErrors.around(result, np.array([5]), 1) is None
