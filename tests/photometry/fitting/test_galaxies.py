"""Stars and galaxies as profiles for a joint fit: their stamps, sizes, and a fit by hand."""

from __future__ import annotations

from dataclasses import dataclass

import galsim
import numpy as np
import pytest

from romancal_forcedphot.photometry.fitting.galaxies import StarsAndGalaxies
from romancal_forcedphot.psfs import GriddedEPSF
from romancal_forcedphot.psfs.sersic import SersicGalaxies, SersicProfiles

SCALE = 0.11
OVERSAMPLE = 4


@dataclass(frozen=True)
class Points:
    """Point sources, as the fit of stars has them."""

    psf: GriddedEPSF
    x: np.ndarray
    y: np.ndarray

    @property
    def shape_id(self):
        return np.zeros(self.x.size, dtype=int)

    @property
    def core_half_size(self):
        return np.full(self.x.size, 4)

    @property
    def largest_half_size(self):
        return 20

    def half_sizes(self, light_per_pixel):
        return np.where(light_per_pixel < 1e-4, 15, 5)

    def typical_stamp(self, x, y):
        return self.psf.on_pixels(np.rint([x]), np.rint([y]), 41)[0]

    def stamps(self, rows, side):
        return self.psf.on_pixels(self.x[rows], self.y[rows], side)

    def for_rows(self, rows):
        return Points(self.psf, self.x[rows], self.y[rows])


@pytest.fixture(scope="module")
def star():
    optical = galsim.OpticalPSF(lam=1580, diam=2.36, obscuration=0.32, scale_unit=galsim.arcsec)
    return galsim.Convolve(optical, galsim.Pixel(SCALE), galsim.Gaussian(sigma=0.02))


@pytest.fixture(scope="module")
def epsf(star):
    drawn = star.drawImage(nx=201, ny=201, scale=SCALE / OVERSAMPLE, method="no_pixel")
    return GriddedEPSF(drawn.array[None].astype(float) * OVERSAMPLE**2, [50], [50], OVERSAMPLE)


GALAXY_ROWS = np.array([1, 2, 4, 5])


@pytest.fixture
def mixed(epsf):
    x, y = np.random.default_rng(3).uniform(20, 80, (2, 7))
    profiles = SersicProfiles(
        [1.0, 4.0, 1.0, 2.0], [3.0, 4.0, 3.0, 0.1], [1.5, 4.0, 1.5, 0.1], [0.3, 0.0, 0.3, 0.0]
    )
    return StarsAndGalaxies(Points(epsf, x, y), SersicGalaxies(epsf, profiles), GALAXY_ROWS)


def test_each_source_has_its_own_profile(mixed, epsf):
    rows = np.array([5, 0, 4, 6, 1])
    light = mixed.stamps(rows, 21)
    for row, stamp in zip(rows, light, strict=True):
        at = mixed.x[[row]], mixed.y[[row]], 21
        if row in GALAXY_ROWS:
            own = mixed.galaxies.for_rows(np.flatnonzero(row == GALAXY_ROWS))
            np.testing.assert_allclose(stamp, own.on_pixels(*at)[0], rtol=0, atol=1e-7)
        else:
            np.testing.assert_array_equal(stamp, epsf.on_pixels(*at)[0])


def test_stamps_that_are_kept_are_those_that_are_made_anew(mixed):
    rows = np.array([1, 2, 3, 5])
    first = mixed.stamps(rows, 41)
    np.testing.assert_allclose(mixed.stamps(rows, 41), first, rtol=0, atol=1e-7)
    inner = first[:, 14:27, 14:27]
    np.testing.assert_allclose(mixed.stamps(rows, 13), inner, rtol=0, atol=1e-7)
    fresh = StarsAndGalaxies(mixed.points, mixed.galaxies, mixed.rows)
    np.testing.assert_allclose(fresh.stamps(rows, 13), inner, rtol=0, atol=1e-5)


def test_rows_are_taken_with_what_they_are(mixed):
    rows = np.array([6, 5, 1])
    some = mixed.for_rows(rows)
    np.testing.assert_array_equal(some.rows, [1, 2])
    np.testing.assert_array_equal(some.x, mixed.x[rows])
    np.testing.assert_array_equal(some.stamps(np.arange(3), 15), mixed.stamps(rows, 15))
    stars = mixed.for_rows(np.array([0, 3]))
    assert len(stars.galaxies) == 0
    assert stars.stamps(np.arange(2), 15).shape == (2, 15, 15)


