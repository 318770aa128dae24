"""The curve of growth against a direct sum of an oversampled PSF over pixels.

The oracle is a lumpy, slightly elongated star of an obscured telescope on a grid of 9 × 9 cells
per pixel.  Its curve is the sum in exact circles over the cells; what a measurement catches is
the sum in exact circles (photutils) over whole pixels, at each of the 81 sub-pixel phases.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import pytest
from photutils.aperture import CircularAperture
from scipy.ndimage import uniform_filter
from scipy.special import j1

from romancal_forcedphot.psfs import CorrectionUnavailable, CurveOfGrowth, PSFError
from romancal_forcedphot.psfs.pixelation import displacement_cdf, radial_weight_decrements

N_CELLS = 9  # per pixel and axis
HALF = 26  # pixels from the centre to the edge
SCALE = 0.11  # arcsec per pixel
RADII = np.arange(0.025, 2.5001, 0.025)  # arcsec
APERTURES = (1.0, 2.0, 3.0, 5.0)


def circle_sum(pixels, x, y, radius):
    """Sum in an exact circle, by photutils."""
    return CircularAperture((x, y), radius).to_mask(method="exact").multiply(pixels).sum()


@dataclass(frozen=True)
class Star:
    """A star of unit light at the centre of a grid of cells."""

    cells: np.ndarray

    @property
    def center(self):
        return (self.cells.shape[0] - 1) / 2

    def curve(self, radii_pix, cells=None):
        """Light in circles over the cells."""
        cells = self.cells if cells is None else cells
        return np.array(
            [circle_sum(cells, self.center, self.center, radius * N_CELLS) for radius in radii_pix]
        )

    def phases(self):
        """Pixel images at all sub-pixel phases, with the star's pixel position on each."""
        size = self.cells.shape[0] // N_CELLS - 1
        for i in range(N_CELLS):
            for j in range(N_CELLS):
                inner = self.cells[i : i + size * N_CELLS, j : j + size * N_CELLS]
                pixels = inner.reshape(size, N_CELLS, size, N_CELLS).sum(axis=(1, 3))
                x, y = ((self.center + 0.5 - start) / N_CELLS - 0.5 for start in (j, i))
                yield pixels, x, y


def diffraction(radius):
    """Amplitude of a circular pupil in units of its first-order scale, 1 at the centre."""
    return 2 * j1(radius) / radius


