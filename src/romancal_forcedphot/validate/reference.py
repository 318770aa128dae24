"""Positions, ids and fluxes of a reference catalog."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from astropy.table import Table

from ..catalogs import CatalogError, read_sources
from ..catalogs.columns import CatalogColumns, open_catalog
from ..catalogs.identifiers import to_labels
from ..catalogs.names import ID_COLUMNS, folded
from ..catalogs.selection import Selection
from ..catalogs.tables import WantedColumns
from ..table import convert_flux

__all__ = ["UNITS", "Reference", "ValidationError", "read_reference"]

#: Units of the reference's fluxes or magnitudes.
UNITS = ("maggy", "nJy", "uJy", "mJy", "Jy", "ABmag")
MAX_MAGGIES = 1e-5  # AB magnitude 12.5; in nJy it would be magnitude 43.9


class ValidationError(ValueError):
    """A product and a reference cannot be compared; the message gives the reason and a remedy."""


@dataclass(frozen=True, eq=False)
class Reference:
    """Positions or ids, and fluxes of a reference catalog; n rows.

    Attributes
    ----------
    name : str
        Name of the catalog.
    column : str
        Name of the column of fluxes or magnitudes.
    unit : str
        Its unit, and how that was determined.
    flux : (n,) ndarray of float64
        Fluxes in nJy, NaN where missing.
    ra, dec : (n,) ndarray of float64 or None
        ICRS degrees; None where ids were requested.
    label : (n,) ndarray of int or str, or None
        Ids; None where positions were requested.
    table : astropy.table.Table
        The selected rows of the catalog.
    """

    name: str
    column: str
    unit: str
    flux: np.ndarray
    ra: np.ndarray | None
    dec: np.ndarray | None
    label: np.ndarray | None
    table: Table


def read_reference(
    reference: str | os.PathLike | Table,
    *,
    column: str,
    unit: str = "",
    match: str = "position",
    label_column: str = "",
    ra_column: str = "",
    dec_column: str = "",
    select: str = "",
) -> Reference:
    """Read a reference catalog.

    Parameters
    ----------
    reference : str, path-like or astropy.table.Table
        The catalog: a file of any format that the step reads, or a table.
    column : str
        Name of the column of fluxes or magnitudes, case-insensitive.
    unit : str
        Its unit, one of `UNITS`; if empty, the column's own unit, or maggies if it has none and the
        values are as small as fluxes in maggies.
    match : {'position', 'label'}
        Whether positions or ids are needed.
    label_column, ra_column, dec_column : str
        Names of columns; recognised by their usual names if empty.
    select : str
        Condition on the columns, see `catalogs.selection.Selection`; all rows if empty.

    Returns
    -------
    Reference

    Raises
    ------
    CatalogError
        The catalog cannot be read or has no positions, or `select` is not a valid condition.
    ValidationError
        A column is missing, or its unit is unknown.
    """
    ids = [label_column] if label_column else ID_COLUMNS
    columns = open_catalog(reference, WantedColumns(ids=frozenset(map(folded, ids))))
    table, name = columns.table, columns.name
    if select.strip():
        chosen = Selection.parse(select)
        rows = chosen.rows(lambda c: table[_find_column(columns, [c], "--select")], len(table))
        columns = replace(columns, table=table[rows])
        table = columns.table
    column = _find_column(columns, [column], "--reference_column")
    flux, unit = _read_fluxes(table[column], unit, f"column {column!r} of reference {name}")
    ra = dec = label = None
    if match == "label":
        label = _read_ids(table, _find_column(columns, ids, "--label_column"), name)
    else:
        sources = read_sources(columns, ra_column=ra_column, dec_column=dec_column)
        ra, dec = sources.ra, sources.dec
        if ra is None:
            raise CatalogError(
                f"reference {name} has pixel positions only: expected ra and dec; name them with "
                "--ra_column/--dec_column, or match by ids with --match=label"
            )
    return Reference(name, column, unit, flux, ra, dec, label, table)


def _find_column(columns: CatalogColumns, wanted: Sequence[str], option: str) -> str:
    """Return the first column that has one of the names in any case."""
    name = columns.first(wanted)
    if name is None:
        raise ValidationError(
            f"reference {columns.name} has no column {' or '.join(map(repr, wanted))}: its columns "
            f"are {columns.listed}; name the one that is meant with {option}"
        )
    return name


def _read_ids(table: Table, column: str, name: str) -> np.ndarray:
    """Return the ids of a column; raise a ValidationError unless they are unique."""
    numbers, names = to_labels(table[column], f"column {column!r} of reference {name}")
    ids = numbers if names is None else names
    if len(np.unique(ids)) < len(ids):
        raise ValidationError(
            f"column {column!r} of reference {name} has the same id in several rows: expected each "
            "once; name another with --label_column, or match with --match=position"
        )
    return ids


def _read_fluxes(column, unit: str, what: str) -> tuple[np.ndarray, str]:
    """Return fluxes in nJy, and the unit of the column with how it was determined."""
    values = np.ma.filled(np.ma.asarray(getattr(column, "value", column)).astype(float), np.nan)
    own = getattr(column, "unit", None)
    if unit:
        if unit not in UNITS:
            raise ValidationError(f"reference_unit {unit!r} is unknown: use {', '.join(UNITS)}")
        return convert_flux(values, unit, "nJy"), unit
    if own is not None:
        with contextlib.suppress(ValueError):
            return convert_flux(values, own, "nJy"), f"{own}, its own unit"
    positive = values[values > 0]
    if own is None and positive.size and np.max(positive) < MAX_MAGGIES:
        return convert_flux(values, "maggy", "nJy"), "maggy, inferred from the size of the values"
    found = "no unit" if own is None else f"the unit {own}"
    raise ValidationError(
        f"{what} has {found}: expected a unit of flux density or AB magnitude; specify it with "
        f"--reference_unit, one of {', '.join(UNITS)}"
    )
