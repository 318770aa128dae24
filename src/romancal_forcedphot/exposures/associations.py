"""Associations: JSON files of romancal that list exposures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..storage import is_uri, open_for_reading, shown
from .errors import InputError

__all__ = ["read_association"]


def read_association(
    path: str | Path, *, storage_options: Mapping[str, Any] | None = None
) -> list[str]:
    """Read the paths of the exposures of an association.

    Parameters
    ----------
    path : str or pathlib.Path
        Path or ``s3://`` URI of a JSON file: one or more products, whose members have an
        ``expname`` and optionally an ``exptype``.
    storage_options : mapping, optional
        Options of the file system for a remote file, see `storage.open_remote`.

    Returns
    -------
    list of str
        Paths of the members of type ``science`` or without a type, without repetitions. Relative
        names are relative to the directory of the association.

    Raises
    ------
    InputError
        The file is missing or is not an association.
    """
    try:
        with open_for_reading(path, storage_options) as file:
            content = json.load(file)
        members = [member for product in content["products"] for member in product["members"]]
        names = [
            str(member["expname"])
            for member in members
            if str(member.get("exptype", "science")).lower() == "science"
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"association {shown(path)} cannot be read ({type(error).__name__}: {error}): expected "
            "JSON with products, members and expnames as asn_from_list writes it; correct it or "
            "name the images themselves"
        ) from error
    parent = str(path).rpartition("/")[0] if is_uri(path) else ""
    return [
        name if is_uri(name) else f"{parent}/{name}" if parent else str(Path(path).parent / name)
        for name in dict.fromkeys(names)
    ]
