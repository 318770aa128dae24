"""Proper motion against astropy star by star, and against arithmetic by hand."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import Distance, SkyCoord
from astropy.time import Time

from moving_stars import LATER, gaia, moved


def test_stars_move_as_astropy_moves_them_one_by_one():
    depth = {
        "parallax": np.array([200.0, 3.0, 50.0, 1.0, 1.0]),
        "radial_velocity": np.array([-110.0, 30.0, np.nan, 5.0, 5.0]),
    }
    sources, provenance = moved(gaia(**depth))
    for row, star in enumerate(gaia(**depth)[:3]):
        velocity = star["radial_velocity"]
        alone = SkyCoord(
            star["ra"] * u.deg,
            star["dec"] * u.deg,
            pm_ra_cosdec=star["pmra"] * u.mas / u.yr,
            pm_dec=star["pmdec"] * u.mas / u.yr,
            distance=Distance(parallax=star["parallax"] * u.mas),
            radial_velocity=(velocity if np.isfinite(velocity) else 0.0) * u.km / u.s,
            obstime=Time(star["ref_epoch"], format="jyear", scale="tcb"),
        ).apply_space_motion(new_obstime=LATER)
        found = SkyCoord(sources.ra[row] * u.deg, sources.dec[row] * u.deg)
        assert found.separation(SkyCoord(alone.ra, alone.dec)).arcsec < 1e-5
    assert provenance["n_moved"] == 3
    assert provenance["ref_epoch"] == [2015.5, 2016.0]


def test_pmra_has_cos_dec_in_it():
    sources, _ = moved(gaia())
    assert (sources.ra[0] - 10) * 3600 == pytest.approx(5.0 / np.cos(np.deg2rad(60)), abs=1e-3)
    assert (sources.dec[0] - 60) * 3600 == pytest.approx(-3.0, abs=1e-3)
    assert sources.ra[1] * 3600 == pytest.approx(0.84 / np.cos(np.deg2rad(30)) - 0.036, abs=1e-4)


def test_a_star_without_parallax_moves_on_a_great_circle():
    for parallax in (None, np.zeros(5), np.full(5, -0.7), np.full(5, np.nan), np.full(5, 1e-5)):
        sources, _ = moved(gaia(parallax=parallax, radial_velocity=np.full(5, 300.0)))
        start = SkyCoord(gaia()["ra"] * u.deg, gaia()["dec"] * u.deg)
        end = SkyCoord(sources.ra * u.deg, sources.dec * u.deg)
        years = 2026.0 - np.array([2016.0, 2015.5, 2016.0])
        expected = np.hypot([500, 80, 1200], [300, 0, 10]) * 1e-3 * years
        np.testing.assert_allclose(start.separation(end).arcsec[:3], expected, rtol=2e-5)


def test_radial_velocity_foreshortens():
    """Perspective: the proper motion of an approaching star grows by 2 v_r / d a year."""
    depth = {"parallax": np.full(5, 500.0), "radial_velocity": np.full(5, -300.0)}
    near, _ = moved(gaia(**depth))
    far, _ = moved(gaia())
    distance_km = 2000 / 500 * 0.5 * 3.0857e13
    growth = 300 * 10 * 3.15576e7 / distance_km  # half of 2 v_r t / d, on average
    for axis, start in (("ra", 10.0), ("dec", 60.0)):
        ratio = (getattr(near, axis)[0] - start) / (getattr(far, axis)[0] - start)
        assert ratio - 1 == pytest.approx(growth, rel=0.05)


def test_rows_without_motion_stay_bit_for_bit():
    table = gaia()
    table["ra"][0] = np.nan
    sources, provenance = moved(table)
    for row in (0, 3, 4):
        np.testing.assert_array_equal(sources.ra[row], table["ra"][row])
        np.testing.assert_array_equal(sources.dec[row], table["dec"][row])
    assert provenance["n_moved"] == 2


def test_no_time_no_motion():
    table = gaia(ref_epoch=np.full(5, 2026.0))
    sources, _ = moved(table)
    np.testing.assert_allclose(sources.ra, table["ra"], rtol=0, atol=1e-11)
    np.testing.assert_allclose(sources.dec, table["dec"], rtol=0, atol=1e-11)


def test_a_missing_epoch_is_gaias_and_a_warning(caplog):
    with caplog.at_level(logging.WARNING):
        sources, provenance = moved(gaia(ref_epoch=None))
    assert "J2016.0" in caplog.text
    assert "set ref_epoch" in caplog.text
    assert provenance["n_ref_epoch_assumed"] == 3
    assert sources.ra[0] == moved(gaia())[0].ra[0]


def test_a_given_epoch_wins_without_a_warning(caplog):
    with caplog.at_level(logging.WARNING):
        sources, provenance = moved(gaia(), ref_epoch=2006.0)
    assert caplog.text == ""
    assert provenance["ref_epoch"] == 2006.0
    twice = 2 * (moved(gaia())[0].dec[0] - 60)
    assert sources.dec[0] - 60 == pytest.approx(twice, rel=1e-4)


def test_an_impossible_epoch():
    with pytest.raises(
        ValueError, match=r"ref_epoch is 57388.*2016\.0.*set proper_motion to False"
    ):
        moved(gaia(), ref_epoch=57388.0)
