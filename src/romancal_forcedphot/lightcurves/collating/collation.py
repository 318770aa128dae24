"""Measured exposures become light curves: a HATS catalog, an index of labels, a row per exposure.

The exposures are read twice: once for what there is (`survey`), once to turn points in the order of
exposures into points in the order of sources (`buckets`). Then each bucket of sources becomes light
curves (`curves`). The same exposures give the same bytes, and the catalog appears as a whole.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ...storage import write_atomically
from ...storage.progress import Progress
from ..dataset import LABEL_INDEX, Dataset, DatasetError
from ..measuring.exposure_files import read_exposure, read_record
from ..measuring.rows import MEASURED_COLUMNS
from ..options import CurveOptions
from .curves import LIGHT_CURVE, CurveMaker
from .exposure_table import exposure_table
from .hats import PartitionFile, write_metadata
from .partitioning import Partition, partitions, spatial_index
from .regrouping import Runs, buckets_of, point_dtype
from .survey import BrightPoints, Survey, survey_exposures
from .zero_points import ZeroPoints

__all__ = ["Collated", "Layout", "collate"]

log = logging.getLogger(f"romancal.{__name__}")

_INDEX_GROUP = 16_384
_MOST_IN_GROUP = 4096
_NOTE = "collated.json"


@dataclass(frozen=True)
class Layout:
    """How light curves are cut into files, and how many are made at once.

    Attributes
    ----------
    file_points : int
        Most points of a file.
    bucket_points : int
        Most points that become light curves at once.
    group_points : int
        Points of a row group, the least that is read for one light curve.
    """

    file_points: int = 2_000_000
    bucket_points: int = 500_000
    group_points: int = 32_768

    def sources_per_group(self, n_points: NDArray) -> int:
        """Sources of a row group: few of many points, many of few."""
        n_sources = self.group_points / max(float(np.mean(n_points)), 1.0)
        return int(np.clip(n_sources, 1, _MOST_IN_GROUP))


@dataclass(frozen=True)
class Collated:
    """What was collated.

    Attributes
    ----------
    n_exposures, n_sources, n_points : int
        How much of it.
    fluxes : tuple of str
        Which measured flux the points are, by the beginning of its columns' names, such as
        ``'psf'``; several only where exposures were measured otherwise.
    warnings : tuple of (str, str)
        Names of exposures, and what to beware of in them.
    is_new : bool
        Whether it was done now, and not before.
    """

    n_exposures: int
    n_sources: int
    n_points: int
    fluxes: tuple[str, ...]
    warnings: tuple[tuple[str, str], ...]
    is_new: bool = True


def collate(
    dataset: Dataset, options: CurveOptions | None = None, *, layout: Layout | None = None
) -> Collated:
    """Make light curves of all exposures that are done.

    Parameters
    ----------
    dataset : Dataset
        The data set.
    options : CurveOptions, optional
        How light curves are made.
    layout : Layout, optional
        How they are cut into files.

    Returns
    -------
    Collated

    Raises
    ------
    DatasetError
        No exposure is done.
    StorageError, OSError
        The light curves cannot be written.
    """
    options = options or CurveOptions()
    state = dataset.state()
    if not state.done:
        raise DatasetError(
            f"no exposure of '{dataset.directory}' is measured: see why with "
            f"forced_phot_lightcurves status {dataset.directory}"
        )
    made_from = _made_from(dataset, state.done, options)
    if (before := _before(dataset, made_from)) is not None:
        return before
    _remove_leftovers(dataset.directory)
    with tempfile.TemporaryDirectory(prefix=_prefix(os.getpid()), dir=dataset.directory) as name:
        collated = _Collation(dataset, options, layout or Layout(), Path(name)).run(
            state.done, state.failed
        )
        note = {"made_from": made_from, **asdict(collated), "options": asdict(options)}
        new = Path(name) / "lightcurves"
        (new / _NOTE).write_text(json.dumps(note, indent=1, sort_keys=True) + "\n")
        if dataset.light_curves.exists():
            dataset.light_curves.rename(Path(name) / "old")
        new.rename(dataset.light_curves)
    return collated


class _Collation:
    """One collation, in a directory of its own."""

    def __init__(self, dataset: Dataset, options: CurveOptions, layout: Layout, room: Path) -> None:
        self._dataset, self._options, self._layout, self._room = dataset, options, layout, room
        sources = dataset.sources()
        index = spatial_index(np.asarray(sources.ra), np.asarray(sources.dec))
        order = np.argsort(index, kind="stable")
        self._order = order[index[order] >= 0]
        self._index = index[self._order]
        self._sources = sources.take(self._order)
        self._place = np.full(len(sources), -1, dtype=np.int32)
        self._place[self._order] = np.arange(len(self._order))
        if n_lost := len(sources) - len(self._order):
            log.warning("%d sources without a position have no light curve", n_lost)

    def run(self, done: Sequence[str], failed: Mapping[str, str]) -> Collated:
        """Collate, and write everything but the note."""
        dataset, options, layout = self._dataset, self._options, self._layout
        with Progress("Looking through", len(done), unit="exposures") as progress:
            survey = survey_exposures(
                dataset,
                done,
                len(self._place),
                bad_flags=options.bad_flags,
                progress=progress.advance,
            )
        for name, reason in survey.damaged.items():
            log.error("Exposure %s is left out: %s", name, reason)
        n_points = survey.n_points[self._order]
        parts = partitions(self._index, n_points, layout.file_points)
        ranges = [
            buckets_of(n_points, part.start, part.stop, layout.bucket_points) for part in parts
        ]
        edges = np.array([0, *(stop for each in ranges for _, stop in each)])
        runs, zero_points = self._gather(survey, edges)
        table = exposure_table(
            survey,
            zero_points,
            dataset.requested(),
            failed,
            is_calibrated=options.relative_calibration,
        )
        with write_atomically(dataset.exposure_table) as file:
            pq.write_table(table, file, compression="zstd")
        maker = CurveMaker(
            sources=self._sources,
            index=self._index,
            records=survey.records,
            zero_point=np.where(np.isfinite(zero_points.value), zero_points.value, 1.0),
            options=options,
            quality=survey.quality,
            limit_sigma=float(dataset.identity().settings.get("limit_sigma", 3.0)),
        )
        self._write(maker, parts, ranges, runs, n_points)
        warnings = zip(table["exposure"].to_pylist(), table["warnings"].to_pylist(), strict=True)
        return Collated(
            n_exposures=len(survey.records),
            n_sources=len(self._order),
            n_points=int(n_points.sum()),
            fluxes=tuple(sorted({record.flux for record in survey.records})),
            warnings=tuple((name, text) for name, text in warnings if text),
        )

    def _gather(self, survey: Survey, edges: NDArray) -> tuple[Runs, ZeroPoints]:
        """Turn points in the order of exposures into points in the order of sources."""
        columns = [(c.name, c.dtype) for c in (*MEASURED_COLUMNS, *survey.quality)]
        room = self._room / "runs"
        room.mkdir()
        runs = Runs(room, point_dtype(columns), edges)
        bright = BrightPoints(survey, self._options.bad_flags)
        with Progress("Gathering", len(survey.records), unit="exposures") as progress:
            for number, record in enumerate(survey.records):
                measured = read_exposure(self._dataset.exposure_file(record.exposure))
                bright.add(number, measured)
                source = self._place[measured.catalog_row]
                placed = source >= 0
                values = {name: measured.columns.get(name) for name, _ in columns}
                runs.add(
                    {"source": source[placed], "exposure": number}
                    | {n: np.nan if v is None else v[placed] for n, v in values.items()}
                )
                progress.advance()
            runs.flush()
        return runs, bright.zero_points()

    def _write(
        self,
        maker: CurveMaker,
        parts: Sequence[Partition],
        ranges: Sequence[Sequence[tuple[int, int]]],
        runs: Runs,
        n_points: NDArray,
    ) -> None:
        """Write the catalog and the index of labels."""
        directory = self._room / "lightcurves"
        directory.mkdir()
        schema = maker.schema
        texts = [f"{LIGHT_CURVE}.{name}.list.element" for name in _REPEATED]
        n_sources = len(self._order)
        group, number_in_group = (np.zeros(n_sources, dtype=np.int32) for _ in range(2))
        bucket = 0
        with Progress("Writing light curves", n_sources, unit="sources") as progress:
            for part, buckets in zip(parts, ranges, strict=True):
                size = self._layout.sources_per_group(n_points[part.start : part.stop])
                with PartitionFile(directory, part, schema, texts) as file:
                    for start, stop in buckets:
                        place = np.arange(stop - start)
                        group[start:stop] = file.n_row_groups + place // size
                        number_in_group[start:stop] = place % size
                        file.write(maker.table(start, stop, runs.take(bucket)), size)
                        bucket += 1
                        progress.advance(stop - start)
        name = self._dataset.directory.name
        more = {"forced_phot_flux": " ".join(sorted({record.flux for record in maker.records}))}
        write_metadata(directory, schema, parts, name=name, n_sources=n_sources, more=more)
        self._write_index(directory / LABEL_INDEX, parts, group, number_in_group)

    def _write_index(
        self, path: Path, parts: Sequence[Partition], group: NDArray, number: NDArray
    ) -> None:
        """Write where the light curve of each source is, in the order of labels."""
        counts = [part.stop - part.start for part in parts]
        columns = {
            "label": self._sources.label,
            "order": np.repeat(np.array([part.order for part in parts], dtype=np.int8), counts),
            "pixel": np.repeat(np.array([part.pixel for part in parts], dtype=np.int64), counts),
            "row_group": group,
            "row": number,
        }
        by_label = np.argsort(self._sources.label, kind="stable")
        arrays = {name: pa.array(values[by_label]) for name, values in columns.items()}
        if self._sources.source_name is not None:
            names = self._sources.source_name[by_label].astype(object)
            arrays["source_name"] = pa.array(names, pa.string())
        pq.write_table(pa.table(arrays), path, compression="zstd", row_group_size=_INDEX_GROUP)


#: Columns of a point that have few different values.
_REPEATED = ("mjd_tai", "exposure", "band", "detector", "exptime", "warning_flags")


def _prefix(pid: int | str) -> str:
    """Beginning of the names of the directories that a process of this machine collates in."""
    return f".collating-{socket.gethostname()}-{pid}-"


def _remove_leftovers(directory: Path) -> None:
    """Remove the directories of processes of this machine that were killed as they collated."""
    name = re.compile(re.escape(_prefix("PID")).replace("PID", r"(\d+)"))
    for path in directory.glob(".collating-*"):
        found = name.match(path.name)
        if found and not _is_running(int(found[1])):
            shutil.rmtree(path, ignore_errors=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it runs, and is another user's
        return True
    return True


def _made_from(dataset: Dataset, done: Sequence[str], options: CurveOptions) -> str:
    """Digest of what light curves are made from."""
    digest = hashlib.sha256(json.dumps(asdict(options), sort_keys=True).encode())
    for name in sorted(done):
        try:
            _, made_from = read_record(dataset.exposure_file(name))
        except ValueError:
            made_from = {}
        digest.update(f"\n{name} {json.dumps(made_from, sort_keys=True)}".encode())
    return digest.hexdigest()[:32]


def _before(dataset: Dataset, made_from: str) -> Collated | None:
    """What was collated from the same before, if it was."""
    path = dataset.light_curves / _NOTE
    needed = (path, dataset.exposure_table)
    if not all(each.is_file() for each in needed):
        return None
    try:
        note = json.loads(path.read_text())
    except ValueError:
        return None
    if note.get("made_from") != made_from:
        return None
    counts = {name: note[name] for name in ("n_exposures", "n_sources", "n_points")}
    warnings = tuple((name, text) for name, text in note["warnings"])
    return Collated(**counts, fluxes=tuple(note.get("fluxes", ())), warnings=warnings, is_new=False)
