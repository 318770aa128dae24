"""Associations: the exposures that a JSON file of romancal names."""

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
    """Read the paths of an association's exposures.

    Parameters
    ----------
    path : str or pathlib.Path
        Association in JSON: members with an ``expname`` and, optionally, an ``exptype``, in one
        or more products. May be an ``s3://`` URI.
    storage_options : mapping, optional
        How to reach a file that is not local. See `storage.open_remote`.

    Returns
    -------
    list of str
        Each member of type ``science``, or of none, once; relative names start at the
        association's directory.

    Raises
    ------
    InputError
        The file is missing or is no association.
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
            "JSON with products, members and expnames as asn_from_list writes it; mend it or name "
            "the images themselves"
        ) from error
    parent = str(path).rpartition("/")[0] if is_uri(path) else ""
    return [
        name if is_uri(name) else f"{parent}/{name}" if parent else str(Path(path).parent / name)
        for name in dict.fromkeys(names)
    ]
