"""Conversion of catalog columns that are copied into the product beside the photometry.

Readers give numbers of either byte order, quantities, bytes for text, or Python objects; the
product holds native numbers, text, and true and false, with a mask where a value is missing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from astropy import units as u
from astropy.table import Column, MaskedColumn, Table

from .errors import CatalogError
from .identifiers import texts
from .values import plain_values

__all__ = ["kept_columns"]


def kept_columns(table: Table, names: Sequence[str], shown: str) -> Table:
    """Return some columns of a catalog as plain ones.

    Parameters
    ----------
    table : astropy.table.Table
        The catalog.
    names : sequence of str
        Names of its columns; one named twice is kept once.
    shown : str
        How error messages refer to the catalog.

    Returns
    -------
    astropy.table.Table
        Columns of numbers, text or truth values, with units and descriptions; masked only where
        something is missing. What can be used as it is, is not copied.

    Raises
    ------
    CatalogError
        A column holds something else than one number or text in a row, such as lists.
    """
    plain = {name: _plain_column(table[name], name, shown) for name in dict.fromkeys(names)}
    return Table(plain, copy=False)


def _plain_column(column: object, name: str, shown: str) -> Column:
    what, expected = (
        f"{shown}: column {name!r}, named by keep_columns,",
        "one number or text in a row",
    )
    values, missing = plain_values(column, what, expected, "leave it out")
    if values.dtype.kind in "SO":
        values = texts(np.where(missing, b"" if values.dtype.kind == "S" else "", values), what)
    if values.dtype.kind not in "biufU":
        raise CatalogError(f"{what} is of type {values.dtype}: expected {expected}; leave it out")
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    unit, note = _unit(column)
    about = {"name": name, "unit": unit, "description": _description(column, note)}
    return MaskedColumn(values, mask=missing, **about) if missing.any() else Column(values, **about)


def _unit(column: object) -> tuple[u.UnitBase | None, str]:
    """Unit of a column, and what a file said where astropy knows no such unit."""
    unit = getattr(column, "unit", None)
    if unit is None or str(unit).strip().lower() in ("", "none"):
        return None, ""  # romancal's catalogs say "none"
    if isinstance(unit, u.UnrecognizedUnit):
        return None, f"[{unit}]"
    return u.Unit(unit), ""


def _description(column: object, note: str) -> str | None:
    info = getattr(column, "info", None)
    words = (getattr(info, "description", None) or "", note)
    return " ".join(word for word in words if word) or None
