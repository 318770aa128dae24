"""The directory that holds a run: what it is of, what is done, what failed, what is missing.

    dataset.json               settings, digests of the catalog, versions
    catalog.parquet            the sources, as they were read
    requested.json             the exposures that were asked for, by name
    exposures/NAME.parquet     each exposure that was measured: result and checkpoint
    failed/NAME.json           each that could not be, and why
    exposures.parquet          a row per exposure
    lightcurves/               the light curves, a HATS catalog, and label_index.parquet

Every file appears whole or not at all, so the directory is right after any kill; a run does what
is missing or failed and nothing else. The directory belongs to one catalog and one choice of
settings: others are refused by name of what differs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..photometry import Sources
from ..storage import is_uri, open_for_reading, remove_leftovers, write_atomically
from .checkpoints import read_record
from .identity import Identity, exposure_digest

__all__ = [
    "LABEL_INDEX",
    "Dataset",
    "DatasetError",
    "Requested",
    "State",
]

FORMAT = 1
LABEL_INDEX = "label_index.parquet"


class DatasetError(ValueError):
    """A directory is no data set of light curves, or one of something else."""


@dataclass(frozen=True)
class Requested:
    """An exposure that was asked for: its name, and the path or URI of its image."""

    name: str
    location: str


@dataclass(frozen=True)
class State:
    """How far a data set is.

    Attributes
    ----------
    done : tuple of str
        Names of exposures that were measured.
    failed : mapping of str to str
        Why others could not be, by name.
    missing : tuple of str
        Names of those that were asked for and not tried yet.
    """

    done: tuple[str, ...]
    failed: Mapping[str, str]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Dataset:
    """A directory of light curves."""

    directory: Path

    @classmethod
    def at(cls, directory: str | os.PathLike) -> Dataset:
        """Return the data set at a path, which need not exist."""
        if is_uri(directory):
            raise DatasetError(
                f"'{directory}' is a URI: light curves are kept in local directories only; choose "
                "one and copy it from there"
            )
        return cls(Path(directory).expanduser().absolute())

    @property
    def light_curves(self) -> Path:
        """Directory of the HATS catalog."""
        return self.directory / "lightcurves"

    @property
    def exposure_table(self) -> Path:
        """File with a row per exposure."""
        return self.directory / "exposures.parquet"

    @property
    def label_index(self) -> Path:
        """File that tells where the light curve of each source is."""
        return self.light_curves / LABEL_INDEX

    @property
    def catalog(self) -> Path:
        """File with the sources."""
        return self.directory / "catalog.parquet"

    def checkpoint(self, name: str) -> Path:
        """File of a measured exposure."""
        return self.directory / "exposures" / f"{name}.parquet"

    def identity(self) -> Identity:
        """Read what the data set is made from.

        Raises
        ------
        DatasetError
            The directory is no data set.
        """
        content = self._read_json("dataset.json")
        if content.get("format") != FORMAT:
            raise DatasetError(
                f"'{self.directory}' is a data set of format {content.get('format')}: expected "
                f"{FORMAT}; read it with the version that made it ({content.get('version')})"
            )
        return Identity(content["settings"], content["catalog"])

    def claim(self, identity: Identity, sources: Sources, version: str) -> None:
        """Make the directory a data set of this identity, or see that it is one.

        Raises
        ------
        DatasetError
            It is one of other settings or another catalog, or holds something else.
        StorageError
            It cannot be written.
        """
        if sources.ra is None:
            raise DatasetError(
                f"catalog {sources.name!r} has pixel positions only: light curves need sky "
                "positions; name them with --ra_column and --dec_column"
            )
        if (self.directory / "dataset.json").exists():
            if differences := self.identity().differences(identity):
                raise DatasetError(
                    f"'{self.directory}' holds light curves made otherwise: "
                    f"{'; '.join(differences)}; use the same, or another --output_dir"
                )
        elif self.directory.is_dir() and any(map(_is_visible, self.directory.iterdir())):
            raise DatasetError(
                f"'{self.directory}' is not empty and holds no light curves: choose a new or an "
                "empty --output_dir"
            )
        else:  # first of all, so that a run which is killed anywhere after it can be resumed
            self.directory.mkdir(parents=True, exist_ok=True)
            content = {"format": FORMAT, "version": version}
            content |= {"settings": dict(identity.settings), "catalog": dict(identity.catalog)}
            self._write_json("dataset.json", content)
        for name in ("exposures", "failed"):
            (self.directory / name).mkdir(exist_ok=True)
            remove_leftovers(self.directory / name)
        remove_leftovers(self.directory)
        if not self.catalog.exists():
            _write_catalog(self.catalog, sources)

    def request(self, exposures: list[Requested]) -> None:
        """Add exposures to those that were asked for; a new location replaces an old one."""
        known = {item.name: item.location for item in self.requested()}
        known |= {item.name: item.location for item in exposures}
        self._write_json("requested.json", known)

    def requested(self) -> list[Requested]:
        """Return the exposures that were asked for, by name."""
        if not (self.directory / "requested.json").exists():
            return []
        known = self._read_json("requested.json")
        return [Requested(name, known[name]) for name in sorted(known)]

    def is_done(self, exposure: Requested, digests: Mapping[str, str]) -> bool:
        """Whether an exposure was measured from the same settings, catalog and image."""
        path = self.checkpoint(exposure.name)
        if not path.is_file():
            return False
        try:
            _, made_from = read_record(path)
        except ValueError:
            return False
        image = exposure_digest(exposure.location)
        same = all(made_from.get(name) == digest for name, digest in digests.items())
        return same and (not image or made_from.get("image") == image)

    def save(self, name: str, content: bytes) -> None:
        """Keep a measured exposure.

        Raises
        ------
        StorageError, OSError
            It cannot be written.
        """
        with write_atomically(self.checkpoint(name)) as file:
            file.write(content)
        (self.directory / "failed" / f"{name}.json").unlink(missing_ok=True)

    def fail(self, exposure: Requested, reason: str) -> None:
        """Keep why an exposure could not be measured."""
        self.checkpoint(exposure.name).unlink(missing_ok=True)
        self._write_json(
            f"failed/{exposure.name}.json", {"location": exposure.location, "reason": reason}
        )

    def state(self) -> State:
        """Return how far the data set is, by what lies in it."""
        self.identity()
        requested = [item.name for item in self.requested()]
        done = [name for name in requested if self.checkpoint(name).is_file()]
        failed = {
            name: self._read_json(f"failed/{name}.json")["reason"]
            for name in requested
            if name not in set(done) and (self.directory / f"failed/{name}.json").is_file()
        }
        tried = {*done, *failed}
        return State(tuple(done), failed, tuple(name for name in requested if name not in tried))

    def sources(self) -> Sources:
        """Read the sources back: ids and positions."""
        self.identity()
        with open_for_reading(self.catalog) as file:
            table = pq.read_table(file)
        columns = {name: table[name].to_numpy() for name in ("label", "ra", "dec")}
        if "source_name" in table.column_names:
            columns["source_name"] = np.array(table["source_name"].to_pylist(), dtype=str)
        return Sources(**columns, name=self.identity().catalog["name"])

    def _read_json(self, name: str) -> dict[str, Any]:
        path = self.directory / name
        if not path.is_file():
            raise DatasetError(
                f"'{self.directory}' has no {name}: expected the directory of a run of "
                "forced_phot_lightcurves; check the path"
            )
        try:
            with open_for_reading(path) as file:
                return json.load(file)
        except ValueError as error:
            raise DatasetError(f"'{path}' is damaged ({error}): remove it and run again") from error

    def _write_json(self, name: str, content: Mapping[str, Any]) -> None:
        with write_atomically(self.directory / name) as file:
            file.write((json.dumps(content, indent=1) + "\n").encode())


def _is_visible(path: Path) -> bool:
    """Whether a file is more than what a killed run left."""
    return not path.name.startswith(".")


def _write_catalog(path: Path, sources: Sources) -> None:
    """Keep ids and positions; the rest is known by its digest."""
    columns = {name: pa.array(getattr(sources, name)) for name in ("label", "ra", "dec")}
    if sources.source_name is not None:
        columns["source_name"] = pa.array(sources.source_name.astype(object), pa.string())
    with write_atomically(path) as file:
        pq.write_table(pa.table(columns), file, compression="zstd")
