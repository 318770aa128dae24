"""Reading of ECSV files as an astropy Table.

They are parsed by pyarrow, about eight times as fast as by astropy's own parser, which is used for
the few files that pyarrow cannot parse.
"""

from __future__ import annotations

import csv
import io
import re
import warnings
from typing import BinaryIO

from astropy.table import Table

from .delimited import NOT_UTF8, check_quotes, without_bom
from .errors import UnusableContentError
from .tables import CatalogTable, WantedColumns

__all__ = ["read_ecsv"]

#: Lines of the header, which begin with #, and blank ones.
_HEADER = re.compile(rb"(?:[ \t]*(?:#[^\r\n]*)?(?:\r\n|\n|\r))*")
_COMMA = re.compile(rb"^# *delimiter: *['\"]?,", re.MULTILINE)


def read_ecsv(file: BinaryIO, wanted: WantedColumns) -> CatalogTable:
    """Read an ECSV file.

    Parameters
    ----------
    file : file object
        Binary; in UTF-8, or else Latin-1.
    wanted : WantedColumns
        Not used: all columns are read.

    Returns
    -------
    CatalogTable

    Raises
    ------
    UnusableContentError
        Two columns have the same name, or a row would be lost.
    Exception
        Of many types, where the file is no ECSV.
    """
    content = _in_utf8(without_bom(file.read()))
    header = _HEADER.match(content).group()
    delimiter = "," if _COMMA.search(header) else " "
    lines = io.StringIO(content[len(header) :].decode(), newline="")
    names = next(csv.reader(lines, delimiter=delimiter), [])
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise UnusableContentError(
            f"has several columns called {', '.join(map(repr, repeated))}: expected one; give each "
            "column a name of its own"
        )
    body = content[len(header) + len(lines.getvalue()[: lines.tell()].encode()) :]
    try:
        table, n_comments = Table.read(io.BytesIO(content), format="ecsv", engine="pyarrow"), 0
    except Exception:  # whatever the fast parser dislikes, the reference parser decides
        n_comments = _count_comments(body, len(names), delimiter)
        # "ecsv" would fill up rows that are cut short
        table = Table.read(io.BytesIO(content), format="ascii.ecsv")
    check_quotes(body, len(table) + n_comments, delimiter, "utf-8")
    return CatalogTable(table, tuple(table.colnames))


def _in_utf8(content: bytes) -> bytes:
    try:
        content.decode()
    except UnicodeDecodeError:
        warnings.warn(NOT_UTF8, UserWarning, stacklevel=2)
        return content.decode("latin-1").encode()
    return content


def _count_comments(body: bytes, n_columns: int, delimiter: str) -> int:
    """Count the lines that astropy's parser leaves out; refuse those that are rows."""
    comments = re.findall(r"^[ \t]*#[^\r\n]*", body.decode(), re.MULTILINE)
    for line in comments:
        if _may_be_row(next(csv.reader([line], delimiter=delimiter)), n_columns, delimiter):
            raise UnusableContentError(
                f"has the row {line!r}, which begins with # and would be taken for a comment: put "
                "its first field in quotes"
            )
    return len(comments)


def _may_be_row(fields: list[str], n_columns: int, delimiter: str) -> bool:
    """Whether the fields of a line may be those of a row, be it a damaged one.

    As in CSV files, a comment has no comma where these separate columns. Where blanks do, it has
    another number of words than there are columns, and not two numbers.
    """
    if len(fields) == n_columns:
        return True
    if delimiter == ",":
        return len(fields) > 1
    return sum(map(_is_number, fields)) > 1


def _is_number(text: str) -> bool:
    """Whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
