"""Pixel areas against pysiaf's polynomials, and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from distortion import (
    ARCSEC,
    POINTINGS,
    SHAPE,
    distortion_of,
    make_wcs,
    random_pixels,
    siaf_solid_angle,
    tangent_wcs,
)
from romancal_forcedphot import geometry


def test_solid_angle_agrees_with_the_polynomials_of_pysiaf(wfi18):
    aperture, wcs = wfi18
    x, y = random_pixels(400)
    np.testing.assert_allclose(
        geometry.solid_angle(wcs, x, y), siaf_solid_angle(aperture, x, y), rtol=2e-8
    )


def test_solid_angle_at_the_pole_is_that_elsewhere(siaf):
    """The area of a pixel does not depend on where the telescope points."""
    aperture = siaf["WFI01_FULL"]
    x, y = random_pixels(200)
    areas = [
        geometry.solid_angle(make_wcs(distortion_of(aperture), pointing), x, y)
        for pointing in POINTINGS.values()
    ]
    for area in areas[1:]:
        np.testing.assert_allclose(area, areas[0], rtol=2e-8)


def test_area_map_from_the_wcs(wfi18):
    aperture, wcs = wfi18
    areas = geometry.PixelAreas.of(wcs, SHAPE)
    area = areas.relative()
    assert area.shape == SHAPE
    assert area.dtype == np.float32
    x, y = np.random.default_rng(3).integers(0, SHAPE[0], (2, 2000))
    x[:4], y[:4] = (0, 0, 4087, 4087), (0, 4087, 0, 4087)
    center = siaf_solid_angle(aperture, 2043.5, 2043.5)
    np.testing.assert_allclose(area[y, x], siaf_solid_angle(aperture, x, y) / center, rtol=2e-7)
    assert np.ptp(area) > 0.01  # the distortion is there
    coarse = areas.relative(every=8)
    np.testing.assert_array_equal(coarse, area[::8, ::8])


def test_area_of_a_tangent_projection_by_hand():
    """Solid angle per pixel is scale**2 cos(theta)**3; a map of a few pixels works too."""
    scale = 0.02  # deg per pixel
    wcs = tangent_wcs(scale, 10.0, -30.0)
    x, y = np.meshgrid(np.arange(0.0, 101, 10), np.arange(0.0, 81, 10))
    tangent = np.radians(scale) * np.hypot(x - 50, y - 40)
    expected = np.radians(scale) ** 2 / (1 + tangent**2) ** 1.5
    np.testing.assert_allclose(geometry.solid_angle(wcs, x, y), expected, rtol=1e-6)
    tiny = geometry.PixelAreas.of(wcs, (5, 3)).relative()
    np.testing.assert_allclose(
        tiny[2, 1] / tiny[0, 0],
        ((1 + np.radians(scale) ** 2 * (50**2 + 40**2)) / 1.0) ** 1.5
        / (1 + np.radians(scale) ** 2 * (49**2 + 38**2)) ** 1.5,
        rtol=1e-6,
    )


def test_pixel_scale_is_the_root_of_the_solid_angle(wfi18):
    aperture, wcs = wfi18
    x, y = random_pixels(300)
    scale = geometry.PixelAreas.of(wcs, SHAPE).scale
    expected = np.sqrt(siaf_solid_angle(aperture, x, y)) / ARCSEC
    np.testing.assert_allclose(scale(x, y), expected, rtol=1e-7)
    np.testing.assert_allclose(scale(-500.0, 100.0), scale(-0.5, 100.0))


def smooth_map(shape=(96, 128)):
    y, x = np.indices(shape)
    return (1 + 1e-4 * (x - 64) - 2e-4 * (y - 48)).astype(np.float32)


@pytest.mark.parametrize(
    ("factor", "nominals"),
    [
        (1.0, {}),
        (1.0, {"nominal_steradian": 2.8e-13, "nominal_arcsecsq": 0.0119}),
        (2.8e-13, {"nominal_steradian": 2.8e-13, "nominal_arcsecsq": 0.0119}),
        (0.0119, {"nominal_steradian": 2.8e-13, "nominal_arcsecsq": 0.0119}),
    ],
    ids=["relative", "relative with nominals", "steradian", "arcsec2"],
)
def test_area_reference_in_any_unit(factor, nominals):
    expected = smooth_map()
    area = geometry.relative_area_from_reference(expected * factor, expected.shape, **nominals)
    assert area.dtype == np.float32
    np.testing.assert_allclose(area, expected, rtol=3e-7)


def test_area_reference_with_its_border_is_trimmed():
    expected = smooth_map()
    framed = np.pad(expected, 4, constant_values=np.nan)
    np.testing.assert_array_equal(
        geometry.relative_area_from_reference(framed, expected.shape), expected
    )


def test_bad_pixels_of_an_area_reference_take_their_neighbour():
    clean = smooth_map()
    dirty = clean.copy()
    dirty[10, 10], dirty[40, 0], dirty[95, 127] = np.nan, 0.0, -np.inf
    area = geometry.relative_area_from_reference(dirty, clean.shape)
    assert np.isfinite(area).all()
    np.testing.assert_allclose(area, clean, atol=3e-4)
    np.testing.assert_array_equal(area[dirty == clean], clean[dirty == clean])


@pytest.mark.parametrize(
    ("data", "nominals", "message"),
    [
        (smooth_map((96, 120)), {}, r"shape \(96, 120\), the image has \(96, 128\)"),
        (smooth_map() * 3, {}, "median of 3.0"),
        (smooth_map() * 2.8e-13, {}, "steradian .* nominal pixel area is None"),
        (smooth_map() * 2.8e-13, {"nominal_steradian": -2.8e-13}, "is -2.8e-13"),
        (smooth_map() * 2.8e-13, {"nominal_steradian": 2.0e-13}, "nominal pixel has 2e-13"),
        (smooth_map() * 0.012, {"nominal_steradian": 2.8e-13}, r"arcsec\*\*2 .* is None"),
        (np.full((96, 128), np.nan), {}, "12288 of 12288 pixels that are not finite"),
    ],
)
def test_an_unusable_area_reference_says_what_is_wrong(data, nominals, message):
    with pytest.raises(ValueError, match=message):
        geometry.relative_area_from_reference(data, (96, 128), **nominals)


def test_compare_areas():
    first = smooth_map()
    assert geometry.compare_areas(first, first) == geometry.AreaComparison(0.0, 0.0)
    shifted = geometry.compare_areas(first * np.float32(1.002), first)
    assert shifted.median == pytest.approx(0.002, rel=1e-3)
    assert shifted.exceeds()
    assert not shifted.exceeds(0.01)
    nominal = geometry.compare_areas(2.8e-13, 2.8e-13 * (1 + 5e-4))
    assert nominal.maximum == pytest.approx(5e-4, rel=1e-3)
    assert not nominal.exceeds()
    assert geometry.compare_areas(np.nan, 1.0).exceeds()
