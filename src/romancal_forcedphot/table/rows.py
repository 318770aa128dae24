"""The table of a measurement: made of plain columns, and summarised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from astropy.table import Table

from .columns import Column, aperture_name
from .flags import WarningFlag

__all__ = ["count_rows", "make_table", "on_image", "typical_fractions"]


def make_table(
    columns: Sequence[Column], values: Mapping[str, np.ndarray], more: Table | None = None
) -> Table:
    """Make a table of columns in their types and units.

    Parameters
    ----------
    columns : sequence of Column
        What the columns are, in their order.
    values : mapping of str to ndarray
        Their n values by name.
    more : astropy.table.Table, optional
        Columns that follow as they are.

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
    for name in more.colnames if more is not None else ():
        table[name] = more[name]
    return table


def on_image(table: Table) -> np.ndarray:
    """Return which rows have a pixel of their aperture on the image, (n,) bool."""
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
        Rows of the catalog, and those of them that were selected; the table's if not given.

    Returns
    -------
    dict of str to int
        Rows read, selected, in the table, with a pixel of the aperture on the image, with a flag.
    """
    n_selected = len(table) if n_selected is None else n_selected
    return {
        "n_read": n_selected if n_read is None else n_read,
        "n_selected": n_selected,
        "n_rows": len(table),
        "n_on_image": int(np.count_nonzero(on_image(table))),
        "n_flagged": int(np.count_nonzero(table["warning_flags"])),
    }


def typical_fractions(
    table: Table, aperture_radii: Sequence[float], radius_unit: str = "pixel"
) -> list[float | None]:
    """Return the median over the sources of E at each radius, None where there is none."""
    names = [aperture_name(radius, radius_unit) for radius in aperture_radii]
    fractions = [np.asarray(table[f"{name}_ee_fraction"]) for name in names]
    known = [values[np.isfinite(values)] for values in fractions]
    return [float(np.median(values)) if len(values) else None for values in known]
