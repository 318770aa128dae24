"""Cells of an image against NumPy, astropy and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.stats import sigma_clip
from scipy.interpolate import RegularGridInterpolator

from romancal_forcedphot.photometry.fitting.mesh import Mesh

SHAPE = (60, 100)


@pytest.fixture
def mesh():
    return Mesh.over(SHAPE, 20)


@pytest.fixture
def image():
    data = np.random.default_rng(3).normal(5.0, 1.0, SHAPE).astype(np.float32)
    data[3, 5], data[25:40, 42:55] = 500.0, np.nan
    return data


def cells(image):
    return image.reshape(3, 20, 5, 20).swapaxes(1, 2).reshape(3, 5, 400)


def test_cells_cover_the_image(mesh):
    assert mesh.shape == (3, 5)
    assert mesh.n_pixels.sum() == 6000
    rows, columns = mesh.cell_of(np.array([0.0, 19.4, 19.6, 300]), np.array([-9.0, 59, 40, 20]))
    assert rows.tolist() == [0, 2, 2, 1]
    assert columns.tolist() == [0, 0, 1, 4]
    window = mesh.window(1, 2)
    assert (window.top, window.left, window.shape) == (20, 40, (20, 20))
    assert Mesh.over((7, 9), 64).shape == (1, 1)


def test_medians_are_clipped(mesh, image):
    median, err = mesh.medians(image)
    for place in np.ndindex(3, 5):
        if place == (1, 2):
            continue  # there too many are masked
        kept = sigma_clip(cells(image)[place], 3, maxiters=10, cenfunc="median", masked=False)
        kept = kept[np.isfinite(kept)]
        assert median[place] == pytest.approx(np.median(kept), abs=1e-5)
        assert err[place] == pytest.approx(1.2533 * np.std(kept) / np.sqrt(kept.size), rel=0.01)


def test_a_cell_without_pixels_has_those_of_a_neighbour(mesh, image):
    image[20:40, 40:60] = np.nan
    median, _ = mesh.medians(image)
    assert median[1, 2] in (median[0, 2], median[2, 2], median[1, 1], median[1, 3])
    assert np.isnan(mesh.medians(np.full(SHAPE, np.nan, np.float32))[0]).all()


def test_means_are_those_of_the_pixels(mesh, image):
    np.testing.assert_allclose(mesh.means(image), np.nanmean(cells(image), axis=2), rtol=1e-6)


def test_the_surface_is_bilinear_between_centres(mesh):
    values = np.random.default_rng(4).normal(size=(3, 5))
    centers = 20 * np.arange(3) + 9.5, 20 * np.arange(5) + 9.5
    surface = RegularGridInterpolator(centers, values)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    inside = np.clip(y, 9.5, 49.5), np.clip(x, 9.5, 89.5)
    np.testing.assert_allclose(mesh.on_pixels(values), surface(inside), atol=1e-5)
    np.testing.assert_allclose(
        mesh.at(values, x.ravel(), y.ravel()), surface(inside).ravel(), atol=1e-12
    )
    np.testing.assert_array_equal(mesh.repeated(values)[::20, ::20], values.astype(np.float32))


def test_positions_that_share_a_cell_have_their_mean(mesh):
    x, y = mesh.means_of_positions(np.array([1.0, 45.0, 4.0, 99.0]), np.array([2.0, 30, 8, -3.0]))
    np.testing.assert_allclose([x, y], [[2.5, 99.0, 45.0], [5.0, -3.0, 30.0]])
    cells = mesh.of_positions(x, y, np.array([7.0, np.nan, 9.0]))
    assert (cells[0, 0], cells[1, 2]) == (7.0, 9.0)
    assert cells[0, 4] == 9.0  # the nearest that is known


def test_a_surface_with_given_means(image):
    """Through other values than the means, where the cells differ."""
    for mesh in (Mesh.over(SHAPE, 20), Mesh.over(SHAPE, 23), Mesh.over((60, 20), 20)):
        means = np.random.default_rng(6).normal(size=mesh.shape)
        surface = mesh.on_pixels(mesh.with_means(means))
        np.testing.assert_allclose(mesh.means(surface), means, atol=1e-5)
        rows = np.array([3, 4, 30, 59])
        np.testing.assert_array_equal(mesh.on_pixels(means, rows), mesh.on_pixels(means)[rows])
