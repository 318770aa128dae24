"""Galaxies on pixels against GalSim's convolution with the same ePSF."""

from __future__ import annotations

import itertools

import galsim
import numpy as np
import pytest
from scipy.integrate import quad

from romancal_forcedphot.psfs import GriddedEPSF
from romancal_forcedphot.psfs.sersic import SersicGalaxies, SersicProfiles
from romancal_forcedphot.psfs.sersic.round import light_within

SCALE = 0.11
OVERSAMPLE = 4
SIDE = 161
ACCURATE = galsim.GSParams(
    folding_threshold=1e-3, maxk_threshold=2e-4, kvalue_accuracy=1e-6, maximum_fft_size=16384
)


def optics(**aberrations):
    """A telescope like Roman with its pixel: F106."""
    optical = galsim.OpticalPSF(
        lam=1060, diam=2.36, obscuration=0.32, scale_unit=galsim.arcsec, **aberrations
    )
    return galsim.Convolve(optical, galsim.Pixel(SCALE), galsim.Gaussian(sigma=0.015))


def sampled(star, side=SIDE):
    """ePSF stamp of a star."""
    drawn = star.drawImage(nx=side, ny=side, scale=SCALE / OVERSAMPLE, method="no_pixel")
    return drawn.array.astype(float) * OVERSAMPLE**2


GRID = np.array([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0], [100.0, 100.0]])


@pytest.fixture(scope="module")
def stars():
    return [optics(), optics(coma1=0.03), optics(defocus=0.05), optics(astig1=-0.04)]


@pytest.fixture(scope="module")
def epsf(stars):
    return GriddedEPSF(np.array([sampled(star) for star in stars]), *GRID.T, OVERSAMPLE)


def galsim_epsf(epsf, x, y):
    """The ePSF at a place for GalSim, its samples interpolated as those of Fourier are."""
    shares = [(1 - abs(x - i) / 100) * (1 - abs(y - j) / 100) for i, j in GRID]
    stamp = np.einsum("k,kyx->yx", shares, epsf.stamps) / OVERSAMPLE**2
    return galsim.InterpolatedImage(
        galsim.Image(stamp, scale=SCALE / OVERSAMPLE),
        x_interpolant=galsim.Lanczos(31),
        gsparams=ACCURATE,
        _force_maxk=np.pi * OVERSAMPLE / SCALE,
        _force_stepk=2 * np.pi / (90 * SCALE),
    )


def drawn_by_galsim(epsf, x, y, side, n, radius, ratio, theta):
    profile = galsim.Sersic(n, half_light_radius=radius, gsparams=ACCURATE)
    profile = profile.shear(q=ratio, beta=theta * galsim.radians)
    seen = galsim.Convolve(profile, galsim_epsf(epsf, x, y), gsparams=ACCURATE)
    offset = (x - np.rint(x), y - np.rint(y))
    return seen.drawImage(
        nx=side, ny=side, scale=SCALE, method="no_pixel", offset=offset, dtype=float
    ).array


def profiles_of(n, radius, ratio, theta):
    """Of half-light radii in arcsec that are circularised, as GalSim's shear keeps the area."""
    root = np.sqrt(ratio)
    return SersicProfiles(*np.atleast_1d(n, radius / SCALE / root, radius / SCALE * root, theta))


CASES = [
    (n, radius, ratio, side)
    for n, radius, ratio, side in itertools.product(
        (0.5, 1.0, 2.5, 4.0, 6.0), (0.01, 0.1, 0.3, 1.0), (0.1, 0.5, 1.0), (31, 61)
    )
    if not (side == 61 and radius < 0.3)
    and not (n > 2 and ratio < 0.3 and radius > 0.1)  # GalSim takes seconds: see the next test
    and not (n > 3 and radius == 1.0)
] + [(4.0, 1.0, 1.0, 61), (4.0, 0.3, 0.1, 31), (1.0, 3.0, 0.4, 101), (0.5, 3.0, 1.0, 101)]


