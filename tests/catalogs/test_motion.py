"""Motions by every way that a catalog may tell them."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import Distance, SkyCoord
from astropy.table import MaskedColumn, QTable
from astropy.time import Time

from moving_stars import LATER, gaia, moved
from romancal_forcedphot.catalogs import CatalogError, read_sources
from romancal_forcedphot.photometry.proper_motion import apply_proper_motion


def test_masked_motions_stay():
    table = gaia(pmra=MaskedColumn([500.0, 80.0, -1200.0, 1.0, 1.0], mask=[1, 0, 0, 0, 0]))
    sources, _ = moved(table)
    assert sources.ra[0] == 10.0
    assert sources.ra[2] != 200.0


def test_units_count():
    plain = gaia(parallax=np.full(5, 40.0), radial_velocity=np.full(5, 77.0))
    other = plain.copy()
    other["pmra"] = (np.asarray(plain["pmra"]) * 1e-3 * 100) * u.arcsec / u.yr / 100
    other["pmdec"] = (np.asarray(plain["pmdec"]) / 3.6e6) * u.deg / u.yr
    other["parallax"] = (np.asarray(plain["parallax"]) * 1e3) * u.uas
    other["radial_velocity"] = (np.asarray(plain["radial_velocity"]) * 1e3) * u.m / u.s
    expected, sources = moved(plain)[0], moved(other)[0]
    np.testing.assert_allclose(sources.ra, expected.ra, rtol=1e-13)
    np.testing.assert_allclose(sources.dec, expected.dec, rtol=1e-13)


@pytest.mark.parametrize(("pmra", "pmdec"), [("pmRA", "pmDE"), ("pm_ra_cosdec", "pm_dec")])
def test_usual_names_in_any_case(pmra, pmdec):
    table = gaia()
    table.rename_columns(["pmra", "pmdec", "ref_epoch"], [pmra, pmdec, "REF_EPOCH"])
    np.testing.assert_array_equal(moved(table)[0].ra, moved(gaia())[0].ra)


@pytest.mark.parametrize("suffix", ["ecsv", "fits", "parquet", "csv"])
def test_motions_of_a_file(tmp_path, suffix):
    path = tmp_path / f"gaia.{suffix}"
    gaia().write(path)
    np.testing.assert_allclose(moved(path)[0].ra, moved(gaia())[0].ra, rtol=1e-14)


def test_epochs_as_times():
    table = gaia()
    table["ref_epoch"] = Time(np.asarray(table["ref_epoch"]), format="jyear", scale="tcb")
    np.testing.assert_allclose(moved(table)[0].ra, moved(gaia())[0].ra, rtol=1e-12)


@pytest.mark.parametrize("known_distance", [True, False])
@pytest.mark.parametrize("as_table", [True, False])
def test_coordinates_that_carry_their_motion(as_table, known_distance):
    table = gaia(parallax=np.full(5, 60.0), radial_velocity=np.full(5, 40.0))[:3]
    depth = {
        "distance": Distance(parallax=np.asarray(table["parallax"]) * u.mas),
        "radial_velocity": np.asarray(table["radial_velocity"]) * u.km / u.s,
    }
    stars = SkyCoord(
        *(np.asarray(table[name]) * u.deg for name in ("ra", "dec")),
        pm_ra_cosdec=np.asarray(table["pmra"]) * u.mas / u.yr,
        pm_dec=np.asarray(table["pmdec"]) * u.mas / u.yr,
        obstime=Time(np.asarray(table["ref_epoch"]), format="jyear", scale="tdb"),
        **(depth if known_distance else {}),
    )
    if not known_distance:
        table.remove_columns(["parallax", "radial_velocity"])
    found, provenance = moved(QTable({"sky": stars}) if as_table else stars)
    expected, _ = moved(table)
    np.testing.assert_allclose(found.ra, expected.ra, rtol=1e-12)
    np.testing.assert_allclose(found.dec, expected.dec, rtol=1e-12)
    assert provenance["n_ref_epoch_assumed"] == 0


def test_coordinates_without_motion_stay():
    stars = SkyCoord([10.0, 20.0] * u.deg, [0.0, 5.0] * u.deg)
    assert moved(stars)[1] == {"applied": False}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ref_epoch": np.full(5, 57388.0)}, "57388.*Julian years.*--ref_epoch"),
        ({"pmra": np.full(5, 1.0) * u.km / u.s}, "km / s.*mas / yr.*--proper_motion=False"),
        ({"pmdec": np.full(5, "fast")}, "'fast' in row 1: expected a number.*proper_motion"),
    ],
)
def test_columns_that_tell_no_motion(changes, said):
    with pytest.raises(CatalogError, match=said):
        moved(gaia(**changes))


def test_half_a_motion_is_none(caplog):
    with caplog.at_level(logging.WARNING):
        _, provenance = moved(gaia(pmdec=None))
    assert provenance == {"applied": False}
    assert "only 'pmra'" in caplog.text


def test_motion_is_taken_along_with_rows():
    sources = read_sources(gaia(), proper_motion=True).take(np.array([2, 0]))
    alone, _ = apply_proper_motion(sources, LATER)
    np.testing.assert_array_equal(alone.ra, moved(gaia())[0].ra[[2, 0]])
