"""Colours in apertures that see the sky through one PSF, on images that GalSim draws."""

from __future__ import annotations

import functools

import galsim
import numpy as np
import pytest

from romancal_forcedphot import CircularApertures, measure
from romancal_forcedphot.photometry.methods import EllipticalApertures, KronApertures
from romancal_forcedphot.photometry.shapes import Shapes
from romancal_forcedphot.psfs import CurveOfGrowth, PSFMatching
from romancal_forcedphot.table import WarningFlag
from small import exposure_of, pixel_sources

SCALE, SIDE, STEP = 0.11, 372, 62
BLUE, RED = 1060.0, 2130.0  # nm
RADII = np.arange(1, 201) * 0.025
PROFILES = ((1.0, 0.12), (1.0, 0.25), (2.5, 0.2), (4.0, 0.25))  # index and half-light radius
N_STARS = 12
WINGS = 0.2  # of the light


def psf(wavelength):
    """A core and wings, as wide as a telescope of 2.4 m has them."""
    core = 0.45 * wavelength * 1e-9 / 2.36 * 206265
    return (1 - WINGS) * galsim.Gaussian(sigma=core) + WINGS * galsim.Gaussian(sigma=4 * core)


def curve(wavelength):
    core = 0.45 * wavelength * 1e-9 / 2.36 * 206265
    inside = [1 - np.exp(-((RADII / sigma) ** 2) / 2) for sigma in (core, 4 * core)]
    entry = {"ee_radii": RADII, "ee_fractions": (1 - WINGS) * inside[0] + WINGS * inside[1]}
    return CurveOfGrowth.from_reference(entry, pixel_scale=SCALE, radius_unit="arcsec")


@functools.cache
def places():
    rng = np.random.default_rng(5)
    grid = np.arange(STEP / 2, SIDE, STEP)
    x, y = (each.ravel() + rng.uniform(-0.5, 0.5, grid.size**2) for each in np.meshgrid(grid, grid))
    return x, y, rng.uniform(0.4, 1, x.size), rng.uniform(0, 180, x.size)


@functools.cache
def exposure(wavelength):
    """Stars, then galaxies of all profiles, each of one flux, without noise."""
    image = galsim.ImageD(SIDE, SIDE, scale=SCALE, xmin=0, ymin=0)
    for number, (x, y, ratio, angle) in enumerate(zip(*places(), strict=True)):
        seen = psf(wavelength)
        if number >= N_STARS:
            n, radius = PROFILES[number % len(PROFILES)]
            profile = galsim.Sersic(n, half_light_radius=radius)
            seen = galsim.Convolve(profile.shear(q=ratio, beta=angle * galsim.degrees), seen)
        stamp = galsim.ImageD(galsim.BoundsI(*around(x), *around(y)), scale=SCALE)
        seen.drawImage(stamp, center=galsim.PositionD(x, y))
        image[stamp.bounds] += stamp
    return exposure_of(image.array.astype(np.float32), np.full((SIDE, SIDE), 0.01, np.float32))


def around(at):
    middle = int(np.rint(at))
    return max(middle - 30, 0), min(middle + 30, SIDE - 1)


def sources():
    x, y, ratio, angle = places()
    is_star = np.arange(x.size) < N_STARS
    radius = np.array([PROFILES[number % len(PROFILES)][1] for number in range(x.size)])
    values = {"semimajor": radius / np.sqrt(ratio), "semiminor": radius * np.sqrt(ratio)}
    values["angle_deg"] = angle - 90  # the image has north up and east to the left
    values["kron_radius"] = np.full(x.size, 1.2)
    values = {name: np.where(is_star, np.nan, value) for name, value in values.items()}
    return pixel_sources(x, y, shapes=Shapes(**values, is_bad=np.zeros(x.size, bool)))


METHODS = {
    "aper3pix": CircularApertures((3.0,), bkg_estimator="none"),
    "aper5pix": CircularApertures((5.0,), bkg_estimator="none"),
    "ellipse": EllipticalApertures(aperture_radii=(3.0,), bkg_estimator="none"),
    "kron": KronApertures(aperture_radii=(3.0,), bkg_estimator="none"),
}


@pytest.mark.parametrize("name", METHODS)
def test_colours_are_those_of_the_sky(name):
    matching = PSFMatching.of_curves(curve(BLUE), curve(RED))
    red = measure(exposure(RED), sources(), [METHODS[name]], correction=curve(RED))
    blue = measure(
        exposure(BLUE), sources(), [METHODS[name]], correction=curve(BLUE), matching=matching
    )
    plain = measure(exposure(BLUE), sources(), [METHODS[name]], correction=curve(BLUE))
    colour, unmatched = (
        -2.5 * np.log10(table[f"{name}_flux"] / red[f"{name}_flux"]) for table in (blue, plain)
    )
    stars = np.arange(len(colour)) < N_STARS
    assert abs(np.median(colour[stars])) < 0.003
    assert abs(np.median(unmatched[stars])) > 0.03
    for profile in range(len(PROFILES)):
        galaxies = ~stars & (np.arange(len(colour)) % len(PROFILES) == profile)
        assert abs(np.median(colour[galaxies])) < 0.01
        assert abs(colour[galaxies]).max() < 0.03
    if name != "kron":
        of_totals = -2.5 * np.log10(blue[f"{name}_total_flux"] / red[f"{name}_total_flux"])
        np.testing.assert_allclose(of_totals, colour, rtol=0, atol=1e-5)


