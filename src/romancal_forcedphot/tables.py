"""The table of a measurement: made of plain columns, and asked which rows lie on the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from astropy.table import Table

from .columns import Column, WarningFlag

__all__ = ["make_table", "on_image"]


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
