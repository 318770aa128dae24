"""Columns that would give wrong numbers are refused by name; units may be spelled in any way."""

from __future__ import annotations

import decimal
import io

import asdf
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table

from romancal_forcedphot.catalogs import CatalogError, read_sources

ECSV = (
    "# %ECSV 1.0\n# ---\n# datatype:\n# - {{name: ra, datatype: float64}}\n"
    "# - {{name: dec, datatype: float64}}\n# - {{name: {0}, datatype: float64}}\n"
    "ra dec {0}\n1.0 2.0 3.0\n"
)
VOTABLE = (
    '<VOTABLE version="1.4"><RESOURCE><TABLE><FIELD name="ra" datatype="double" {more}/>'
    '<FIELD name="dec" datatype="double" {more}/><FIELD name="{third}" datatype="double" {more}/>'
    "<DATA><TABLEDATA><TR><TD>1</TD><TD>2</TD><TD>3</TD></TR></TABLEDATA></DATA></TABLE>"
    "</RESOURCE></VOTABLE>"
)


def parquet(columns):
    file = io.BytesIO()
    names, arrays = zip(*columns, strict=True)
    arrays = [each if isinstance(each, pa.Array) else pa.array(each) for each in arrays]
    pq.write_table(pa.Table.from_arrays(arrays, names=names), file)
    return file.getvalue()


def fits_with(third):
    """A FITS table whose third column has a name that astropy would not write twice."""
    columns = [fits.Column(n, "D", array=[v]) for n, v in (("ra", 1), ("dec", 2), ("zzz", 3))]
    file = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns)]).writeto(file)
    return file.getvalue().replace(b"'zzz     '", f"'{third:8s}'".encode())


def written(tmp_path, content, name="catalog.dat"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


REPEATED = {
    "csv": lambda name: f"ra,dec,{name}\n1,2,3\n",
    "ecsv": ECSV.format,
    "fits": fits_with,
    "parquet": lambda name: parquet([("ra", [1.0]), ("dec", [2.0]), (name, [3.0])]),
    "votable": lambda name: VOTABLE.format(third=name, more=""),
}


@pytest.mark.parametrize("name", ["ra", "dec"])
@pytest.mark.parametrize("form", REPEATED)
def test_two_columns_of_one_name_are_refused(tmp_path, form, name):
    path = written(tmp_path, REPEATED[form](name))
    with pytest.raises(CatalogError, match=rf"catalog\.dat.* columns .*'{name}'.*name of its own"):
        read_sources(path)


def test_two_columns_that_differ_in_capitals_alone_are_refused(tmp_path):
    path = written(tmp_path, "RA,dec,Ra\n1,2,3\n")
    with pytest.raises(CatalogError, match="2 columns that 'ra' may mean, 'RA' and 'Ra'"):
        read_sources(path)
    assert read_sources(path, ra_column="Ra").ra.tolist() == [3.0]


def test_repeated_columns_that_nobody_needs_do_no_harm(tmp_path):
    path = written(tmp_path, "ra,dec,flag,flag\n1,2,3,4\n")
    assert read_sources(path).ra.tolist() == [1.0]
    with pytest.raises(CatalogError, match="2 columns that 'flag' may mean"):
        read_sources(path, keep_columns=["flag"])


def asdf_of(table):
    file = io.BytesIO()
    asdf.AsdfFile({"stars": table}).write_to(file)
    return file.getvalue()


HALF = np.array([10.26, 20.37], np.float16)
HALF_PRECISION = {
    "parquet": lambda a, b: parquet([(a, HALF), (b, HALF)]),
    "asdf": lambda a, b: asdf_of(Table({a: HALF, b: HALF})),
    "ecsv": lambda a, b: ECSV.format("q").replace("ra", a).replace("dec", b).replace("64", "16"),
}


@pytest.mark.parametrize("form", HALF_PRECISION)
@pytest.mark.parametrize("names", [("ra", "dec"), ("x", "y")])
def test_positions_of_half_precision_are_refused(tmp_path, form, names):
    path = written(tmp_path, HALF_PRECISION[form](*names))
    with pytest.raises(CatalogError, match=rf"'{names[0]}' is of half precision \(float16\)"):
        read_sources(path)


def test_positions_of_half_precision_in_memory_are_refused():
    with pytest.raises(CatalogError, match="half precision"):
        read_sources(Table({"ra": HALF, "dec": HALF}))


LISTS = {
    "lists": [[1.0, 2.0], [3.0]],
    "lists of one": [[1.0], [2.0]],
    "dicts": [{"a": 1}, {"a": 2}],
}


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("where", ["ra", "dec", "id", "kept"])
def test_lists_in_a_column_are_refused_by_its_name(tmp_path, where, kind):
    good = {"ra": [1.0, 2.0], "dec": [3.0, 4.0], "id": [5, 6], "kept": [7, 8]}
    path = written(tmp_path, parquet((good | {where: LISTS[kind]}).items()))
    with pytest.raises(CatalogError, match=rf"column '{where}'.* holds a (list|dict) in row 1"):
        read_sources(path, keep_columns=["kept"])


@pytest.mark.parametrize("where", ["ra", "id", "kept"])
def test_arrays_of_any_length_in_fits_are_refused(tmp_path, where):
    columns = [fits.Column(n, "D", array=[1, 2]) for n in ("ra", "dec", "id", "kept") if n != where]
    arrays = np.empty(2, dtype=object)
    arrays[:] = [np.ones(1), np.ones(2)]
    columns.append(fits.Column(where, "PD()", array=arrays))
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "catalog.fits")
    with pytest.raises(CatalogError, match=rf"column '{where}'.* in row 1: expected one"):
        read_sources(tmp_path / "catalog.fits", keep_columns=["kept"])


