"""ePSFs of the real STPSF, run on the optics that GalSim knows, against GalSim and arithmetic."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from astropy.io import fits
from photutils.aperture import CircularAperture
from scipy.special import erf

from romancal_forcedphot.psfs import CorrectionUnavailable, GriddedEPSF
from romancal_forcedphot.psfs.jitter import Jitter
from romancal_forcedphot.psfs.stpsf import GridRequest, OpticalGrid, compute_grid
from stpsf_tree import stpsf_with

MICRONS = 1.06
#: Quick to compute: one wavelength, one place, few samples.
QUICK = GridRequest("WFI01", "F106", n_psfs=1, sed="1.06um", fov_pixels=15, oversample=2)
GALSIM_SIDE = 91


@pytest.fixture(scope="session")
def corners(stpsf_data):
    """The optics at one wavelength in the four corners of WFI01, F106."""
    request = GridRequest("WFI01", "F106", n_psfs=4, sed=f"{MICRONS}um")
    return compute_grid(request, data_path=stpsf_data)


def epsf_of(grid, **blurs):
    return GriddedEPSF(grid.on_pixels(**blurs), grid.x, grid.y, grid.oversample)


def flux_in_circle(image, x, y, radius):
    return CircularAperture((x, y), radius).to_mask(method="exact").multiply(image).sum()


def galsim_star(grid, place, phase, *, diffusion_arcsec):
    """A star as GalSim draws it on the pixels around a place, in the middle but for the phase."""
    import galsim
    from galsim import roman

    star = galsim.Convolve(
        roman.getPSF(
            1,
            "Y106",
            SCA_pos=galsim.PositionD(*place),
            pupil_bin=8,
            wavelength=1000 * MICRONS,
        ),
        galsim.Gaussian(sigma=grid.jitter_mas / 1000),
        galsim.Gaussian(sigma=diffusion_arcsec),
    )
    drawn = star.drawImage(
        nx=GALSIM_SIDE, ny=GALSIM_SIDE, scale=grid.pixel_arcsec, offset=phase, dtype=float
    )
    return drawn.array


def ratios_to_galsim(grid, radius):
    """E of STPSF over that of GalSim, a star near each corner at another phase, and E."""
    epsf, middle = epsf_of(grid), GALSIM_SIDE // 2
    phases = [(0.2, -0.3), (-0.45, 0.1), (0.0, 0.0), (0.4, 0.4)]
    ours, theirs = [], []
    for place, phase in zip(zip(grid.x, grid.y, strict=True), phases, strict=True):
        x, y = np.array([place[0] + phase[0]]), np.array([place[1] + phase[1]])
        ours.append(epsf.in_aperture(x, y, radius)[0])
        image = galsim_star(grid, place, phase, diffusion_arcsec=grid.charge_diffusion_mas / 1000)
        theirs.append(flux_in_circle(image, middle + phase[0], middle + phase[1], radius))
    return np.array(ours) / theirs, np.array(ours)


@pytest.mark.parametrize(("radius", "tolerance"), [(1, 0.015), (2, 0.006), (3, 0.003), (5, 0.003)])
def test_apertures_catch_what_galsim_draws(corners, radius, tolerance):
    """Zernikes are of a pupil of 2.40 m for STPSF and of 2.36 m for GalSim: the cores differ."""
    ratios, _ = ratios_to_galsim(corners, radius)
    np.testing.assert_allclose(ratios, 1, atol=tolerance)


def test_the_place_on_the_detector_is_galsims(corners):
    """The corners differ by more than STPSF and GalSim differ from corner to corner."""
    ratios, fractions = ratios_to_galsim(corners, 3)
    assert np.ptp(fractions) > 3 * np.ptp(ratios)


def test_places_are_counted_from_the_first_light_sensitive_pixel(corners, stpsf_data):
    """STPSF counts the four reference pixels, too."""
    assert (corners.x[0], corners.y[0], corners.x[-1], corners.y[-1]) == (0, 0, 4087, 4087)
    for corner, place in ((0, (4, 4)), (3, (4091, 4091))):
        with stpsf_with(stpsf_data) as stpsf:
            wfi = stpsf.WFI()
            wfi.options.update(jitter=None, output_mode="oversampled")
            wfi.filter, wfi.detector, wfi.detector_position = "F106", "WFI01", place
            psf = wfi.calc_psf(monochromatic=MICRONS * 1e-6, fov_pixels=91, oversample=4)
        np.testing.assert_array_equal(corners.samples[corner], psf[0].data.astype(np.float32))


def test_stamps_hold_fractions_of_all_light(corners):
    """Beyond a few pixels the light outside a circle falls with its radius, whatever the blurs."""
    epsf = epsf_of(corners)
    x, y = corners.x[:1], corners.y[:1]
    beyond = [1 - epsf.in_aperture(x, y, radius)[0] for radius in (20.0, 40.0)]
    assert beyond[1] / beyond[0] == pytest.approx(0.5, abs=0.1)
    assert (epsf.stamp_flux_fractions < 1).all()


def test_pixels_and_charge_diffusion_are_those_of_stpsf(stpsf_data):
    """STPSF's own image of a star, with charge diffusion, binned to pixels."""
    request = GridRequest("WFI01", "F106", n_psfs=1, sed="1.06um", fov_pixels=41)
    grid = compute_grid(request, data_path=stpsf_data)
    with stpsf_with(stpsf_data) as stpsf:
        wfi = stpsf.WFI()
        wfi.filter, wfi.detector, wfi.detector_position = "F106", "WFI01", (2048, 2048)
        psf = wfi.calc_psf(monochromatic=1.06e-6, fov_pixels=41, oversample=8)
    image = psf["DET_DIST"].data
    epsf = epsf_of(grid, jitter=Jitter(0, 0))  # STPSF's is too narrow for its own samples
    for radius in (1, 2, 3, 5):
        ours = epsf.in_aperture(grid.x, grid.y, radius)[0]
        assert ours == pytest.approx(flux_in_circle(image, 20, 20, radius), rel=0.002)


