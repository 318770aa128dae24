"""Positions and pixel areas against pysiaf's own Roman distortion and attitude, and by hand.

pysiaf shares no code with gwcs: its polynomials, its V2/V3 frame and its attitude matrix give sky
positions and pixel areas on their own.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from numpy.polynomial.polynomial import polyder, polyval2d

from romancal_forcedphot import geometry

SHAPE = (4088, 4088)
ARCSEC = np.radians(1 / 3600)
# right ascension, declination and roll of the boresight: plain, across the wrap, at the poles
POINTINGS = {
    "plain": (270.0, 66.0, 33.0),
    "wrap": (0.1, -0.4, 120.0),
    "north pole": (80.0, 89.6, -20.0),
    "south pole": (200.0, -89.7, 250.0),
}


@pytest.fixture(scope="module")
def siaf():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pysiaf

        return pysiaf.Siaf("Roman")


def coefficients(aperture, axis):
    """The aperture's polynomial to ideal coordinates as c[i, j] of x**i y**j."""
    degree = aperture.Sci2IdlDeg
    matrix = np.zeros((degree + 1, degree + 1))
    for total in range(degree + 1):
        for power in range(total + 1):
            value = getattr(aperture, f"Sci2Idl{axis}{total}{power}")
            matrix[total - power, power] = value
    return matrix


def distortion_of(aperture):
    """Pixel to V2/V3 as astropy models, as a CRDS distortion reference holds it."""
    from astropy.modeling import models

    polynomials = []
    for axis in "XY":
        matrix = coefficients(aperture, axis)
        polynomial = models.Polynomial2D(aperture.Sci2IdlDeg)
        for i, j in np.argwhere(matrix != 0):
            setattr(polynomial, f"c{i}_{j}", matrix[i, j])
        polynomials.append(polynomial)
    angle, parity = np.radians(aperture.V3IdlYAngle), aperture.VIdlParity
    rotation = models.AffineTransformation2D(
        [[parity * np.cos(angle), np.sin(angle)], [-parity * np.sin(angle), np.cos(angle)]],
        translation=[aperture.V2Ref, aperture.V3Ref],
    )
    shift = models.Shift(1 - aperture.XSciRef) & models.Shift(1 - aperture.YSciRef)
    return shift | models.Mapping((0, 1, 0, 1)) | (polynomials[0] & polynomials[1]) | rotation


def make_wcs(distortion, pointing):
    """An L2 WCS: detector to V2/V3 to sky, with the bounding box that romancal gives it."""
    import gwcs
    from astropy import coordinates, units
    from astropy.modeling import models
    from gwcs import coordinate_frames
    from gwcs.geometry import CartesianToSpherical, SphericalToCartesian

    ra, dec, roll = pointing
    to_sky = (
        (models.Scale(1 / 3600) & models.Scale(1 / 3600))
        | SphericalToCartesian(wrap_lon_at=180)
        | models.RotationSequence3D([0, 0, roll, dec, -ra], "zyxyz")
        | CartesianToSpherical(wrap_lon_at=360)
    )
    detector = coordinate_frames.Frame2D(name="detector", unit=(units.pix, units.pix))
    v2v3 = coordinate_frames.Frame2D(name="v2v3", unit=(units.arcsec, units.arcsec))
    world = coordinate_frames.CelestialFrame(reference_frame=coordinates.ICRS(), name="world")
    wcs = gwcs.WCS([(detector, distortion), (v2v3, to_sky), (world, None)])
    wcs.bounding_box = ((-0.5, SHAPE[1] - 0.5), (-0.5, SHAPE[0] - 0.5))
    return wcs


def siaf_sky(aperture, pointing, x, y):
    """Sky positions of 0-indexed pixels by pysiaf alone."""
    from pysiaf.utils import rotations

    attitude = rotations.attitude_matrix(0.0, 0.0, *pointing)
    v2, v3 = aperture.sci_to_tel(np.asarray(x) + 1, np.asarray(y) + 1)
    ra, dec = rotations.tel_to_sky(attitude, v2, v3)
    return np.asarray(ra.to_value("deg")), np.asarray(dec.to_value("deg"))


