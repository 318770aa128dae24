"""Parameters by name become settings, options of the catalog, and references."""

from __future__ import annotations

import pytest

from romancal_forcedphot.lightcurves.running.parameters import RunParameters, parse_boolean
from romancal_forcedphot.photometry import Settings


def test_texts_become_the_values_of_the_step():
    found = RunParameters.parse(
        {
            "aperture_radii": "3, 5.5",
            "dq_mask": "SATURATED,JUMP_DET",
            "bkg_maxiters": "7",
            "bkg_sigma": "2.5",
            "proper_motion": "False",
            "ref_epoch": "2016.5",
            "stpsf_charge_diffusion": "none",
            "pixel_area": "wcs",
            "select": "mag < 22",
            "label_column": "id",
            "override_area": "/a/area.asdf",
        }
    )
    assert found.settings == Settings(
        radius_unit="pixel",
        aperture_radii=(3.0, 5.5),
        dq_mask=("SATURATED", "JUMP_DET"),
        bkg_maxiters=7,
        bkg_sigma=2.5,
        proper_motion=False,
        ref_epoch=2016.5,
        stpsf_charge_diffusion=None,
        pixel_area="wcs",
    )
    assert found.catalog == {"select": "mag < 22", "label_column": "id"}
    assert found.overrides == {"area": "/a/area.asdf"}
    assert found.reading["proper_motion"] is False
    assert found.reading["ref_epoch_wanted"] is False


def test_values_from_python_stay_as_they_are():
    found = RunParameters.parse({"aperture_radii": [3, 5], "bkg_sigma": 2, "proper_motion": True})
    assert found.settings == Settings(radius_unit="pixel", aperture_radii=(3, 5), bkg_sigma=2)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("bkg_maxiters", "many", "expected a whole number"),
        ("bkg_sigma", "3 sigma", "expected a number"),
        ("proper_motion", "perhaps", "expected true or false"),
        ("aperture_radii", "3;5", "separated by commas"),
        ("n_thread", "3", "no parameter 'n_thread'"),
        ("catalog", "c.ecsv", "no parameter 'catalog'"),
    ],
)
def test_what_is_none_is_told(name, value, said):
    with pytest.raises(ValueError, match=said):
        RunParameters.parse({name: value})


def test_booleans():
    assert parse_boolean("align", "TRUE")
    assert not parse_boolean("align", "no")
    assert parse_boolean("align", True)
