"""A product's table as an Arrow table, for Parquet files in the layout of romancal's catalogs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from astropy.table import Column, Table

if TYPE_CHECKING:
    import pyarrow

__all__ = ["arrow_table"]


def arrow_table(table: Table, metadata: Mapping[str, str]) -> pyarrow.Table:
    """Convert an astropy table to an Arrow table.

    Each field carries its unit. Masked numbers become nulls; masked texts become empty, because
    astropy would read a null as the word None.

    Parameters
    ----------
    table : astropy.table.Table
        Columns of one dimension: numbers, texts or truth values.
    metadata : mapping of str to str
        Metadata of the file; those of the table, and the description by which
        `astropy.table.Table.read` restores it, are added.

    Returns
    -------
    pyarrow.Table
    """
    import pyarrow as pa
    from astropy.table.meta import get_yaml_from_table

    metadata = {**metadata} | {f"source_catalog.{key}": str(v) for key, v in table.meta.items()}
    metadata["table_meta_yaml"] = "\n".join(get_yaml_from_table(table))
    for column in table.itercols():
        if column.dtype.kind == "U":  # without it astropy warns, and cannot read an empty column
            metadata[f"table::len::{column.name}"] = str(column.dtype.itemsize // 4)
    arrays = [_arrow_array(column) for column in table.itercols()]
    fields = [
        pa.field(name, array.type, metadata={"unit": str(table[name].unit)})
        for name, array in zip(table.colnames, arrays, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=metadata))


def _arrow_array(column: Column) -> pyarrow.Array:
    """Convert a column."""
    import pyarrow as pa

    if column.dtype.kind == "U" and hasattr(column, "filled"):
        column = column.filled("")
    return pa.array(np.asarray(column), mask=getattr(column, "mask", None))
