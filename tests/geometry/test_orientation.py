"""Directions through a distorted WCS against astropy's offsets, finite steps and GalSim."""

from __future__ import annotations

import astropy.units as u
import galsim
import numpy as np
import pytest
from astropy import coordinates as coord
from astropy.coordinates import SkyCoord
from astropy.modeling import models
from gwcs import coordinate_frames, wcs

from romancal_forcedphot.example.optics import quiet_romanisim
from romancal_forcedphot.geometry import pixel_to_sky, sky_to_pixel
from romancal_forcedphot.geometry.orientation import (
    ellipse_on_pixels,
    ellipse_on_sky,
    local_jacobian,
    pixel_angle,
    position_angle,
)
from small import tangent_wcs

SHAPE = (400, 500)


def distorted_wcs(ra=150.0, dec=60.0, roll=35.0):
    """Rolled, of unequal scales, sheared and bent by a polynomial."""
    bent_x = models.Polynomial2D(2, c1_0=0.108, c0_1=0.004, c2_0=3e-6, c1_1=-2e-6)
    bent_y = models.Polynomial2D(2, c1_0=-0.001, c0_1=0.112, c0_2=2e-6, c1_1=4e-6)
    transform = (
        models.Shift(-249.5) & models.Shift(-199.5)
        | models.Mapping((0, 1, 0, 1))
        | bent_x & bent_y
        | models.Scale(-1 / 3600) & models.Scale(1 / 3600)
        | models.Rotation2D(roll)
        | models.Pix2Sky_TAN()
        | models.RotateNative2Celestial(ra, dec, 180.0)
    )
    pixels = coordinate_frames.Frame2D(name="detector", unit=(u.pix, u.pix))
    sky = coordinate_frames.CelestialFrame(name="world", reference_frame=coord.ICRS())
    return wcs.WCS([(pixels, transform), (sky, None)])


@pytest.fixture(scope="module", params=[(150.0, 60.0), (0.0, 0.0), (20.0, 89.995)])
def distorted(request):
    return distorted_wcs(*request.param)


@pytest.fixture(scope="module")
def places():
    return np.random.default_rng(6).uniform([[0], [0]], [[499], [399]], (2, 60))


def test_position_angles_are_those_of_astropy(distorted, places):
    x, y = places
    angle = np.random.default_rng(1).uniform(-400, 400, x.size)
    here = SkyCoord(*pixel_to_sky(distorted, x, y), unit="deg")
    ahead = here.directional_offset_by(angle * u.deg, 0.05 * u.arcsec)
    x_ahead, y_ahead = sky_to_pixel(distorted, ahead.ra.deg, ahead.dec.deg, SHAPE)
    jacobian = local_jacobian(distorted, x, y)
    theta = pixel_angle(jacobian, angle)
    expected = np.arctan2(y_ahead - y, x_ahead - x)
    np.testing.assert_allclose(np.sin(theta - expected), 0, atol=1e-5)
    np.testing.assert_allclose(np.cos(theta - expected), 1, atol=1e-9)
    np.testing.assert_allclose(
        position_angle(jacobian, theta), (angle + 180) % 360 - 180, rtol=0, atol=1e-9
    )


def test_jacobian_is_that_of_astropys_offsets(distorted, places):
    x, y = places
    here = SkyCoord(*pixel_to_sky(distorted, x, y), unit="deg")
    jacobian = local_jacobian(distorted, x, y)
    for axis, (dx, dy) in enumerate([(0.5, 0), (0, 0.5)]):
        before = SkyCoord(*pixel_to_sky(distorted, x - dx, y - dy), unit="deg")
        after = SkyCoord(*pixel_to_sky(distorted, x + dx, y + dy), unit="deg")
        steps = [
            np.stack([length * np.sin(angle), length * np.cos(angle)])
            for length, angle in (
                (here.separation(there).arcsec, here.position_angle(there).rad)
                for there in (before, after)
            )
        ]
        np.testing.assert_allclose(jacobian[:, :, axis], (steps[1] - steps[0]).T, atol=1e-6)


