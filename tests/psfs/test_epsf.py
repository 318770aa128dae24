"""Gridded ePSFs against photutils' `GriddedPSFModel`, stars of known shape and sums by hand."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from astropy.nddata import NDData
from photutils.aperture import CircularAperture
from photutils.psf import GriddedPSFModel
from scipy.special import ndtr

from romancal_forcedphot.psfs import (
    CurveOfGrowth,
    EPSFBySpectralType,
    GriddedEPSF,
    default_type,
    integrate_over_pixels,
    nearest_types,
    normalize_epsf,
    normalize_extended_psf,
)

GRID_X, GRID_Y = (axis.ravel() for axis in np.meshgrid([3.0, 100.0, 180.0], [0.0, 90.0, 190.0]))


def gaussian_pixels(dx, dy, sigma_x, sigma_y):
    """Light of a Gaussian star on pixels whose centres are dx, dy from it."""

    def along(offset, sigma):
        return ndtr((offset + 0.5) / sigma) - ndtr((offset - 0.5) / sigma)

    return along(dx, sigma_x) * along(dy, sigma_y)


def gaussian_stamp(half_size, oversample, sigma_x, sigma_y=None):
    """ePSF stamp of a Gaussian star, of odd side."""
    offset = np.arange(-half_size * oversample, half_size * oversample + 1) / oversample
    return gaussian_pixels(offset, offset[:, None], sigma_x, sigma_y or sigma_x)


def gaussian_epsf(half_size=8, oversample=4, **more):
    """A star that is everywhere the same, sigma of 0.8 pixel."""
    return GriddedEPSF(gaussian_stamp(half_size, oversample, 0.8)[None], [50], [50], oversample)


def lumpy_stamps(step):
    """Stamps of lumpy stars that differ from place to place, with a sample each `step`."""
    rng = np.random.default_rng(4)
    offset = np.arange(-33, 33 + step / 2, step) / 4
    made = []
    for _ in GRID_X:
        stamp = np.zeros((offset.size, offset.size))
        for _ in range(4):
            x, y = rng.normal(0, 0.4, 2)
            sigma = rng.uniform(0.5, 1.0, 2)
            stamp += 0.24 * gaussian_pixels(offset - x, offset[:, None] - y, *sigma)
        made.append(stamp)
    return np.array(made)


@pytest.fixture(scope="module")
def stamps():
    """Stamps with four samples per pixel of the star."""
    return lumpy_stamps(1.0)


@pytest.fixture(scope="module")
def sources():
    """On the detector, off the grid of positions, on its nodes, at and between pixel centres."""
    rng = np.random.default_rng(8)
    x, y = rng.uniform(-10, 210, (2, 150))
    special = np.array([3.0, 100.0, 180.0, 60.5, 61.5, 62.0, -4.25, 300.0])
    return np.append(x, special), np.append(y, special[::-1])


def photutils_light(model, x, y, side):
    """ePSF on the pixels around each source, one source at a time."""
    dy, dx = np.mgrid[:side, :side] - side // 2
    return np.array(
        [
            model.evaluate(np.rint(i) + dx.astype(float), np.rint(j) + dy.astype(float), 1, i, j)
            for i, j in zip(x, y, strict=True)
        ]
    )


@pytest.mark.parametrize("oversample", [1, 3, 4])
@pytest.mark.parametrize("cut", [(0, 0), (1, 0), (0, 5)], ids=["odd", "even", "oblong"])
def test_light_on_pixels_is_that_of_photutils(stamps, sources, oversample, cut):
    stamps = stamps[:, : 67 - cut[0], : 67 - cut[1]]
    shuffled = np.random.default_rng(0).permutation(len(stamps))
    epsf = GriddedEPSF(stamps[shuffled], GRID_X[shuffled], GRID_Y[shuffled], oversample)
    places = list(zip(GRID_X, GRID_Y, strict=True))
    if oversample == 1:  # as few samples have no more than a spline
        finer, meta = stamps, {"grid_xypos": places, "oversampling": 1}
    else:  # the same stars with twice the samples
        finer = lumpy_stamps(0.5)[:, : 133 - 2 * cut[0], : 133 - 2 * cut[1]]
        meta = {"grid_xypos": places, "oversampling": 2 * oversample}
    expected = photutils_light(GriddedPSFModel(NDData(finer, meta=meta)), *sources, 7)
    # single precision, and what a mirrored lump has beyond the edge
    np.testing.assert_allclose(epsf.on_pixels(*sources, 7), expected, rtol=0, atol=2e-7)


@pytest.mark.parametrize("oversample", [2, 3, 4])
def test_light_of_a_narrow_star_is_right_at_any_phase(oversample):
    sigma = 0.8 if oversample == 2 else 0.5
    stamp = gaussian_stamp(8, oversample, sigma)
    epsf = GriddedEPSF(stamp[None], [50], [50], oversample)
    x, y = np.random.default_rng(5).uniform(49.51, 50.49, (2, 40))
    dy, dx = np.mgrid[47:54, 47:54]
    truth = gaussian_pixels(dx - x[:, None, None], dy - y[:, None, None], sigma, sigma)
    found = epsf.on_pixels(x, y, 7)
    np.testing.assert_allclose(found, truth, rtol=0, atol=1e-4)


def test_what_apertures_catch_is_the_sum_over_photutils_pixels(stamps, sources):
    x, y = sources
    epsf = GriddedEPSF(stamps, GRID_X, GRID_Y, 4)
    meta = {"grid_xypos": list(zip(GRID_X, GRID_Y, strict=True)), "oversampling": 4}
    model = GriddedPSFModel(NDData(stamps, meta=meta))
    phase_x, phase_y = x - np.rint(x), y - np.rint(y)
    weights = np.array(
        [
            CircularAperture((3 + i, 3 + j), 3.0).to_mask(method="exact").to_image((7, 7))
            for i, j in zip(phase_x, phase_y, strict=True)
        ]
    )
    light = photutils_light(model, x, y, 7)
    whole = (weights * light).sum(axis=(1, 2))
    np.testing.assert_allclose(epsf.in_aperture(x, y, 3.0), whole, rtol=1e-9)
    usable = np.random.default_rng(5).random(weights.shape) > 0.2
    kept = (weights * usable * light).sum(axis=(1, 2))
    found = epsf.in_aperture(x, y, 3.0, weights=weights * usable, full_weights=weights)
    np.testing.assert_allclose(found, kept, rtol=1e-9)
    assert np.median(kept / whole) < 0.9


def test_between_samples_it_is_far_better_than_linear():
    epsf = gaussian_epsf()
    x, y = np.random.default_rng(1).uniform(40, 60, (2, 200))
    dy, dx = np.mgrid[-3:4, -3:4]
    from_x = np.rint(x)[:, None, None] + dx - x[:, None, None]
    from_y = np.rint(y)[:, None, None] + dy - y[:, None, None]
    truth = gaussian_pixels(from_x, from_y, 0.8, 0.8)
    # halfway between samples a straight line misses the peak by h² P'' / 8, with h = 1/4 pixel
    linear = 0.25**2 / 8 * truth.max() / 0.8**2
    assert np.abs(epsf.on_pixels(x, y, 7) - truth).max() < linear / 20


def test_each_source_is_independent_of_the_others(stamps, sources):
    x, y = sources
    epsf = GriddedEPSF(stamps, GRID_X, GRID_Y, 4)
    caught, annulus = epsf.in_aperture(x, y, 3.0), epsf.in_annulus(x, y, 4.0, 7.0)
    order = np.random.default_rng(2).permutation(x.size)
    np.testing.assert_array_equal(epsf.in_aperture(x[order], y[order], 3.0), caught[order])
    alone = [epsf.in_aperture(x[i : i + 1], y[i : i + 1], 3.0)[0] for i in range(x.size)]
    np.testing.assert_array_equal(alone, caught)
    alone = [epsf.in_annulus(x[i : i + 1], y[i : i + 1], 4.0, 7.0)[0] for i in range(x.size)]
    np.testing.assert_array_equal(alone, annulus)
    assert np.ptp(annulus) > 0


def test_each_source_has_its_own_radius(stamps, sources):
    """The same alone; in annuli as with one radius for all, on a fine ladder of radii."""
    x, y = sources
    epsf = GriddedEPSF(stamps, GRID_X, GRID_Y, 4)
    names = np.where(np.arange(x.size) % 2 == 0, "M5", "A1")
    by_type = EPSFBySpectralType.of_sources((epsf, epsf), ("A0V", "M6V"), names, default="A0V")
    radii = np.random.default_rng(9).uniform(1.5, 3.0, x.size)
    for correction in (epsf, by_type):
        caught = correction.in_aperture(x, y, radii)
        annulus = correction.in_annulus(x, y, 2 * radii, 4 * radii)
        for i in range(0, x.size, 4):
            one = x[[i]], y[[i]]
            theirs = correction.for_rows([i])
            assert theirs.in_aperture(*one, radii[[i]], weights=None)[0] == pytest.approx(
                caught[i], rel=1e-12
            )
            assert theirs.in_annulus(*one, 2 * radii[[i]], 4 * radii[[i]])[0] == annulus[i]
            alone = theirs.in_annulus(*one, 2 * radii[i], 4 * radii[i])[0]
            assert annulus[i] == pytest.approx(alone, abs=3e-5)
            assert caught[i] == pytest.approx(theirs.in_aperture(*one, radii[i])[0], rel=1e-12)


def test_light_in_annuli_is_the_integral_over_circles():
    """Of a Gaussian within r: 1 - exp(-r²/2σ²), with the pixel's 1/12 added to σ²."""
    epsf = gaussian_epsf()
    variance = 0.8**2 + 1 / 12

    def enclosed(radius):
        return 1 - np.exp(-(radius**2) / (2 * variance))

    for r_in, r_out in ((0.0, 4.0), (2.5, 3.5), (3.0, 8.0)):
        found = epsf.in_annulus([10.0, 60.0], [50.0, 50.0], r_in, r_out)
        np.testing.assert_allclose(found, enclosed(r_out) - enclosed(r_in), atol=6e-4)


