"""Kron radii and fluxes against photutils' `SourceCatalog`."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.modeling.models import Sersic2D
from photutils.segmentation import SourceCatalog, detect_sources

from romancal_forcedphot.geometry import ellipse_overlap, ellipse_reach
from romancal_forcedphot.photometry.pixels.ellipses import owners
from romancal_forcedphot.photometry.pixels.kron import KRON_SCALE, kron_radius

SHAPE = (420, 460)


@pytest.fixture(scope="module")
def scene():
    """Galaxies on a grid, so that they are isolated, some with a neighbour, and noise."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    data = rng.normal(0, 0.05, SHAPE)
    places = [(i, j) for i in range(40, 400, 70) for j in range(40, 440, 70)]
    for number, (i, j) in enumerate(places):
        for k in range(1 if number % 3 else 2):
            galaxy = Sersic2D(
                amplitude=rng.uniform(0.5, 5),
                r_eff=rng.uniform(1.5, 4),
                n=rng.uniform(0.6, 2.5),
                x_0=j + rng.uniform(-3, 3) + 14 * k,
                y_0=i + rng.uniform(-3, 3),
                ellip=rng.uniform(0, 0.7),
                theta=rng.uniform(0, np.pi),
            )
            data += galaxy(x, y)
    data = data.astype(np.float32)
    data[rng.random(SHAPE) < 0.004] = np.nan
    return data


@pytest.fixture(scope="module")
def segments(scene):
    return detect_sources(scene, 0.15, n_pixels=12, mask=~np.isfinite(scene))


@pytest.fixture(scope="module")
def catalog(scene, segments):
    mask = ~np.isfinite(scene)
    return SourceCatalog(
        scene, segments, mask=mask, error=np.full(SHAPE, 0.05), aperture_mask_method="mask"
    )


def ellipses_of(catalog):
    return (
        catalog.x_centroid,
        catalog.y_centroid,
        catalog.semimajor_axis.value,
        catalog.semiminor_axis.value,
        catalog.orientation.to("rad").value,
    )


def test_radii_are_those_of_photutils(scene, segments, catalog):
    known = {"owner": segments.data, "label": catalog.labels}
    ours = kron_radius(scene, *ellipses_of(catalog), **known)
    np.testing.assert_allclose(ours, catalog.kron_radius.value, rtol=1e-5)
    ours = kron_radius(scene, *ellipses_of(catalog), **known, smallest=0.1)
    unlimited = catalog.make_kron_apertures(kron_params=(1.0, 0.1))
    theirs = [each.a for each in unlimited] / catalog.semimajor_axis.value
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    assert len(ours) > 35
    assert (ours > 0.5).all()


def test_a_background_is_subtracted(scene, segments, catalog):
    owner = segments.data
    background = np.linspace(1, 2, catalog.n_labels)
    x, y, *shape = ellipses_of(catalog)
    plain = kron_radius(scene, x, y, *shape, owner=owner, label=catalog.labels)
    for i in (0, 11, 30):
        row = slice(i, i + 1)
        found = kron_radius(
            scene + np.float32(background[i]),
            x[row],
            y[row],
            *(each[row] for each in shape),
            background=background[row],
            owner=owner,
            label=catalog.labels[row],
        )
        np.testing.assert_allclose(found, plain[row], rtol=2e-5)


def is_isolated(catalog):
    """Sources without another one within 30 pixels."""
    x, y = catalog.x_centroid, catalog.y_centroid
    distance = np.hypot(x[:, None] - x, y[:, None] - y) + 1e3 * np.eye(x.size)
    return distance.min(axis=1) > 30


