"""The layout of a HATS catalog (https://hats.readthedocs.io), written with pyarrow alone.

hats.properties                              what the catalog is
partition_info.csv                           its HEALPix pixels
dataset/_common_metadata                     its schema
dataset/Norder=1/Dir=0/Npix=44.parquet       the sources of a pixel
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from .partitioning import INDEX_ORDER, Partition

__all__ = ["INDEX_COLUMN", "PartitionFile", "partition_path", "write_metadata"]

INDEX_COLUMN = f"_healpix_{INDEX_ORDER}"
_FILES_PER_DIRECTORY = 10_000


def partition_path(order: int, pixel: int) -> str:
    """Return the path of a partition's file within the catalog."""
    directory = pixel // _FILES_PER_DIRECTORY * _FILES_PER_DIRECTORY
    return f"dataset/Norder={order}/Dir={directory}/Npix={pixel}.parquet"


class PartitionFile:
    """The file of one partition, written piece by piece; to be used as a context.

    Parameters
    ----------
    directory : pathlib.Path
        The catalog's.
    partition : Partition
        Which one.
    schema : pyarrow.Schema
        Of its rows.
    dictionary : sequence of str
        Paths of columns of few different values.
    """

    def __init__(
        self, directory: Path, partition: Partition, schema: pa.Schema, dictionary: Sequence[str]
    ) -> None:
        path = directory / partition_path(partition.order, partition.pixel)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = pq.ParquetWriter(
            path,
            schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=list(dictionary),
            write_statistics=[INDEX_COLUMN, "label", "ra", "dec"],
        )
        self.n_row_groups = 0

    def __enter__(self) -> PartitionFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def write(self, table: pa.Table, sources_per_group: int) -> None:
        """Write rows in row groups of their own."""
        self._writer.write_table(table, row_group_size=sources_per_group)
        self.n_row_groups += -(-len(table) // sources_per_group)


def write_metadata(
    directory: Path,
    schema: pa.Schema,
    partitions: Sequence[Partition],
    *,
    name: str,
    n_sources: int,
    more: Mapping[str, str],
) -> None:
    """Write what a HATS catalog tells of itself.

    Parameters
    ----------
    directory : pathlib.Path
        The catalog's.
    schema : pyarrow.Schema
        Of its rows.
    partitions : sequence of Partition
        Its partitions.
    name : str
        Its name.
    n_sources : int
        Its number of rows.
    more : mapping of str to str
        More properties.
    """
    (directory / "dataset").mkdir(exist_ok=True)
    pq.write_metadata(schema, directory / "dataset" / "_common_metadata")
    lines = ["Norder,Npix", *(f"{part.order},{part.pixel}" for part in partitions)]
    (directory / "partition_info.csv").write_text("\n".join(lines) + "\n")
    area = sum(1 / (12 * 4**part.order) for part in partitions)
    properties = {
        "obs_collection": name,
        "dataproduct_type": "object",
        "hats_nrows": n_sources,
        "hats_col_ra": "ra",
        "hats_col_dec": "dec",
        "hats_col_healpix": INDEX_COLUMN,
        "hats_col_healpix_order": INDEX_ORDER,
        "hats_order": max((part.order for part in partitions), default=0),
        "hats_npix_suffix": ".parquet",
        "hats_version": "v1.0",
        "hats_frame": "icrs",
        "moc_sky_fraction": f"{area:.6g}",
        **more,
    }
    lines = ["#HATS catalog", *(f"{key}={value}" for key, value in properties.items())]
    (directory / "hats.properties").write_text("\n".join(lines) + "\n")