def test_light_that_a_stamp_lacks_falls_with_the_cube_of_the_radius():
    epsf = GriddedEPSF(0.9 * gaussian_stamp(8, 4, 0.8)[None], [50], [50], 4)
    inside = epsf.in_annulus([50.0], [50.0], 0.0, 8.0)
    assert inside == pytest.approx(0.9, abs=1e-6)
    for radius in (10.0, 16.0, 1e9):
        beyond = epsf.in_annulus([50.0], [50.0], 8.0, radius)
        assert beyond == pytest.approx(0.1 * (1 - 8.0 / radius), abs=1e-6)


def test_a_grid_of_one_row_and_of_one_place():
    stamps = np.array([gaussian_stamp(6, 4, sigma) for sigma in (0.7, 0.9)])
    row = GriddedEPSF(stamps, [10.0, 20.0], [30.0, 30.0], 4)
    ends = [GriddedEPSF(stamp[None], [0.0], [0.0], 4) for stamp in stamps]
    x, y = np.array([5.0, 12.5, 20.0]), np.array([0.0, 30.0, 90.0])
    first, last = (epsf.in_aperture(x, y, 2.0) for epsf in ends)
    np.testing.assert_allclose(
        row.in_aperture(x, y, 2.0), first + np.array([0, 0.25, 1]) * (last - first), rtol=1e-12
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"stamps": np.ones((5, 5))}, "shape .*expected .positions, y, x"),
        ({"stamps": np.full((4, 9, 9), np.nan)}, "not finite"),
        ({"x": [0, 1, 0]}, "4 stamps and positions of shapes"),
        ({"x": [0, 1, 0, 2]}, "no rectangular grid"),
        ({"x": [0, 0, 0, 0], "y": [1, 1, 1, 1]}, "no rectangular grid"),
        ({"oversample": 0}, "oversample is 0"),
    ],
)
def test_what_is_no_grid_is_refused(change, said):
    arrays = {"stamps": np.ones((4, 9, 9)), "x": [0, 1, 0, 1], "y": [0, 0, 1, 1], "oversample": 1}
    with pytest.raises(ValueError, match=said):
        GriddedEPSF(**arrays | change)


