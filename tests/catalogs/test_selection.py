"""Conditions on columns against pandas' query; on missing values, against SQLite."""

from __future__ import annotations

import logging
import random
import sqlite3

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import MaskedColumn, QTable, Table

from romancal_forcedphot.catalogs import CatalogError, read_sources
from romancal_forcedphot.catalogs.selection import Selection

N_ROWS = 60


def whole_table():
    """Numbers, text and truth values, none of them missing."""
    rng = np.random.default_rng(6)
    return Table(
        {
            "ra": rng.uniform(0, 360, N_ROWS),
            "dec": rng.uniform(-90, 90, N_ROWS),
            "type": rng.choice(["PSF", "SER", "it's", ""], N_ROWS),
            "F106": rng.integers(-3, 4, N_ROWS) * 1e-9,
            "n": rng.integers(0, 5, N_ROWS),
            "mag auto": rng.integers(18, 23, N_ROWS).astype("float32"),
            "good": rng.random(N_ROWS) < 0.5,
        }
    )


def rows(table, text):
    """Selected rows, counted from 0."""
    return read_sources(table["ra", "dec", *table.colnames[2:]], select=text).label - 1


@pytest.mark.parametrize(
    "text",
    [
        "type == 'PSF' and F106 > 1e-9",
        'type != "PSF"',
        "type < 'Q'",
        "F106 >= -1E-9",
        "0 < n <= 3",
        "2 > n",
        "n == +1 or n == 2.0 and F106 < 0",
        "(n == 1 or n == 2) and F106 < 0",
        "not n == 1",
        "not (n == 1 or not good)",
        "good and n > 1",
        "`mag auto` < 20",
        "`mag auto` < 20 or type == 'a `b` c'",
        'type == "it\'s"',
        "n != 3 != F106",
        "ra > dec",
    ],
)
def test_rows_are_those_of_pandas(text):
    table = whole_table()
    expected = table.to_pandas().query(text).index
    np.testing.assert_array_equal(rows(table, text), expected)


def any_condition(rng, depth):
    """A random condition that Python and SQL both understand."""
    if depth == 0:
        operator = rng.choice(["==", "!=", "<", "<=", ">", ">="])
        return rng.choice(
            [
                f"n {operator} {rng.randint(0, 4)}",
                f"x {operator} {rng.choice(['-1.5', '0', '2e0'])}",
                f"type {operator} '{rng.choice(['PSF', 'SER'])}'",
                f"n {operator} x",
            ]
        )
    left, right = (any_condition(rng, rng.randrange(depth)) for _ in range(2))
    return rng.choice([f"({left}) and ({right})", f"({left}) or ({right})", f"not ({left})"])


def test_missing_values_are_unknown_as_in_sql():
    rng = np.random.default_rng(2)
    missing = {name: rng.random(N_ROWS) < 0.3 for name in ("n", "x", "type")}
    x = rng.choice([-1.5, 0.0, 2.0], N_ROWS)
    types = rng.choice(["PSF", "SER"], N_ROWS)
    numbers = rng.integers(0, 5, N_ROWS)
    values = {"n": numbers.astype(object), "x": x.astype(object), "type": types.astype(object)}
    for name, where in missing.items():
        values[name][where] = None
    base = sqlite3.connect(":memory:")
    base.execute("create table t (n integer, x real, type text)")
    base.executemany("insert into t values (?, ?, ?)", zip(*values.values(), strict=True))
    table = Table({"ra": np.zeros(N_ROWS), "dec": np.zeros(N_ROWS)})
    table["n"] = MaskedColumn(numbers, mask=missing["n"])
    table["x"] = np.where(missing["x"], np.nan, x)
    table["type"] = values["type"]
    random_conditions = random.Random(4)
    n_selected = []
    for _ in range(200):
        text = any_condition(random_conditions, 3)
        found = base.execute(f"select rowid from t where {text}").fetchall()
        np.testing.assert_array_equal(rows(table, text) + 1, [row for (row,) in found], text)
        n_selected.append(len(found))
    base.close()
    assert 0 < np.mean(n_selected) < N_ROWS


@pytest.mark.parametrize("form", ["fits", "votable", "parquet", "ascii.ecsv", "ascii.csv"])
def test_files_of_every_format(tmp_path, form):
    table = whole_table()
    table["good"] = table["good"].astype(int)  # CSV has no truth values
    table.rename_column("mag auto", "mag")  # nor VOTable names with blanks
    table.write(tmp_path / "catalog", format=form)
    text = "type == 'PSF' and mag > 19 and F106 < 1.5e-9"
    sources = read_sources(tmp_path / "catalog", select=text, keep_columns=["type"])
    np.testing.assert_array_equal(sources.label - 1, table.to_pandas().query(text).index)
    assert set(sources.columns["type"]) == {"PSF"}


def test_columns_of_other_kinds():
    table = QTable({"ra": [1.0, 2.0, 3.0] * u.deg, "dec": [0.0, 0.0, 0.0] * u.deg})
    table["mag"] = [20, 21, 22] * u.mag
    table["kind"] = np.array([b"PSF  ", b"SER", b"PSF"])
    table["id"] = np.array([2**63 - 1, 2**63 - 2, 5])
    table["small"] = np.array([1, 2, 3], dtype=">f4")
    assert list(rows(table, "mag > 20")) == [2**63 - 3, 4]
    assert list(rows(table, f"id == {2**63 - 2}")) == [2**63 - 3]
    assert list(rows(table, f"kind == 'PSF' and id < {10**30}")) == [2**63 - 2, 4]
    assert list(rows(table, "small < 1e300 and small >= 3")) == [4]


