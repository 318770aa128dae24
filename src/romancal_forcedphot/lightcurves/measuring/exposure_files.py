"""The Parquet file that keeps one measured exposure: result and checkpoint in one.

It is readable on its own; its metadata carry the exposure's record and digests of what it was made
from, by which a later run knows it again. The rows are in the catalog's order, one for each source
that falls on the exposure. The same exposure gives the same bytes.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...table import Column
from .records import ExposureRecord, MeasuredExposure
from .rows import CONSTANT_COLUMNS, MEASURED_COLUMNS, derived_columns, exposure_columns

__all__ = ["arrow_field", "read_exposure", "read_record", "to_parquet"]

_RECORD, _MADE_FROM, _QUALITY = (
    f"forced_phot:{name}".encode() for name in ("exposure", "made_from", "quality")
)
_DAMAGE = (KeyError, TypeError, ValueError, OSError, pa.ArrowException)


def to_parquet(
    measured: MeasuredExposure,
    label: np.ndarray,
    source_name: np.ndarray | None = None,
    *,
    made_from: Mapping[str, str] | None = None,
    limit_sigma: float = 3.0,
) -> bytes:
    """Write a measured exposure as the content of a Parquet file.

    The same exposure gives the same bytes.

    Parameters
    ----------
    measured : MeasuredExposure
        What was measured.
    label : ndarray of int64
        Integer ids of all rows of the catalog.
    source_name : ndarray of str, optional
        Their text ids, where there are any.
    made_from : mapping of str to str, optional
        Digests of what it was made from, by which a later run knows it again.
    limit_sigma : float
        How many times the error the limiting magnitude is.

    Returns
    -------
    bytes
    """
    rows = measured.catalog_row
    values: dict[str, Any] = {"catalog_row": rows, "label": label[rows]}
    if source_name is not None:
        values["source_name"] = source_name[rows]
    values |= {column.name: getattr(measured.record, column.name) for column in CONSTANT_COLUMNS}
    values |= {column.name: np.nan for column in MEASURED_COLUMNS} | dict(measured.columns)
    values |= derived_columns(values["flux"], values["flux_err"], limit_sigma=limit_sigma)
    columns = exposure_columns(measured.quality, source_names=source_name is not None)
    metadata = {
        _RECORD: measured.record.as_json(),
        _MADE_FROM: json.dumps(dict(made_from or {}), sort_keys=True),
        _QUALITY: json.dumps([asdict(column) for column in measured.quality]),
    }
    arrays = [_arrow_array(column, values[column.name], len(rows)) for column in columns]
    schema = pa.schema(
        [arrow_field(column, array.type) for column, array in zip(columns, arrays, strict=True)],
        metadata=metadata,
    )
    table = pa.Table.from_arrays(arrays, schema=schema)
    texts = [column.name for column in columns if column.dtype == "str"]
    sink = io.BytesIO()
    pq.write_table(
        table,
        sink,
        compression="zstd",
        use_dictionary=[*texts, "mjd_tai", "exptime"],
        write_page_checksum=True,
    )
    return sink.getvalue()


def read_record(file: BinaryIO | str | os.PathLike) -> tuple[ExposureRecord, dict[str, str]]:
    """Read what a file tells of its exposure, without its rows.

    Parameters
    ----------
    file : file object or path
        As `to_parquet` writes it.

    Returns
    -------
    record : ExposureRecord
    made_from : dict of str to str
        Digests of what it was made from.

    Raises
    ------
    ValueError
        It is something else, or damaged.
    """
    try:
        metadata = pq.read_metadata(file).metadata or {}
        record = ExposureRecord.from_json(metadata[_RECORD])
        return record, json.loads(metadata[_MADE_FROM])
    except _DAMAGE as error:
        raise ValueError(
            f"'{file}' is not the measurement of an exposure ({type(error).__name__}: {error})"
        ) from error


def read_exposure(
    file: BinaryIO | str | os.PathLike, columns: Sequence[str] | None = None
) -> MeasuredExposure:
    """Read a measured exposure.

    Parameters
    ----------
    file : file object or path
        As `to_parquet` writes it.
    columns : sequence of str, optional
        Names of measured and quality columns to read besides flux, error and flags; all if not
        given.

    Returns
    -------
    MeasuredExposure

    Raises
    ------
    ValueError
        It is something else, or damaged.
    """
    try:
        source = pq.ParquetFile(file, page_checksum_verification=True)
        metadata = source.metadata.metadata or {}
        record = ExposureRecord.from_json(metadata[_RECORD])
        quality = [Column(**values) for values in json.loads(metadata[_QUALITY])]
        needed = {"flux", "flux_err", "warning_flags"}
        if columns is not None:
            quality = [column for column in quality if column.name in columns]
        names = [column.name for column in (*MEASURED_COLUMNS, *quality)]
        names = [name for name in names if columns is None or name in needed.union(columns)]
        table = source.read(["catalog_row", *names])
        values = {name: table[name].to_numpy() for name in table.column_names}
    except _DAMAGE as error:
        raise ValueError(
            f"'{file}' is not the measurement of an exposure ({type(error).__name__}: {error}): "
            "remove it and run again"
        ) from error
    return MeasuredExposure(record, values.pop("catalog_row"), values, tuple(quality))


def arrow_field(column: Column, kind: pa.DataType) -> pa.Field:
    """Return the Arrow field of a column, with unit and description."""
    return pa.field(
        column.name, kind, metadata={"unit": column.unit, "description": column.description}
    )


def _arrow_array(column: Column, values: Any, n_rows: int) -> pa.Array:
    """Return a column, or one value for all rows, as Arrow."""
    if column.dtype == "str":
        if isinstance(values, str):
            indices = pa.array(np.zeros(n_rows, dtype=np.int32))
            return pa.DictionaryArray.from_arrays(indices, pa.array([values], pa.string()))
        return pa.array(np.asarray(values).astype(object), pa.string())
    return pa.array(np.ascontiguousarray(np.broadcast_to(values, n_rows), dtype=column.dtype))
