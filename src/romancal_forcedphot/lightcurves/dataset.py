"""The directory of a run: its files, and which exposures are done, failed or missing.

    dataset.json               settings, digests of the catalog, versions
    catalog.parquet            the sources, as they were read
    requested.json             the exposures that were asked for, by name
    exposures/NAME.parquet     each exposure that was measured
    failed/NAME.json           each that could not be, and why
    exposures.parquet          a row per exposure
    lightcurves/               the light curves, a HATS catalog, and label_index.parquet

Every file is written whole or not at all, so that the directory is valid after a run was killed.
`running.resume` decides what a further run has to measure.
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
from .fingerprints import Identity

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
    def exists(self) -> bool:
        """Whether the directory is a data set."""
        return (self.directory / "dataset.json").exists()

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

    def exposure_file(self, name: str) -> Path:
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

    def create(self, identity: Identity, sources: Sources, version: str) -> None:
        """Make the directory and its files, as far as they are not there.

        ``dataset.json`` comes first, so that a run that is killed after it can be resumed.

        Raises
        ------
        StorageError, OSError
            They cannot be written.
        """
        if not self.exists:
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

    def save(self, name: str, content: bytes) -> None:
        """Keep a measured exposure.

        Raises
        ------
        StorageError, OSError
            It cannot be written.
        """
        with write_atomically(self.exposure_file(name)) as file:
            file.write(content)
        (self.directory / "failed" / f"{name}.json").unlink(missing_ok=True)

    def fail(self, exposure: Requested, reason: str) -> None:
        """Keep why an exposure could not be measured."""
        self.exposure_file(exposure.name).unlink(missing_ok=True)
        self._write_json(
            f"failed/{exposure.name}.json", {"location": exposure.location, "reason": reason}
        )

    def state(self) -> State:
        """Return how far the data set is, by what lies in it."""
        self.identity()
        requested = [item.name for item in self.requested()]
        done = [name for name in requested if self.exposure_file(name).is_file()]
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


def _write_catalog(path: Path, sources: Sources) -> None:
    """Keep ids and positions; the rest is known by its digest."""
    columns = {name: pa.array(getattr(sources, name)) for name in ("label", "ra", "dec")}
    if sources.source_name is not None:
        columns["source_name"] = pa.array(sources.source_name.astype(object), pa.string())
    with write_atomically(path) as file:
        pq.write_table(pa.table(columns), file, compression="zstd")
