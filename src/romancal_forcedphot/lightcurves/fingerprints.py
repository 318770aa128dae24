"""What light curves are made from, and digests by which a later run knows it again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..photometry import Sources
from ..storage import is_uri, open_for_reading

__all__ = ["Identity", "catalog_digests", "exposure_digest"]

_HEAD_BYTES = 65536


@dataclass(frozen=True)
class Identity:
    """What a data set is made from.

    Attributes
    ----------
    settings : mapping
        Every parameter that shapes a number, as JSON has it.
    catalog : mapping
        ``name``, ``n_rows``, and a digest for each of its columns.
    """

    settings: Mapping[str, Any]
    catalog: Mapping[str, Any]

    @classmethod
    def of(cls, settings: Mapping[str, Any], sources: Sources) -> Identity:
        """Return the identity of some settings and sources."""
        digests = catalog_digests(sources)
        catalog = {"name": sources.name, "n_rows": len(sources), "columns": digests}
        return cls(json.loads(json.dumps(dict(settings), default=_plain)), catalog)

    @property
    def digests(self) -> dict[str, str]:
        """One digest of the settings, one of the catalog."""
        parts = {"settings": self.settings, "catalog": self.catalog["columns"]}
        return {name: _digest(json.dumps(part, sort_keys=True)) for name, part in parts.items()}

    def differences(self, other: Identity) -> list[str]:
        """Say what another identity has that this one has not, by name; empty where they agree."""
        said = []
        for name in sorted({*self.settings, *other.settings}):
            here, there = (each.settings.get(name, "not set") for each in (self, other))
            if here != there:
                said.append(f"{name} is {here} there and {there} here")
        here, there = self.catalog, other.catalog
        if here["n_rows"] != there["n_rows"]:
            said.append(
                f"the catalog {here['name']!r} has {here['n_rows']} sources there and "
                f"{there['name']!r} {there['n_rows']} here"
            )
        elif here["columns"] != there["columns"]:
            names = {*here["columns"], *there["columns"]}
            changed = [n for n in names if here["columns"].get(n) != there["columns"].get(n)]
            said.append(
                f"the catalog {there['name']!r} has another {', '.join(sorted(changed))} than "
                f"{here['name']!r} had"
            )
        return said


def catalog_digests(sources: Sources) -> dict[str, str]:
    """Return a digest of each column of a catalog that a measurement may use."""
    columns = {name: getattr(sources, name) for name in ("label", "source_name", "ra", "dec")}
    columns |= {name: getattr(sources, name) for name in ("x", "y", "spectral_type")}
    if sources.columns is not None:
        columns |= {name: np.asarray(sources.columns[name]) for name in sources.columns.colnames}
    if sources.motion is not None:
        columns |= vars(sources.motion)
    return {name: _digest_of(values) for name, values in columns.items() if values is not None}


def exposure_digest(location: str) -> str:
    """Return a digest of an image's size and first bytes, '' where it is not a local file.

    An ASDF file begins with its metadata, where each processing leaves its date.
    """
    if is_uri(location):
        return ""
    try:
        size = Path(location).expanduser().stat().st_size
        with open_for_reading(location) as file:
            return _digest(f"{size}", file.read(_HEAD_BYTES))
    except OSError:
        return ""


def _digest(*parts: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part)
    return digest.hexdigest()[:32]


def _digest_of(values: np.ndarray) -> str:
    """Digest of an array: of text in UTF-8, of numbers in their bytes."""
    values = np.asarray(values)
    if values.dtype.kind in "US":
        values = np.char.encode(values, "utf-8") if values.dtype.kind == "U" else values
        return _digest("\0".join(item.decode("utf-8") for item in values.tolist()))
    return _digest(values.dtype.str, np.ascontiguousarray(values).tobytes())


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    return str(value)