def test_stars_end_where_their_psf_does(mixed):
    """In a mixture stamps of one size are asked for together."""
    assert mixed.largest_half_size == 256
    wide = mixed.stamps(np.array([0, 1, 3]), 81)
    np.testing.assert_array_equal(wide[::2, 20:61, 20:61], mixed.stamps(np.array([0, 3]), 41))
    assert (wide[::2, :20] == 0).all()
    assert (wide[1, :20] > 0).any()
    typical = mixed.typical_stamp(40.2, 50.9)
    assert typical.shape == (513, 513)
    np.testing.assert_array_equal(typical[236:277, 236:277], mixed.points.typical_stamp(40.2, 50.9))
    stars = mixed.for_rows(np.array([0, 3]))
    assert stars.largest_half_size == 20


def test_only_equal_shapes_have_equal_ids(mixed):
    ids = mixed.shape_id
    assert (ids[[0, 3, 6]] == 0).all()
    assert ids[1] == ids[4]
    assert len({0, ids[1], ids[2], ids[5]}) == 4


def test_stamps_reach_as_far_as_the_star_or_the_galaxy(mixed):
    for level in (1e-3, 1e-6):
        half = mixed.half_sizes(np.full(7, level))
        np.testing.assert_array_equal(half[[0, 3, 6, 5]], 5 if level > 1e-4 else 15)
        reach = mixed.galaxies.profiles.reach_above(level)
        np.testing.assert_array_equal(half[[1, 2, 4]], np.maximum(half[0], np.ceil(reach[:3])))
    assert mixed.half_sizes(np.full(7, 1e-30)).max() == 256
    assert (mixed.core_half_size[GALAXY_ROWS] > 4).all()
    assert (mixed.core_half_size[[0, 3, 6]] == 4).all()


def test_fluxes_of_blends_come_out_of_a_linear_fit(star, epsf):
    """A star on a galaxy and two galaxies 3 pixels apart, drawn by GalSim without noise."""
    side, middle = 121, 60
    places = np.array([[30.2, 40.4], [31.9, 42.0], [85.1, 80.3], [87.0, 82.6]])
    flux = np.array([900.0, 400.0, 500.0, 2000.0])
    shapes = [(2.5, 0.3, 0.5, 0.4), None, (1.0, 0.25, 0.8, 2.0), (3.5, 0.2, 0.3, 1.0)]
    accurate = galsim.GSParams(folding_threshold=1e-3, maxk_threshold=5e-4)
    image = np.zeros((side, side))
    for (x, y), total, shape in zip(places, flux, shapes, strict=True):
        seen = star
        if shape is not None:
            n, radius, ratio, theta = shape
            profile = galsim.Sersic(n, half_light_radius=radius, gsparams=accurate)
            profile = profile.shear(q=ratio, beta=theta * galsim.radians)
            seen = galsim.Convolve(profile, star, gsparams=accurate)
        offset = (x - middle, y - middle)
        image += (
            total
            * seen.drawImage(
                nx=side, ny=side, scale=SCALE, method="no_pixel", offset=offset, dtype=float
            ).array
        )
    image += 0.7
    rows = np.array([0, 2, 3])
    n, radius, ratio, theta = np.array([shapes[row] for row in rows]).T
    axes = radius / SCALE / np.sqrt(ratio), radius / SCALE * np.sqrt(ratio)
    galaxies = SersicGalaxies(epsf, SersicProfiles(n, *axes, theta))
    sources = StarsAndGalaxies(Points(epsf, *places.T), galaxies, rows)
    design = np.zeros((5, side, side))
    design[4] = 1
    for row, half in zip(range(4), (30, 20, 30, 30), strict=True):
        stamp = sources.stamps(np.array([row]), 2 * half + 1)[0]
        j, i = (int(np.rint(at)) for at in (places[row, 1], places[row, 0]))
        design[row, j - half : j + half + 1, i - half : i + half + 1] = stamp
    fitted, *_ = np.linalg.lstsq(design.reshape(5, -1).T, image.ravel(), rcond=None)
    np.testing.assert_allclose(fitted[:4], flux, rtol=0.003)
