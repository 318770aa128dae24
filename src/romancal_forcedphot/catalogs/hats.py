"""A directory of Parquet files becomes one table: HATS catalogs, and any other split table.

HATS (https://hats.readthedocs.io) lays a catalog out by place on the sky,
``dataset/Norder=1/Dir=0/Npix=44.parquet`` (or a directory of parts in place of the file), and
tells in ``hats.properties`` which columns hold the sky positions. A collection of such catalogs
names its main one in ``collection.properties``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from astropy.table import Table

from ..storage import open_for_reading
from .errors import CatalogError
from .parquet import read_parquet

__all__ = ["read_directory"]

_SUFFIXES = (".parquet", ".parq", ".pq")


def read_directory(
    directory: str | os.PathLike, is_wanted: Callable[[str], bool]
) -> tuple[Table, list[str]]:
    """Read a catalog that is a directory of Parquet files.

    Parameters
    ----------
    directory : str or path-like
        A HATS catalog or collection, or a directory with Parquet files in it or its partitions.
    is_wanted : callable
        Tells by a column's name whether it is needed.

    Returns
    -------
    table : astropy.table.Table
        The wanted columns, the parts in the order of their names, numbers by size. If the catalog
        says which columns hold its sky positions, ``table.meta["sky_columns"]`` is their names.
    names : list of str
        The names of all columns.

    Raises
    ------
    CatalogError
        There is no Parquet file.
    """
    main = _main_catalog(Path(directory).expanduser())
    properties = _properties(main)
    sky = [properties[key] for key in ("hats_col_ra", "hats_col_dec") if properties.get(key)]
    parts = _parts(main)
    if not parts:
        raise CatalogError(
            f"catalog '{directory}' is a directory without Parquet files: expected a HATS catalog, "
            "or give the path of a file"
        )
    table, names = read_parquet(_opened(parts), lambda name: is_wanted(name) or name in sky)
    if len(sky) == 2:
        table.meta["sky_columns"] = tuple(sky)
    return table, names


def _main_catalog(directory: Path) -> Path:
    """Return the catalog that a collection is about, or the directory itself."""
    main = _read_properties(directory / "collection.properties").get("hats_primary_table_url", "")
    return directory / main


def _properties(directory: Path) -> dict[str, str]:
    """Return what a HATS catalog tells of itself."""
    names = ("properties", "hats.properties")
    return {k: v for name in names for k, v in _read_properties(directory / name).items()}


def _read_properties(path: Path) -> dict[str, str]:
    """Read lines of ``key=value``; nothing where there is no such file."""
    if not path.is_file():
        return {}
    with open_for_reading(path) as file:
        lines = file.read().decode("utf-8", errors="replace").splitlines()
    pairs = [line.partition("=") for line in lines if not line.lstrip().startswith(("#", "!"))]
    return {key.strip(): value.strip() for key, _, value in pairs}


def _parts(directory: Path) -> list[Path]:
    """List the Parquet files that hold rows; HATS keeps other tables beside them."""
    root = directory / "dataset" if (directory / "dataset").is_dir() else directory
    files = list(_files(root))
    by_place = [path for path in files if re.search(r"(^|/)Npix=\d+", path.as_posix())]
    return sorted(by_place or files, key=_natural)


def _files(directory: Path) -> Iterator[Path]:
    """Parquet files in a directory and in its partitions, ``name=value``; no other is entered."""
    for path in directory.iterdir():
        if path.is_dir():
            if "=" in path.name:
                yield from _files(path)
        elif path.suffix in _SUFFIXES and not path.name.startswith(("_", ".")):
            yield path


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key that puts ``Npix=9`` before ``Npix=10``."""
    return [
        (int(piece), "") if piece.isdigit() else (-1, piece)
        for piece in re.split(r"(\d+)", path.as_posix())
    ]


def _opened(paths: list[Path]) -> Iterator[BinaryIO]:
    for path in paths:
        with open_for_reading(path) as file:
            yield file
