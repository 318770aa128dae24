"""Reading of the table of sources in an ASDF file: Roman catalogs, our products, lone tables."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from asdf.exceptions import AsdfConversionWarning
from astropy.table import Table

from ..storage import open_asdf
from .errors import UnusableContentError
from .tables import CatalogTable, WantedColumns

__all__ = ["read_asdf"]


def read_asdf(file: BinaryIO, wanted: WantedColumns) -> CatalogTable:
    """Read ``roman.source_catalog``, or the only table at the top of the tree.

    Parameters
    ----------
    file : file object
        Binary and seekable.
    wanted : WantedColumns
        Not used: all columns are read.

    Returns
    -------
    CatalogTable
        Independent of the file.

    Raises
    ------
    UnusableContentError
        The file holds no table, several, or one with parts that asdf does not understand.
    StorageError
        The file is damaged, or refers to other files; see `storage.open_asdf`.
    """
    with open_asdf(file, validate=False) as tree:  # the table is what counts
        tables = dict(_tables(tree.tree))
        if len(tables) != 1:
            found = ", ".join(tables) or "none"
            raise UnusableContentError(
                "is no catalog: expected one table of sources, as roman.source_catalog, but found "
                f"{found}; write a file with one table"
            )
        table = next(iter(tables.values())).copy()
    return CatalogTable(table, tuple(table.colnames))


def _tables(tree: Mapping[str, Any]) -> Iterator[tuple[str, Table]]:
    """Names and tables of a Roman catalog, else of the top of a tree."""
    roman = tree.get("roman")
    if isinstance(roman, Mapping) and "source_catalog" in roman:
        names, prefix, tree = ["source_catalog"], "roman.", roman
    else:
        names, prefix = list(tree), ""
    for name in names:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            node = tree[name]
        for warning in caught:
            if isinstance(node, Table) and issubclass(warning.category, AsdfConversionWarning):
                raise UnusableContentError(
                    f"has a table with parts that are not understood ({warning.message}): it is "
                    "damaged, or of a newer kind; fetch or write it again"
                )
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
        if isinstance(node, Table):
            yield f"{prefix}{name}", node