def test_psf_grid_has_the_same_optics_without_charge_diffusion(stpsf_data):
    """STPSF's own grid, evaluated by photutils; its pixel is a little too wide (see the module)."""
    request = GridRequest("WFI01", "F106", n_psfs=1, sed="1.06um", fov_pixels=41)
    grid = compute_grid(request, data_path=stpsf_data)
    with stpsf_with(stpsf_data) as stpsf:
        wfi = stpsf.WFI()
        wfi.filter, wfi.detector = "F106", "WFI01"
        model = wfi.psf_grid(
            **{"num_psfs": 1, "all_detectors": False, "verbose": False},
            **{"monochromatic": 1.06e-6, "fov_pixels": 41, "oversample": 4},
        )
    y, x = np.mgrid[:41, :41]
    image = model.evaluate(x, y, flux=1, x_0=20.3, y_0=19.8)
    at_x, at_y = grid.x + 0.3, grid.y - 0.2
    bare = epsf_of(grid, charge_diffusion_mas=0.0)
    for radius, tolerance in ((2, 0.004), (3, 0.001), (5, 0.001)):
        theirs = flux_in_circle(image, 20.3, 19.8, radius)
        assert bare.in_aperture(at_x, at_y, radius)[0] == pytest.approx(theirs, rel=tolerance)
    diffused = epsf_of(grid).in_aperture(at_x, at_y, 2)[0]
    assert diffused < flux_in_circle(image, 20.3, 19.8, 2) - 0.005


def test_blurs_of_a_gaussian_are_arithmetic():
    """Gaussians add their variances; a pixel takes the difference of two error functions."""
    oversample, pixel_arcsec, width_pix = 4, 0.1, 1.2
    at = (np.arange(31 * oversample) - (31 * oversample - 1) / 2) / oversample
    optics = np.exp(-0.5 * (at / width_pix) ** 2)
    samples = np.outer(optics, optics) / optics.sum() ** 2
    grid = OpticalGrid(samples[None], np.zeros(1), np.zeros(1), oversample, pixel_arcsec, 33.0, 6.0)
    # The major axis lies along x.
    stamp = grid.on_pixels(jitter=Jitter(80.0, 20.0, 90.0), charge_diffusion_mas=50.0)[0]
    on_pixel = []
    for jitter_pix in (0.2, 0.8):  # y, x
        sigma = np.sqrt(width_pix**2 + jitter_pix**2 + 0.5**2)
        edges = [(at + half) / (np.sqrt(2) * sigma) for half in (-0.5, 0.5)]
        on_pixel.append((erf(edges[1]) - erf(edges[0])) / 2)
    np.testing.assert_allclose(stamp, np.outer(*on_pixel), atol=1e-9)


