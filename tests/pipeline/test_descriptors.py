"""Parameters by every way in: text, lists of text, numbers, arrays, tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from romancal_forcedphot.pipeline.descriptors import (
    CatalogParameter,
    Extension,
    InMemoryCatalog,
    NameList,
    NumberList,
)


class Holder:
    radii = NumberList()
    names = NameList()
    extension = Extension()
    catalog = CatalogParameter()


@pytest.mark.parametrize(
    "value",
    ["3,5", "[3, 5]", ["3", "5"], ["[3", " 5]"], [3, 5], (3.0, 5.0), np.array([3, 5]), ["3,5"]],
)
def test_lists_of_numbers(value):
    holder = Holder()
    holder.radii = value
    assert holder.radii == [3.0, 5.0]


@pytest.mark.parametrize("value", ["5", 5, 5.0, ["5"], np.float32(5), "[5]"])
def test_a_single_number_is_a_list_of_one(value):
    holder = Holder()
    holder.radii = value
    assert holder.radii == [5.0]


@pytest.mark.parametrize("value", ["3;5", ["3", "five"], None])
def test_what_is_no_number_is_refused_with_its_name(value):
    with pytest.raises(ValueError, match=r"radii is .* expected numbers separated by commas"):
        Holder().radii = value


def test_names():
    holder = Holder()
    holder.names = ["HOT", " DEAD"]
    assert holder.names == ["HOT", "DEAD"]
    holder.names = "HOT,DEAD"
    assert holder.names == ["HOT", "DEAD"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("flux (nJy)", ["flux (nJy)"]),
        (["flux (nJy)", "mag[1]"], ["flux (nJy)", "mag[1]"]),
        ("[type, F106]", ["type", "F106"]),
        (["[type", "F106]"], ["type", "F106"]),
        ("(type, F106)", ["type", "F106"]),
        ("mag auto,n", ["mag auto", "n"]),
        ("", []),
        ([""], []),
        ([], []),
    ],
)
def test_names_of_columns_as_they_may_be(value, expected):
    holder = Holder()
    holder.names = value
    assert holder.names == expected


@pytest.mark.parametrize("value", [".parquet", "parquet", ".PARQUET"])
def test_extensions(value):
    holder = Holder()
    holder.extension = value
    assert holder.extension == ".parquet"


@pytest.mark.parametrize("value", [".fits", "", None])
def test_extensions_that_no_product_has(value):
    with pytest.raises(ValueError, match=r"extension is .* expected .asdf or .parquet"):
        Holder().extension = value


def test_a_table_travels_under_a_name():
    holder, table = Holder(), Table({"ra": [1.0, 2.0], "dec": [0.0, 0.0]})
    holder.catalog = table
    assert isinstance(holder.catalog, str)
    assert holder.catalog.table is table
    assert str(holder.catalog) == "table of 2 rows in memory"
    table.meta["name"] = "deep field"
    assert str(InMemoryCatalog.wrap(table)) == "deep field"
    assert InMemoryCatalog.wrap("a.ecsv") == "a.ecsv"
    assert InMemoryCatalog.wrap(Path("a.ecsv")) == "a.ecsv"


def test_an_attribute_that_was_never_set_is_missing():
    assert not hasattr(Holder(), "radii")
