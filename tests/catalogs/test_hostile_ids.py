"""No row and no id is lost: what is written in a file is what stands in the sources."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import Table

from romancal_forcedphot.catalogs import CatalogError, read_sources

LATIN = ["caf\u00e9", "caf\u00e8", "\u00ff1"]


def csv_file(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "catalog.csv"
    path.write_bytes(text.encode(encoding))
    return path


def csv_of(tmp_path, ids):
    rows = "".join(f"{each},{i}.5,{i}\n" for i, each in enumerate(ids))
    return read_sources(csv_file(tmp_path, "id,ra,dec\n" + rows))


def test_rows_that_begin_with_a_hash_are_rows(tmp_path):
    text = "# a comment\n# another, with a comma\nid,ra,dec\n#1,1.5,2\nb,2.5,3\n# 3,3.5,4\n"
    sources = read_sources(csv_file(tmp_path, text))
    assert sources.source_name.tolist() == ["#1", "b", "# 3"]
    assert sources.ra.tolist() == [1.5, 2.5, 3.5]


def test_a_comment_among_rows_is_no_row_and_said_so(tmp_path, caplog):
    sources = read_sources(csv_file(tmp_path, "id,ra,dec\n1,1.5,2\n# a comment\n2,2.5,3\n"))
    assert sources.label.tolist() == [1, 2]
    assert "1 lines among the rows that begin with # are taken for comments" in caplog.text


@pytest.mark.parametrize(
    ("delimiter", "line"),
    [
        (" ", "#1 1.5 2.5"),
        (" ", "# 1 1.5 2.5"),  # a field more than there are columns
        (",", "#1,1.5,2.5"),
        (",", "# 1,1.5,1.5,2.5"),
        (",", "#1,"),
    ],
)
def test_rows_of_ecsv_that_only_the_slow_parser_reads(tmp_path, delimiter, line):
    """It would leave out the row that begins with a hash, damaged or not."""
    text = (
        f"# %ECSV 1.0\n# ---\n# delimiter: '{delimiter}'\n"
        "# datatype:\n# - {name: id, datatype: string}\n"
        "# - {name: ra, datatype: float128}\n# - {name: dec, datatype: float64}\n"
        f"{'id ra dec'.replace(' ', delimiter)}\n{line}\n{'b 3.5 4.5'.replace(' ', delimiter)}\n"
    )
    path = tmp_path / "catalog.ecsv"
    path.write_text(text)
    with pytest.raises(CatalogError, match=f"has the row {line!r}, which begins with #"):
        read_sources(path)


@pytest.mark.parametrize("place", [2, 3, 4])
def test_a_quote_that_is_not_closed_swallows_no_rows(tmp_path, place):
    lines = ["id,ra,dec,note", *(f"{i},{i}.5,2,x" for i in range(5))]
    lines[place] = lines[place][:-1] + '"x'
    with pytest.raises(CatalogError, match=r"catalog.csv' has quotes that are not closed"):
        read_sources(csv_file(tmp_path, "\n".join(lines) + "\n"))


def test_a_quote_within_a_name_loses_no_column(tmp_path):
    with pytest.raises(CatalogError, match=r"catalog.csv' has quotes in its header"):
        read_sources(csv_file(tmp_path, '"ra","dec","i"d"\n1,2,3\n'))


def latin_csv(tmp_path):
    rows = "".join(f"{each},{i},{i}\n" for i, each in enumerate(LATIN))
    return csv_file(tmp_path, "id,ra,dec\n" + rows, "latin-1")


def latin_fits(tmp_path):
    ids = np.array([each.encode("latin-1") for each in LATIN])
    columns = [fits.Column(name, "D", array=np.arange(3)) for name in ("ra", "dec")]
    columns.append(fits.Column("id", "4A", array=ids))
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "catalog.fits")
    return tmp_path / "catalog.fits"


def latin_parquet(tmp_path):
    ids = pa.array([each.encode("latin-1") for each in LATIN], pa.binary())
    table = pa.table({"ra": [0.0, 1, 2], "dec": [0.0, 1, 2], "id": ids})
    pq.write_table(table, tmp_path / "catalog.parquet")
    return tmp_path / "catalog.parquet"


@pytest.mark.parametrize("write", [latin_csv, latin_fits, latin_parquet])
def test_ids_in_latin_1_stay_apart(tmp_path, caplog, write):
    assert read_sources(write(tmp_path)).source_name.tolist() == LATIN
    assert "not UTF-8: read as Latin-1" in caplog.text


def test_binary_uuids_stay_apart(tmp_path):
    ids = [b"\1" * 15 + b"\0", b"\1" * 15 + b"\xff"]
    table = pa.table({"ra": [0.0, 1], "dec": [0.0, 1], "id": pa.array(ids, pa.binary(16))})
    pq.write_table(table, tmp_path / "catalog.parquet")
    names = read_sources(tmp_path / "catalog.parquet").source_name.tolist()
    assert names == [each.hex() for each in ids]


@pytest.mark.parametrize(
    "ids",
    [
        [2**64 - 1, 2**63],
        [2**63, 5],
        [2**80, 7],
        [-(2**70), 7],
    ],
)
def test_integers_that_int64_does_not_hold_are_names_in_csv(tmp_path, ids):
    sources = csv_of(tmp_path, ids)
    assert sources.source_name.tolist() == list(map(str, ids))
    assert sources.label.tolist() == [1, 2]


@pytest.mark.parametrize(
    "ids",
    [
        ["5", "nan"],
        ["007", "7"],
        ["1e5", "100000"],
        ["0x10", "16"],
        ["inf", "1"],
        ["true", "false"],
        ["1.50", "1.5"],
        ["9007199254740993.0", "9007199254740992.0"],
    ],
)
def test_ids_of_csv_stay_as_they_are_written(tmp_path, ids):
    sources = csv_of(tmp_path, ids)
    assert sources.source_name.tolist() == ids
    assert sources.label.tolist() == [1, 2]


def test_an_id_that_is_missing_changes_no_other_one(tmp_path):
    assert csv_of(tmp_path, [2**63 - 1, "", 5]).source_name.tolist() == [str(2**63 - 1), "", "5"]
    table = Table({"ra": [1.0, 2.0], "dec": [1.0, 2.0], "id": [5.0, np.nan]})
    assert read_sources(table).source_name.tolist() == ["5", ""]


def test_whole_numbers_of_single_precision_have_lost_digits(caplog):
    table = Table({"ra": [1.0, 2.0], "dec": [1.0, 2.0]})
    table["id"] = np.array([2**24 + 1, 2**24 + 2], np.float32)
    sources = read_sources(table)
    assert (sources.label.tolist(), sources.source_name) == ([1, 2], None)
    assert "more digits than its floats" in caplog.text


def test_integers_of_python_are_ids():
    table = Table({"ra": [1.0, 2.0], "dec": [1.0, 2.0]})
    table["id"] = np.array([2**62 + 1, 5], dtype=object)
    assert read_sources(table).label.tolist() == [2**62 + 1, 5]


def test_kept_integers_of_csv_lose_no_digit(tmp_path):
    numbers = [2**64 - 1, 2**63 + 1]
    rows = "".join(f"{i},{i},{each}\n" for i, each in enumerate(numbers))
    path = csv_file(tmp_path, "ra,dec,number\n" + rows)
    sources = read_sources(path, keep_columns=["number"], select=f"number > {2**63}")
    assert sources.columns["number"].tolist() == numbers


def test_empty_texts_of_votables_are_unknown_as_in_other_formats(tmp_path):
    table = Table({"ra": [1.0, 2.0], "dec": [1.0, 2.0], "type": ["PSF", ""]})
    conditions = ["type != 'PSF'", "not type == 'PSF'"]
    for form in ("votable", "fits", "ascii.csv"):
        file = tmp_path / f"catalog.{form}"
        table.write(file, format=form)
        assert [len(read_sources(file, select=each)) for each in conditions] == [0, 0], form
    sources = read_sources(tmp_path / "catalog.votable", keep_columns=["type"])
    assert sources.columns["type"].mask.tolist() == [False, True]


def test_a_column_in_which_all_is_missing_is_of_any_kind(tmp_path):
    path = csv_file(tmp_path, "ra,dec,kind\n1,2,\n3,4,\n")
    for condition in ("kind == 'PSF'", "kind < 3", "not kind == 3"):
        assert len(read_sources(path, select=condition)) == 0


def test_bytes_of_text_and_numbers_in_one_column():
    values = np.array([b"caf\xe9", 7, None], dtype=object)
    table = Table({"ra": np.zeros(3), "dec": np.zeros(3), "id": values})
    assert read_sources(table).source_name.tolist() == ["caf\u00e9", "7", ""]
