"""Reading of CSV files as an astropy Table, without losing rows or digits.

Fields are split by pyarrow. The type of a column is inferred here, from its text: int64 or uint64
where all values are integers of 64 bits, float64 where all are numbers, bool for true and false,
and text otherwise. An id stays text unless it is an integer in its canonical spelling: ``007``,
``1e5`` and ``nan`` are names. (pyarrow's own inference would make 7, 100000 and NaN of them, and 16
of ``0x10``.)

Lines that begin with # before the header are comments. In a row, # is an ordinary character.
"""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from astropy.table import Table

from .errors import UnusableContentError
from .tables import CatalogTable, WantedColumns

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["NOT_UTF8", "check_quotes", "delimiter_of", "header_line", "read_csv", "without_bom"]

NOT_UTF8 = "its text is not UTF-8: read as Latin-1 (ISO 8859-1); write it in UTF-8 if not so"
"""Warning of readers of text."""

_BOM = b"\xef\xbb\xbf"
_DELIMITERS = (",", ";", "\t")
_NULL_VALUES = ("", "null", "NULL")
_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\n|\r|\Z)")
_OF_ECSV = re.compile(r"# *(%ECSV|datatype:|- *\{ *name:)")
_INTEGER = r"^[+-]?[0-9]+$"
_UNUSUAL_INTEGER = r"^(-?0[0-9].*|-0|\+.*)$"
_WHOLE_FLOAT = r"^-?(0|[1-9][0-9]{0,14})\.0*$"
_BOOL = r"^(true|false|True|False|TRUE|FALSE)$"


def read_csv(file: BinaryIO, wanted: WantedColumns) -> CatalogTable:
    """Read a CSV file.

    Parameters
    ----------
    file : file object
        Binary and seekable; delimited by commas, semicolons or tabs, in UTF-8 or Latin-1.
    wanted : WantedColumns
        The columns to read.

    Returns
    -------
    CatalogTable
        The wanted columns, masked where a field is empty or says null.

    Raises
    ------
    UnusableContentError
        A quote is not closed, or the file is a damaged ECSV file.
    ValueError
        A row has not as many fields as the header.
    """
    content = without_bom(file.read())
    encoding = _encoding(content)
    names, delimiter, start = _header(content, encoding)
    body = content[start:]
    read = _wanted_fields(body, names, delimiter, encoding, wanted)
    columns = {name: _column(text, wanted.is_id(name)) for name, text in read.items()}
    return CatalogTable(Table(columns, copy=False), tuple(names))


def without_bom(content: bytes) -> bytes:
    """Return a text without the byte order mark that it may begin with.

    Parameters
    ----------
    content : bytes
        A text in UTF-8.

    Returns
    -------
    bytes
    """
    return content.removeprefix(_BOM)


def header_line(head: bytes) -> str:
    """Return the first line of a text that is neither blank nor a comment.

    Parameters
    ----------
    head : bytes
        The beginning of a text.

    Returns
    -------
    str
        '' where there is no such line.
    """
    lines = re.split(r"\r\n|\n|\r", without_bom(head).decode("utf-8", errors="replace"))
    return next((line for line in lines if _is_content(line)), "")


def delimiter_of(line: str) -> str:
    """Return what separates the fields of a line: the most frequent delimiter outside quotes.

    Parameters
    ----------
    line : str
        The header of a CSV file.

    Returns
    -------
    str
        A comma, a semicolon or a tab; a comma where there is none of them.
    """
    bare = re.sub(r'"[^"]*"', "", line)
    return max(_DELIMITERS, key=bare.count)


def check_quotes(body: bytes, n_rows: int, delimiter: str, encoding: str) -> None:
    """Raise where quotes are not balanced, as then rows may have been read as part of a field.

    Parameters
    ----------
    body : bytes
        The lines after the header.
    n_rows : int
        How many rows were read from them, lines left out included.
    delimiter : str
        What separates the fields.
    encoding : str
        Of the text.

    Raises
    ------
    UnusableContentError
        A quoted field is not closed, or text follows its closing quote (by Python's strict parser).
    """
    if b'"' not in body:
        return
    words = "has quotes that are not closed, in which rows would be lost"
    lines = io.StringIO(body.decode(encoding), newline="")
    try:
        n_strict = sum(1 for row in csv.reader(lines, delimiter=delimiter, strict=True) if row)
    except csv.Error as error:
        raise UnusableContentError(f"{words}: {error}; close or double the quote") from error
    if n_strict != n_rows:
        raise UnusableContentError(f"{words}: {n_rows} rows of {n_strict}; check its quotes")


def _is_content(line: str) -> bool:
    return bool(line.strip()) and not line.startswith("#")


def _encoding(content: bytes) -> str:
    """UTF-8 where the text is, else Latin-1, which makes different bytes different characters."""
    if content.isascii():
        return "utf-8"
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        warnings.warn(NOT_UTF8, UserWarning, stacklevel=2)
        return "latin-1"
    return "utf-8"


