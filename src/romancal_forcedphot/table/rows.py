"""Making and summarising the table of a measurement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from astropy.table import Table

from .flags import WarningFlag
from .method_columns import Column

__all__ = ["count_rows", "make_table", "median_ee_fractions", "on_image"]


def make_table(
    columns: Sequence[Column],
    values: Mapping[str, np.ndarray],
    catalog_columns: Table | None = None,
) -> Table:
    """Make a table with the types, units and descriptions of column definitions.

    Parameters
    ----------
    columns : sequence of Column
        Definitions of the columns, in their order.
    values : mapping of str to (n,) ndarray
        Values of each column by name, in the column's unit.
    catalog_columns : astropy.table.Table, optional
        Columns of the catalog, n rows, appended unchanged.

    Returns
    -------
    astropy.table.Table
        n rows.
    """
    table = Table()
    for column in columns:
        dtype = None if column.dtype == "str" else column.dtype
        table[column.name] = np.asarray(values[column.name], dtype=dtype)
        table[column.name].unit = column.unit or None
        table[column.name].description = column.description
    for name in catalog_columns.colnames if catalog_columns is not None else ():
        table[name] = catalog_columns[name]
    return table


def on_image(table: Table) -> np.ndarray:
    """Return which rows have a pixel of their aperture on the image.

    Parameters
    ----------
    table : astropy.table.Table
        With the column ``warning_flags``, n rows.

    Returns
    -------
    (n,) ndarray of bool
        False where `WarningFlag.NOT_PLACED` is set.
    """
    return (np.asarray(table["warning_flags"]) & WarningFlag.NOT_PLACED) == 0


def count_rows(
    table: Table, n_read: int | None = None, n_selected: int | None = None
) -> dict[str, int]:
    """Count rows, for the log and ``meta.forced_phot.catalog``.

    Parameters
    ----------
    table : astropy.table.Table
        The product's table.
    n_read, n_selected : int, optional
        Number of rows of the catalog, and of those selected from it; by default that of the table.

    Returns
    -------
    dict of str to int
        ``n_read``, ``n_selected``, ``n_rows`` (in the table), ``n_on_image`` (with a pixel of the
        aperture on the image) and ``n_flagged`` (with any flag).
    """
    n_selected = len(table) if n_selected is None else n_selected
    return {
        "n_read": n_selected if n_read is None else n_read,
        "n_selected": n_selected,
        "n_rows": len(table),
        "n_on_image": int(np.count_nonzero(on_image(table))),
        "n_flagged": int(np.count_nonzero(table["warning_flags"])),
    }


def median_ee_fractions(table: Table, apertures: Sequence[str]) -> list[float | None]:
    """Return the median encircled-energy fraction of the sources for each aperture.

    Parameters
    ----------
    table : astropy.table.Table
        The product's table.
    apertures : sequence of str
        Names of the apertures, see `aperture_name`.

    Returns
    -------
    list of float or None
        One per aperture; None where no source has a finite fraction.
    """
    fractions = [np.asarray(table[f"{name}_ee_fraction"]) for name in apertures]
    known = [values[np.isfinite(values)] for values in fractions]
    return [float(np.median(values)) if len(values) else None for values in known]
