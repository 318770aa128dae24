"""What a worker is given and gives back can be pickled, and comes back equal."""

from __future__ import annotations

import pickle
from dataclasses import fields

import numpy as np
import pytest
from astropy.table import Table
from astropy.time import Time

from romancal_forcedphot import read_sources
from romancal_forcedphot.exposures import open_image, read_level2
from romancal_forcedphot.geometry import pixel_to_sky
from romancal_forcedphot.photometry import Settings, Sources
from romancal_forcedphot.photometry.sources import Motion
from romancal_forcedphot.psfs import CurveOfGrowth, EPSFBySpectralType, GriddedEPSF, normalize_epsf
from small import CENTER, level2_image, save_image

X = np.array([3.0, 100.25, 199.0])
Y = np.array([1.5, 90.0, 170.75])


def returned(thing):
    """What a worker in another process would get."""
    return pickle.loads(pickle.dumps(thing))


def assert_equal(found, expected):
    assert type(found) is type(expected)
    if isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    elif isinstance(expected, Table):
        assert found.colnames == expected.colnames
        assert all((found[name] == expected[name]).all() for name in found.colnames)
    elif isinstance(expected, Motion):
        assert_fields_equal(found, expected)
    else:
        assert found == expected


def assert_fields_equal(found, expected, *, but=()):
    for field in fields(expected):
        if field.name not in but:
            assert_equal(getattr(found, field.name), getattr(expected, field.name))


def test_an_exposure_of_a_file_that_is_closed(tmp_path):
    """Its WCS and metadata are read lazily from the file."""
    save_image(tmp_path / "r0001_wfi01_f106_cal.asdf")
    with open_image(tmp_path / "r0001_wfi01_f106_cal.asdf") as model:
        exposure = read_level2(model)
        before = exposure.pixel_areas.relative()
        sky = pixel_to_sky(exposure.wcs, X, Y)
    found = returned(exposure)
    assert_fields_equal(found, exposure, but=("wcs", "mid_time"))
    assert found.mid_time.isclose(exposure.mid_time)
    assert type(found.mid_time) is Time
    np.testing.assert_array_equal(pixel_to_sky(found.wcs, X, Y), sky)
    np.testing.assert_array_equal(found.pixel_areas.relative(), before)


@pytest.mark.parametrize(
    "settings", [Settings(), Settings(aperture_radii=(1, 2.5), methods="aperture", ref_epoch=2016)]
)
def test_settings(settings):
    assert returned(settings) == settings
    assert returned(settings).fingerprint() == settings.fingerprint()


def test_sources_of_a_catalog():
    ra, dec = CENTER
    table = Table(
        {
            "id": [7, 8],
            "ra": [ra, ra + 1e-4],
            "dec": [dec, dec],
            "pmra": [1.0, np.nan],
            "pmdec": [-3.0, 0.0],
            "ref_epoch": [2016.0, 2016.0],
            "name": ["a", "b"],
        }
    )
    sources = read_sources(table, keep_columns=["name"])
    assert isinstance(sources, Sources)
    assert_fields_equal(returned(sources), sources)


def epsf():
    y, x = np.mgrid[-90:91, -90:91] / 4
    stamp = np.exp(-(x**2 + y**2) / (2 * 0.8**2)) / (2 * np.pi * 0.8**2)
    stamps = np.stack([stamp] * 4)
    place = np.array([0.0, 200.0])
    return GriddedEPSF(stamps, np.tile(place, 2), np.repeat(place, 2), 4, provenance={"a": 1})


def curve():
    radii = np.linspace(0.025, 5.0, 200)
    entry = {"ee_radii": radii, "ee_fractions": 1 - np.exp(-radii / 0.15)}
    return CurveOfGrowth.from_reference(entry, pixel_scale=0.11)


CORRECTIONS = {
    "curve of growth": curve,
    "epsf": epsf,
    "normalized epsf": lambda: normalize_epsf(epsf(), None, "apcorr"),
    "by type": lambda: EPSFBySpectralType.of_sources(
        (epsf(), epsf()), ("G2V", "M5V"), np.array(["G2V", "M5V", ""]), default="G2V"
    ),
}


@pytest.mark.parametrize("name", CORRECTIONS)
def test_a_correction_gives_the_same_fractions(name):
    correction = CORRECTIONS[name]()
    found = returned(correction)
    assert found.description == correction.description
    for radius in (1.0, 3.0):
        np.testing.assert_array_equal(
            found.in_aperture(X, Y, radius), correction.in_aperture(X, Y, radius)
        )
    np.testing.assert_array_equal(
        found.in_annulus(X, Y, 4.0, 6.0), correction.in_annulus(X, Y, 4.0, 6.0)
    )


def test_a_curve_of_growth_of_an_exposure(tmp_path):
    """It knows the pixel scale of the image's WCS."""
    exposure = read_level2(level2_image())
    radii = np.linspace(0.025, 5.0, 200)
    correction = CurveOfGrowth.from_reference(
        {"ee_radii": radii, "ee_fractions": 1 - np.exp(-((radii / 0.12) ** 2))},
        radius_unit="arcsec",
        psf="optical",
        pixel_scale=exposure.pixel_areas.scale,
    )
    found = returned(correction)
    np.testing.assert_array_equal(found.in_aperture(X, Y, 3.0), correction.in_aperture(X, Y, 3.0))
    assert found.description == correction.description