def test_an_aperture_larger_than_the_stamps_is_refused():
    epsf = gaussian_epsf(half_size=8)
    x, y = np.array([50.49, 49.51]), np.array([50.5, 49.5])
    np.testing.assert_allclose(epsf.in_aperture(x, y, 6.5), 1.0, atol=1e-5)
    with pytest.raises(ValueError, match="smaller aperture radius"):
        epsf.in_aperture(x, y, 9.0)


# --- normalisation and what lies beyond the stamps ---------------------------------------------


def enclosed_with_wings(radius):
    """Light of a star with a Gaussian core and wings that fall with r**-3."""
    core = 1 - np.exp(-(radius**2) / (2 * 0.9**2))
    return 0.9 * core + 0.1 * (np.sqrt(1 + radius**2) - 1) / np.sqrt(1 + radius**2)


def winged_stamp(half_size, oversample):
    """Its ePSF, the pixel taken as small: densities at the samples, normalised in a circle."""
    offset = np.arange(-half_size * oversample, half_size * oversample + 1) / oversample
    r2 = offset**2 + offset[:, None] ** 2
    density = 0.9 * np.exp(-r2 / (2 * 0.9**2)) / (2 * np.pi * 0.9**2)
    return density + 0.1 / (2 * np.pi * (1 + r2) ** 1.5)


