"""Reading of catalog files of any supported format as an astropy Table.

The format is recognised from the content of the file, not from its name. Each format has a reader
in a module of its own; `sources` interprets the columns.
"""

from __future__ import annotations

import errno
import gzip
import io
import logging
import os
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from xml.parsers.expat import ExpatError

from astropy.units import UnitsWarning

from ..storage import StorageError, file_name, is_uri, open_for_reading, shown
from .delimited import delimiter_of, header_line, read_csv, without_bom
from .ecsv import read_ecsv
from .errors import CatalogError, UnusableContentError
from .fits import read_fits
from .hats import read_directory
from .parquet import read_parquet
from .tables import CatalogTable, WantedColumns
from .trees import read_asdf
from .votable import read_votable

__all__ = ["read_table"]

# Below romancal's logger, whose handlers every romancal pipeline sets up.
log = logging.getLogger(f"romancal.{__name__}")

_READERS: dict[str, Callable[[BinaryIO, WantedColumns], CatalogTable]] = {
    "ECSV": read_ecsv,
    "FITS": read_fits,
    "CSV": read_csv,
    "Parquet": read_parquet,
    "VOTable": read_votable,
    "ASDF": read_asdf,
}
_FORMATS = "ECSV, FITS, CSV, Parquet, VOTable or ASDF"
_HEAD_BYTES = 65536
_SPEAKING = (ValueError, OSError, EOFError, ImportError, NotImplementedError, Warning, ExpatError)
"""Errors of readers that say what is wrong with a file; others tell of the reader's own code."""
_GZIP = b"\x1f\x8b"


def read_table(
    location: str | os.PathLike,
    wanted: WantedColumns,
    storage_options: Mapping[str, Any] | None = None,
) -> CatalogTable:
    """Read a catalog file.

    Parameters
    ----------
    location : str or path-like
        An ECSV, FITS, CSV, Parquet, VOTable or ASDF file, gzipped or not, or the directory of a
        HATS catalog.
    wanted : WantedColumns
        The columns that are needed; the table may hold more.
    storage_options : mapping, optional
        How to reach a file that is not local. See `storage.open_remote`.

    Returns
    -------
    CatalogTable

    Raises
    ------
    CatalogError
        If the file is missing, a directory, of unknown format, or cannot be read; the message
        names the file and what to do.
    """
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if not is_uri(location) and Path(location).expanduser().is_dir():
                with _named(location, "Parquet"):
                    read = read_directory(location, wanted)
            else:
                with open_for_reading(location, storage_options) as file:
                    read = _read_file(file, location, wanted)
    except StorageError as error:
        raise CatalogError(f"catalog {error}") from error
    _log_warnings(caught, file_name(location))
    return read


def _read_file(file: BinaryIO, location: str | os.PathLike, wanted: WantedColumns) -> CatalogTable:
    """Read an open file of any format."""
    with _named(location, "gzip"):
        file = _unzipped(file)
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    form = _recognise(head, location)
    with _named(location, form):
        return _READERS[form](file, wanted)


@contextmanager
def _named(location: str | os.PathLike, form: str) -> Iterator[None]:
    """Turn whatever a reader raises into a CatalogError that names the file and its format."""
    where = f"catalog {shown(location)}"
    try:
        yield
    except (CatalogError, StorageError):
        raise
    except UnusableContentError as error:
        raise CatalogError(f"{where} {error}") from error
    except MemoryError as error:
        raise CatalogError(
            f"{where} does not fit into memory as {form}: it is damaged, or too large for this "
            "machine; write it again, with fewer columns or rows"
        ) from error
    except Exception as error:  # each reader raises what it likes on a damaged file
        kind = type(error).__name__
        speaks = isinstance(error, _SPEAKING) and getattr(error, "errno", None) != errno.EINVAL
        reason = " ".join(str(error).split()) if speaks else f"{kind} in it"
        raise CatalogError(
            f"{where} cannot be read as {form}: {(reason or kind)[:300]}; expected a whole, valid "
            f"{form} file: write it again, for example with astropy.table.Table.write"
        ) from error


def _unzipped(file: BinaryIO) -> BinaryIO:
    """Return the file to read: unzipped, with its checksum compared, if it is gzipped."""
    start = file.read(len(_GZIP))
    file.seek(0)
    if start != _GZIP:
        return file
    try:
        with gzip.GzipFile(fileobj=file) as zipped:
            return io.BytesIO(zipped.read())
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"it is damaged or cut short ({error})") from error


def _recognise(head: bytes, location: str | os.PathLike) -> str:
    """Return the name of the format, told by a file's first bytes."""
    text = without_bom(head).lstrip()
    if not text:
        size = "0 bytes" if not head else "nothing but blanks"
        raise CatalogError(
            f"catalog {shown(location)} is empty ({size}): expected {_FORMATS}; "
            "a catalog without sources still needs its header"
        )
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
    header = header_line(head)
    if b"\0" not in head and (named_csv or delimiter_of(header) in header):
        return "CSV"
    raise CatalogError(
        f"catalog {shown(location)} is of unknown format (it begins with {head[:16]!r}): "
        f"expected {_FORMATS}; convert it with astropy.table.Table"
    )


def _log_warnings(caught: list[warnings.WarningMessage], name: str) -> None:
    """Log what a reader warned of; units of columns that may not even be used quietly."""
    for message in dict.fromkeys((item.category, str(item.message)) for item in caught):
        category, text = message
        level = logging.DEBUG if issubclass(category, UnitsWarning) else logging.WARNING
        log.log(level, "Catalog %s: %s", name, " ".join(text.split()))
