"""Positions against pysiaf's own Roman distortion and attitude."""

from __future__ import annotations

import numpy as np
import pytest

from distortion import (
    POINTINGS,
    SHAPE,
    distortion_of,
    make_wcs,
    random_pixels,
    siaf_sky,
    tangent_wcs,
)
from romancal_forcedphot import geometry


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


def test_the_other_side_of_the_sky_is_not_placed():
    """It has the same tangent plane."""
    wcs = tangent_wcs(1e-4, 10.0, 0.0)
    x, y = np.random.default_rng(1).uniform(0, 80, (2, 50))
    ra, dec = geometry.pixel_to_sky(wcs, x, y)
    np.testing.assert_allclose(geometry.sky_to_pixel(wcs, ra, dec, (81, 101)), (x, y), atol=1e-6)
    assert np.isnan(geometry.sky_to_pixel(wcs, ra + 180, -dec, (81, 101))).all()
