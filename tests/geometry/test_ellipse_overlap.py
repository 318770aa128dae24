"""Overlaps of ellipses and pixels against photutils, circles, and areas by hand."""

from __future__ import annotations

import numpy as np
import pytest
from photutils.aperture import EllipticalAperture

from romancal_forcedphot.geometry.ellipse_overlap import ellipse_overlap, ellipse_reach
from romancal_forcedphot.geometry.overlap import circle_overlap


def random_ellipses(n, seed, smallest=0.05, largest=12.0):
    """Centres, axes and angles of all sizes and tilts."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-0.5, 0.5, (2, n))
    semimajor = 10 ** rng.uniform(np.log10(smallest), np.log10(largest), n)
    return x, y, semimajor, semimajor * rng.uniform(0.05, 1, n), rng.uniform(-7, 7, n)


def photutils_weights(x, y, semimajor, semiminor, theta, reach):
    side = 2 * reach + 1
    aperture = EllipticalAperture((x + reach, y + reach), semimajor, semiminor, theta=theta)
    return aperture.to_mask(method="exact").to_image((side, side))


def test_weights_equal_photutils():
    ellipses = random_ellipses(600, 1)
    ours = ellipse_overlap(*ellipses)
    reach = ellipse_reach(*ellipses[2:])
    theirs = [photutils_weights(*each, reach) for each in zip(*ellipses, strict=True)]
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize("theta", [0.0, np.pi / 2, np.pi, -np.pi / 4, 3 * np.pi / 4])
@pytest.mark.parametrize("place", [(0.0, 0.0), (0.5, -0.5), (0.25, 0.0)])
def test_special_angles_and_places_equal_photutils(place, theta):
    axes = np.array([[0.5, 0.49], [3.0, 1.0], [2.5, 0.01], [0.3, 0.1], [7.0, 6.999]])
    reach = ellipse_reach(*axes.T, theta)
    ours = ellipse_overlap(*np.tile(place, (5, 1)).T, *axes.T, theta)
    theirs = [photutils_weights(*place, *each, theta, reach) for each in axes]
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)


def test_a_round_ellipse_is_a_circle():
    x, y, radius, _, theta = random_ellipses(300, 2)
    reach = int(np.ceil(radius.max()))
    expected = circle_overlap(x, y, radius, reach)
    np.testing.assert_allclose(
        ellipse_overlap(x, y, radius, radius, theta, reach), expected, rtol=0, atol=1e-12
    )
    one_for_all = ellipse_overlap(x, y, 3.0, 3.0, 0.3)
    np.testing.assert_allclose(one_for_all, circle_overlap(x, y, 3.0), rtol=0, atol=1e-12)


def test_weights_are_exact_fractions():
    x, y, semimajor, semiminor, theta = random_ellipses(400, 3)
    weights = ellipse_overlap(x, y, semimajor, semiminor, theta)
    area = np.pi * semimajor * semiminor
    np.testing.assert_allclose(weights.sum(axis=(1, 2)), area, rtol=1e-12)
    reach = weights.shape[-1] // 2
    dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1]

    def elliptical_radius(dx, dy):
        along = dx * np.cos(theta) + dy * np.sin(theta)
        across = dy * np.cos(theta) - dx * np.sin(theta)
        return np.hypot(along / semimajor, across / semiminor)

    corners = [
        elliptical_radius(dx[..., None] + i - x, dy[..., None] + j - y)
        for i in (-0.5, 0.5)
        for j in (-0.5, 0.5)
    ]
    farthest = np.moveaxis(np.max(corners, axis=0), -1, 0)
    assert (weights[farthest < 1 - 1e-9] == 1).all()
    center = np.moveaxis(elliptical_radius(dx[..., None] - x, dy[..., None] - y), -1, 0)
    off = center - 1 > np.hypot(0.5, 0.5) / semiminor[:, None, None]
    assert (weights[off] == 0).all()
    assert ((weights >= 0) & (weights <= 1)).all()


def test_axes_in_the_other_order_are_the_same_ellipse_turned():
    x, y, semimajor, semiminor, theta = random_ellipses(100, 4)
    turned = ellipse_overlap(x, y, semiminor, semimajor, theta + np.pi / 2)
    np.testing.assert_allclose(
        ellipse_overlap(x, y, semimajor, semiminor, theta), turned, rtol=0, atol=1e-11
    )


def test_each_ellipse_is_independent_of_the_others():
    ellipses = random_ellipses(50, 5)
    together = ellipse_overlap(*ellipses, reach=13)
    alone = [ellipse_overlap(*(p[i : i + 1] for p in ellipses), reach=13)[0] for i in range(50)]
    np.testing.assert_array_equal(together, alone)


def test_no_ellipses_need_no_pixels():
    nothing = np.empty(0)
    assert ellipse_overlap(*[nothing] * 5).shape == (0, 1, 1)


def test_a_round_ellipse_that_touches_the_sides_of_its_pixel_is_found():
    # photutils 3.0 gives 0 for this circle where its angle is 45 degrees
    weights = ellipse_overlap(np.zeros(4), np.zeros(4), 0.5, 0.5, np.pi / 4 * np.arange(4))
    np.testing.assert_allclose(weights[:, 1, 1], np.pi / 4, rtol=1e-15)
    assert np.count_nonzero(weights) == 4