def test_jitter_turns_from_y_to_x():
    samples = np.zeros((1, 61, 61))
    samples[0, 30, 30] = 1.0
    grid = OpticalGrid(samples, np.zeros(1), np.zeros(1), 1, 0.1, 0.0, 0.0)
    stamp = grid.on_pixels(jitter=Jitter(300.0, 100.0, 30.0))[0]
    y, x = np.mgrid[:61, :61] - 30
    moments = [(stamp * product).sum() for product in (x * x, x * y, y * y)]
    direction = np.rad2deg(0.5 * np.arctan2(2 * moments[1], moments[2] - moments[0]))
    assert direction == pytest.approx(30.0, abs=0.01)


# --- the spectrum of the source ------------------------------------------------------------------


def photons_of_black_body(microns, kelvin):
    return microns**-4 / np.expm1(14387.77 / (microns * kelvin))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sed", "photons"),
    [
        ("flat", lambda microns: 1 / microns),
        ("3000K", lambda microns: photons_of_black_body(microns, 3000)),
        ("30000K", lambda microns: photons_of_black_body(microns, 30000)),
    ],
)
def test_a_spectrum_is_the_mean_of_its_wavelengths(stpsf_data, sed, photons):
    """STPSF takes three bins of wavelength; each counts by the photons that the filter lets in."""
    with fits.open(stpsf_data / "WFI" / "filters" / "WFI01" / "F106_throughput.fits") as file:
        wavelength, passed = file[1].data["WAVELENGTH"] / 1e4, file[1].data["THROUGHPUT"]
    used = wavelength[passed > 0.1 * passed.max()]
    edges = np.linspace(used.min(), used.max(), 4)
    mean, total = 0.0, 0.0
    for low, high in pairwise(edges):
        fine = np.linspace(low, high, 200)
        weight = np.mean(photons(fine) * np.interp(fine, wavelength, passed))
        one = replace(QUICK, sed=f"{(low + high) / 2:.12g}um")
        mean = mean + weight * compute_grid(one, data_path=stpsf_data).samples
        total += weight
    whole = compute_grid(replace(QUICK, sed=sed), data_path=stpsf_data).samples
    np.testing.assert_allclose(whole, mean / total, atol=0.002 * whole.max())


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("", "5700K"),
        (" 5700 k", "5700K"),
        ("5700.0K", "5700K"),
        ("1.060 um", "1.06um"),
        ("Flat", "flat"),
        ("g2v", "G2V"),
    ],
)
def test_a_spectrum_has_one_name(written, meant):
    assert GridRequest("WFI01", "F106", sed=written) == GridRequest("WFI01", "F106", sed=meant)


@pytest.mark.parametrize("sed", ["0K", "K", "-3um", "sun", "5700", "G2"])
def test_what_is_no_spectrum_is_refused(sed):
    with pytest.raises(ValueError, match=f"stpsf_sed is '{sed}': expected .* 5700K"):
        GridRequest("WFI01", "F106", sed=sed)


@pytest.mark.parametrize("n_psfs", [0, 2, 8, -4])
def test_a_number_of_places_that_is_no_square_is_refused(n_psfs):
    with pytest.raises(ValueError, match=f"stpsf_n_psfs is {n_psfs}: expected a square number"):
        GridRequest("WFI01", "F106", n_psfs=n_psfs)


def test_a_spectral_type_without_library_offers_a_temperature(stpsf_data, monkeypatch):
    monkeypatch.delenv("PYSYN_CDBS", raising=False)
    with pytest.raises(CorrectionUnavailable, match=r"'G2V'.*give a temperature.*such as 5700K"):
        compute_grid(replace(QUICK, sed="G2V"), data_path=stpsf_data)


def test_each_place_is_told(stpsf_data):
    told = []
    request = replace(QUICK, n_psfs=4)
    compute_grid(request, data_path=stpsf_data, advance=lambda: told.append(1))
    assert len(told) == 4