def test_coordinates_are_no_ids():
    table = Table({"id": [1, 2], "ra": [1.0, 2.0], "dec": [3.0, 4.0]})
    table["place"] = SkyCoord(table["ra"], table["dec"], unit="deg")
    with pytest.raises(
        CatalogError, match="column 'place' holds SkyCoord objects: expected one id"
    ):
        read_sources(table, label_column="place")
    with pytest.raises(CatalogError, match="lists: expected a column of numbers"):
        read_sources(Table({"ra": [1.0], "dec": [2.0], "k": _objects([[1]])}), select="k == 1")


def _objects(values):
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


@pytest.mark.parametrize("unit", ["Degrees", "DEG", "Deg", "degrees", "degree"])
def test_degrees_of_votables_as_people_write_them(tmp_path, unit):
    text = VOTABLE.format(third="z", more=f'unit="{unit}"')
    assert read_sources(written(tmp_path, text)).ra.tolist() == [1.0]


@pytest.mark.parametrize("unit", ["Radians", "RAD"])
def test_other_angles_of_votables_as_people_write_them(tmp_path, unit):
    text = VOTABLE.format(third="z", more=f'unit="{unit}"')
    np.testing.assert_allclose(read_sources(written(tmp_path, text)).ra, np.degrees([1.0]))


def test_units_that_end_in_s():
    table = Table({"ra": [1.0], "dec": [2.0], "pmra": [1.0], "pmdec": [1.0], "rv": [3e4]})
    table["rv"].unit = "M/S"  # which astropy does not know
    sources = read_sources(table, proper_motion=True)
    assert sources.motion.radial_velocity.tolist() == [30.0]


@pytest.mark.parametrize("ra", [-999.0, 9999.0, 572754.5, -361.0])
def test_right_ascensions_of_many_turns_are_warned_of(ra, caplog):
    sources = read_sources(Table({"ra": [1.0, ra], "dec": [2.0, 3.0]}))
    np.testing.assert_allclose(sources.ra, [1, ra % 360])
    assert f"1 right ascensions below -360 or above 720 degrees, the first {ra:g}" in caplog.text


def test_decimals_are_integers_where_they_are_whole(tmp_path):
    ids = pa.array([decimal.Decimal(2**53 + 1), decimal.Decimal(7)], pa.decimal128(38, 0))
    path = written(tmp_path, parquet([("ra", [1.0, 2.0]), ("dec", [1.0, 2.0]), ("id", ids)]))
    sources = read_sources(path)
    assert (sources.label.tolist(), sources.source_name) == ([2**53 + 1, 7], None)


def test_numbers_with_underscores_are_no_numbers():
    with pytest.raises(CatalogError, match="has '1_0' in row 1: expected a number"):
        read_sources(Table({"ra": ["1_0"], "dec": [2.0]}))
