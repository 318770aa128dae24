"""Parquet files, whoever wrote them, become an astropy Table.

Astropy's own reader needs pandas, knows no unit that a field itself carries, as in romancal's
catalogs, and leaves pyarrow (26.0) with threads that can abort the interpreter when it ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from astropy.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["read_parquet"]


def read_parquet(
    files: Iterable[BinaryIO], is_wanted: Callable[[str], bool]
) -> tuple[Table, list[str]]:
    """Read the wanted columns of a Parquet file, or of several that hold parts of one table.

    Parameters
    ----------
    files : iterable of file objects
        At least one; each is read before the next is asked for.
    is_wanted : callable
        Tells by a column's name whether it is needed.

    Returns
    -------
    table : astropy.table.Table
        The wanted columns (all, where one is spread over several fields), parts one after another.
    names : list of str
        The names of all columns.
    """
    import pyarrow as pa

    parts = [_read_part(file, is_wanted) for file in files]
    names = list(dict.fromkeys(name for _, part_names in parts for name in part_names))
    header = _astropy_header(parts[0][0].schema.metadata or {})
    arrow = pa.concat_tables([part for part, _ in parts], promote_options="permissive")
    has_mixins = "__serialized_columns__" in header.get("meta", {})
    units = _parquet_units(arrow.schema, header.get("datatype", ()))
    columns = zip(arrow.column_names, arrow.itercolumns(), strict=True)
    table = Table({name: _from_arrow(column) for name, column in columns}, copy=False)
    for name, unit in units.items():
        table[name].unit = unit
    if has_mixins:
        table = _restore_mixins(table, header["meta"])
        names = table.colnames
    return table, names


def _read_part(file: BinaryIO, is_wanted: Callable[[str], bool]) -> tuple[Any, list[str]]:
    """Read the wanted columns of one file, and the names of all."""
    from pyarrow.parquet import ParquetFile

    source = ParquetFile(file)
    names = source.schema_arrow.names
    header = _astropy_header(source.schema_arrow.metadata or {})
    has_mixins = "__serialized_columns__" in header.get("meta", {})
    wanted = names if has_mixins else [name for name in names if is_wanted(name)]
    arrow = source.read(columns=wanted, use_threads=False)
    return arrow, names


def _astropy_header(metadata: dict[bytes, bytes]) -> dict:
    """Return astropy's description of a table from a Parquet file's metadata, or nothing."""
    from astropy.table.meta import get_header_from_yaml

    text = metadata.get(b"table_meta_yaml")
    return get_header_from_yaml(text.decode().split("\n")) if text else {}


def _parquet_units(schema, descriptions: Iterable[dict]) -> dict[str, str]:
    """Collect units by column: from astropy's description, else from the field itself."""
    units = {item["name"]: item.get("unit") for item in descriptions}
    for field in schema:
        own = (field.metadata or {}).get(b"unit", b"").decode()
        units[field.name] = units.get(field.name) or own
    return {n: u for n, u in units.items() if n in schema.names and u not in ("", "None", None)}


def _from_arrow(column) -> np.ndarray:
    """Convert an arrow column; masked where it has nulls (`to_numpy` would make them floats)."""
    import pyarrow as pa
    from astropy.io.misc.pyarrow.csv import convert_pa_array_to_numpy

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        values = column.to_pylist()
        mask = np.array([value is None for value in values], dtype=bool)
        text = np.array(["" if value is None else value for value in values], dtype=str)
        return np.ma.array(text, mask=mask) if mask.any() else text
    if column.null_count == 0 and _is_plain_number(column.type) and column.num_chunks:
        return np.concatenate([np.from_dlpack(chunk) for chunk in column.chunks])
    try:
        return convert_pa_array_to_numpy(column)
    except NotImplementedError:  # nested types with nulls
        return column.to_numpy()


def _is_plain_number(kind) -> bool:
    """Whether a type is one of numbers that NumPy knows: these need no pandas, a slow import."""
    import pyarrow as pa

    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def _restore_mixins(table: Table, meta: dict) -> Table:
    """Put SkyCoord and other mixin columns together again, as astropy's own readers do."""
    from astropy.table import serialize

    table.meta.update(meta)
    return serialize._construct_mixins_from_columns(table)