def siaf_solid_angle(aperture, x, y):
    """Steradian per pixel: the polynomials' determinant times cos(V3)."""
    u, v = x + 1 - aperture.XSciRef, y + 1 - aperture.YSciRef
    first, second = coefficients(aperture, "X"), coefficients(aperture, "Y")
    slope = [[polyval2d(u, v, polyder(c, axis=k)) for k in (0, 1)] for c in (first, second)]
    determinant = slope[0][0] * slope[1][1] - slope[0][1] * slope[1][0]
    _, v3 = aperture.sci_to_tel(x + 1, y + 1)
    return np.abs(determinant) * ARCSEC**2 * np.cos(v3 * ARCSEC)


@pytest.fixture(scope="module")
def wfi18(siaf):
    """An aperture in the corner of the focal plane, and its WCS at a plain pointing."""
    aperture = siaf["WFI18_FULL"]
    return aperture, make_wcs(distortion_of(aperture), POINTINGS["plain"])


def random_pixels(n, low=-0.5, high=SHAPE[0] - 0.5):
    return np.random.default_rng(7).uniform(low, high, (2, n))


@pytest.mark.parametrize("pointing", POINTINGS.values(), ids=POINTINGS)
def test_positions_agree_with_pysiaf(siaf, pointing):
    aperture = siaf["WFI09_FULL"]
    wcs = make_wcs(distortion_of(aperture), pointing)
    x, y = random_pixels(3000)
    ra, dec = siaf_sky(aperture, pointing, x, y)
    for wrap in (0, 360, -360):
        found = geometry.sky_to_pixel(wcs, ra + wrap, dec, SHAPE)
        np.testing.assert_allclose(found, (x, y), rtol=0, atol=1e-6)


def test_pixel_to_sky_agrees_with_pysiaf_and_ignores_the_bounding_box(wfi18):
    aperture, wcs = wfi18
    x, y = random_pixels(500, -100, 4188)
    ra, dec = geometry.pixel_to_sky(wcs, x, y)
    there = siaf_sky(aperture, POINTINGS["plain"], x, y)
    np.testing.assert_allclose((ra, dec), there, rtol=0, atol=1e-9)
    assert geometry.pixel_to_sky(wcs, [], [])[0].shape == (0,)


def test_absurd_pixels_have_no_sky_position_and_do_not_warn(wfi18):
    _, wcs = wfi18
    ra, dec = geometry.pixel_to_sky(wcs, [np.nan, np.inf, 1e80], [5.0, 5.0, 1e80])
    assert np.isnan(ra).all()
    assert np.isnan(dec).all()


def test_a_wrong_inverse_does_not_matter(siaf):
    from astropy.modeling import models

    aperture = siaf["WFI18_FULL"]
    distortion = distortion_of(aperture)
    distortion.inverse = models.Mapping((0, 1)) | models.Scale(2.0) & models.Shift(50.0)
    x, y = random_pixels(200)
    ra, dec = siaf_sky(aperture, POINTINGS["plain"], x, y)
    found = geometry.sky_to_pixel(make_wcs(distortion, POINTINGS["plain"]), ra, dec, SHAPE)
    np.testing.assert_allclose(found, (x, y), rtol=0, atol=1e-6)


