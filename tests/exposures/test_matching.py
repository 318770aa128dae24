"""`match_psf_to` from the step: which references it takes, what products tell, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table
from roman_datamodels import datamodels as rdm

from reference_models import OVERSAMPLE, epsf_model, gaussian_pixels, reference
from romancal_forcedphot import Settings, measure_exposure
from romancal_forcedphot.catalogs import read_sources
from romancal_forcedphot.references import ReferenceFileError
from small import CENTER, level2_image, run_step

RADII = np.arange(1, 201) * 0.025
SIGMAS = {"F106": 0.09, "F213": 0.15}  # arcsec
CATALOG = Table({"ra": [CENTER[0], CENTER[0] + 3e-3], "dec": [CENTER[1], CENTER[1] + 1e-3]})


@pytest.fixture(scope="module")
def apcorr(tmp_path_factory):
    """An aperture-correction file with Gaussian stars in two filters, and none in a third."""
    model = rdm.ApcorrRefModel.create_fake_data()
    nothing = dict.fromkeys(["sky_background_rin", "sky_background_rout"])
    none = dict.fromkeys(["ee_radii", "ee_fractions", "ap_corrections"]) | nothing
    model.data = {"GRISM": none}
    for band, sigma in SIGMAS.items():
        curve = 1 - np.exp(-((RADII / sigma) ** 2) / 2)
        entry = {"ee_radii": RADII, "ee_fractions": curve, "ap_corrections": 1 / curve}
        model.data[band] = entry | nothing
    path = tmp_path_factory.mktemp("references") / "apcorr.asdf"
    model.save(path)
    return str(path)


def star_image(band):
    image = level2_image()
    image.meta.instrument.optical_element = band
    y, x = np.mgrid[: image.data.shape[0], : image.data.shape[1]]
    variance = (SIGMAS[band] / 0.11) ** 2 + 1 / 12  # with the pixel
    star = np.exp(-((x - 99.5) ** 2 + (y - 89.5) ** 2) / 2 / variance) / (2 * np.pi * variance)
    image.data = (1e4 * star).astype(np.float32)
    return image


def measured(band, apcorr, **options):
    given = {"override_apcorr": apcorr, "aperture_correction": "apcorr", "bkg_estimator": "none"}
    return run_step(star_image(band), CATALOG, **given | options)


def test_a_star_has_one_flux_in_both_filters(apcorr):
    blue, red = (measured(band, apcorr, match_psf_to="F213") for band in SIGMAS)
    plain = measured("F106", apcorr)
    flux, other, unmatched = (
        each.source_catalog["aper3pix_flux"][0] for each in (blue, red, plain)
    )
    assert flux == pytest.approx(other, rel=0.006)  # at one place on its pixel
    assert unmatched > 1.02 * other
    total = [each.source_catalog["aper3pix_total_flux"][0] for each in (blue, plain)]
    assert total[0] == pytest.approx(total[1], rel=0.003)


WIDER = {"F106": 0.8, "F213": 1.3}  # standard deviations in pixels


class EPSFs:
    """A finder of ePSFs of Gaussians, by filter, and of nothing else but an apcorr file."""

    def __init__(self, *bands, apcorr=None):
        self.bands, self.apcorr = bands, apcorr

    def find(self, kind, parameters):
        band = parameters["roman.meta.instrument.optical_element"]
        if kind == "epsf" and band in self.bands:
            return reference(kind, gaussian_epsf(band))
        return reference(kind, self.apcorr) if kind == "apcorr" and self.apcorr else None


def gaussian_epsf(band):
    model = epsf_model()
    offset = np.arange(-20 * OVERSAMPLE, 20 * OVERSAMPLE + 1) / OVERSAMPLE
    star = gaussian_pixels(offset, offset[:, None], WIDER[band]).astype(np.float32)
    model.psf = np.broadcast_to(star, (*model.psf.shape[:3], *star.shape)).copy()
    model.meta.instrument.optical_element = band
    return model


def stars_and_galaxy(band):
    """Three stars at different places on their pixels, and a Gaussian galaxy of 1 pixel."""
    image = level2_image()
    image.meta.instrument.optical_element = band
    y, x = np.mgrid[: image.data.shape[0], : image.data.shape[1]]
    widths = [WIDER[band]] * 3 + [np.hypot(WIDER[band], 1.0)]
    image.data = sum(
        1e4 * gaussian_pixels(x - at, y - 50.3 - at / 3, width)
        for at, width in zip(PLACES, widths, strict=True)
    ).astype(np.float32)
    return image


PLACES = np.array([40.0, 80.4, 120.25, 160.7])


def fluxes(band, finder, **settings):
    given = {"aperture_correction": "epsf", "pixel_area": "none", "bkg_estimator": "none"}
    sources = read_sources(Table({"x": PLACES, "y": 50.3 + PLACES / 3}))
    measurement = measure_exposure(
        stars_and_galaxy(band), Settings(**given | settings), sources, finder
    )
    return np.asarray(measurement.table["aper3pix_flux"]), measurement.provenance["psf_matching"]


def test_colours_through_the_epsfs_of_two_filters():
    """The truth is one flux of each source in both; 0.25 mag lie between the apertures."""
    finder = EPSFs("F106", "F213")
    blue, told = fluxes("F106", finder, match_psf_to="F213")
    red, _ = fluxes("F213", finder, match_psf_to="F213")
    plain, _ = fluxes("F106", finder)
    np.testing.assert_allclose(blue, red, rtol=0.006)
    assert np.median(blue / red) == pytest.approx(1, abs=0.002)
    assert (plain > 1.05 * red).all()
    assert told["reference"] == told["reference_of_image"] == "epsf of a test"


def test_without_the_epsf_of_the_other_filter_curves_match(apcorr):
    blue, told = fluxes("F106", EPSFs("F106", apcorr=apcorr), match_psf_to="F213")
    assert np.isfinite(blue).all()
    assert told["reference"] == told["reference_of_image"] == "apcorr of a test"
    with pytest.raises(ReferenceFileError, match="no apcorr reference for F213") as told:
        fluxes("F106", EPSFs("F106"), match_psf_to="F213")
    assert "or leave out --match_psf_to=F213" in str(told.value)
    assert "\n" not in str(told.value)


def test_products_tell_what_was_matched(apcorr):
    told = measured("F106", apcorr, match_psf_to="f213").meta.forced_phot
    assert told.psf_matching["filter"] == "F213"
    assert told.psf_matching["filter_of_image"] == "F106"
    assert told.psf_matching["reference"].endswith("apcorr.asdf")
    assert told.parameters["match_psf_to"] == "f213"
    itself = measured("F213", apcorr, match_psf_to="F213").meta.forced_phot
    assert itself.psf_matching["weights"] == "the apertures themselves"
    assert measured("F106", apcorr).meta.forced_phot.psf_matching["filter"] == "none"


def test_the_filter_itself_is_measured_as_ever(apcorr):
    with_it = measured("F213", apcorr, match_psf_to="F213").source_catalog
    without = measured("F213", apcorr).source_catalog
    for name in without.colnames:
        np.testing.assert_array_equal(with_it[name], without[name])


@pytest.mark.parametrize(
    ("band", "options", "said"),
    [
        (
            "F213",
            {"match_psf_to": "F106"},
            "match_psf_to=F106 on an image in F213: its PSF is shar",
        ),
        ("F106", {"match_psf_to": "GRISM"}, "match_psf_to=GRISM .* no encircled energy"),
        ("F106", {"match_psf_to": "purple"}, "match_psf_to=PURPLE .* no encircled energy"),
        (
            "F106",
            {"match_psf_to": "F213", "error_calibration": "empty"},
            "expected none with match_psf_to=F213",
        ),
    ],
)
def test_what_cannot_be_matched_ends_in_one_line(apcorr, band, options, said):
    with pytest.raises(ValueError, match=said) as caught:
        measured(band, apcorr, **options)
    assert "\n" not in str(caught.value)
