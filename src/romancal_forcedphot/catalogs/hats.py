"""Reading of directories of Parquet files as one table: HATS catalogs, and other split tables.

HATS (https://hats.readthedocs.io) lays a catalog out by place on the sky,
``dataset/Norder=1/Dir=0/Npix=44.parquet`` (or a directory of parts in place of the file), and
tells in ``hats.properties`` which columns hold the sky positions. A collection of such catalogs
names its main one in ``collection.properties``.

No file outside the directory is read, and none twice: paths and symbolic links that lead out of the
directory or form a loop are refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from ..storage import open_for_reading
from .errors import CatalogError
from .parquet import read_parquet_parts
from .tables import CatalogTable, WantedColumns

__all__ = ["read_directory"]

_SUFFIXES = (".parquet", ".parq", ".pq")


def read_directory(directory: str | os.PathLike, wanted: WantedColumns) -> CatalogTable:
    """Read a catalog that is a directory of Parquet files.

    Parameters
    ----------
    directory : str or path-like
        A HATS catalog or collection, or a directory with Parquet files in it or its partitions.
    wanted : WantedColumns
        The columns to read.

    Returns
    -------
    CatalogTable
        The wanted columns, the parts in the order of their names, numbers by size; and which
        columns hold the sky positions, if the catalog says so.

    Raises
    ------
    CatalogError
        There is no Parquet file, or a path leads out of the directory or round in a circle.
    """
    top = Path(directory).expanduser()
    tree = _Tree(top)
    main = _main_catalog(top, tree)
    properties = _properties(main, tree)
    sky = [properties[key] for key in ("hats_col_ra", "hats_col_dec") if properties.get(key)]
    parts = _parts(main, tree)
    if not parts:
        raise CatalogError(
            f"catalog {str(directory)!r} is a directory without Parquet files: expected a HATS "
            "catalog, or give the path of a file"
        )
    read = read_parquet_parts(_opened(parts, top), wanted.including(sky))
    return replace(read, sky_columns=tuple(sky)) if len(sky) == 2 else read


class _Tree:
    """The directory that a catalog may not leave, and what was read of it.

    Parameters
    ----------
    top : pathlib.Path
        The directory.
    """

    def __init__(self, top: Path) -> None:
        self.top = top
        self._real_top = top.resolve()
        self._entered: set[Path] = set()

    def check(self, path: Path) -> Path:
        """Return a path if it lies within the directory, or raise."""
        real = Path(os.path.realpath(path))
        if not real.is_relative_to(self._real_top):
            raise CatalogError(
                f"catalog {str(self.top)!r} leads out of its directory: {str(path)!r} is "
                f"{str(real)!r}, which is not opened; copy it into the catalog, or give its own "
                "path"
            )
        return path

    def enter(self, path: Path) -> Path:
        """Return a path that is to be read, or raise where it was read before."""
        real = Path(os.path.realpath(self.check(path)))
        if real in self._entered:
            raise CatalogError(
                f"catalog {str(self.top)!r} comes to {str(real)!r} twice, the second time as "
                f"{str(path)!r}: expected no links that go round in a circle or repeat a part; "
                "remove the link"
            )
        self._entered.add(real)
        return path


def _main_catalog(directory: Path, tree: _Tree) -> Path:
    """Return the catalog that a collection is about, or the directory itself."""
    collection = _read_properties(directory / "collection.properties", tree)
    return tree.check(directory / collection.get("hats_primary_table_url", ""))


def _properties(directory: Path, tree: _Tree) -> dict[str, str]:
    """Return what a HATS catalog tells of itself."""
    names = ("properties", "hats.properties")
    return {k: v for name in names for k, v in _read_properties(directory / name, tree).items()}


def _read_properties(path: Path, tree: _Tree) -> dict[str, str]:
    """Read lines of ``key=value``; nothing where there is no such file."""
    if not path.is_file():
        return {}
    with open_for_reading(tree.check(path)) as file:
        lines = file.read().decode("utf-8", errors="replace").splitlines()
    pairs = [line.partition("=") for line in lines if not line.lstrip().startswith(("#", "!"))]
    return {key.strip(): value.strip() for key, _, value in pairs}


def _parts(directory: Path, tree: _Tree) -> list[Path]:
    """List the Parquet files that hold rows; HATS keeps other tables beside them."""
    root = directory / "dataset" if (directory / "dataset").is_dir() else directory
    files = list(_files(root, tree))
    by_place = [path for path in files if re.search(r"(^|/)Npix=\d+", path.as_posix())]
    return sorted(map(tree.enter, by_place or files), key=_natural)


def _files(directory: Path, tree: _Tree) -> Iterator[Path]:
    """Parquet files in a directory and in its partitions, ``name=value``; no other is entered."""
    for path in sorted(tree.enter(directory).iterdir()):
        if path.is_dir():
            if "=" in path.name:
                yield from _files(path, tree)
        elif path.suffix in _SUFFIXES and not path.name.startswith(("_", ".")):
            yield _regular(path, tree)


def _regular(path: Path, tree: _Tree) -> Path:
    """Return the path of a file; refuse pipes, devices and links that lead nowhere."""
    if not tree.check(path).is_file():
        raise CatalogError(
            f"catalog {str(tree.top)!r} has {str(path)!r}, which is no file: expected a Parquet "
            "file; remove it"
        )
    return path


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key that puts ``Npix=9`` before ``Npix=10``."""
    pieces = re.split(r"([0-9]+)", path.as_posix())
    return [(int(piece), "") if i % 2 else (-1, piece) for i, piece in enumerate(pieces)]


def _opened(paths: list[Path], top: Path) -> Iterator[tuple[str, BinaryIO]]:
    for path in paths:
        with open_for_reading(path) as file:
            yield str(path.relative_to(top)), file
