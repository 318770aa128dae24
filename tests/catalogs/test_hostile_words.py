"""Selections and epochs as people may write them."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import QTable, Table
from astropy.time import Time

from romancal_forcedphot.catalogs import CatalogError, read_sources

COLUMNS = {
    "float64": np.array([1.0, 2.0]),
    "float32": np.array([1, 2], "f4"),
    "bool": np.array([True, False]),
    "object": np.array([1, 2], dtype=object),
}


@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize(("sign", "n_rows"), [("<", 2), (">=", 0), ("==", 0), ("!=", 2)])
def test_numbers_of_400_digits(kind, sign, n_rows):
    table = Table({"ra": [1.0, 2.0], "dec": [1.0, 2.0], "c": COLUMNS[kind]})
    assert len(read_sources(table, select=f"c {sign} {'9' * 400}")) == n_rows
    assert len(read_sources(table, select=f"c > -{'9' * 400}")) == 2


def test_long_conditions_are_shown_shortened():
    with pytest.raises(CatalogError) as caught:
        read_sources(Table({"ra": [1.0], "dec": [2.0]}), select="ra < " + "9" * 5000)
    assert "cannot be read" in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_integers_of_python_are_compared_to_the_last_digit():
    table = Table({"ra": [1.0, 2.0], "dec": [1.0, 2.0]})
    table["c"] = np.array([2**60, 2**60 + 1], dtype=object)
    assert read_sources(table, select=f"c == {2**60 + 1}").ra.tolist() == [2.0]


def moving(epochs):
    columns = {"ra": [1.0, 2.0], "dec": [1.0, 2.0], "pmra": [1.0, 1.0], "pmdec": [1.0, 1.0]}
    return columns | {"ref_epoch": epochs}


def epochs_read(table):
    return read_sources(table, proper_motion=True).motion.ref_epoch


NEW_YEAR = Time("2016-01-01").jyear


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        (["J2016.0", "J1991.25"], [2016.0, 1991.25]),
        (["2016-01-01", ""], [NEW_YEAR, np.nan]),
        (["2016-01-01T00:00:00", "2016.0"], [NEW_YEAR, 2016.0]),
        (np.array(["2016-01-01", "NaT"], "datetime64[D]"), [NEW_YEAR, np.nan]),
        ([datetime.date(2016, 1, 1), None], [NEW_YEAR, np.nan]),
    ],
)
def test_epochs_may_be_years_or_dates(epochs, expected):
    table = Table(moving(np.array(epochs)))
    np.testing.assert_allclose(epochs_read(table), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_dates_of_files(tmp_path, form):
    path = tmp_path / f"catalog.{form}"
    if form == "csv":
        path.write_text("ra,dec,pmra,pmdec,ref_epoch\n1,1,1,1,2016-01-01\n2,2,1,1,\n")
    else:
        pq.write_table(pa.table(moving([datetime.datetime(2016, 1, 1), None])), path)
    np.testing.assert_allclose(epochs_read(path), [NEW_YEAR, np.nan], rtol=0, atol=1e-9)


@pytest.mark.parametrize("epoch", ["soon", "2016-13-45", "J", "2016/1/1"])
def test_epochs_that_are_no_times_are_refused_by_name(tmp_path, epoch):
    path = tmp_path / "catalog.csv"
    path.write_text(f"ra,dec,pmra,pmdec,ref_epoch\n1,1,1,1,2016.0\n2,2,1,1,{epoch}\n")
    message = rf"catalog.csv': column 'ref_epoch' has '{epoch}' in row 2: expected Julian years"
    with pytest.raises(CatalogError, match=message):
        read_sources(path, proper_motion=True)


def test_times_that_no_catalog_has_are_refused():
    table = QTable(moving(Time([2016.0, 57388.0], format="jyear")))
    with pytest.raises(CatalogError, match="'ref_epoch' has 57388 in row 2"):
        read_sources(table, proper_motion=True)
    stars = SkyCoord(
        [1, 2] * u.deg,
        [1, 2] * u.deg,
        pm_ra_cosdec=[1, 1] * u.mas / u.yr,
        pm_dec=[1, 1] * u.mas / u.yr,
        obstime=Time(57388.0, format="jyear"),
    )
    with pytest.raises(CatalogError, match="obstime has 57388"):
        read_sources(stars, proper_motion=True)


def test_epochs_of_half_precision_are_refused():
    with pytest.raises(CatalogError, match="'ref_epoch' is of half precision"):
        read_sources(Table(moving(np.array([2015.5, 2016.0], "f2"))), proper_motion=True)


def test_several_times_in_a_row_are_refused():
    table = QTable(moving(Time([[2016.0, 2017.0]] * 2, format="jyear")))
    with pytest.raises(CatalogError, match="'ref_epoch' has several epochs in a row"):
        read_sources(table, proper_motion=True)