@pytest.fixture(scope="module")
def star():
    offset = (np.arange((2 * HALF + 1) * N_CELLS) - HALF * N_CELLS - N_CELLS // 2) / N_CELLS
    x, y = np.meshgrid(offset, offset)
    radius = np.hypot(1.03 * x, y / 1.03)
    v = np.maximum(np.pi * radius / 1.25, 1e-6)  # lambda / D of F158 is 1.25 pixels
    amplitude = diffraction(v) - 0.3**2 * diffraction(0.3 * v)
    spikes = 1 + 0.3 * np.cos(6 * np.arctan2(y, x)) * np.minimum(radius / 5, 1)
    cells = amplitude**2 * spikes
    return Star(0.97 * cells / cells.sum())


@pytest.fixture(scope="module")
def entry(star):
    fractions = star.curve(RADII / SCALE)
    return {"ee_radii": RADII, "ee_fractions": fractions, "ap_corrections": 1 / fractions}


@pytest.fixture(scope="module")
def curve(entry):
    return CurveOfGrowth.from_reference(entry, pixel_scale=SCALE)


@pytest.fixture(scope="module")
def caught(star):
    """What apertures over pixels really catch: (phase,) for each radius."""
    return {
        radius: np.array([circle_sum(pixels, x, y, radius) for pixels, x, y in star.phases()])
        for radius in APERTURES
    }


def at_center(curve, radius):
    return curve.in_aperture([2000.0], [1000.0], radius)[0]


@pytest.mark.parametrize("radius", APERTURES)
def test_two_blurs_give_what_pixels_catch(curve, caught, radius):
    truth = caught[radius].mean()
    tolerance = 5e-4 if radius >= 2 else 3e-3
    assert at_center(curve, radius) == pytest.approx(truth, rel=tolerance)


def test_the_bare_curve_would_not(curve, caught):
    """The test above tells something: the blurs are worth 1 % at 3 pixels, 20 % at 1 pixel."""
    assert abs(curve.encircled_energy(3 * SCALE) / caught[3.0].mean() - 1) > 0.005
    assert abs(curve.encircled_energy(1 * SCALE) / caught[1.0].mean() - 1) > 0.15


@pytest.mark.parametrize("radius", APERTURES)
def test_one_blur_where_the_psf_includes_the_pixel(star, caught, radius):
    blurred = uniform_filter(star.cells, N_CELLS, mode="constant")
    entry = {"ee_radii": RADII, "ee_fractions": star.curve(RADII / SCALE, blurred)}
    curve = CurveOfGrowth.from_reference(entry, pixel_scale=SCALE, psf="pixel")
    tolerance = 5e-4 if radius >= 2 else 3e-3
    assert at_center(curve, radius) == pytest.approx(caught[radius].mean(), rel=tolerance)


@pytest.mark.parametrize("n_blurs", [1, 2])
@pytest.mark.parametrize("radius", [0.4, 1.0, 3.0])
def test_fall_of_weight_is_the_circle_blurred_by_pixels(n_blurs, radius):
    """Against the share of moved points inside the circle, over a plain grid of moves."""
    distance, fall = radial_weight_decrements(radius, (1.0,) * n_blurs)
    inside_from = np.cumsum(fall[::-1])[::-1]  # what falls from here on: the weight here
    edges = distance - 0.5 * (distance[1] - distance[0])
    step = (np.arange(200) + 0.5) / 200 - 0.5
    chance = np.ones(200) / 200
    if n_blurs == 2:
        step, chance = 2 * step, (1 - 2 * abs(step)) / np.sum(1 - 2 * abs(step))
    angle = np.pi / 2 * (np.arange(40) + 0.5) / 40
    for k in range(0, len(edges), 57):
        x = step[:, None, None] + edges[k] * np.cos(angle)
        y = step[None, :, None] + edges[k] * np.sin(angle)
        inside = (np.hypot(x, y) < radius).mean(axis=2)
        assert inside_from[k] == pytest.approx(chance @ inside @ chance, abs=1e-3)


@pytest.mark.parametrize("widths", [(1.0, 0.8), (1.0, 1.0, 1.0), (2.0, 1.6, 1.0), (1.2, 0.7, 0.4)])
def test_squares_of_any_side_displace_as_chance_does(widths):
    """Against the lengths of a million sums of random moves."""
    random = np.random.default_rng(5)
    moves = sum(width * random.uniform(-0.5, 0.5, (2, 1_000_000)) for width in widths)
    lengths = np.linspace(0.05, 0.8, 16) * sum(widths)
    expected = np.searchsorted(np.sort(np.hypot(*moves)), lengths) / moves.shape[1]
    np.testing.assert_allclose(displacement_cdf(lengths, widths), expected, atol=2.5e-3)


# --- scales and units ------------------------------------------------------------------------


def test_each_source_has_the_scale_of_its_place(entry):
    """A source where pixels are larger catches what a curve squeezed by as much says."""

    def scale(x, y):
        return SCALE * (1 + 1e-5 * x)

    curve = CurveOfGrowth.from_reference(entry, pixel_scale=scale)
    x = np.linspace(0.0, 4000.0, 23)
    found = curve.in_aperture(x, np.zeros_like(x), 3.0)
    for place, fraction in zip(x, found, strict=True):
        squeezed = entry | {"ee_radii": RADII / scale(place, 0.0)}
        alone = CurveOfGrowth.from_reference(squeezed, radius_unit="pixel")
        assert fraction == pytest.approx(at_center(alone, 3.0), rel=3e-6)
    assert np.ptp(found) > 0.003


def test_each_source_has_its_own_radius(entry):
    """Apertures of one size on the sky, and of any; the same alone, and among others."""

    def scale(x, y):
        return SCALE * (1 + 1e-5 * x)

    curve = CurveOfGrowth.from_reference(entry, pixel_scale=scale)
    x = np.linspace(0.0, 4000.0, 23)
    radii = np.where(np.arange(23) % 3 == 0, 1.7, 0.33 / scale(x, 0.0))
    in_aperture = curve.in_aperture(x, 0 * x, radii)
    in_annulus = curve.in_annulus(x, 0 * x, 5 * radii, 7 * radii)
    for i, radius in enumerate(radii):
        one = x[[i]], 0 * x[[i]]
        assert in_aperture[i] == pytest.approx(curve.in_aperture(*one, radius)[0], rel=3e-6)
        alone = curve.in_annulus(*one, 5 * radius, 7 * radius)[0]
        assert in_annulus[i] == pytest.approx(alone, abs=3e-6)
        assert in_aperture[i] == curve.in_aperture(*one, radii[[i]])[0]


def test_an_own_radius_beyond_the_curve_is_refused(entry):
    curve = CurveOfGrowth.from_reference(entry, pixel_scale=SCALE)
    with pytest.raises(ValueError, match="beyond the curve"):
        curve.in_aperture([0.0, 1.0], [0.0, 1.0], np.array([3.0, 1.01 * RADII[-1] / SCALE]))


def test_a_source_does_not_depend_on_its_company(entry):
    rng = np.random.default_rng(5)
    x, y = rng.uniform(0, 4088, (2, 40))
    curve = CurveOfGrowth.from_reference(entry, pixel_scale=lambda x, y: SCALE + 1e-7 * (x + y))
    full = np.broadcast_to(circle_weights(11, 0.0, 0.0, 3.0), (40, 11, 11))
    weights = full * (rng.uniform(size=full.shape) > 0.03)
    together = curve.in_aperture(x, y, 3.0, weights=weights, full_weights=full)
    for row in range(40):
        one = slice(row, row + 1)
        alone = curve.in_aperture(x[one], y[one], 3.0, weights=weights[one], full_weights=full[one])
        assert alone[0] == together[row]
    empty = curve.in_aperture(x[:0], y[:0], 3.0, weights=weights[:0], full_weights=full[:0])
    assert empty.shape == (0,)


def test_files_in_pixels_and_in_arcsec_say_the_same(entry, curve):
    pixel_entry = entry | {"ee_radii": RADII / SCALE}
    in_pixels = CurveOfGrowth.from_reference(pixel_entry)
    assert (curve.radius_unit, in_pixels.radius_unit) == ("arcsec", "pixel")
    for radius in APERTURES:
        assert at_center(in_pixels, radius) == pytest.approx(at_center(curve, radius), rel=3e-6)


def test_the_unit_can_be_forced_and_is_logged(entry, caplog):
    with caplog.at_level(logging.INFO):
        CurveOfGrowth.from_reference(entry, pixel_scale=SCALE)
    assert "in arcsec (half of the light within" in caplog.text
    forced = CurveOfGrowth.from_reference(entry, radius_unit="pixel")
    assert forced.radius_unit == "pixel"
    assert forced.description["radius_unit_decision"] == "set by the user"
    assert at_center(forced, 2.0) > 0.9  # of a star that is nine times too small


def test_eleven_fractions_are_good_to_their_coarseness(star, caught):
    fine = np.linspace(0.05, 25, 400)
    fractions = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95])
    radii = np.interp(fractions, star.curve(fine), fine)
    entry = {"ee_radii": radii, "ee_fractions": fractions, "ap_corrections": 1 / fractions}
    curve = CurveOfGrowth.from_reference(entry)
    assert curve.radius_unit == "pixel"
    for radius in (2.0, 3.0):
        assert at_center(curve, radius) == pytest.approx(caught[radius].mean(), rel=0.03)