def _header(content: bytes, encoding: str) -> tuple[list[str], str, int]:
    """Names of the columns, the delimiter, and where the first row begins."""
    position = 0

    def lines() -> Iterator[str]:
        nonlocal position
        while position < len(content):
            line = _LINE.match(content, position)
            position = line.end()
            yield line.group().decode(encoding)

    header = ""
    for header in lines():
        if _is_content(header):
            break
        if _OF_ECSV.match(header):
            raise UnusableContentError(
                f"has the comment {header.strip()!r}, as ECSV has, but does not begin with "
                "'# %ECSV 1.0': its units would be lost; write it again, or remove the comment"
            )
    delimiter = delimiter_of(header)
    position -= len(header.encode(encoding))
    parser = csv.reader(lines(), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        names = next(parser, [])
    except csv.Error as error:
        raise UnusableContentError(
            f"has quotes in its header that are not closed: {error}; close or double the quote"
        ) from error
    return [name.strip() for name in names], delimiter, position


def _wanted_fields(
    body: bytes, names: list[str], delimiter: str, encoding: str, wanted: WantedColumns
) -> dict[str, pa.ChunkedArray]:
    """Text of the wanted columns (of the first, if there are none), null where a field is empty."""
    import pyarrow as pa

    keys = [str(i) for i in range(len(names))]  # names may repeat
    used = {name: key for name, key in zip(names, keys, strict=True) if name in wanted}
    used = used or dict(zip(names[:1], keys, strict=False))
    if not body.strip():
        return {name: pa.chunked_array([], pa.string()) for name in used}
    fields, n_comments = _split(body, keys, list(used.values()), delimiter, encoding)
    check_quotes(body, fields.num_rows + n_comments, delimiter, encoding)
    if n_comments:
        warnings.warn(
            f"{n_comments} lines among the rows that begin with # are taken for comments",
            UserWarning,
            stacklevel=2,
        )
    return {name: fields.column(key) for name, key in used.items()}


def _split(
    body: bytes, keys: list[str], used: list[str], delimiter: str, encoding: str
) -> tuple[pa.Table, int]:
    """Fields of some columns as text, and how many lines are comments."""
    import pyarrow as pa
    import pyarrow.csv

    n_comments = 0

    def skip_comment(row: Any) -> str:
        nonlocal n_comments
        is_comment = row.actual_columns == 1 and row.text.startswith("#")
        n_comments += is_comment
        return "skip" if is_comment else "error"

    fields = pyarrow.csv.read_csv(
        pa.BufferReader(body),
        read_options=pyarrow.csv.ReadOptions(column_names=keys, encoding=encoding),
        parse_options=pyarrow.csv.ParseOptions(
            delimiter=delimiter, newlines_in_values=True, invalid_row_handler=skip_comment
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            include_columns=used,
            column_types=dict.fromkeys(keys, pa.string()),
            null_values=list(_NULL_VALUES),
            strings_can_be_null=True,
        ),
    )
    return fields, n_comments


def _column(text: pa.ChunkedArray, is_id: bool) -> np.ndarray:
    """Numbers, truth values or text, masked where there is nothing."""
    import pyarrow as pa
    import pyarrow.compute as compute

    trimmed = compute.utf8_trim_whitespace(text)
    empty = compute.equal(trimmed, "")
    trimmed = compute.if_else(compute.fill_null(empty, True), pa.scalar(None, pa.string()), trimmed)
    values = _ids(trimmed) if is_id else _numbers(trimmed)
    mask = trimmed.is_null().to_numpy()
    if values is None:
        values = np.array(compute.fill_null(text, "").to_pylist(), dtype=str)
    return np.ma.array(values, mask=mask, copy=False) if mask.any() else values


def _ids(text: pa.ChunkedArray) -> np.ndarray | None:
    """Integers of ids, 0 where null; None where one is not spelled as integers usually are."""
    import pyarrow.compute as compute

    if _any(text, _UNUSUAL_INTEGER):
        return None
    integers = _integers(text)
    if integers is None and not text.null_count and _all(text, _WHOLE_FLOAT):
        return compute.cast(text, "float64").to_numpy()
    return integers


def _numbers(text: pa.ChunkedArray) -> np.ndarray | None:
    """Numbers or truth values of a column, 0 where null; None where it is text."""
    import pyarrow as pa
    import pyarrow.compute as compute

    integers = _integers(text)
    if integers is not None:
        return integers
    if _all(text, _INTEGER) and text.null_count < len(text):
        return None  # too many digits for any number
    try:
        return compute.fill_null(compute.cast(text, "float64"), 0.0).to_numpy()
    except pa.ArrowInvalid:
        if not _all(text, _BOOL):
            return None
        return compute.fill_null(compute.cast(text, "bool"), False).to_numpy()


def _integers(text: pa.ChunkedArray) -> np.ndarray | None:
    """Integers of 64 bits, 0 where null; None where there is something else, or nothing."""
    import pyarrow as pa
    import pyarrow.compute as compute

    if text.null_count == len(text) or _any(text, "[xX]"):  # hexadecimal numbers are text
        return None
    if _any(text, r"^\+"):
        text = compute.replace_substring_regex(text, r"^\+([0-9])", r"\1")
    for kind in ("int64", "uint64"):
        try:
            return compute.fill_null(compute.cast(text, kind), 0).to_numpy()
        except pa.ArrowInvalid:
            continue
    return None


def _all(text: pa.ChunkedArray, pattern: str) -> bool:
    """Whether all texts that there are match a pattern."""
    import pyarrow.compute as compute

    return compute.all(compute.match_substring_regex(text, pattern)).as_py() is not False


def _any(text: pa.ChunkedArray, pattern: str) -> bool:
    """Whether a text matches a pattern."""
    import pyarrow.compute as compute

    return compute.any(compute.match_substring_regex(text, pattern)).as_py() is True
