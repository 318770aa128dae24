"""Proper motion against astropy star by star, and against arithmetic by hand."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import Distance, SkyCoord
from astropy.table import MaskedColumn, QTable, Table
from astropy.time import Time

from romancal_forcedphot import ForcedPhotometryStep, motion
from romancal_forcedphot.catalogs import CatalogError, read_sources
from small import CENTER, SCALE_DEG, level2_image

LATER = Time(2026.0, format="jyear", scale="tdb")


def gaia(**changes):
    """Catalog of five stars; the last two do not move."""
    columns = {
        "source_id": np.arange(5) + 10,
        "ra": np.array([10.0, 359.99999, 200.0, 120.0, 33.0]),
        "dec": np.array([60.0, -30.0, 85.0, 5.0, -70.0]),
        "pmra": np.array([500.0, 80.0, -1200.0, 0.0, np.nan]),
        "pmdec": np.array([-300.0, 0.0, 10.0, 0.0, 5.0]),
        "ref_epoch": np.array([2016.0, 2015.5, 2016.0, 2016.0, 2016.0]),
    }
    return Table({k: v for k, v in (columns | changes).items() if v is not None})


def moved(table, time=LATER, **options):
    return motion.at_time(read_sources(table, proper_motion=True), time, **options)


def test_stars_move_as_astropy_moves_them_one_by_one():
    depth = {
        "parallax": np.array([200.0, 3.0, 50.0, 1.0, 1.0]),
        "radial_velocity": np.array([-110.0, 30.0, np.nan, 5.0, 5.0]),
    }
    sources, facts = moved(gaia(**depth))
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
    assert facts["n_moved"] == 3
    assert facts["ref_epoch"] == [2015.5, 2016.0]


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
    sources, facts = moved(table)
    for row in (0, 3, 4):
        np.testing.assert_array_equal(sources.ra[row], table["ra"][row])
        np.testing.assert_array_equal(sources.dec[row], table["dec"][row])
    assert facts["n_moved"] == 2


def test_masked_motions_stay():
    table = gaia(pmra=MaskedColumn([500.0, 80.0, -1200.0, 1.0, 1.0], mask=[1, 0, 0, 0, 0]))
    sources, _ = moved(table)
    assert sources.ra[0] == 10.0
    assert sources.ra[2] != 200.0


def test_no_time_no_motion():
    table = gaia(ref_epoch=np.full(5, 2026.0))
    sources, _ = moved(table)
    np.testing.assert_allclose(sources.ra, table["ra"], rtol=0, atol=1e-11)
    np.testing.assert_allclose(sources.dec, table["dec"], rtol=0, atol=1e-11)


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
    found, facts = moved(QTable({"sky": stars}) if as_table else stars)
    expected, _ = moved(table)
    np.testing.assert_allclose(found.ra, expected.ra, rtol=1e-12)
    np.testing.assert_allclose(found.dec, expected.dec, rtol=1e-12)
    assert facts["n_ref_epoch_assumed"] == 0


def test_coordinates_without_motion_stay():
    stars = SkyCoord([10.0, 20.0] * u.deg, [0.0, 5.0] * u.deg)
    assert moved(stars)[1] == {"applied": False}


def test_a_missing_epoch_is_gaias_and_a_warning(caplog):
    with caplog.at_level(logging.WARNING):
        sources, facts = moved(gaia(ref_epoch=None))
    assert "J2016.0" in caplog.text
    assert "--ref_epoch" in caplog.text
    assert facts["n_ref_epoch_assumed"] == 3
    assert sources.ra[0] == moved(gaia())[0].ra[0]


def test_a_given_epoch_wins_without_a_warning(caplog):
    with caplog.at_level(logging.WARNING):
        sources, facts = moved(gaia(), ref_epoch=2006.0)
    assert caplog.text == ""
    assert facts["ref_epoch"] == 2006.0
    twice = 2 * (moved(gaia())[0].dec[0] - 60)
    assert sources.dec[0] - 60 == pytest.approx(twice, rel=1e-4)


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


def test_an_impossible_epoch():
    with pytest.raises(ValueError, match=r"ref_epoch is 57388.*2016\.0.*--proper_motion=False"):
        moved(gaia(), ref_epoch=57388.0)


def test_half_a_motion_is_none(caplog):
    with caplog.at_level(logging.WARNING):
        _, facts = moved(gaia(pmdec=None))
    assert facts == {"applied": False}
    assert "only 'pmra'" in caplog.text


def test_motion_is_taken_along_with_rows():
    sources = read_sources(gaia(), proper_motion=True).take(np.array([2, 0]))
    alone, _ = motion.at_time(sources, LATER)
    np.testing.assert_array_equal(alone.ra, moved(gaia())[0].ra[[2, 0]])


class TestStep:
    """A star that crosses the image in the years before the exposure (2027.16)."""

    PIXELS = 30.0

    def run(self, **options):
        years = Time("2027-03-01T00:01:00").jyear - 2016.0
        motion_mas = self.PIXELS * SCALE_DEG * 3.6e6 / years
        catalog = Table({"ra": [CENTER[0]], "dec": [CENTER[1]], "pmra": [0.0]})
        catalog["pmdec"], catalog["ref_epoch"] = [motion_mas], [2016.0]
        options |= {"pixel_area": "wcs", "aperture_correction": "none"}
        return ForcedPhotometryStep(catalog=catalog, **options).process(level2_image())

    def test_measures_where_the_star_is_now(self):
        product = self.run()
        (row,) = product.source_catalog
        assert row["y"] == pytest.approx(89.5 + self.PIXELS, abs=1e-4)
        assert row["dec"] == pytest.approx(CENTER[1] + self.PIXELS * SCALE_DEG, abs=1e-9)
        facts = product.meta.forced_phot["proper_motion"]
        assert facts["n_moved"] == 1
        assert facts["time"] == "2027-03-01T00:01:00.000"

    def test_stays_where_the_catalog_has_it_when_told_so(self):
        product = self.run(proper_motion=False)
        (row,) = product.source_catalog
        assert row["y"] == pytest.approx(89.5, abs=1e-6)
        assert row["dec"] == CENTER[1]
        assert product.meta.forced_phot["proper_motion"]["applied"] is False