def test_null_fractions_are_one_over_the_corrections(entry, curve):
    nulled = entry | {"ee_fractions": None, "sky_background_rin": None}
    other = CurveOfGrowth.from_reference(nulled, pixel_scale=SCALE)
    assert other.description["fractions_from"] == "1 / ap_corrections"
    assert at_center(other, 3.0) == pytest.approx(at_center(curve, 3.0), rel=1e-12)


def test_rows_in_any_order_and_a_row_at_zero_are_fine(entry, curve):
    shuffled = {
        "ee_radii": np.concatenate([RADII[::-1], [0.0]]),
        "ee_fractions": np.concatenate([entry["ee_fractions"][::-1], [0.0]]),
    }
    other = CurveOfGrowth.from_reference(shuffled, pixel_scale=SCALE)
    assert at_center(other, 3.0) == at_center(curve, 3.0)


# --- masked pixels ---------------------------------------------------------------------------


def circle_weights(side, dx, dy, radius):
    """Exact overlaps of a circle with a stamp's pixels, off its centre by dx, dy."""
    middle = side // 2
    mask = CircularAperture((middle + dx, middle + dy), radius).to_mask(method="exact")
    return mask.to_image((side, side))


@pytest.mark.parametrize("radius", APERTURES)
def test_masked_pixels_cost_precision_and_not_flux(star, curve, radius):
    """One to three pixels within 2 pixels of the centre, other ones at each phase."""
    rng = np.random.default_rng(2)
    side = 2 * int(np.ceil(radius + 1)) + 1
    row, column = np.indices((side, side)) - side // 2
    close = np.argwhere(np.hypot(row, column) <= 2)
    offset, ignored = [], []
    for pixels, x, y in star.phases():
        near_x, near_y = int(np.rint(x)), int(np.rint(y))
        first = near_y - side // 2, near_x - side // 2
        stamp = pixels[first[0] : first[0] + side, first[1] : first[1] + side]
        full = circle_weights(side, x - near_x, y - near_y, radius)
        weights = full.copy()
        for index in rng.choice(len(close), rng.integers(1, 4), replace=False):
            weights[tuple(close[index])] = 0.0
        truth = np.sum(weights * stamp)
        stamps = {"weights": weights[None], "full_weights": full[None]}
        offset.append(curve.in_aperture([x], [y], radius, **stamps)[0] / truth - 1)
        ignored.append(at_center(curve, radius) / truth - 1)
    assert abs(np.median(offset)) < 0.01
    assert np.std(offset) < 0.3 * np.std(ignored)
    assert np.std(offset) < (0.02 if radius > 1 else 0.06)