def test_names_are_found_in_any_case():
    table = whole_table()
    np.testing.assert_array_equal(rows(table, "f106 > 0"), rows(table, "F106 > 0"))


def test_positions_and_ids_stay_with_their_rows(caplog):
    table = whole_table()
    table["id"] = np.arange(N_ROWS) * 7
    wanted = np.asarray(table["n"]) == 3
    with caplog.at_level(logging.INFO):
        sources = read_sources(table, select="n == 3", keep_columns=["type", "n"])
    np.testing.assert_array_equal(sources.label, table["id"][wanted])
    np.testing.assert_array_equal(sources.ra, table["ra"][wanted])
    np.testing.assert_array_equal(sources.columns["type"], table["type"][wanted])
    assert (len(sources), sources.n_read) == (wanted.sum(), N_ROWS)
    assert f"{wanted.sum()} of {N_ROWS} rows of" in caplog.text


def test_nothing_may_be_selected():
    sources = read_sources(whole_table(), select="n > 100")
    assert (len(sources), sources.n_read) == (0, N_ROWS)


REFUSED = {
    "type = 'PSF'": "cannot be read",
    "F106 >": "cannot be read",
    "F106 > 1) or (n > 1": "cannot be read",
    "(" * 500 + "n" + ")" * 500 + " > 1": "cannot be read",
    "not " * 2000 + "good": "cannot be read",
    "mag auto > 20": "cannot be read.*backticks",
    "\0": "cannot be read",
    "__import__('os').system('true')": "no meaning",
    "n.real > 1": "no meaning",
    "n[0] > 1": "no meaning",
    "n + 1 > 2": "arithmetic is not offered",
    "(n > 1) & (F106 > 0)": "write and/or instead of & and |",
    "~good": "write not",
    "n in (1, 2)": "write a == 'b' or a == 'c'",
    "type is 'PSF'": "write ==",
    "n > 1 if good else n > 2": "no meaning",
    "[n > 1]": "no meaning",
    "(m := n) > 1": "no meaning",
    "f'{n}' == '1'": "no meaning",
    "n > None": "no meaning",
    "good == True": "no meaning",
    "n > 1j": "no meaning",
    "-n > 1": "no meaning",
    "'PSF'": "no meaning",
    "3": "no meaning",
    "n": "alone, which is neither true nor false",
    "type": "alone.*compare it with a text",
    "type == 3": "compares column 'type', a text, with 3, a number",
    "'1' < n": "compares '1', a text, with column 'n', a number",
    "flux > 3": "no column 'flux', named by select: expected one of its columns, ra, dec, type",
    "type == PSF": "no column 'PSF'.*quotes, 'PSF'",
    "place == 1": "holds coordinates",
    "pair == 1": "several values in a row",
    "odd == 1": "holds values of type object",
}


@pytest.mark.parametrize("text", REFUSED)
@pytest.mark.filterwarnings("error")
def test_anything_else_is_refused(text):
    table = whole_table()
    table["place"] = SkyCoord(table["ra"], table["dec"], unit="deg")
    table["pair"] = np.zeros((N_ROWS, 2))
    table["odd"] = np.array([{}] * N_ROWS)
    with pytest.raises(CatalogError, match=REFUSED[text]):
        read_sources(table, ra_column="ra", dec_column="dec", select=text)


def test_columns_are_known_before_the_table_is_read():
    text = "b > 1 and (`c d` < a or not e) and 'f' == b"
    assert Selection.parse(text).columns == ("b", "c d", "a", "e")


def test_kept_columns_are_plain():
    table = QTable({"ra": [1.0, 2.0, 3.0] * u.deg, "dec": [0.0, 0.0, 0.0] * u.deg})
    table["mag"] = [20, 21, 22] * u.ABmag
    table["kind"] = np.array([b"PSF  ", b"SER", b"PSF"])
    table["big"] = np.array([1, 2, 3], dtype=">i4")
    table["mixed"] = np.array(["a", None, "c"], dtype=object)
    table["n"] = MaskedColumn([1, 2, 3], mask=[True, False, False], description="index")
    table["rate"] = MaskedColumn([1.0, 2.0, 3.0], unit=u.Unit("blobs/s", parse_strict="silent"))
    names = ["mag", "kind", "big", "mixed", "n", "rate", "n"]
    kept = read_sources(table, keep_columns=names).columns
    assert kept.colnames == names[:-1]
    assert kept["mag"].unit == u.ABmag
    assert list(kept["kind"]) == ["PSF  ", "SER", "PSF"]
    assert kept["big"].dtype.isnative
    assert list(kept["mixed"].mask) == [False, True, False]
    assert list(kept["n"].mask) == [True, False, False]
    assert kept["n"].description == "index"
    assert kept["rate"].unit is None
    assert "blobs/s" in kept["rate"].description
    assert not any(isinstance(kept[name], MaskedColumn) for name in ("mag", "kind", "big", "rate"))


@pytest.mark.parametrize("name", ["place", "pair"])
def test_columns_that_no_product_holds_are_refused(name):
    table = whole_table()
    table["place"] = SkyCoord(table["ra"], table["dec"], unit="deg")
    table["pair"] = np.zeros((N_ROWS, 2))
    with pytest.raises(CatalogError, match=f"'{name}', named by keep_columns"):
        read_sources(table, ra_column="ra", dec_column="dec", keep_columns=[name])
