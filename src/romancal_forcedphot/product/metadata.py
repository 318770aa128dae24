"""Metadata of an image as metadata of its product."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .plain import plain

__all__ = ["add_missing", "catalog_metadata", "level_of"]


def catalog_metadata(image_meta: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Copy the metadata that a catalog shares with its image.

    Parameters
    ----------
    image_meta : mapping
        The ``meta`` of a Level-2 image or a Level-3 mosaic.
    schema : mapping
        Schema of the product's ``meta``, its references resolved: what it names is copied.

    Returns
    -------
    dict
        Shares nothing with the image. ``ref_file`` has every type of reference file of images,
        ``N/A`` where the image has none and for those that a product uses itself.
    """
    names = _properties(schema, level_of(image_meta))
    meta = {name: plain(image_meta[name]) for name in names if name in image_meta}
    of_images = _properties(_properties(schema)["ref_file"])  # mosaics have no such entry
    reference_types = [name for name in of_images if name != "crds"]
    not_used = dict.fromkeys(("area", "apcorr", "epsf"), "N/A")
    if level_of(image_meta) == 3:
        not_used["crds"] = {"version": "?", "context": "?"}
    meta["ref_file"] = dict.fromkeys(reference_types, "N/A") | meta.get("ref_file", {}) | not_used
    problem = meta.get("exposure", {}).get("data_problem")
    if isinstance(problem, bool):  # the first generation; text or nothing since
        meta["exposure"]["data_problem"] = str(problem) if problem else None
    return meta


def add_missing(meta: dict[str, Any], placeholders: Mapping[str, Any]) -> list[str]:
    """Add entries that metadata lack, at every level.

    Parameters
    ----------
    meta : dict
        Metadata, which are changed.
    placeholders : mapping
        Metadata that lack nothing, such as RAD's placeholders.

    Returns
    -------
    list of str
        Paths of the entries that were added, such as ``'meta.exposure.ma_table_name'``.
    """
    return _add_missing(meta, placeholders, "meta")


def level_of(image_meta: Mapping[str, Any]) -> int:
    """Return the level of an image.

    Parameters
    ----------
    image_meta : mapping
        Its ``meta``.

    Returns
    -------
    int
        2 or 3.
    """
    return 3 if "coadd_info" in image_meta else 2


def _properties(schema: Mapping[str, Any], level: int = 2) -> dict[str, Any]:
    """Collect the properties of a schema and of the schemas it combines.

    Of alternatives the first is that of Level-2 images, the second that of Level-3 mosaics.
    """
    found = dict(schema.get("properties", {}))
    for part in schema.get("allOf", []):
        found |= _properties(part, level)
    if "anyOf" in schema:
        found |= _properties(schema["anyOf"][level - 2], level)
    return found


def _add_missing(tree: dict[str, Any], other: Mapping[str, Any], path: str) -> list[str]:
    """Add the keys of another tree that a tree lacks; return their paths."""
    added = []
    for key, value in other.items():
        if key not in tree:
            tree[key] = value
            added.append(f"{path}.{key}")
        elif isinstance(value, Mapping) and isinstance(tree[key], Mapping):
            added += _add_missing(tree[key], value, f"{path}.{key}")
    return added
