"""What a reference catalog says: where its sources are, their ids and how bright they are."""

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

#: Units of brightness that the command takes.
UNITS = ("maggy", "nJy", "uJy", "mJy", "Jy", "ABmag")
LARGEST_MAGGIES = 1e-5  # magnitude 12.5; 1e-5 nJy would be magnitude 43.9


class ValidationError(ValueError):
    """A product and a reference cannot be compared; the message says why and what to do."""


@dataclass(frozen=True, eq=False)
class Reference:
    """Positions, names and fluxes of a reference catalog; n rows.

    Attributes
    ----------
    name : str
        The catalog's name.
    column, unit : str
        Where the fluxes come from and in which unit they were, with a word on how that was known.
    flux : ndarray (n,)
        nJy, NaN where there is none.
    ra, dec : ndarray (n,) or None
        Degrees; None where names were asked for.
    label : ndarray (n,) or None
        Integer ids, or text ids; None where positions were asked for.
    table : astropy.table.Table
        The catalog's selected rows.
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
        Name of the column of fluxes or magnitudes, in any case.
    unit : str
        One of `UNITS`; '' takes the column's own unit, or recognises maggies by their size.
    match : {'position', 'label'}
        Whether positions or ids are needed.
    label_column, ra_column, dec_column : str
        Names of columns; the usual ones if empty.
    select : str
        Condition on the columns, see `catalogs.selection.Selection`; all rows if empty.

    Returns
    -------
    Reference

    Raises
    ------
    CatalogError
        The catalog cannot be read or has no positions, or `select` is no condition.
    ValidationError
        A column is missing, or its unit is unknown.
    """
    ids = [label_column] if label_column else ID_COLUMNS
    columns = open_catalog(reference, WantedColumns(ids=frozenset(map(folded, ids))))
    table, name = columns.table, columns.name
    if select.strip():
        chosen = Selection.parse(select)
        rows = chosen.rows(lambda c: table[_find(columns, [c], "--select")], len(table))
        columns = replace(columns, table=table[rows])
        table = columns.table
    column = _find(columns, [column], "--reference_column")
    flux, unit = _fluxes(table[column], unit, f"column {column!r} of reference {name}")
    ra = dec = label = None
    if match == "label":
        label = _ids(table, _find(columns, ids, "--label_column"), name)
    else:
        sources = read_sources(columns, ra_column=ra_column, dec_column=dec_column)
        ra, dec = sources.ra, sources.dec
        if ra is None:
            raise CatalogError(
                f"reference {name} has pixel positions only: expected ra and dec; name them with "
                "--ra_column/--dec_column, or match by ids with --match=label"
            )
    return Reference(name, column, unit, flux, ra, dec, label, table)


def _find(columns: CatalogColumns, wanted: Sequence[str], option: str) -> str:
    """Return the first column that has one of the names in any case."""
    name = columns.first(wanted)
    if name is None:
        raise ValidationError(
            f"reference {columns.name} has no column {' or '.join(map(repr, wanted))}: its columns "
            f"are {columns.listed}; name the one that is meant with {option}"
        )
    return name


def _ids(table: Table, column: str, name: str) -> np.ndarray:
    """Return ids, each of them once."""
    numbers, names = to_labels(table[column], f"column {column!r} of reference {name}")
    ids = numbers if names is None else names
    if len(np.unique(ids)) < len(ids):
        raise ValidationError(
            f"column {column!r} of reference {name} has the same id in several rows: expected each "
            "once; name another with --label_column, or match with --match=position"
        )
    return ids


def _fluxes(column, unit: str, what: str) -> tuple[np.ndarray, str]:
    """Return fluxes in nJy, and the unit they were in."""
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
    if own is None and positive.size and np.max(positive) < LARGEST_MAGGIES:
        return convert_flux(values, "maggy", "nJy"), "maggy, told by the size of the numbers"
    found = "no unit" if own is None else f"the unit {own}"
    raise ValidationError(
        f"{what} has {found}: expected one that tells a flux density or an AB magnitude; say which "
        f"with --reference_unit, one of {', '.join(UNITS)}"
    )
