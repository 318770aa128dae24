"""Which exposures are meant: files, globs, URIs, associations, lists; and by which names."""

from __future__ import annotations

import glob
import hashlib
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...exposures import read_association
from ...storage import file_name, is_uri, open_for_reading
from ..dataset import Requested

__all__ = ["exposure_name", "find_exposures", "name_exposures"]

log = logging.getLogger(f"romancal.{__name__}")


def find_exposures(
    given: str | os.PathLike | Iterable[str | os.PathLike],
    storage_options: Mapping[str, Any] | None = None,
) -> list[str]:
    """Find the images that are meant.

    Parameters
    ----------
    given : str, path-like, or iterable of them
        Paths, ``s3://`` URIs, globs, associations (``.json``), and ``@list.txt``: a file with one
        of these a line, where ``#`` begins a comment. Relative paths start at the working
        directory; those of an association at its own.
    storage_options : mapping, optional
        How to reach what is not local. See `storage.open_remote`.

    Returns
    -------
    list of str
        Each location once, in their order; local paths are absolute.

    Raises
    ------
    ValueError
        Nothing is meant, or an association or a list cannot be read.
    """
    items = [given] if isinstance(given, str | os.PathLike) else given
    found = [place for item in items for place in _expand(os.fspath(item), storage_options)]
    if not found:
        raise ValueError(
            "there is no exposure to measure: expected paths of Level-2 images, globs in quotes, "
            "s3:// URIs, associations or @list.txt; name at least one that exists"
        )
    return list(dict.fromkeys(found))


def exposure_name(location: str | os.PathLike) -> str:
    """Return the name of an exposure: its file's, without ``_cal.asdf``."""
    return file_name(location).removesuffix(".asdf").removesuffix("_cal")


def name_exposures(locations: Sequence[str]) -> tuple[list[Requested], dict[Requested, str]]:
    """Name exposures; of several of one name only the first can be measured.

    Parameters
    ----------
    locations : sequence of str
        Paths and URIs.

    Returns
    -------
    exposures : list of Requested
        Those to be measured.
    refused : dict of Requested to str
        The others, under names of their own, and why.
    """
    known: dict[str, Requested] = {}
    refused: dict[Requested, str] = {}
    for location in locations:
        name = exposure_name(location)
        exposure = known.setdefault(name, Requested(name, location))
        if exposure.location != location:
            mark = hashlib.sha256(location.encode()).hexdigest()[:8]
            refused[Requested(f"{name}@{mark}", location)] = (
                f"its name is that of {exposure.location}, which is measured: rename one of them "
                "or measure it into another directory"
            )
    return list(known.values()), refused


def _expand(item: str, storage_options: Mapping[str, Any] | None) -> Iterator[str]:
    """Locations of images that one argument means."""
    if item.startswith("@"):
        with open_for_reading(item[1:], storage_options) as file:
            lines = file.read().decode().splitlines()
        for line in (line.partition("#")[0].strip() for line in lines):
            if line:
                yield from _expand(line, storage_options)
    elif is_uri(item):
        yield from (
            read_association(item, storage_options=storage_options)
            if _is_association(item)
            else [item]
        )
    else:
        yield from map(_absolute, _expand_local(os.path.expanduser(item)))


def _expand_local(path: str) -> list[str]:
    """Local paths that one argument means; one that matches nothing is told and left out."""
    if _is_association(path):
        return [str(member) for member in read_association(path)]
    if Path(path).exists() or not glob.has_magic(path):
        return [path]
    matches = sorted(glob.glob(path))
    if not matches:
        log.warning("No file matches %s", path)
    return matches


def _is_association(location: str) -> bool:
    return location.lower().endswith(".json")


def _absolute(path: str) -> str:
    return path if is_uri(path) else os.path.abspath(path)