@pytest.mark.parametrize(("n", "radius", "ratio", "side"), CASES)
def test_every_pixel_is_that_of_galsim(epsf, n, radius, ratio, side):
    seed = int(1000 * n + 100 * radius + 10 * ratio + side)
    x, y, theta = np.random.default_rng(seed).uniform([30, 30, 0], [70, 70, np.pi])
    galaxy = SersicGalaxies(epsf, profiles_of(n, radius, ratio, theta))
    (ours,) = galaxy.on_pixels([x], [y], side)
    theirs = drawn_by_galsim(epsf, x, y, side, n, radius, ratio, theta)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)  # asked for: 1e-4
    assert ours.sum() == pytest.approx(theirs.sum(), rel=5e-4)  # asked for: 1e-3


def light_in_square(profile, half_side):
    """Light of an elliptical profile in a square around it: integrated over angle."""
    xx, yy, xy = profile.squares[:, 0]

    def within(angle):
        cos, sin = np.cos(angle), np.sin(angle)
        edge = half_side / max(abs(cos), abs(sin))
        radius = edge * np.sqrt(
            (yy * cos**2 - 2 * xy * cos * sin + xx * sin**2) / (xx * yy - xy**2)
        )
        # the share of an elliptical profile's light per angle
        share = np.sqrt(xx * yy - xy**2) / (yy * cos**2 - 2 * xy * cos * sin + xx * sin**2)
        return light_within(profile.index[0], radius) * share / (2 * np.pi)

    corners = np.arange(9) * np.pi / 4
    needle = np.mod(profile.theta[0] + np.pi * np.arange(3), 2 * np.pi)
    points = np.unique(np.clip(np.concatenate([corners, needle]), 0, 2 * np.pi))
    return sum(quad(within, a, b, limit=200)[0] for a, b in itertools.pairwise(points))


@pytest.mark.parametrize("theta", [0.0, 0.3, np.pi / 4])
@pytest.mark.parametrize(
    ("n", "radius", "ratio", "side"),
    [
        (6, 3.0, 1.0, 301),
        (6, 3.0, 0.1, 301),
        (4, 3.0, 0.5, 401),
        (6, 0.3, 0.1, 101),
        (6, 1, 0.1, 101),
    ],
)
def test_steep_galaxies_leave_the_light_outside_that_they_have_there(
    epsf, n, radius, ratio, side, theta
):
    """Their light on the stamp by integration; what the ePSF carries over the edges is little."""
    profile = profiles_of(n, radius, ratio, theta)
    galaxy = SersicGalaxies(epsf, profile)
    found = galaxy.on_pixels([50.0], [50.0], side).sum() / epsf.stamp_flux_fractions[0]
    at_center = epsf.stamp_flux_fractions.mean() / epsf.stamp_flux_fractions[0]
    assert found / at_center == pytest.approx(light_in_square(profile, side / 2), abs=2e-3)


def test_a_galaxy_without_size_is_a_star(stars, epsf):
    """The ePSF's samples stand for what GalSim draws between them; a cubic spline is worse."""
    rng = np.random.default_rng(3)
    one = GriddedEPSF(epsf.stamps[:1], [50], [50], OVERSAMPLE)
    x, y = rng.uniform(40, 60, (2, 12))
    truth = [
        stars[0]
        .drawImage(
            nx=21, ny=21, scale=SCALE, method="no_pixel", offset=(i - np.rint(i), j - np.rint(j))
        )
        .array
        for i, j in zip(x, y, strict=True)
    ]
    points = SersicGalaxies(one, SersicProfiles(np.full(12, 4.0), *np.zeros((3, 12))))
    ours = points.on_pixels(x, y, 21)
    np.testing.assert_allclose(ours, truth, rtol=0, atol=2e-5)
    np.testing.assert_allclose(ours, one.on_pixels(x, y, 21), rtol=0, atol=2e-3)


