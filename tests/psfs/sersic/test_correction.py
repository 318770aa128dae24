"""Total fluxes and colours of galaxies from apertures, drawn by GalSim."""

from __future__ import annotations

import galsim
import numpy as np
import pytest

from romancal_forcedphot.geometry import circle_overlap
from romancal_forcedphot.psfs import GriddedEPSF
from romancal_forcedphot.psfs.sersic import CorrectionOfProfiles, SersicGalaxies, SersicProfiles

SCALE = 0.11
SIDE = 51
X, Y = np.array([50.3, 20.1, 70.4, 33.0]), np.array([49.7, 60.3, 20.4, 80.2])
GALAXIES = np.array([0, 2, 3])
SHAPES = [(1.0, 0.3, 0.5, 0.4), (2.5, 0.15, 0.9, 2.0), (4.0, 0.25, 0.3, 1.0)]


def star(wavelength_nm):
    optical = galsim.OpticalPSF(
        lam=wavelength_nm, diam=2.36, obscuration=0.32, scale_unit=galsim.arcsec
    )
    return galsim.Convolve(optical, galsim.Pixel(SCALE), galsim.Gaussian(sigma=0.02))


def correction_of(point):
    """Of a star and three galaxies, from an ePSF of this filter."""
    drawn = point.drawImage(nx=241, ny=241, scale=SCALE / 4, method="no_pixel")
    epsf = GriddedEPSF(drawn.array[None].astype(float) * 16, [50], [50], 4)
    n, radius, ratio, theta = np.array(SHAPES).T
    axes = radius / SCALE / np.sqrt(ratio), radius / SCALE * np.sqrt(ratio)
    galaxies = SersicGalaxies(epsf, SersicProfiles(n, *axes, theta))
    return CorrectionOfProfiles.of_rows(epsf, galaxies, GALAXIES, len(X))


def drawn_stamps(point):
    """A star of flux 1 and three galaxies of flux 1, on the pixels around them."""
    accurate = galsim.GSParams(folding_threshold=1e-3, maxk_threshold=5e-4)
    stamps = []
    for row in range(len(X)):
        seen = point
        if row in GALAXIES:
            n, radius, ratio, theta = SHAPES[list(GALAXIES).index(row)]
            profile = galsim.Sersic(n, half_light_radius=radius, gsparams=accurate)
            profile = profile.shear(q=ratio, beta=theta * galsim.radians)
            seen = galsim.Convolve(profile, point, gsparams=accurate)
        offset = (X[row] - np.rint(X[row]), Y[row] - np.rint(Y[row]))
        image = seen.drawImage(nx=SIDE, ny=SIDE, scale=SCALE, method="no_pixel", offset=offset)
        stamps.append(image.array.astype(float))
    return np.array(stamps)


@pytest.fixture(scope="module")
def bands():
    """Corrections and drawn stamps in a blue and in a red filter."""
    return [(correction_of(point), drawn_stamps(point)) for point in map(star, (1060.0, 2125.0))]


@pytest.fixture(params=[0, 1], ids=["blue", "red"])
def band(bands, request):
    return bands[request.param]


def test_apertures_hold_what_is_drawn_in_them(band):
    correction, drawn = band
    rows = np.array([3, 1, 0, 2])
    for radius in (1.5, 3.0, np.array([2.0, 4.0, 5.0, 6.0])):
        weights = circle_overlap(X - np.rint(X), Y - np.rint(Y), radius, SIDE // 2)
        expected = (weights * drawn).sum(axis=(1, 2))
        its_own = correction.for_rows(rows)
        radii = radius[rows] if np.ndim(radius) else radius
        found = its_own.in_aperture(X[rows], Y[rows], radii)
        np.testing.assert_allclose(found, expected[rows], rtol=2e-3)
        usable = weights * (np.random.default_rng(1).random(weights.shape) > 0.1)
        found = its_own.in_aperture(
            X[rows], Y[rows], radii, weights=usable[rows], full_weights=weights[rows]
        )
        np.testing.assert_allclose(found, (usable * drawn).sum(axis=(1, 2))[rows], rtol=3e-3)


def test_annuli_hold_what_is_drawn_in_them(band):
    correction, drawn = band
    dy, dx = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    distance = np.hypot(dy - (Y - np.rint(Y))[:, None, None], dx - (X - np.rint(X))[:, None, None])
    ring = (distance >= 8) & (distance < 14)
    rows = np.arange(len(X))
    found = correction.for_rows(rows).in_annulus(X, Y, 8.0, 14.0)
    np.testing.assert_allclose(found, (drawn * ring).sum(axis=(1, 2)), rtol=0.03)


def test_colours_of_galaxies_depend_on_no_aperture(bands):
    """One radius in both filters; a correction of stars is wrong by tenths of a magnitude."""
    rows = np.arange(len(X))
    for radius in (2.0, 4.0):
        weights = circle_overlap(X - np.rint(X), Y - np.rint(Y), radius, SIDE // 2)
        magnitudes = []
        for correction, drawn in bands:
            fraction = correction.for_rows(rows).in_aperture(X, Y, radius)
            magnitudes.append(-2.5 * np.log10((weights * drawn).sum(axis=(1, 2)) / fraction))
        np.testing.assert_allclose(magnitudes[0] - magnitudes[1], 0, atol=0.003)
        np.testing.assert_allclose(magnitudes, 0, atol=0.003)


def test_positions_that_are_no_rows_are_points(band):
    correction, _ = band
    where = X[:2] + 1, Y[:2]
    for question, radii in (("in_aperture", (3.0,)), ("in_annulus", (4.0, 8.0))):
        as_points = getattr(correction.points, question)(*where, *radii)
        np.testing.assert_array_equal(getattr(correction, question)(*where, *radii), as_points)
    assert correction.description["n_extended_sources"] == 3