@pytest.fixture(scope="module")
def curve():
    radii = np.arange(0.05, 60, 0.05)
    entry = {"ee_radii": radii, "ee_fractions": enclosed_with_wings(radii)}
    entry |= {"ap_corrections": 1 / entry["ee_fractions"]}
    return CurveOfGrowth.from_reference(entry, radius_unit="pixel", psf="pixel")


def test_stamps_that_are_fractions_of_all_light_stay(curve):
    epsf = normalize_epsf(GriddedEPSF(winged_stamp(12, 4)[None], [50], [50], 4), curve, "apcorr")
    np.testing.assert_array_equal(epsf.stamps, winged_stamp(12, 4)[None])
    assert epsf.description["normalized_by"] == "the stamps themselves"
    assert epsf.description["apcorr_over_stamps"] == pytest.approx(1, abs=1e-3)
    # the annulus begins on the stamps and ends beyond them
    found = epsf.in_annulus([50.0], [50.0], 6.0, 30.0)
    expected = enclosed_with_wings(30.0) - enclosed_with_wings(6.0)
    assert found == pytest.approx(expected, rel=0.01)
    assert epsf.description["beyond_stamp"] == "apcorr"


def test_stamps_of_their_own_sum_are_scaled_to_the_curve(curve):
    own = winged_stamp(12, 4)
    epsf = GriddedEPSF(own[None] * 16 / own.sum(), [50], [50], 4)
    scaled = normalize_epsf(epsf, curve, "apcorr")
    np.testing.assert_allclose(scaled.stamps[0], own, rtol=1e-3)
    assert scaled.description["normalized_by"] == "apcorr"
    alone = normalize_epsf(epsf, None, "")
    assert "taken to hold all of the light" in alone.description["normalized_by"]
    np.testing.assert_array_equal(alone.stamps, epsf.stamps)


def test_a_curve_that_contradicts_the_stamps_is_reported(curve, caplog):
    epsf = GriddedEPSF(0.95 * winged_stamp(12, 4)[None], [50], [50], 4)
    with caplog.at_level(logging.WARNING):
        kept = normalize_epsf(epsf, curve, "apcorr")
    assert "apcorr holds 5.2" in caplog.text
    np.testing.assert_array_equal(kept.stamps, epsf.stamps)