def test_north_up_and_east_left():
    jacobian = local_jacobian(tangent_wcs((100, 100)), [49.5], [49.5])
    np.testing.assert_allclose(jacobian[0], [[-0.11, 0], [0, 0.11]], atol=1e-9)
    theta = [pixel_angle(jacobian, angle)[0] for angle in (0.0, 60.0, 30.0)]
    np.testing.assert_allclose(theta, np.radians([90, 150, 120]), atol=1e-9)
    found = ellipse_on_pixels(jacobian, 0.55, 0.22, 30.0)
    np.testing.assert_allclose(np.ravel(found), [5.0, 2.0, np.radians(-60)], atol=1e-8)


def test_ellipses_are_where_their_points_go(distorted, places):
    x, y = places
    rng = np.random.default_rng(2)
    semimajor, angle = rng.uniform(0.01, 3, x.size), rng.uniform(-90, 270, x.size)
    semiminor = semimajor * rng.uniform(0.1, 1, x.size)
    jacobian = local_jacobian(distorted, x, y)
    a, b, theta = ellipse_on_pixels(jacobian, semimajor, semiminor, angle)
    assert (a >= b).all()
    # points on the sky's ellipse, each by its own step through the Jacobian
    around = np.linspace(0, 2 * np.pi, 50)[:, None]
    along, across = semimajor * np.cos(around), semiminor * np.sin(around)
    pa = np.radians(angle)
    east, north = along * np.sin(pa) + across * np.cos(pa), along * np.cos(pa) - across * np.sin(pa)
    dx, dy = np.linalg.solve(jacobian, np.stack([east, north], axis=-1)[..., None])[..., 0].T
    dx, dy = dx.T, dy.T
    in_units = np.hypot(
        (dx * np.cos(theta) + dy * np.sin(theta)) / a, (dy * np.cos(theta) - dx * np.sin(theta)) / b
    )
    np.testing.assert_allclose(in_units, 1, rtol=1e-9)
    back = ellipse_on_sky(jacobian, a, b, theta)
    np.testing.assert_allclose(back[0], semimajor, rtol=1e-9)
    np.testing.assert_allclose(back[1], semiminor, rtol=1e-9)
    np.testing.assert_allclose(np.sin(np.radians(back[2] - angle)), 0, atol=1e-9)


def test_a_galaxy_lies_on_the_pixels_as_romanisim_draws_it(distorted):
    """It shears by `galsim.Shear(q=ba)`, turns by pa + 90 degrees, and uses the local WCS."""
    x, y, radius, ratio, angle = 120.0, 300.0, 0.4, 0.35, 70.0
    jacobian = local_jacobian(distorted, [x], [y])
    profile = galsim.Gaussian(half_light_radius=radius)
    profile = profile.shear(q=ratio, beta=(np.radians(angle) + np.pi / 2) * galsim.radians)
    with quiet_romanisim():
        from romanisim.models.wcs import GWCS
    local = GWCS(distorted).local(galsim.PositionD(x, y))
    drawn = profile.drawImage(nx=81, ny=81, wcs=local, method="no_pixel").array.astype(float)
    dy, dx = np.mgrid[-40:41, -40:41]
    moments = [(drawn * each).sum() / drawn.sum() for each in (dx * dx, dy * dy, dx * dy)]
    # the shear keeps the area, and half of the light of a Gaussian lies within 1.17741 sigma
    semimajor, semiminor = radius / np.sqrt(ratio), radius * np.sqrt(ratio)
    a, b, theta = ellipse_on_pixels(jacobian, semimajor, semiminor, angle)
    a, b = a[0] / 1.17741, b[0] / 1.17741
    expected = [
        (a * np.cos(theta[0])) ** 2 + (b * np.sin(theta[0])) ** 2,
        (a * np.sin(theta[0])) ** 2 + (b * np.cos(theta[0])) ** 2,
        (a**2 - b**2) * np.sin(theta[0]) * np.cos(theta[0]),
    ]
    np.testing.assert_allclose(moments, expected, rtol=0.005)


def test_no_position_has_no_direction(distorted):
    jacobian = local_jacobian(distorted, [np.nan, 10.0], [3.0, 10.0])
    assert np.isnan(jacobian[0]).all()
    assert np.isfinite(jacobian[1]).all()
    a, _, _ = ellipse_on_pixels(jacobian, 1.0, 0.5, 20.0)
    assert np.isnan(a[0])
    assert local_jacobian(distorted, [], []).shape == (0, 2, 2)
