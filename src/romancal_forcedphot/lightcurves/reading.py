"""Light curves are opened: one source, all sources, all exposures, a picture."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.table import Table
from astropy.time import Time
from astropy.timeseries import TimeSeries
from astropy.units import Unit

from .collating.curves import LIGHT_CURVE
from .collating.hats import partition_path
from .dataset import Dataset, DatasetError

__all__ = ["LightCurves", "open_light_curves"]


def open_light_curves(directory: str | os.PathLike) -> LightCurves:
    """Open a directory of light curves.

    Parameters
    ----------
    directory : str or path-like
        What ``forced_phot_lightcurves run`` wrote.

    Returns
    -------
    LightCurves

    Raises
    ------
    DatasetError
        It holds no light curves.
    """
    dataset = Dataset.at(directory)
    dataset.identity()
    if not dataset.label_index.is_file():
        raise DatasetError(
            f"'{dataset.directory}' has no light curves yet: see how far it is with "
            f"forced_phot_lightcurves status {dataset.directory}"
        )
    return LightCurves(dataset)


@dataclass(frozen=True)
class LightCurves:
    """The light curves of a data set; nothing is read before it is asked for.

    Attributes
    ----------
    dataset : Dataset
        Where they are.
    """

    dataset: Dataset

    def source(self, label: int | str, *, number: int | None = None) -> TimeSeries:
        """Return the light curve of one source.

        Parameters
        ----------
        label : int or str
            Its label, or its text id.
        number : int, optional
            Which one of several sources of one label, from 0.

        Returns
        -------
        astropy.timeseries.TimeSeries
            A row per exposure in the order of time (MJD, TAI; ``mjd_tai`` is the same as a
            number), with units; ``meta`` holds what is the same for all rows: label, position, and
            the summaries of each band.

        Raises
        ------
        KeyError
            There is no such source.
        ValueError
            There are several, and no ``number`` was given.
        """
        places = self._find(label)
        if len(places) > 1 and number is None:
            raise ValueError(
                f"label {label!r} is that of {len(places)} sources: give number=0 to "
                f"{len(places) - 1}, or measure with a catalog whose labels are unique"
            )
        place = places[number or 0]
        path = self.dataset.light_curves / partition_path(place["order"], place["pixel"])
        group = pq.ParquetFile(path).read_row_group(place["row_group"])
        return _time_series(group, place["row"])

    def table(self, columns: Sequence[str] | None = None) -> Table:
        """Return a row per source: label, position, summaries; without light curves.

        Parameters
        ----------
        columns : sequence of str, optional
            Names of columns; all if not given.

        Returns
        -------
        astropy.table.Table
            In the order of the sky.
        """
        schema = self._schema
        names = [name for name in schema.names if name != LIGHT_CURVE]
        names = [name for name in names if columns is None or name in columns]
        if unknown := set(columns or ()) - set(names):
            raise KeyError(f"no columns {sorted(unknown)}: expected some of {', '.join(names)}")
        parts = [pq.ParquetFile(path).read(names) for path in self._files]
        empty = pa.schema([schema.field(name) for name in names]).empty_table()
        return _astropy_table(pa.concat_tables([empty, *parts]))

    @cached_property
    def exposures(self) -> Table:
        """A row per exposure: what it is, zero point, offsets, warnings."""
        return _astropy_table(pq.read_table(self.dataset.exposure_table))

    @property
    def bands(self) -> list[str]:
        """Names of the bands, sorted."""
        done = np.asarray(self.exposures["status"]) == "done"
        return sorted(set(np.asarray(self.exposures["band"])[done].tolist()))

    def __len__(self) -> int:
        """Return the number of sources."""
        return pq.read_metadata(self.dataset.label_index).num_rows

    def __iter__(self) -> Iterator[TimeSeries]:
        """Go through all light curves in the order of the sky, a few in memory at a time."""
        for path in self._files:
            file = pq.ParquetFile(path)
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                for row in range(len(table)):
                    yield _time_series(table, row)

    def plot(self, label: int | str, *, number: int | None = None, **options: Any) -> Any:
        """Draw the light curve of one source. See `plots.light_curve` for the options.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from .. import plots

        return plots.light_curve(self.source(label, number=number), **options)

    @cached_property
    def _schema(self) -> pa.Schema:
        return pq.read_schema(self.dataset.light_curves / "dataset" / "_common_metadata")

    @property
    def _files(self) -> list[Path]:
        lines = (self.dataset.light_curves / "partition_info.csv").read_text().split()[1:]
        pixels = [map(int, line.split(",")) for line in lines]
        return [self.dataset.light_curves / partition_path(*pixel) for pixel in pixels]

    def _find(self, label: int | str) -> list[dict[str, Any]]:
        """Where the light curves of a label or name are."""
        path = self.dataset.label_index
        name = "source_name" if isinstance(label, str) else "label"
        if name in pq.read_schema(path).names:
            value = label if isinstance(label, str) else int(label)
            found = pq.read_table(path, filters=[(name, "=", value)]).to_pylist()
            if found:
                return found
        raise KeyError(
            f"no source {label!r} in '{self.dataset.directory}': its catalog is "
            f"{self.dataset.identity().catalog['name']!r}, with {len(self)} sources"
        )


def _time_series(table: pa.Table, row: int) -> TimeSeries:
    """Light curve of one row, with its other columns as metadata."""
    curve = table[LIGHT_CURVE].slice(row, 1).combine_chunks()
    fields = list(table.schema.field(LIGHT_CURVE).type)
    lists = dict(zip([field.name for field in fields], curve.flatten(), strict=True))
    time = Time(lists["mjd_tai"].flatten().to_numpy(), format="mjd", scale="tai")
    series = TimeSeries(time=time)
    for field in fields:
        _add_column(series, field, lists[field.name].flatten())
    series["time"].info.description = series["mjd_tai"].info.description
    series.meta = {
        name: table[name][row].as_py() for name in table.column_names if name != LIGHT_CURVE
    }
    return series


def _astropy_table(table: pa.Table) -> Table:
    """Turn an Arrow table into an astropy one, with units and descriptions."""
    found = Table()
    for field, column in zip(table.schema, table.columns, strict=True):
        _add_column(found, field, column.combine_chunks())
    return found


def _add_column(table: Table, field: pa.Field, values: pa.Array) -> None:
    """Add a column to a table, with its unit and description."""
    about = field.metadata or {}
    unit = about.get(b"unit", b"").decode()
    if pa.types.is_string(values.type):
        column = np.array(values.to_pylist(), dtype=str)
    else:
        column = values.to_numpy(zero_copy_only=False)
    table[field.name] = column
    table[field.name].unit = Unit(unit) if unit else None
    table[field.name].info.description = about.get(b"description", b"").decode() or None