@pytest.mark.parametrize("oversample", [1, 4], ids=["coarse", "fine"])
@pytest.mark.parametrize("self_normalized", [False, True])
def test_an_extended_psf_of_any_scale_continues_the_stamps(oversample, self_normalized):
    own = winged_stamp(12, 4)
    epsf = GriddedEPSF(own[None] * (16 / own.sum() if self_normalized else 1), [50], [50], 4)
    extended = normalize_extended_psf(37.0 * winged_stamp(100, oversample), epsf)
    assert extended.oversample == oversample
    epsf = normalize_epsf(epsf, extended, "extended_psf")
    np.testing.assert_allclose(epsf.stamps[0], own, rtol=2e-3)
    found = epsf.in_annulus([50.0], [50.0], 20.0, 40.0)
    expected = enclosed_with_wings(40.0) - enclosed_with_wings(20.0)
    assert found == pytest.approx(expected, rel=0.05)


def test_light_per_sample_is_integrated_over_the_pixel():
    offset = np.arange(-40, 41) / 4
    density = np.exp(-(offset**2 + offset[:, None] ** 2) / (2 * 0.6**2)) / (2 * np.pi * 0.6**2)
    found, was_per_sample = integrate_over_pixels(density[None] / 16, 4)
    assert was_per_sample
    expected = gaussian_pixels(offset, offset[:, None], 0.6, 0.6)
    np.testing.assert_allclose(found[0], expected, atol=1e-5 * expected.max())
    again, was_per_sample = integrate_over_pixels(found, 4)
    assert not was_per_sample
    np.testing.assert_array_equal(again, found)


# --- spectral types ----------------------------------------------------------------------------


def test_the_nearest_spectral_type_is_taken():
    available = ("A0V", "G2V", "M6V")
    wanted = {"A0V": 0, "m6v": 2, " F3V ": 1, "A5": 0, "O9.5Ia": 0, "K7": 2, "K3III": 1}
    wanted |= {"L2": 2, "G": 1, "": 1, "galaxy": 1, "?": 1}
    index, n_default = nearest_types(list(wanted), available, "G2V")
    assert dict(zip(wanted, index.tolist(), strict=True)) == wanted
    assert n_default == 3
    assert default_type(("A0V", "g2v")) == "g2v"
    assert default_type(("flat",)) == "flat"
    index, n_default = nearest_types(["flat", "G2V"], ("flat", "steep"), "steep")
    assert (index.tolist(), n_default) == ([0, 1], 1)


def test_each_row_has_the_epsf_of_its_type(sources):
    x, y = sources
    blue, red = (
        GriddedEPSF(gaussian_stamp(8, 4, sigma)[None], [50], [50], 4) for sigma in (0.6, 0.9)
    )
    names = np.where(np.arange(x.size) % 3 == 0, "M5", "A1")
    correction = EPSFBySpectralType.of_sources((blue, red), ("A0V", "M6V"), names, default="A0V")
    rows = np.random.default_rng(3).permutation(x.size)[:40]
    theirs = correction.for_rows(rows)
    by_blue, by_red = (epsf.in_aperture(x[rows], y[rows], 2.0) for epsf in (blue, red))
    expected = np.where(rows % 3 == 0, by_red, by_blue)
    np.testing.assert_array_equal(theirs.in_aperture(x[rows], y[rows], 2.0), expected)
    in_annulus = theirs.in_annulus(x[rows], y[rows], 2.0, 3.0)
    assert len(np.unique(in_annulus)) == 2
    again = theirs.for_rows(np.arange(5, 9)).in_aperture(x[rows[5:9]], y[rows[5:9]], 2.0)
    np.testing.assert_array_equal(again, expected[5:9])
    np.testing.assert_array_equal(correction.in_aperture(x, y, 2.0), blue.in_aperture(x, y, 2.0))
    on_pixels = theirs.on_pixels(x[rows], y[rows], 5)
    for epsf, chosen in ((red, rows % 3 == 0), (blue, rows % 3 != 0)):
        light = epsf.on_pixels(x[rows][chosen], y[rows][chosen], 5)
        np.testing.assert_array_equal(on_pixels[chosen], light)
    np.testing.assert_array_equal(correction.on_pixels(x, y, 5), blue.on_pixels(x, y, 5))
    assert correction.description["n_rows_by_spectral_type"] == {
        "A0V": int((names == "A1").sum()),
        "M6V": int((names == "M5").sum()),
    }
