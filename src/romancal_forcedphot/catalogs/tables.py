"""The interface of the readers of catalog files: what they are asked for, and what they return.

Each format has a module with one function, ``read_<format>(file, wanted) -> CatalogTable``; `files`
chooses among them by what a file begins with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from astropy.table import Table

from .frames import CelestialSystem
from .names import folded

__all__ = ["CatalogTable", "WantedColumns"]


@dataclass(frozen=True)
class WantedColumns:
    """Which columns of a file are needed.

    Attributes
    ----------
    names : frozenset of str or None
        Their `folded` names; None for all columns.
    ids : frozenset of str
        Folded names of those that hold ids. A format without types, as CSV, keeps their text
        unless it is that of an integer.
    """

    names: frozenset[str] | None = None
    ids: frozenset[str] = frozenset()

    def __contains__(self, name: str) -> bool:
        """Whether the column of a name is needed."""
        return self.names is None or folded(name) in self.names

    def is_id(self, name: str) -> bool:
        """Tell whether a column holds ids.

        Parameters
        ----------
        name : str
            Its name.

        Returns
        -------
        bool
        """
        return folded(name) in self.ids

    def including(self, names: Iterable[str]) -> WantedColumns:
        """Return the same request with more columns.

        Parameters
        ----------
        names : iterable of str
            The names of columns.

        Returns
        -------
        WantedColumns
        """
        if self.names is None:
            return self
        return WantedColumns(self.names | {folded(name) for name in names}, self.ids)


@dataclass(frozen=True, eq=False)
class CatalogTable:
    """The table of a catalog file.

    Attributes
    ----------
    table : astropy.table.Table
        At least the wanted columns, with their units and masks.
    names : tuple of str
        The names of all columns of the file. A name that the file gives to several columns is
        listed as often; which of them the table holds is not defined.
    sky_columns : tuple of str
        The columns of right ascension and declination, if the file says which they are; else
        empty.
    systems : mapping of str to CelestialSystem
        The coordinate systems of columns, where the file declares them; the key '' is that of
        columns that are not mentioned. Columns without any are ICRS.
    """

    table: Table
    names: tuple[str, ...]
    sky_columns: tuple[str, ...] = ()
    systems: Mapping[str, CelestialSystem] = field(default_factory=dict)
