"""An open catalog: its table, look-up of its columns by name, and how messages refer to it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from astropy.coordinates import SkyCoord
from astropy.table import QTable, Table

from ..storage import file_name, shown
from .errors import CatalogError
from .files import read_table
from .frames import CelestialSystem
from .names import folded
from .tables import WantedColumns

__all__ = ["CatalogColumns", "open_catalog"]

_N_LISTED = 40


@dataclass(frozen=True, eq=False)
class CatalogColumns:
    """An open catalog, whose columns can be looked up by name.

    Attributes
    ----------
    table : astropy.table.Table
        The columns.
    names : tuple of str
        The names of all columns of the catalog, some of which the table may lack.
    name : str
        The catalog's name, for the log and the metadata.
    shown : str
        How error messages refer to the catalog.
    sky_columns : tuple of str
        The columns of sky positions, if the catalog says which they are; else empty.
    systems : mapping of str to CelestialSystem
        The coordinate systems of columns; see `CatalogTable`.
    """

    table: Table
    names: tuple[str, ...]
    name: str
    shown: str
    sky_columns: tuple[str, ...] = ()
    systems: Mapping[str, CelestialSystem] = field(default_factory=dict)

    def first(self, usual: Sequence[str]) -> str | None:
        """Return the first column that has one of several names.

        Parameters
        ----------
        usual : sequence of str
            Names in any case, the best first.

        Returns
        -------
        str or None
            The column's name as it is spelled in the table.

        Raises
        ------
        CatalogError
            Several columns have the first of these names that there is.
        """
        return next((name for name in map(self._match, usual) if name is not None), None)

    def find(self, wanted: str, parameter: str) -> str:
        """Return the column that the user named.

        Parameters
        ----------
        wanted : str
            Name in any case.
        parameter : str
            The parameter that names it, for the error.

        Returns
        -------
        str
            The column's name as it is spelled in the table.

        Raises
        ------
        CatalogError
            There is no such column, or there are several.
        """
        name = self._match(wanted)
        if name is None:
            hint = f"; text goes in quotes, '{wanted}'" if parameter == "select" else ""
            raise CatalogError(
                f"{self.shown} has no column {wanted!r}, named by {parameter}: "
                f"expected one of its columns, {self.listed}{hint}; correct --{parameter}"
            )
        return name

    def get(self, name: str) -> tuple[Any, str]:
        """Return a column.

        Parameters
        ----------
        name : str
            Its name as it is spelled in the table.

        Returns
        -------
        column : astropy.table.Column or mixin column
            The column.
        what : str
            How error messages refer to the column.
        """
        return self.table[name], f"{self.shown}: column {name!r}"

    def skycoords(self) -> list[str]:
        """Return the names of the columns of coordinate objects.

        Returns
        -------
        list of str
        """
        return [n for n in self.table.colnames if isinstance(self.table[n], SkyCoord)]

    def system(self, name: str) -> CelestialSystem | None:
        """Return the coordinate system that the file declares for a column.

        Parameters
        ----------
        name : str
            The column's name as it is spelled in the table.

        Returns
        -------
        CelestialSystem or None
            None where the file declares none.
        """
        return self.systems.get(name, self.systems.get(""))

    @property
    def listed(self) -> str:
        """The names of the columns, the first 40 of them."""
        listed = " ".join(", ".join(self.names[:_N_LISTED]).split()) or "none at all"
        n_more = len(self.names) - _N_LISTED
        return listed + (f", and {n_more} more" if n_more > 0 else "")

    @cached_property
    def _by_folded_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name in self.names:
            found.setdefault(folded(name), []).append(name)
        return found

    def _match(self, wanted: str) -> str | None:
        """Return the column of a name, None where there is none; raise where there are several."""
        alike = self._by_folded_name.get(folded(wanted), [])
        exact = [name for name in alike if name == wanted]
        candidates = exact or alike
        if len(candidates) > 1:
            found = " and ".join(map(repr, candidates))
            raise CatalogError(
                f"{self.shown} has {len(candidates)} columns that {wanted!r} may mean, {found}: "
                "expected one; give each column a name of its own"
            )
        return candidates[0] if candidates else None


def open_catalog(
    catalog: object,
    wanted: WantedColumns,
    storage_options: Mapping[str, Any] | None = None,
) -> CatalogColumns:
    """Open a catalog of any kind.

    Parameters
    ----------
    catalog : str, path-like, Table, SkyCoord, model or CatalogColumns
        A file or directory that `read_table` reads, or a catalog in memory: a table, alone or as
        ``source_catalog`` of a data model, or coordinate objects. An open one is returned as it
        is.
    wanted : WantedColumns
        The columns that are needed of a file.
    storage_options : mapping, optional
        How to reach a file that is not local. See `storage.open_remote`.

    Returns
    -------
    CatalogColumns

    Raises
    ------
    CatalogError
        The catalog cannot be read, or is something else.
    """
    if isinstance(catalog, CatalogColumns):
        return catalog
    if isinstance(catalog, SkyCoord):
        table = QTable([catalog.ravel()], names=["skycoord"])
        return CatalogColumns(table, ("skycoord",), "SkyCoord", "the catalog (a SkyCoord)")
    if isinstance(catalog, Table):
        name = str(catalog.meta.get("name") or "table in memory")
        return _of_table(catalog, name, "an astropy Table")
    if not isinstance(catalog, str | os.PathLike):
        return _of_model(catalog)
    if not os.fspath(catalog).strip():
        raise CatalogError("catalog is empty: expected a path; give it with --catalog=FILE")
    read = read_table(catalog, wanted, storage_options)
    words = f"catalog {shown(catalog)}"
    return CatalogColumns(
        read.table, read.names, file_name(catalog), words, read.sky_columns, read.systems
    )


def _of_table(table: Table, name: str, kind: str) -> CatalogColumns:
    return CatalogColumns(table, tuple(table.colnames), name, f"the catalog ({kind})")


def _of_model(model: object) -> CatalogColumns:
    """Return the table of a catalog model, such as roman_datamodels' ImageSourceCatalogModel."""
    table, kind = getattr(model, "source_catalog", None), type(model).__name__
    if not isinstance(table, Table):
        raise CatalogError(
            f"catalog is a {kind}: expected the path of a file, an astropy Table, a SkyCoord or a "
            "Roman catalog model, which has a table as its source_catalog"
        )
    name = str(getattr(getattr(model, "meta", None), "filename", kind))
    return _of_table(table, name, f"a {kind}")