def test_an_aperture_without_a_pixel_left_is_unknown(curve):
    full = np.stack([circle_weights(9, 0.2, 0.1, 3.0)] * 3)
    weights = full.copy()
    weights[1] = 0.0
    weights[2, 0, 0] = full[2, 0, 0]
    found = curve.in_aperture(
        np.full(3, 10.2), np.full(3, 20.1), 3.0, weights=weights, full_weights=full
    )
    assert np.isnan(found).tolist() == [False, True, False]
    assert found[0] == at_center(curve, 3.0)


# --- annulus and limits ----------------------------------------------------------------------


def test_light_in_the_annulus(star, curve):
    """Against the pixels whose centres lie in it, over all phases."""
    light = []
    for pixels, x, y in star.phases():
        row, column = np.indices(pixels.shape)
        distance = np.hypot(column - x, row - y)
        light.append(pixels[(distance >= 8) & (distance < 12)].sum())
    found = curve.in_annulus(np.zeros(3), np.zeros(3), 8.0, 12.0)
    np.testing.assert_allclose(found, np.mean(light), rtol=0.01)


def test_beyond_the_curve_there_is_no_more_light(curve):
    beyond = curve.in_annulus([0.0], [0.0], 20.0, 40.0)
    np.testing.assert_allclose(
        beyond, curve.fractions[-1] - curve.encircled_energy(20 * SCALE), rtol=0.02
    )
    assert curve.in_annulus([0.0], [0.0], 20.0, 60.0) == beyond
    assert curve.in_annulus([0.0], [0.0], 30.0, 40.0) == 0
    assert "stay at its last value" in curve.description["beyond_radius_max"]
    with pytest.raises(ValueError, match=r"radius of 23 pixels \(2.53 arcsec\).* ends at 2.5 arc"):
        curve.in_aperture([0.0], [0.0], 23.0)


def test_description_tells_what_was_used(curve, entry):
    told = curve.description
    assert told["psf"] == "optical"
    assert told["n_radii"] == len(RADII)
    assert told["fraction_at_radius_max"] == entry["ee_fractions"][-1]
    assert np.interp(told["half_light_radius"], RADII, entry["ee_fractions"]) == pytest.approx(0.5)
    assert all(isinstance(value, str | int | float) for value in told.values())


# --- what cannot be used ---------------------------------------------------------------------


@pytest.mark.parametrize("missing", [("ee_radii",), ("ee_fractions", "ap_corrections")])
def test_a_null_filter_has_no_correction(entry, missing):
    nulled = entry | dict.fromkeys(missing)
    with pytest.raises(CorrectionUnavailable, match="no encircled energy for this filter"):
        CurveOfGrowth.from_reference(nulled, pixel_scale=SCALE)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ee_radii": RADII[:-1]}, r"radii of shape \(99,\)"),
        ({"ee_radii": RADII * 0 + 1}, "100 radii above 0"),
        ({"ee_fractions": np.linspace(0.9, 0.1, 100)}, "fall with radius"),
        ({"ee_fractions": np.linspace(0.1, 50, 100)}, "between 0 and 1"),
        ({"ee_fractions": np.linspace(np.nan, 1, 100)}, "between 0 and 1"),
        ({"ee_radii": RADII * 40}, "half of the light within a radius of .*set apcorr_radius_unit"),
        ({"ee_fractions": np.linspace(0.01, 0.4, 100)}, "within a radius of nan"),
    ],
)
def test_a_curve_that_is_none_says_so(entry, changes, message):
    with pytest.raises(PSFError, match=message):
        CurveOfGrowth.from_reference(entry | changes, pixel_scale=SCALE)


def test_options_are_checked(entry):
    with pytest.raises(ValueError, match="apcorr_psf is 'effective', expected one of optical, pix"):
        CurveOfGrowth.from_reference(entry, pixel_scale=SCALE, psf="effective")
    with pytest.raises(ValueError, match="apcorr_radius_unit is 'mas'"):
        CurveOfGrowth.from_reference(entry, pixel_scale=SCALE, radius_unit="mas")
    with pytest.raises(ValueError, match="needs pixel_scale"):
        CurveOfGrowth.from_reference(entry)
