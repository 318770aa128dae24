"""Kron photometry of catalogs against photutils' `SourceCatalog`, and its own tables read again."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u
from astropy.modeling.models import Sersic2D
from astropy.table import QTable
from photutils.segmentation import SourceCatalog, detect_sources

from romancal_forcedphot.catalogs import read_sources
from romancal_forcedphot.photometry import Settings, measure, methods_for
from romancal_forcedphot.photometry.calibration import flux_scale
from romancal_forcedphot.photometry.methods import KronApertures
from romancal_forcedphot.table import WarningFlag
from small import SCALE_DEG, exposure_of

SHAPE = (380, 400)
SCALE = SCALE_DEG * 3600


@pytest.fixture(scope="module")
def exposure():
    """Isolated galaxies, and one pair, on a sky of 1.5."""
    rng = np.random.default_rng(12)
    j, i = np.mgrid[: SHAPE[0], : SHAPE[1]]
    data = rng.normal(1.5, 0.02, SHAPE)
    places = [(y, x) for y in range(40, 370, 60) for x in range(40, 380, 60)]
    for y, x in [*places, (40, 58)]:
        galaxy = Sersic2D(
            rng.uniform(1, 5),
            r_eff=rng.uniform(2, 4),
            n=rng.uniform(0.7, 2.0),
            x_0=x + rng.uniform(-2, 2),
            y_0=y + rng.uniform(-2, 2),
            ellip=rng.uniform(0, 0.6),
            theta=rng.uniform(0, np.pi),
        )
        data += galaxy(i, j)
    return exposure_of(data.astype(np.float32), np.full(SHAPE, 0.02, dtype=np.float32))


@pytest.fixture(scope="module")
def catalog(exposure):
    data = exposure.data.astype(float) - 1.5
    segments = detect_sources(data, 0.06, n_pixels=10)
    return SourceCatalog(data, segments, aperture_mask_method="mask")


@pytest.fixture(scope="module")
def table(catalog):
    """As photutils writes it, without its Kron radii."""
    names = ["label", "x_centroid", "y_centroid", "semimajor_axis", "semiminor_axis"]
    return catalog.to_table(columns=[*names, "orientation"])


def measured(exposure, table):
    return measure(exposure, read_sources(table, shapes=True), [KronApertures()])


def is_isolated(catalog):
    x, y = catalog.x_centroid, catalog.y_centroid
    return np.sort(np.hypot(x[:, None] - x, y[:, None] - y), axis=1)[:, 1] > 40


def test_isolated_galaxies_have_photutils_fluxes(exposure, catalog, table):
    found = measured(exposure, table)
    isolated = is_isolated(catalog)
    assert np.count_nonzero(isolated) > 20
    unit = flux_scale(exposure.conversion, exposure.pixel_area)
    np.testing.assert_allclose(
        found["kron_flux"][isolated] / unit, catalog.kron_flux[isolated], rtol=0.01
    )
    radius = catalog.kron_radius.value * SCALE  # RAD's, as romancal makes it
    np.testing.assert_allclose(found["kron_radius"][isolated], radius[isolated], rtol=0.01)
    magnitude = -2.5 * np.log10(np.asarray(found["kron_flux"])) + 31.4
    np.testing.assert_allclose(found["kron_abmag"], magnitude, rtol=1e-6)
    assert found["kron_flux"].unit == "nJy"
    assert found["kron_radius"].unit == found["semimajor"].unit == "arcsec"


def test_the_catalogs_kron_radius_is_used_where_there_is_one(exposure, catalog, table):
    forced = table.copy()
    forced["kron_radius"] = np.full(len(table), 2.0)
    found = measured(exposure, forced)
    np.testing.assert_allclose(found["kron_radius"], 2.0 * SCALE, rtol=1e-6)
    unit = flux_scale(exposure.conversion, exposure.pixel_area)
    one = catalog.kron_params[0], 2.0  # no radius was measured above 2: photutils' least one counts
    assert catalog.kron_radius.value.max() < 2
    expected, _ = catalog.kron_photometry(one)
    isolated = is_isolated(catalog)
    np.testing.assert_allclose(found["kron_flux"][isolated] / unit, expected[isolated], rtol=0.015)


def test_one_kron_aperture_serves_all_images(exposure, table):
    """The table of one image is the catalog of the others: the same ellipses, forced."""
    first = measured(exposure, table)
    other = replace(exposure, data=exposure.data * np.float32(2))
    again = measured(other, first)
    for name in ("kron_radius", "semimajor", "semiminor", "orientation_sky"):
        np.testing.assert_allclose(again[name], first[name], rtol=2e-4)
    np.testing.assert_allclose(again["kron_flux"], 2 * first["kron_flux"], rtol=1e-4)


def test_impossible_radii_are_flagged(exposure, table, caplog):
    bad = table.copy()
    bad["kron_radius"] = np.full(len(table), 2.0)
    bad["kron_radius"][3] = np.nan
    bad["semiminor_axis"][5] = -1.0 * u.pix
    with caplog.at_level(logging.WARNING):
        found = measured(exposure, bad)
    is_bad = (found["warning_flags"] & WarningFlag.BAD_SHAPE) > 0
    np.testing.assert_array_equal(np.flatnonzero(is_bad), [3, 5])
    np.testing.assert_array_equal(np.isnan(found["kron_flux"]), is_bad)
    assert np.isnan(found["kron_radius"][5])


def test_profiles_of_the_catalog_are_widened_by_the_psf(exposure):
    columns = {"x": [40.0], "y": [160.0], "n": [1.0], "half_light_radius": [0.01], "ba": [1.0]}
    sources = read_sources(QTable({**columns, "pa": [0.0]}), shapes=True)
    found = measure(exposure, sources, [KronApertures()])
    assert found["semimajor"][0] == pytest.approx(np.hypot(0.01, SCALE), rel=1e-4)


def test_settings_choose_kron():
    (method,) = methods_for(Settings(aperture_shape="kron"))
    assert method.name == "kron"
    names = [column.name for column in method.columns()]
    assert names[:5] == [
        "kron_flux",
        "kron_flux_err",
        "kron_abmag",
        "kron_abmag_err",
        "kron_radius",
    ]
    assert method.uses == {"matching"}