NEAR = {"annulus_radii": (6.5, 8.0), "bkg_estimator": "mean", "bkg_sigma": 100.0}
NEAR_METHODS = {
    "aper6pix": CircularApertures((6.0,), **NEAR),
    "ellipse": EllipticalApertures(aperture_radii=(6.0,), **NEAR),
    "kron": KronApertures(aperture_radii=(6.0,), **NEAR),
}


@pytest.mark.parametrize("name", NEAR_METHODS)
def test_the_light_in_the_annulus_is_matched_too(name):
    """A near annulus takes 0.02 mag more from a star in the red than in the blue."""
    matching = PSFMatching.of_curves(curve(BLUE), curve(RED))
    options = {"correction": curve(BLUE), "matching": matching}
    blue = measure(exposure(BLUE), sources(), [NEAR_METHODS[name]], **options)
    red = measure(exposure(RED), sources(), [NEAR_METHODS[name]], correction=curve(RED))
    colour = -2.5 * np.log10(blue[f"{name}_flux"] / red[f"{name}_flux"])
    stars = np.arange(len(colour)) < N_STARS
    assert abs(np.median(colour[stars])) < 0.003
    assert abs(np.median(colour[~stars])) < 0.01
    if name == "kron":
        magnitude = 31.4 - 2.5 * np.log10(blue["kron_flux"])
        np.testing.assert_allclose(blue["kron_abmag"], magnitude, atol=1e-4)
    else:
        ratio = (blue[f"{name}_total_flux"] / red[f"{name}_total_flux"])[stars]
        assert abs(np.median(ratio) - 1) < 0.003


def test_without_a_correction_total_fluxes_are_those_of_the_apertures():
    matching = PSFMatching.of_curves(curve(BLUE), curve(RED))
    table = measure(exposure(BLUE), sources(), [NEAR_METHODS["aper6pix"]], matching=matching)
    np.testing.assert_array_equal(table["aper6pix_total_flux"], table["aper6pix_flux"])


def test_total_fluxes_of_stars_stay_right():
    matching = PSFMatching.of_curves(curve(BLUE), curve(RED))
    method = CircularApertures((3.0,), bkg_estimator="none")
    options = {"correction": curve(BLUE), "matching": matching}
    table = measure(exposure(BLUE), sources(), [method], **options)
    plain = measure(exposure(BLUE), sources(), [method], correction=curve(BLUE))
    ratio = (table["aper3pix_total_flux"] / plain["aper3pix_total_flux"])[:N_STARS]
    assert abs(np.median(ratio) - 1) < 0.003
    assert (table["aper3pix_ee_fraction"] < plain["aper3pix_ee_fraction"])[:N_STARS].all()


def test_total_fluxes_make_up_for_masked_pixels_of_stars():
    """A pixel next to the centre holds up to a third of a star."""
    x, y, *_ = places()
    image = exposure(BLUE)
    data = image.data.copy()
    rows, columns = (np.rint(each[:N_STARS]).astype(int) for each in (y, x))
    data[rows, columns + 1] = np.nan
    method = CircularApertures((3.0,), bkg_estimator="none")
    matching = PSFMatching.of_curves(curve(BLUE), curve(RED))
    options = {"correction": curve(BLUE), "matching": matching}
    found, whole = (
        measure(exposure_of(each, image.err), sources(), [method], **options)
        for each in (data, image.data)
    )
    lost, left = (
        np.asarray(found[f"aper3pix_{name}"] / whole[f"aper3pix_{name}"])[:N_STARS]
        for name in ("flux", "total_flux")
    )
    assert lost.min() < 0.7
    np.testing.assert_allclose(left, 1, atol=0.01)


def test_masked_pixels_count_where_they_have_weight():
    x, y, *_ = places()
    matching = PSFMatching.of_curves(curve(BLUE), curve(RED))
    image = exposure(BLUE)
    data = image.data.copy()
    row, column = int(np.rint(y[0])), int(np.rint(x[0]))
    data[row + 3, column] = np.nan  # on the rim of a circle of 3 pixels
    data[row + STEP + 9, column] = np.nan  # outside of what matching adds to one
    table = measure(
        exposure_of(data, image.err),
        sources(),
        [CircularApertures((3.0,), bkg_estimator="none")],
        correction=curve(BLUE),
        matching=matching,
    )
    flagged = (table["warning_flags"] & WarningFlag.MASKED) > 0
    assert flagged[0]
    assert np.count_nonzero(flagged) == 1
