"""The ePSF reference, from the file to the fluxes of the step.

The star is a Gaussian, of another width in each spectral type, drawn on a small image at known
places; the references are made here. No CRDS is within reach.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
from astropy.table import Table, vstack
from roman_datamodels import datamodels as rdm
from scipy.special import ndtr

from romancal_forcedphot import ForcedPhotometryStep, WarningFlag
from romancal_forcedphot.epsf_reference import read_epsf
from romancal_forcedphot.references import ReferenceFileError
from small import level2_image

# stpipe 1.1 asks crds 14 by a function that crds deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:'get_cache_lock':DeprecationWarning")

SIGMA = {"A0V": 0.75, "G2V": 0.8, "M6V": 0.9}
OVERSAMPLE = 4
HALF_SIZE = 12
X = np.array([40.3, 90.0, 140.8, 60.45, 0.2])
Y = np.array([50.6, 120.0, 60.2, 150.5, 90.7])
COUNTS = 5e4  # of every star, in units of the image


def gaussian_pixels(dx, dy, sigma):
    """Light of a Gaussian star on pixels whose centres are dx, dy from it."""

    def along(offset):
        return ndtr((offset + 0.5) / sigma) - ndtr((offset - 0.5) / sigma)

    return along(dx) * along(dy)


def epsf_model(**meta):
    """An ePSF reference: three spectral types, in focus and out of it, at four places."""
    offset = np.arange(-HALF_SIZE * OVERSAMPLE, HALF_SIZE * OVERSAMPLE + 1) / OVERSAMPLE
    sharp = [gaussian_pixels(offset, offset[:, None], sigma) for sigma in SIGMA.values()]
    psf = np.array([sharp, np.array(sharp) / 2])[:, :, None]
    model = rdm.EpsfRefModel.create_fake_data()
    model.psf = np.repeat(psf, 4, axis=2).astype(np.float32)
    model.meta.instrument = {"name": "WFI", "detector": "WFI01", "optical_element": "F106"}
    model.meta.update(
        {
            "oversample": OVERSAMPLE,
            "spectral_type": list(SIGMA),
            "defocus": [0, 3],
            "pixel_x": [0.0, 199.0, 0.0, 199.0],
            "pixel_y": [0.0, 0.0, 179.0, 179.0],
            "jitter_major": 8.0,
            "jitter_minor": 8.0,
            "jitter_position_angle": 0.0,
        }
        | meta
    )
    return model


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


@pytest.fixture(autouse=True)
def _no_crds(tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.startswith("CRDS"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


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
    facts = product.meta.forced_phot.aperture_correction
    assert facts["source"] == "epsf"
    assert facts["spectral_type"] == "G2V"
    assert facts["defocus"] == 0
    assert facts["jitter"].startswith("the reference's")
    assert "taken to hold all of the light" in facts["normalized_by"]
    assert product.meta.ref_file.epsf == facts["reference"] != "N/A"
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


def test_the_jitter_of_the_image_replaces_that_of_the_reference():
    """Gaussians again: variances add, 0.11 arcsec to the pixel; 30 degrees from +y towards +x."""
    image = level2_image()
    image.meta.guide_star.update(
        {"jitter_major": 30.0, "jitter_minor": 10.0, "jitter_position_angle": 30.0}
    )
    content = read_epsf(epsf_model(), image, choose=lambda names: [names.index("G2V")])
    assert content.spectral_types == ("G2V",)
    assert content.stamps.shape == (1, 4, 97, 97)
    assert content.facts["jitter"] == "30 x 10 mas at 30 deg, instead of 8 x 8 mas at 0 deg"
    offset = np.arange(-48, 49) / OVERSAMPLE
    stamp = content.stamps[0, 0]
    found = np.array(
        [
            [(stamp * a * b).sum() for a in (offset[:, None], offset[None])]
            for b in (offset[:, None], offset[None])
        ]
    )
    along = np.array([np.cos(np.pi / 6), np.sin(np.pi / 6)])  # (y, x) of the major axis
    across = np.array([-along[1], along[0]])
    jitter = (30**2 - 8**2) * np.outer(along, along) + (10**2 - 8**2) * np.outer(across, across)
    expected = np.eye(2) * (0.8**2 + 1 / 12) + jitter / 110**2
    np.testing.assert_allclose(found / stamp.sum(), expected, atol=2e-5)


@pytest.mark.parametrize("jitter", [{}, {"jitter_major": -999999.0, "jitter_minor": 8.0}])
def test_without_jitter_in_the_image_the_reference_stays(jitter):
    image = level2_image()
    for name in ("jitter_major", "jitter_minor", "jitter_position_angle"):
        image.meta.guide_star.pop(name, None)
    image.meta.guide_star.update(jitter)
    model = epsf_model()
    content = read_epsf(model, image, defocus=3)
    np.testing.assert_array_equal(content.stamps, model.psf[1])
    assert content.facts == {"defocus": 3, "jitter": "the reference's (the image tells none)"}


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


@pytest.mark.parametrize(
    ("name", "value"), [("detector", "WFI02"), ("optical_element", "F158"), ("oversample", None)]
)
def test_a_reference_of_another_detector_or_filter_is_refused(name, value):
    model = epsf_model()
    if name == "oversample":
        del model.meta["oversample"]
    else:
        model.meta.instrument[name] = value
    with pytest.raises(ReferenceFileError, match=f"{name}.*--override_epsf"):
        read_epsf(model, level2_image())
