"""Reading of Parquet files as an astropy Table.

Astropy's own reader needs pandas, knows no unit that a field itself carries, as in romancal's
catalogs, and leaves pyarrow (26.0) with threads that can abort the interpreter when it ends.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from astropy import units as u
from astropy.table import Table

from .errors import UnusableContentError
from .tables import CatalogTable, WantedColumns

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["read_parquet", "read_parquet_parts"]


@dataclass(frozen=True)
class _Part:
    """One file: its wanted columns, the names of all, and their units."""

    arrow: pa.Table
    names: list[str]
    units: dict[str, str]
    header: dict[str, Any]


def read_parquet(file: BinaryIO, wanted: WantedColumns) -> CatalogTable:
    """Read the wanted columns of a Parquet file.

    Parameters
    ----------
    file : file object
        Binary and seekable.
    wanted : WantedColumns
        The columns to read (all, where one is spread over several fields).

    Returns
    -------
    CatalogTable

    Raises
    ------
    Exception
        Of many types, where the file is damaged.
    """
    return read_parquet_parts([("", file)], wanted)


def read_parquet_parts(
    files: Iterable[tuple[str, BinaryIO]], wanted: WantedColumns
) -> CatalogTable:
    """Read the wanted columns of several Parquet files that hold parts of one table.

    Parameters
    ----------
    files : iterable of (str, file object)
        At least one, each with its name for errors; each is read before the next is asked for.
    wanted : WantedColumns
        The columns to read (all, where one is spread over several fields).

    Returns
    -------
    CatalogTable
        The parts one after another.

    Raises
    ------
    UnusableContentError
        A part lacks a wanted column that another has, or has it in another unit.
    Exception
        Of many types, where a file is damaged.
    """
    import pyarrow as pa

    parts: list[_Part] = []
    for name, file in files:
        parts.append(_read_part(file, wanted))
        _check_alike(parts[0], parts[-1], name)
    names = list(dict.fromkeys(name for part in parts[1:] for name in part.names))
    names = parts[0].names + [name for name in names if name not in parts[0].names]
    header, units = parts[0].header, parts[0].units
    arrow = pa.concat_tables([part.arrow for part in parts], promote_options="permissive")
    columns = zip(arrow.column_names, arrow.itercolumns(), strict=True)
    table = Table({name: _from_arrow(column) for name, column in columns}, copy=False)
    for name, unit in units.items():
        table[name].unit = unit
    if _has_mixins(header):
        table = _restore_mixins(table, header["meta"])
        names = table.colnames
    return CatalogTable(table, tuple(names))


def _read_part(file: BinaryIO, wanted: WantedColumns) -> _Part:
    """Read the wanted columns of one file, and the names of all."""
    from pyarrow.parquet import ParquetFile

    source = ParquetFile(file, page_checksum_verification=True)
    names = source.schema_arrow.names
    header = _astropy_header(source.schema_arrow.metadata or {})
    once = [name for name in names if names.count(name) == 1]
    columns = once if _has_mixins(header) else [name for name in once if name in wanted]
    arrow = source.read(columns=columns, use_threads=False).select(columns)
    return _Part(arrow, names, _units(arrow.schema, header.get("datatype", ())), header)


def _check_alike(first: _Part, part: _Part, name: str) -> None:
    """Refuse a part that has not the columns and units of the first one."""
    for column in {*first.arrow.column_names, *part.arrow.column_names}:
        if column not in first.arrow.column_names or column not in part.arrow.column_names:
            raise UnusableContentError(
                f"has a part, {name!r}, that differs from the first one: only one of the two has a "
                f"column {column!r}; leave the part out, or write it again"
            )
        units = [each.units.get(column) for each in (first, part)]
        if not _same_unit(*units):
            raise UnusableContentError(
                f"has a part, {name!r}, with the column {column!r} in the unit {units[1]}, where "
                f"the first part has {units[0]}: expected the same; write the part again"
            )


def _same_unit(first: str | None, second: str | None) -> bool:
    """Whether two units are the same; degrees need not be said."""
    units = [u.Unit(each or "deg", parse_strict="silent") for each in (first, second)]
    return first == second or units[0] == units[1]


def _astropy_header(metadata: dict[bytes, bytes]) -> dict[str, Any]:
    """Return astropy's description of a table from a Parquet file's metadata, or nothing."""
    from astropy.table.meta import get_header_from_yaml

    text = metadata.get(b"table_meta_yaml")
    return get_header_from_yaml(text.decode().split("\n")) if text else {}


def _has_mixins(header: dict[str, Any]) -> bool:
    """Whether columns are spread over several fields."""
    return "__serialized_columns__" in (header.get("meta") or {})


def _units(schema: pa.Schema, descriptions: Iterable[dict]) -> dict[str, str]:
    """Collect units by column: from astropy's description, else from the field itself."""
    units = {item["name"]: item.get("unit") for item in descriptions}
    for field in schema:
        own = (field.metadata or {}).get(b"unit", b"").decode()
        units[field.name] = units.get(field.name) or own
    return {n: u for n, u in units.items() if n in schema.names and u not in ("", "None", None)}


def _from_arrow(column: pa.ChunkedArray) -> np.ndarray:
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
    if pa.types.is_nested(column.type):
        return _objects(column.to_pylist())
    try:
        return convert_pa_array_to_numpy(column)
    except NotImplementedError:  # other types with nulls
        return column.to_numpy()


def _is_plain_number(kind: pa.DataType) -> bool:
    """Whether a type is one of numbers that NumPy knows: these need no pandas, a slow import."""
    import pyarrow as pa

    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def _objects(values: list) -> np.ndarray:
    """Return lists and such as they are, one in a row."""
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def _restore_mixins(table: Table, meta: dict[str, Any]) -> Table:
    """Put SkyCoord and other mixin columns together again, as astropy's own readers do."""
    from astropy.table import serialize

    table.meta.update(meta)
    return serialize._construct_mixins_from_columns(table)
