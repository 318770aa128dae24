"""PSF matching against Gaussians, whose transfer functions and sums are known by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from romancal_forcedphot.geometry import circle_overlap, ellipse_overlap
from romancal_forcedphot.psfs import CurveOfGrowth, PSFError, PSFMatching
from romancal_forcedphot.psfs.matching import transfer_function

RADII = np.arange(1, 201) * 0.2
BLUE, RED = 0.9, 1.5  # standard deviations in pixels


def gaussian_curve(sigma, radii=RADII, unit="pixel", scale=None):
    fractions = 1 - np.exp(-((radii / sigma) ** 2) / 2)
    entry = {"ee_radii": radii, "ee_fractions": fractions}
    return CurveOfGrowth.from_reference(entry, radius_unit=unit, pixel_scale=scale)


def light_on_pixels(x, y, sigma_x, sigma_y, side):
    """Fraction of a Gaussian's light on each pixel of stamps (n, side, side)."""
    offset = np.arange(side) - side // 2
    parts = []
    for centre, sigma in ((x, sigma_x), (y, sigma_y)):
        edge = offset - (centre - np.rint(centre))[:, None]
        parts.append(ndtr((edge + 0.5) / sigma) - ndtr((edge - 0.5) / sigma))
    return parts[1][:, :, None] * parts[0][:, None, :]


def test_the_transfer_function_of_a_gaussian_is_a_gaussian():
    frequency = np.linspace(0, 0.5, 20)
    expected = np.exp(-2 * (np.pi * frequency * BLUE) ** 2)
    found = transfer_function(gaussian_curve(BLUE), frequency)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-4)


@pytest.mark.parametrize(("width", "tolerance"), [((0, 0), 0.003), ((1, 1), 0.002), ((3, 1), 2e-3)])
def test_stars_and_galaxies_have_the_colour_they_have(width, tolerance):
    rng = np.random.default_rng(1)
    x, y = rng.uniform(20, 80, (2, 200))
    matching = PSFMatching.of_curves(gaussian_curve(BLUE), gaussian_curve(RED))
    axes = np.full(200, 4.0), np.full(200, 2.5), np.full(200, 0.4)
    weights = matching.aperture_weights(x, y, *axes, 8)
    nominal = ellipse_overlap(x - np.rint(x), y - np.rint(y), *axes, 8)
    blue, red = (
        light_on_pixels(x, y, *(np.hypot(psf, each) for each in width), 17) for psf in (BLUE, RED)
    )
    colours = (weights * blue).sum(axis=(1, 2)) / (nominal * red).sum(axis=(1, 2)) - 1
    assert abs(np.median(colours)) < tolerance
    unmatched = (nominal * blue).sum(axis=(1, 2)) / (nominal * red).sum(axis=(1, 2)) - 1
    assert abs(np.median(unmatched)) > 10 * abs(np.median(colours))


WINGS = ((0.72, 1.0), (0.2, 2.6), (0.08, 8.0))  # shares and widths, in that of the core


@pytest.mark.parametrize("radius", [3.0, 8.0])
def test_wings_of_the_weights_are_there(radius):
    """The mean over places on the pixel; weights that end at 4 pixels are 0.001 mag off."""
    curves = []
    for core in (BLUE, RED):
        inside = [s * (1 - np.exp(-((RADII / (core * width)) ** 2) / 2)) for s, width in WINGS]
        entry = {"ee_radii": RADII, "ee_fractions": sum(inside)}
        curves.append(CurveOfGrowth.from_reference(entry, radius_unit="pixel"))
    phases = (np.arange(8) + 0.5) / 8 - 0.5
    x, y = (50 + each.ravel() for each in np.meshgrid(phases, phases))
    axes, reach = [np.full(64, each) for each in (radius, radius, 0.0)], int(radius) + 13
    weights = PSFMatching.of_curves(*curves).aperture_weights(x, y, *axes, reach)
    nominal = circle_overlap(x - np.rint(x), y - np.rint(y), radius, reach)
    blue, red = (
        sum(s * light_on_pixels(x, y, core * w, core * w, 2 * reach + 1) for s, w in WINGS)
        for core in (BLUE, RED)
    )
    assert (weights * blue).sum() / (nominal * red).sum() == pytest.approx(1, abs=3e-4)


def test_a_psf_that_is_matched_to_itself_leaves_the_aperture():
    x, y = np.random.default_rng(2).uniform(20, 80, (2, 300))
    matching = PSFMatching.of_curves(gaussian_curve(0.4), gaussian_curve(0.4))
    weights = matching.aperture_weights(x, y, *(np.full(300, each) for each in (3.0, 3.0, 0.0)), 7)
    nominal = circle_overlap(x - np.rint(x), y - np.rint(y), 3.0, 7)
    assert abs(weights - nominal).max() < 0.12  # the rim rings a little
    np.testing.assert_allclose(weights.mean(axis=0), nominal.mean(axis=0), atol=0.02)
    np.testing.assert_allclose(weights.sum(axis=(1, 2)), 9 * np.pi, rtol=5e-3)


def test_radii_in_arcsec_follow_the_scale_of_the_pixels():
    x = y = np.array([30.3])
    axes = [np.array([each]) for each in (3.0, 2.0, 0.3)]
    in_pixels = PSFMatching.of_curves(gaussian_curve(BLUE), gaussian_curve(RED))
    curves = [gaussian_curve(sigma * 0.11, RADII * 0.11, "arcsec", 0.11) for sigma in (BLUE, RED)]
    in_arcsec = PSFMatching.of_curves(*curves)
    np.testing.assert_allclose(
        in_arcsec.aperture_weights(x, y, *axes, 7),
        in_pixels.aperture_weights(x, y, *axes, 7),
        atol=1e-3,
    )


@pytest.mark.parametrize(
    ("own", "other", "said"),
    [
        (gaussian_curve(RED), gaussian_curve(BLUE), "sharper than that of the image"),
        (gaussian_curve(BLUE, RADII[::10]), gaussian_curve(RED), "has 3 radii below"),
        (
            gaussian_curve(BLUE),
            gaussian_curve(0.2, RADII * 0.1, "arcsec", 0.1),
            "expected one unit",
        ),
    ],
)
def test_what_cannot_be_matched_says_why(own, other, said):
    with pytest.raises(PSFError, match=said) as caught:
        PSFMatching.of_curves(own, other)
    assert "\n" not in str(caught.value)
