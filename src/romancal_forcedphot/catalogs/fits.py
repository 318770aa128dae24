"""Reading of the first table of a FITS file as an astropy Table."""

from __future__ import annotations

import io
import warnings
from typing import BinaryIO

from astropy.io import fits
from astropy.table import Table

from .errors import UnusableContentError
from .tables import CatalogTable, WantedColumns

__all__ = ["read_fits"]

_BLOCK_BYTES = 2880


def read_fits(file: BinaryIO, wanted: WantedColumns) -> CatalogTable:
    """Read the first table of a FITS file.

    Parameters
    ----------
    file : file object
        Binary and seekable.
    wanted : WantedColumns
        Not used: all columns are read.

    Returns
    -------
    CatalogTable

    Raises
    ------
    UnusableContentError
        Two columns have the same name.
    Exception
        Of many types, where the file holds no table, is damaged, or breaks its own checksums.
    """
    _check_size(file)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="(Checksum|Datasum) verification failed")
        with fits.open(file, memmap=False, checksum=True, character_as_bytes=True) as hdus:
            _check_names(hdus)
            table = Table.read(hdus, format="fits")
    return CatalogTable(table, tuple(table.colnames))


def _check_size(file: BinaryIO) -> None:
    """Refuse what is no whole number of blocks: bytes are missing, or too many, anywhere in it."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if size % _BLOCK_BYTES:
        raise ValueError(
            f"it has {size} bytes, which is no multiple of {_BLOCK_BYTES}: some are missing or too "
            "many"
        )


def _check_names(hdus: fits.HDUList) -> None:
    """Refuse a table two columns of which have the same name."""
    table = next((hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU | fits.TableHDU)), None)
    if table is None:
        return
    names = [table.header.get(f"TTYPE{i + 1}") for i in range(table.header.get("TFIELDS", 0))]
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    if repeated:
        raise UnusableContentError(
            f"has several columns called {', '.join(map(repr, repeated))}: expected one; give each "
            "column a name of its own"
        )