def test_stamps_of_even_sides_have_their_star_between_samples(stars, epsf):
    even = GriddedEPSF(sampled(stars[1], 160)[None], [50], [50], OVERSAMPLE)
    odd = GriddedEPSF(epsf.stamps[1:2], [50], [50], OVERSAMPLE)
    profiles = profiles_of(1.0, 0.2, 0.6, 0.4)
    one, other = (
        SersicGalaxies(each, profiles).on_pixels([50.3], [49.8], 31) for each in (even, odd)
    )
    np.testing.assert_allclose(one, other, rtol=0, atol=2e-6)


@pytest.fixture(scope="module")
def many(epsf):
    rng = np.random.default_rng(11)
    n = 40
    radius, ratio = 10 ** rng.uniform(-2, 0.3, n) / SCALE, rng.uniform(0.1, 1, n)
    profiles = SersicProfiles(
        rng.uniform(0.5, 6, n),
        radius / np.sqrt(ratio),
        radius * np.sqrt(ratio),
        rng.uniform(0, np.pi, n),
    )
    return SersicGalaxies(epsf, profiles), *rng.uniform(-20, 120, (2, n))


def test_each_galaxy_is_independent_of_the_others(many):
    galaxies, x, y = many
    together = galaxies.on_pixels(x, y, 25)
    order = np.random.default_rng(0).permutation(len(galaxies))
    shuffled = galaxies.for_rows(order).on_pixels(x[order], y[order], 25)
    np.testing.assert_array_equal(shuffled, together[order])
    for i in range(0, len(galaxies), 7):
        (alone,) = galaxies.for_rows([i]).on_pixels(x[[i]], y[[i]], 25)
        np.testing.assert_array_equal(alone, together[i])


def test_a_larger_stamp_holds_the_same_pixels(many):
    galaxies, x, y = many
    small, large = galaxies.on_pixels(x, y, 15), galaxies.on_pixels(x, y, 75)
    np.testing.assert_allclose(large[:, 30:45, 30:45], small, rtol=0, atol=1e-5)


def test_reach_above_a_level_is_where_the_profile_falls_to_it():
    profiles = SersicProfiles(
        [1.0, 4.0, 2.0], [6.0, 3.0, 2.0], [2.0, 3.0, 1.0], [0.0, 0.5, np.pi / 2]
    )
    level = 1e-5
    reach = profiles.reach_above(level)
    on_axis = profiles.surface_brightness(reach * [1, 1, 0], reach * [0, 0, 1])
    np.testing.assert_allclose(on_axis, level, rtol=1e-9)
    assert (profiles.reach_above(10.0)[:1] == 0).all()


def test_surface_brightness_is_that_of_galsim():
    profiles = SersicProfiles([2.5], [4.0], [1.0], [0.7])
    theirs = galsim.Sersic(2.5, half_light_radius=2.0).shear(q=0.25, beta=0.7 * galsim.radians)
    for dx, dy in ((0.5, 0.2), (3.0, 1.0), (-4.0, 6.0)):
        ours = profiles.surface_brightness(np.array([dx]), np.array([dy]))
        assert ours[0] == pytest.approx(theirs.xValue(dx, dy), rel=1e-6)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (([20.0], [1.0], [1.0], [0.0]), "index of Sersic profiles is 20 in row 0"),
        (([0.1], [1.0], [1.0], [0.0]), "index of Sersic profiles is 0.1"),
        (([1.0], [-1.0], [1.0], [0.0]), "semimajor of Sersic profiles is -1"),
        (([1.0, 1.0], [1.0, np.nan], [1.0, 1.0], [0.0, 0.0]), "nan in row 1"),
        (([1.0], [1.0], [1.0], [np.inf]), "theta of Sersic profiles is inf"),
        (([1.0], [1.0, 2.0], [1.0], [0.0]), r"semimajor .* shape \(2,\): expected \(1,\)"),
    ],
)
def test_values_out_of_range_are_refused(values, said):
    with pytest.raises(ValueError, match=said):
        SersicProfiles(*values)


def test_no_galaxies_have_no_stamps(epsf):
    nothing = SersicProfiles(*np.empty((4, 0)))
    assert SersicGalaxies(epsf, nothing).on_pixels([], [], 11).shape == (0, 11, 11)