def test_nothing_far_away_lands_on_the_detector(wfi18):
    """A catalog of ±3 degrees: what is placed is there by pysiaf, what is on it is placed."""
    aperture, wcs = wfi18
    rng = np.random.default_rng(11)
    center_ra, center_dec = siaf_sky(aperture, POINTINGS["plain"], 2043.5, 2043.5)
    ra = center_ra + rng.uniform(-3, 3, 40_000) / np.cos(np.radians(center_dec))
    dec = center_dec + rng.uniform(-3, 3, 40_000)
    on_ra, on_dec = siaf_sky(aperture, POINTINGS["plain"], *random_pixels(300))
    ra, dec = np.concatenate([ra, on_ra]), np.concatenate([dec, on_dec])

    x, y = geometry.sky_to_pixel(wcs, ra, dec, SHAPE)
    placed = np.isfinite(x)
    np.testing.assert_array_equal(placed, np.isfinite(y))
    assert placed[-300:].all()
    back_ra, back_dec = siaf_sky(aperture, POINTINGS["plain"], x[placed], y[placed])
    miss = np.hypot(
        (back_ra - ra[placed]) * np.cos(np.radians(dec[placed])), back_dec - dec[placed]
    )
    assert miss.max() * 3600 < 1e-4
    # the detector and its margin cover this share of the field
    side = (SHAPE[0] + 256) * 0.108 / 3600
    expected = 40_000 * side**2 / 36
    assert abs(placed[:-300].sum() - expected) < 5 * np.sqrt(expected)


def test_positions_just_off_the_image_are_placed_and_others_not(wfi18):
    aperture, wcs = wfi18
    x = np.array([-60.0, 4150.0, 2000.0, 2000.0, -400.0, 2000.0, 9000.0])
    y = np.array([2000.0, 2000.0, -60.0, 4150.0, 2000.0, 4600.0, 9000.0])
    found = geometry.sky_to_pixel(wcs, *siaf_sky(aperture, POINTINGS["plain"], x, y), SHAPE)
    np.testing.assert_allclose(found[0][:4], x[:4], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found[1][:4], y[:4], rtol=0, atol=1e-6)
    assert np.isnan(found).all(axis=0).tolist() == [False] * 4 + [True] * 3


class _Counted:
    """A WCS that counts the positions it is asked for."""

    def __init__(self, wcs):
        self.wcs, self.n_positions = wcs, 0

    def __call__(self, x, y, **options):
        self.n_positions += np.size(x)
        return self.wcs(x, y, **options)


def test_a_large_catalog_is_cut_to_the_footprint_before_the_wcs_is_asked(wfi18):
    """A million positions all over the sky ask no more of the WCS than those on the image."""
    rng = np.random.default_rng(40)
    _, wcs = wfi18
    ra, dec = geometry.pixel_to_sky(wcs, *random_pixels(50))
    counted = _Counted(wcs)
    alone = geometry.sky_to_pixel(counted, ra, dec, SHAPE)
    n_alone, counted.n_positions = counted.n_positions, 0
    n_far = 1_000_000
    ra = np.concatenate([rng.uniform(0, 360, n_far), ra])
    dec = np.concatenate([np.degrees(np.arcsin(rng.uniform(-1, 1, n_far))), dec])
    placed = geometry.sky_to_pixel(counted, ra, dec, SHAPE)
    np.testing.assert_array_equal([axis[n_far:] for axis in placed], alone)
    assert counted.n_positions < n_alone + 100


