"""Settings: one value for what they mean, whatever way they are written."""

from __future__ import annotations

import pickle
import re
from dataclasses import FrozenInstanceError, asdict, fields, replace

import numpy as np
import pytest

from romancal_forcedphot import CircularApertures, Settings
from romancal_forcedphot.photometry import methods_for
from romancal_forcedphot.photometry.methods import METHODS

#: Another value for each setting.
OTHERS = {
    "methods": ("psf",),
    "aperture_radii": (3.0, 5.0),
    "annulus_radii": (15.0, 20.0),
    "radius_unit": "arcsec",
    "aperture_shape": "ellipse",
    "shape_scale": 2.0,
    "match_psf_to": "F213",
    "bkg_estimator": "mean",
    "bkg_sigma": 2.5,
    "bkg_maxiters": 0,
    "bkg_mask_radius": 4.0,
    "pixel_area": "wcs",
    "aperture_correction": "epsf",
    "apcorr_radius_unit": "pixel",
    "apcorr_psf": "pixel",
    "gain_correction": True,
    "error_calibration": "empty",
    "spectral_type": "M6V",
    "defocus": 3,
    "stpsf_n_psfs": 4,
    "stpsf_sed": "flat",
    "stpsf_charge_diffusion": 0.0,
    "dq_mask": ("ANY",),
    "proper_motion": False,
    "ref_epoch": 2016.0,
    "psf_source": "stpsf",
    "psf_background": "annulus",
    "psf_mesh": 32,
    "subtract_neighbors": True,
}


def test_every_setting_has_another_value_here():
    assert set(OTHERS) == {field.name for field in fields(Settings)}
    assert list(Settings.names()) == [field.name for field in fields(Settings)]


@pytest.mark.parametrize("name", Settings.names())
def test_any_setting_changes_the_fingerprint(name):
    changed = replace(Settings(), **{name: OTHERS[name]})
    assert changed != Settings()
    assert changed.fingerprint() != Settings().fingerprint()


def test_fingerprints_are_hexadecimal_and_last():
    """That of another process too, whose hashes are salted otherwise."""
    fingerprint = Settings().fingerprint()
    assert re.fullmatch("[0-9a-f]{16}", fingerprint)
    assert pickle.loads(pickle.dumps(Settings())).fingerprint() == fingerprint


@pytest.mark.parametrize("settings", [Settings(), Settings(**OTHERS)], ids=["defaults", "others"])
def test_settings_are_pickled_hashed_and_rebuilt(settings):
    again = pickle.loads(pickle.dumps(settings))
    assert again == settings
    assert hash(again) == hash(settings)
    assert again.fingerprint() == settings.fingerprint()
    assert Settings.from_parameters(asdict(settings) | {"catalog": "a.ecsv"}) == settings
    with pytest.raises(FrozenInstanceError):
        settings.pixel_area = "none"


@pytest.mark.parametrize(
    "written",
    [
        {"aperture_radii": (), "annulus_radii": []},
        {"bkg_sigma": 3, "bkg_mask_radius": 0, "bkg_maxiters": np.int64(5)},
        {"bkg_sigma": np.float32(3.0), "bkg_mask_radius": -0.0},
        {"methods": "aperture", "dq_mask": "DO_NOT_USE"},
        {"methods": ["aperture"], "dq_mask": ["DO_NOT_USE"]},
        {"gain_correction": 0, "proper_motion": np.True_},
        {"stpsf_n_psfs": 9.0, "defocus": np.int32(0)},
    ],
    ids=str,
)
def test_equal_settings_have_equal_fingerprints_however_written(written):
    assert Settings(**written) == Settings()
    assert Settings(**written).fingerprint() == Settings().fingerprint()


@pytest.mark.parametrize(
    "written",
    [
        {"aperture_radii": 3},
        {"aperture_radii": [3]},
        {"aperture_radii": np.array([3.0]), "annulus_radii": (20, 25)},
    ],
    ids=str,
)
def test_default_radii_may_be_written_out(written):
    settings, default = (Settings(radius_unit="pixel", **each) for each in (written, {}))
    assert settings == default
    assert settings.fingerprint() == default.fingerprint()


def test_the_automatic_unit_is_that_of_the_image():
    on_image, on_mosaic = Settings().resolved(), Settings().resolved(is_mosaic=True)
    assert on_image == Settings(radius_unit="pixel")
    assert on_mosaic.radius_unit == "arcsec"
    assert (on_mosaic.aperture_radii, on_mosaic.annulus_radii) == ((0.33,), (2.2, 2.75))
    fingerprints = {each.fingerprint() for each in (Settings(), on_image, on_mosaic)}
    assert len(fingerprints) == 3
    given = Settings(aperture_radii=0.2)
    assert given.resolved(is_mosaic=True).aperture_radii == (0.2,)
    for unit in ("pixel", "arcsec"):
        assert Settings(radius_unit=unit).resolved(is_mosaic=True) == Settings(radius_unit=unit)


@pytest.mark.parametrize(
    ("unit", "aperture_radii", "annulus_radii"),
    [("pixel", (3.0,), (20.0, 25.0)), ("arcsec", (0.33,), (2.4, 2.8))],
)
def test_default_radii_go_with_their_unit(unit, aperture_radii, annulus_radii):
    settings = Settings(radius_unit=unit)
    assert (settings.aperture_radii, settings.annulus_radii) == (aperture_radii, annulus_radii)


def test_methods_are_made_of_settings():
    names = {field.name for field in fields(CircularApertures)} & set(Settings.names())
    given = {k: v for k, v in OTHERS.items() if k in names}
    settings = Settings(**given | {"radius_unit": "pixel"})
    (method,) = methods_for(settings)
    assert isinstance(method, CircularApertures)
    assert {name: getattr(method, name) for name in names} == {
        name: getattr(settings, name) for name in names
    }
    assert methods_for(Settings(methods=["aperture", "aperture"])) == methods_for(Settings())


@pytest.mark.parametrize("names", [(), ("psf2",), ("aperture", "nonsense")])
def test_methods_that_do_not_exist_are_refused(names):
    with pytest.raises(
        ValueError, match=f"methods is .*expected one or more of {next(iter(METHODS))}"
    ):
        methods_for(Settings(methods=names))


def test_a_method_of_settings_that_cannot_work_is_refused():
    with pytest.raises(ValueError, match="bkg_sigma is -1"):
        methods_for(Settings(bkg_sigma=-1))


def test_a_psf_is_matched_in_apertures_alone():
    with pytest.raises(
        ValueError, match=r"match_psf_to is 'F213' and methods is 'psf': expected ap"
    ):
        methods_for(Settings(methods=("psf",), match_psf_to="F213"))
