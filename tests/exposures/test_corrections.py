"""The aperture correction by references and STPSF, from the file to the fluxes of the step.

The stars are drawn with the ePSF of the reference on a small image at known places. No CRDS is
within reach.
"""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table, vstack
from roman_datamodels import datamodels as rdm

from reference_models import (
    FINE,
    OVERSAMPLE,
    SCALE,
    SIGMA,
    apcorr_file,
    encircled,
    epsf_model,
    gaussian_pixels,
)
from romancal_forcedphot import ForcedPhotometryStep, Settings, WarningFlag
from romancal_forcedphot.exposures.corrections import with_remedy
from romancal_forcedphot.psfs import CorrectionUnavailable, PSFError
from romancal_forcedphot.references import ReferenceFileError
from small import level2_image

pytestmark = pytest.mark.usefixtures("workplace")

X = np.array([40.3, 90.0, 140.8, 60.45, 0.2])
Y = np.array([50.6, 120.0, 60.2, 150.5, 90.7])
COUNTS = 5e4  # of every star, in units of the image


def image_of_stars(spectral_types):
    """A flat image with five stars, one of them cut by the edge, and two dead pixels."""
    image = level2_image()
    yy, xx = np.mgrid[:180, :200]
    data = np.full((180, 200), 2.0)
    for x, y, name in zip(X, Y, spectral_types, strict=True):
        data += COUNTS * gaussian_pixels(xx - x, yy - y, SIGMA[name])
    image.data = data.astype(np.float32)
    image.dq[120, 90] = image.dq[61, 141] = 1
    return image


def run(image, catalog=None, **parameters):
    """Measure with the ePSF."""
    plain = {"pixel_area": "none", "override_apcorr": "N/A", "aperture_correction": "epsf"}
    plain |= {} if "override_epsf" in parameters else {"override_epsf": epsf_model()}
    catalog = Table({"x": X, "y": Y}) if catalog is None else catalog
    return ForcedPhotometryStep.call(image, catalog=catalog, **plain | parameters)


def relative_flux(product, radius=3):
    """Total fluxes over the truth."""
    zero_point = 1e15 * 0.25 * 2.8e-13  # of tests/small.py
    return np.asarray(product.source_catalog[f"aper{radius}pix_total_flux"]) / zero_point / COUNTS


def test_masked_and_cut_apertures_have_their_total_flux():
    product = run(image_of_stars(["G2V"] * 5), aperture_radii="1.5,3,5")
    for radius in (3, 5):
        np.testing.assert_allclose(relative_flux(product, radius), 1, atol=2e-4)
    np.testing.assert_allclose(relative_flux(product, "1p5"), 1, atol=2e-4)
    flags = [WarningFlag(int(flag)) for flag in product.source_catalog["warning_flags"]]
    masked, center, edge = WarningFlag.MASKED, WarningFlag.CENTER_UNUSABLE, WarningFlag.EDGE
    assert flags == [WarningFlag(0), masked | center, masked, WarningFlag(0), edge]
    # what is lost is precision: without its central pixel the second star catches half
    error = np.asarray(product.source_catalog["aper3pix_total_flux_err"])
    assert error[1] > 1.2 * error[0]


def test_the_product_tells_what_corrected_it():
    product = run(image_of_stars(["G2V"] * 5), aperture_radii="3")
    provenance = product.meta.forced_phot.aperture_correction
    assert provenance["source"] == "epsf"
    assert provenance["spectral_type"] == "G2V"
    assert provenance["defocus"] == 0
    assert provenance["jitter"].startswith("the reference's")
    assert "taken to hold all of the light" in provenance["normalized_by"]
    assert product.meta.ref_file.epsf == provenance["reference"] != "N/A"
    assert product.meta.ref_file.apcorr == "N/A"
    (fraction,) = product.meta.forced_phot.ee_fractions
    assert fraction == pytest.approx(
        float(np.median(product.source_catalog["aper3pix_ee_fraction"]))
    )


def test_a_curve_of_growth_continues_the_stamps():
    """It says that the star has a fifth more light than its stamps: they are scaled to it."""
    radii = np.linspace(0.1, 30, 300)
    fractions = (1 - np.exp(-(radii**2) / (2 * (0.8**2 + 1 / 12)))) / 1.2
    entry = {"ee_radii": radii, "ee_fractions": fractions, "ap_corrections": 1 / fractions}
    apcorr = rdm.ApcorrRefModel.create_fake_data()
    apcorr.data = {"F106": entry | {"sky_background_rin": None, "sky_background_rout": None}}
    curve = {"apcorr_radius_unit": "pixel", "apcorr_psf": "pixel", "override_apcorr": apcorr}
    product = run(image_of_stars(["G2V"] * 5), **curve)
    np.testing.assert_allclose(relative_flux(product), 1.2, atol=1e-3)
    assert product.meta.forced_phot.aperture_correction["normalized_by"] == "apcorr"
    assert product.meta.ref_file.apcorr != "N/A"