def test_rows_without_a_position_stay_nan_and_leave_the_others_alone(wfi18):
    aperture, wcs = wfi18
    ra, dec = siaf_sky(aperture, POINTINGS["plain"], *random_pixels(7))
    clean = geometry.sky_to_pixel(wcs, ra, dec, SHAPE)
    bad = [0, 2, 3, 5]
    ra[[0, 2]] = np.nan, np.inf
    dec[[3, 5]] = np.nan, 180 - dec[5]
    x, y = geometry.sky_to_pixel(wcs, ra, dec, SHAPE)
    assert np.isnan(x[bad]).all()
    assert np.isnan(y[bad]).all()
    np.testing.assert_allclose(np.delete((x, y), bad, axis=1), np.delete(clean, bad, axis=1))
    assert geometry.sky_to_pixel(wcs, [], [], SHAPE)[0].size == 0
    with pytest.raises(ValueError, match="one length"):
        geometry.sky_to_pixel(wcs, [1.0], [1.0, 2.0], SHAPE)


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
    area = geometry.relative_area_from_wcs(wcs, SHAPE)
    assert area.shape == SHAPE
    assert area.dtype == np.float32
    x, y = np.random.default_rng(3).integers(0, SHAPE[0], (2, 2000))
    x[:4], y[:4] = (0, 0, 4087, 4087), (0, 4087, 0, 4087)
    center = siaf_solid_angle(aperture, 2043.5, 2043.5)
    np.testing.assert_allclose(area[y, x], siaf_solid_angle(aperture, x, y) / center, rtol=2e-7)
    assert np.ptp(area) > 0.01  # the distortion is there
    coarse = geometry.relative_area_from_wcs(wcs, SHAPE, every=8)
    np.testing.assert_array_equal(coarse, area[::8, ::8])


def tangent_wcs(scale, ra, dec):
    """A plain tangent projection of `scale` degrees per pixel about the pixel (50, 40)."""
    import gwcs
    from astropy import coordinates
    from astropy.modeling import models
    from gwcs import coordinate_frames

    transform = (
        (models.Shift(-50.0) & models.Shift(-40.0))
        | (models.Scale(scale) & models.Scale(scale))
        | models.Pix2Sky_TAN()
        | models.RotateNative2Celestial(ra, dec, 180.0)
    )
    frame = coordinate_frames.CelestialFrame(reference_frame=coordinates.ICRS())
    return gwcs.WCS([(coordinate_frames.Frame2D(name="detector"), transform), (frame, None)])


def test_the_other_side_of_the_sky_is_not_placed():
    """It has the same tangent plane."""
    wcs = tangent_wcs(1e-4, 10.0, 0.0)
    x, y = np.random.default_rng(1).uniform(0, 80, (2, 50))
    ra, dec = geometry.pixel_to_sky(wcs, x, y)
    np.testing.assert_allclose(geometry.sky_to_pixel(wcs, ra, dec, (81, 101)), (x, y), atol=1e-6)
    assert np.isnan(geometry.sky_to_pixel(wcs, ra + 180, -dec, (81, 101))).all()


def test_area_of_a_tangent_projection_by_hand():
    """Solid angle per pixel is scale**2 cos(theta)**3; a map of a few pixels works too."""
    scale = 0.02  # deg per pixel
    wcs = tangent_wcs(scale, 10.0, -30.0)
    x, y = np.meshgrid(np.arange(0.0, 101, 10), np.arange(0.0, 81, 10))
    tangent = np.radians(scale) * np.hypot(x - 50, y - 40)
    expected = np.radians(scale) ** 2 / (1 + tangent**2) ** 1.5
    np.testing.assert_allclose(geometry.solid_angle(wcs, x, y), expected, rtol=1e-6)
    tiny = geometry.relative_area_from_wcs(wcs, (5, 3))
    np.testing.assert_allclose(
        tiny[2, 1] / tiny[0, 0],
        ((1 + np.radians(scale) ** 2 * (50**2 + 40**2)) / 1.0) ** 1.5
        / (1 + np.radians(scale) ** 2 * (49**2 + 38**2)) ** 1.5,
        rtol=1e-6,
    )


def test_pixel_scale_is_the_root_of_the_solid_angle(wfi18):
    aperture, wcs = wfi18
    x, y = random_pixels(300)
    scale = geometry.pixel_scale_function(wcs, SHAPE)
    expected = np.sqrt(siaf_solid_angle(aperture, x, y)) / ARCSEC
    np.testing.assert_allclose(scale(x, y), expected, rtol=1e-7)
    np.testing.assert_allclose(scale(-500.0, 100.0), scale(-0.5, 100.0))


# --- area references ---------------------------------------------------------------------------


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
    with pytest.raises(ValueError, match=f"{message}.*--pixel_area=wcs"):
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
