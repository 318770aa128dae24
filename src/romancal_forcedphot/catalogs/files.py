"""A catalog file of any supported format becomes an astropy Table.

The format is told by what the file holds, not by what it is called: a catalog keeps its meaning
under any name. Text is parsed by pyarrow, about eight times as fast as astropy's own parser for
ECSV, which takes over for the few files that pyarrow declines. What the columns mean is not known
here; see `sources`.
"""

from __future__ import annotations

import gzip
import logging
import warnings
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from astropy.table import Table
from astropy.units import UnitsWarning

from ..storage import StorageError, file_name, is_uri, open_for_reading
from .errors import CatalogError
from .hats import read_directory
from .parquet import read_parquet
from .trees import read_asdf

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

__all__ = ["read_table"]

# Below romancal's logger, whose handlers every romancal pipeline sets up.
log = logging.getLogger(f"romancal.{__name__}")

_FORMATS = "ECSV, FITS, CSV, Parquet, VOTable or ASDF"
_DELIMITERS = (",", ";", "\t")
_NULL_VALUES = ["", "null", "NULL"]
_HEAD_BYTES = 65536


def read_table(
    location: str | os.PathLike,
    is_wanted: Callable[[str], bool],
    storage_options: Mapping[str, Any] | None = None,
) -> tuple[Table, list[str]]:
    """Read a catalog file.

    Parameters
    ----------
    location : str or path-like
        An ECSV, FITS, CSV, Parquet, VOTable or ASDF file, gzipped or not, or the directory of a
        HATS catalog.
    is_wanted : callable
        Tells by a column's name whether it is needed. Only Parquet can leave the others out
        cheaply, so the table may hold more.
    storage_options : mapping, optional
        How to reach a file that is not local. See `storage.open_remote`.

    Returns
    -------
    table : astropy.table.Table
        At least the wanted columns, with their units and masks. A HATS catalog's ``meta`` names
        its columns of sky positions as ``sky_columns``.
    names : list of str
        The names of all columns of the file.

    Raises
    ------
    CatalogError
        If the file is missing, a directory, of unknown format, or cannot be read.
    """
    form = "Parquet"
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if not is_uri(location) and Path(location).expanduser().is_dir():
                table, names = read_directory(location, is_wanted)
            else:
                with open_for_reading(location, storage_options) as file:
                    head, file = _head(file)
                    form = _recognise(head, location)
                    table, names = _read(file, form, head, is_wanted)
    except (CatalogError, MemoryError):
        raise
    except StorageError as error:
        raise CatalogError(f"catalog {error}") from error
    except Exception as error:  # each reader raises what it likes on a damaged file
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CatalogError(
            f"catalog '{location}' cannot be read as {form}: {reason[:300]}; "
            f"expected a whole, valid {form} file: write it again, for example with "
            "astropy.table.Table.write"
        ) from error
    _log_warnings(caught, file_name(location))
    return table, names


def _head(file: BinaryIO) -> tuple[bytes, BinaryIO]:
    """Return the first bytes, unzipped, and the file to read (unzipping where needed)."""
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    if head.startswith(b"\x1f\x8b"):
        head = zlib.decompressobj(wbits=31).decompress(head, _HEAD_BYTES)
        file = gzip.GzipFile(fileobj=file)
    return head, file


def _recognise(head: bytes, location: str | os.PathLike) -> str:
    """Return the name of the format, told by a file's first bytes."""
    if not head:
        raise CatalogError(
            f"catalog '{location}' is empty (0 bytes): expected {_FORMATS}; "
            "a catalog without sources still needs its header"
        )
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"SIMPLE  ="):
        return "FITS"
    if head.startswith(b"PAR1"):
        return "Parquet"
    if head.startswith(b"#ASDF"):
        return "ASDF"
    if text.startswith(b"# %ECSV"):
        return "ECSV"
    if text.startswith((b"<?xml", b"<VOTABLE")) and b"VOTABLE" in text:
        return "VOTable"
    named_csv = file_name(location).lower().removesuffix(".gz").endswith(".csv")
    if b"\0" not in head and (named_csv or _delimiter(head) in _header_line(head)):
        return "CSV"
    raise CatalogError(
        f"catalog '{location}' is of unknown format (it begins with {head[:16]!r}): "
        f"expected {_FORMATS}; convert it with astropy.table.Table"
    )


def _read(
    file: BinaryIO, form: str, head: bytes, is_wanted: Callable[[str], bool]
) -> tuple[Table, list[str]]:
    if form == "Parquet":
        return read_parquet([file], is_wanted)
    if form == "ECSV":
        table = _read_ecsv(file)
    elif form == "CSV":
        table = _read_csv(file, head)
    elif form == "ASDF":
        table = read_asdf(file)
    else:
        table = Table.read(file, format=form.lower())
    return table, table.colnames


def _read_ecsv(file: BinaryIO) -> Table:
    try:
        return Table.read(file, format="ecsv", engine="pyarrow")
    except StorageError:
        raise
    except Exception:  # whatever the fast parser dislikes, the reference parser decides
        file.seek(0)
        return Table.read(file, format="ascii.ecsv")  # "ecsv" would fill up rows that are cut short


def _read_csv(file: BinaryIO, head: bytes) -> Table:
    delimiter = _delimiter(head)
    try:
        return Table.read(
            file,
            format="pyarrow.csv",
            delimiter=delimiter,
            comment="#" if head.lstrip().startswith(b"#") else None,
            null_values=_NULL_VALUES,
        )
    except StorageError:
        raise
    except Exception:  # for instance a text id after a megabyte of numbers
        file.seek(0)
        return Table.read(
            file,
            format="ascii.basic",  # "ascii.csv" would fill up rows that are cut short
            delimiter=delimiter,
            fill_values=[(value, "0") for value in _NULL_VALUES],
            guess=False,
        )


def _header_line(head: bytes) -> str:
    """Return the first line of a text that is neither blank nor a comment."""
    lines = head.decode("utf-8-sig", errors="replace").splitlines()
    return next((line for line in lines if line.strip() and not line.startswith("#")), "")


def _delimiter(head: bytes) -> str:
    return max(_DELIMITERS, key=_header_line(head).count)


def _log_warnings(caught: list[warnings.WarningMessage], name: str) -> None:
    """Log what a reader warned of; units of columns that may not even be used quietly."""
    for message in dict.fromkeys((item.category, str(item.message)) for item in caught):
        category, text = message
        level = logging.DEBUG if issubclass(category, UnitsWarning) else logging.WARNING
        log.log(level, "Catalog %s: %s", name, " ".join(text.split()))