def test_an_extended_psf_continues_the_stamps_without_a_curve():
    model = epsf_model()
    offset = np.arange(-30 * OVERSAMPLE, 30 * OVERSAMPLE + 1) / OVERSAMPLE
    wings = 0.25 / (2 * np.pi * 30**2) * np.ones((offset.size, offset.size))
    model.extended_psf = (gaussian_pixels(offset, offset[:, None], 0.8) + wings).astype(np.float32)
    product = run(image_of_stars(["G2V"] * 5), override_epsf=model)
    assert product.meta.forced_phot.aperture_correction["normalized_by"] == "extended_psf"
    assert product.meta.ref_file.apcorr == "N/A"
    # with its wings, and as much light beyond 30 pixels as between 15 and 30
    total = 1 + 0.25 / 2 * (1 + 0.75)
    inside = 1 + 0.25 / 2 * (12 / 30) ** 2
    assert np.median(relative_flux(product)) == pytest.approx(total / inside, rel=2e-3)


@pytest.mark.parametrize("name", ["A0V", "m6v"])
def test_a_spectral_type_by_name(name):
    product = run(image_of_stars([name.upper()] * 5), spectral_type=name)
    np.testing.assert_allclose(relative_flux(product), 1, atol=2e-4)
    assert product.meta.forced_phot.aperture_correction["spectral_type"] == name.upper()


def test_a_spectral_type_for_each_source():
    names = np.array(["M6V", "A0V", "G2V", "A0V", "M6V"])
    catalog = Table({"x": X, "y": Y, "SpT": ["M5V", "A2", "", "B8III", "M9"]})
    image = image_of_stars(names)
    product = run(image, catalog, spectral_type_column="spt")
    np.testing.assert_allclose(relative_flux(product), 1, atol=2e-4)
    counts = product.meta.forced_phot.aperture_correction["n_rows_by_spectral_type"]
    assert counts == {"A0V": 2, "G2V": 1, "M6V": 2}
    on_image = vstack([Table({"x": [900.0], "y": [10.0], "SpT": ["M6V"]}), catalog])
    selected = run(image, on_image, spectral_type_column="SpT", on_image_only=True)
    np.testing.assert_array_equal(relative_flux(selected), relative_flux(product))
    of_one = run(image, catalog)
    assert np.abs(relative_flux(of_one) - 1)[[0, 1, 3, 4]].min() > 5e-4


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"spectral_type": "K3V"}, "spectral_type is 'K3V'.*A0V, G2V, M6V.*--spectral_type"),
        ({"defocus": 2}, "defocus is 2: expected one of 0, 3.*--defocus"),
        ({"override_epsf": "N/A"}, "no epsf reference.*--aperture_correction=apcorr"),
        (
            {"override_epsf": "image.asdf"},
            "holds a model of type ImageModel: expected EpsfRefModel",
        ),
        ({"spectral_type_column": "SpT"}, "no column 'SpT', named by spectral_type_column"),
        ({"spectral_type_column": "x"}, "'x' is of type float64.*--spectral_type_column"),
        ({"aperture_radii": "12"}, "smaller aperture radius"),
    ],
)
def test_what_the_reference_does_not_offer_is_an_error(parameters, said):
    image = image_of_stars(["G2V"] * 5)
    image.save("image.asdf")
    with pytest.raises(
        ValueError if "column" in said or "radius" in said else ReferenceFileError
    ) as caught:
        run(image, **parameters)
    assert caught.match(said)


# --- errors of the PSF, and the options that help ----------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (dict.fromkeys(["ee_fractions", "ap_corrections"]), "no encircled energy for this filter"),
        ({"ee_radii": FINE[:-1]}, r"radii of shape \(199,\)"),
        ({"ee_fractions": 1 - encircled(FINE / SCALE)}, "fall with radius"),
        ({"ee_radii": FINE * 40}, "half of the light within a radius of .*set apcorr_radius_unit"),
    ],
)
def test_a_curve_that_is_none_is_refused_with_the_options_that_help(changes, said):
    apcorr_file("apcorr.asdf", FINE, encircled(FINE / SCALE), **changes)
    options = "--override_apcorr=FILE, or set --aperture_correction=none"
    parameters = {"aperture_correction": "apcorr", "override_apcorr": "apcorr.asdf"}
    with pytest.raises(PSFError, match=f"{said}.*{options}"):
        run(level2_image(), **parameters)


@pytest.mark.parametrize("kind", ["apcorr", "epsf"])
def test_an_aperture_beyond_the_psf_is_refused_with_the_options_that_help(kind):
    apcorr_file("apcorr.asdf", FINE, encircled(FINE / SCALE))
    parameters = {"aperture_correction": kind, "override_apcorr": "apcorr.asdf"}
    with pytest.raises(PSFError, match=f"--override_{kind}=FILE, or set "):
        run(level2_image(), aperture_radii=60, bkg_estimator="none", **parameters)


@pytest.mark.parametrize("error", [PSFError, CorrectionUnavailable])
def test_a_remedy_is_added_to_errors_of_the_psf_and_changes_nothing_else(error):
    with (
        pytest.raises(error, match=r"^it is blurred; or set --aperture_correction=apcorr$"),
        with_remedy(Settings(aperture_correction="stpsf")),
    ):
        raise error("it is blurred")
    with (
        pytest.raises(error, match=r"^it is blurred$"),
        with_remedy(Settings(aperture_correction="none")),
    ):
        raise error("it is blurred")
    with (
        pytest.raises(ValueError, match=r"^something else$"),
        with_remedy(Settings(aperture_correction="stpsf")),
    ):
        raise ValueError("something else")