def test_fluxes_of_isolated_galaxies_are_those_of_photutils(scene, catalog):
    isolated = is_isolated(catalog)
    x, y, semimajor, semiminor, theta = (each[isolated] for each in ellipses_of(catalog))
    assert x.size > 15
    owner = owners(SHAPE, *ellipses_of(catalog), size=3.0)
    label = np.flatnonzero(isolated) + 1
    radius = kron_radius(scene, x, y, semimajor, semiminor, theta, owner=owner, label=label)
    expected = catalog.kron_radius.value[isolated]
    np.testing.assert_allclose(radius, expected, rtol=0.01)
    scale = KRON_SCALE * radius
    reach = ellipse_reach(scale * semimajor, scale * semiminor, theta)
    fraction = (x - np.rint(x), y - np.rint(y))
    weights = ellipse_overlap(*fraction, scale * semimajor, scale * semiminor, theta, reach)
    padded = np.pad(np.nan_to_num(scene), reach)
    flux = [
        (w * padded[j : j + 2 * reach + 1, i : i + 2 * reach + 1]).sum()
        for w, i, j in zip(weights, np.rint(x).astype(int), np.rint(y).astype(int), strict=True)
    ]
    np.testing.assert_allclose(flux, catalog.kron_flux[isolated], rtol=0.01)


def test_pixels_belong_to_the_nearest_source_in_its_own_measure():
    x, y = np.array([20.2, 31.0, 70.0, np.nan]), np.array([20.0, 20.4, 3.0, 10.0])
    semimajor, semiminor = np.array([6.0, 2.0, 4.0, 3.0]), np.array([2.0, 2.0, 3.0, 3.0])
    theta = np.array([0.3, 0.0, 1.0, 0.0])
    owner = owners((40, 72), x, y, semimajor, semiminor, theta, size=2.5)
    j, i = np.mgrid[:40, :72]
    radii = []
    for k in range(3):
        along = (i - x[k]) * np.cos(theta[k]) + (j - y[k]) * np.sin(theta[k])
        across = (j - y[k]) * np.cos(theta[k]) - (i - x[k]) * np.sin(theta[k])
        radii.append(np.hypot(along / semimajor[k], across / semiminor[k]))
    expected = np.where(np.min(radii, axis=0) < 2.5, np.argmin(radii, axis=0) + 1, 0)
    np.testing.assert_array_equal(owner, expected)


def test_neighbours_do_not_raise_the_radius(scene, catalog):
    """A galaxy of its own and the same one beside a bright neighbour that owns its pixels."""
    y, x = np.mgrid[:81, :81].astype(float)
    galaxy = Sersic2D(1.0, 3.0, 1.0, 40.0, 40.0, 0.3, 0.5)(x, y).astype(np.float32)
    neighbor = 30 * np.exp(-((x - 52) ** 2 + (y - 44) ** 2) / 2).astype(np.float32)
    ellipse = np.array([[40.0], [40.0], [3.5], [2.5], [0.5]])
    alone = kron_radius(galaxy, *ellipse)
    beside = kron_radius(galaxy + neighbor, *ellipse)
    both = np.column_stack([ellipse, [[52.0], [44.0], [1.0], [1.0], [0.0]]])
    owner = owners((81, 81), *both, size=5.0)
    cleaned = kron_radius(galaxy + neighbor, *ellipse, owner=owner, label=np.array([1]))
    assert beside > 1.5 * alone
    assert cleaned == pytest.approx(alone[0], rel=0.03)


def test_what_cannot_be_measured():
    noise = np.full((30, 30), -1.0, dtype=np.float32)
    x, y = np.array([15.0, np.nan, 15.0, 200.0]), np.full(4, 15.0)
    semimajor = np.array([2.0, 2.0, np.nan, 2.0])
    found = kron_radius(noise, x, y, semimajor, semimajor, np.zeros(4))
    np.testing.assert_array_equal(found, [1.4, np.nan, np.nan, np.nan])
    masked = kron_radius(noise * np.nan, x[:1], y[:1], semimajor[:1], semimajor[:1], np.zeros(1))
    assert np.isnan(masked).all()
    # a ring: more light at 5 half axes than inside, and a negative centre
    j, i = np.mgrid[:30, :30] - 15
    ring = np.where(np.hypot(i, j) > 8, 1.0, -1.0).astype(np.float32)
    ring_radius = kron_radius(ring, x[:1], y[:1], semimajor[:1], semimajor[:1], np.zeros(1))
    assert np.isnan(ring_radius).all()
