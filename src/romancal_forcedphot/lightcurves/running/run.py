"""Measure many exposures and make light curves of them: what the command does, as a function."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ...catalogs import read_sources
from ...exposures import check_settings
from ...photometry import Settings, Sources
from ...photometry.measuring import available_cores
from ...references import (
    REFERENCE_KINDS,
    CRDSFinder,
    Finder,
    KeepingFinder,
    crds_context,
)
from ...storage.progress import Progress
from ..collating.collation import Collated, collate
from ..dataset import Dataset, Requested, State
from ..fingerprints import Identity
from ..measuring.measurement import measure_image
from ..options import CurveOptions, MeasureOptions
from .engine import outcomes
from .exposure_list import find_exposures, name_exposures
from .jobs import Job, Measure, Outcome
from .parameters import RunParameters
from .pools import DaskPool, ExecutorPool, Pool, ProcessPool, opened
from .resume import claim, not_done

__all__ = ["Run", "run", "run_dataset"]

log = logging.getLogger(f"romancal.{__name__}")

_DETECTOR = re.compile(r"wfi\d\d_[^_]*", re.IGNORECASE)


@dataclass(frozen=True)
class Run:
    """What a run did.

    Attributes
    ----------
    directory : pathlib.Path
        Of the data set.
    n_measured : int
        Exposures that it measured; others were done before.
    state : State
        How far the data set is.
    failed : mapping of str to str
        Why exposures failed in this run or before, by name.
    collated : Collated or None
        The light curves, None where no exposure is done.
    seconds : float
        How long it took.
    """

    directory: Path
    n_measured: int
    state: State
    failed: Mapping[str, str]
    collated: Collated | None
    seconds: float


def run(
    exposures: str | os.PathLike | Iterable[str | os.PathLike],
    catalog: Any,
    *,
    output_dir: str | os.PathLike,
    settings: Settings | Mapping[str, Any] | None = None,
    executor: Executor | None = None,
    scheduler: str = "",
    n_workers: int = 0,
    measure_options: MeasureOptions | None = None,
    curve_options: CurveOptions | None = None,
    finder: Finder | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Run:
    """Measure the sources of a catalog on many exposures and make light curves.

    What was measured before is not measured again. Run it under ``if __name__ == "__main__":``
    in a script, which worker processes import.

    Parameters
    ----------
    exposures : str, path-like, or iterable of them
        Level-2 images: paths, globs, ``s3://`` URIs, associations, ``@list.txt``.
    catalog : Sources, or what `read_sources` takes
        What to measure, by sky positions.
    output_dir : path-like
        The directory of the data set; new, empty, or of an earlier run.
    settings : Settings or mapping, optional
        Parameters of the photometry; a mapping may hold any parameter of the step by name.
    executor : concurrent.futures.Executor, optional
        Where to measure; processes of this machine if neither this nor ``scheduler`` is given.
    scheduler : str
        Address of a Dask scheduler, such as ``'tcp://host:8786'``.
    n_workers : int
        Processes of this machine; 0 for the cores that may be used.
    measure_options : MeasureOptions, optional
        Which flux, whether positions are aligned.
    curve_options : CurveOptions, optional
        How points become light curves.
    finder : Finder, optional
        Finds reference files; CRDS if not given.
    storage_options : mapping, optional
        How to reach what is not local. See `storage.open_remote`.

    Returns
    -------
    Run

    Raises
    ------
    DatasetError
        ``output_dir`` holds light curves of other settings or of another catalog.
    PoolError
        Nothing more can be measured; what is done stays done.
    ValueError, OSError
        Exposures, catalog or settings are none that can be worked with.
    """
    if isinstance(settings, Settings):
        parameters = RunParameters(settings)
    else:
        parameters = RunParameters.parse(settings or {})
    check_settings(parameters.settings)
    measure_options = measure_options or MeasureOptions()
    if not isinstance(catalog, Sources):
        catalog = read_sources(catalog, **parameters.reading, storage_options=storage_options)
    return run_dataset(
        find_exposures(exposures, storage_options),
        catalog,
        output_dir=output_dir,
        settings=parameters.settings,
        measure=partial(
            measure_image,
            options=measure_options,
            storage_options=storage_options,
            verify_checksums=parameters.verify_checksums,
        ),
        finder=finder or KeepingFinder(CRDSFinder(parameters.overrides)),
        more_settings={**asdict(measure_options), **_reference_settings(parameters)},
        curve_options=curve_options,
        executor=executor,
        scheduler=scheduler,
        n_workers=n_workers,
    )


def run_dataset(
    locations: list[str],
    sources: Sources,
    *,
    output_dir: str | os.PathLike,
    settings: Any,
    measure: Measure,
    finder: Any = None,
    more_settings: Mapping[str, Any] | None = None,
    curve_options: CurveOptions | None = None,
    executor: Executor | None = None,
    scheduler: str = "",
    n_workers: int = 0,
) -> Run:
    """Measure sources on exposures by any function, and make light curves.

    Parameters
    ----------
    locations : list of str
        Paths and URIs.
    sources : Sources
        What to measure.
    output_dir, curve_options, executor, scheduler, n_workers
        See `run`.
    settings : object
        A dataclass or a mapping, handed to ``measure``.
    measure : callable
        ``measure(location, settings, sources, finder)`` returns a `MeasuredExposure`; can be
        pickled.
    finder : object
        Handed to ``measure``.
    more_settings : mapping, optional
        What else shapes the numbers.

    Returns
    -------
    Run
    """
    start = time.monotonic()
    dataset = Dataset.at(output_dir)
    known = (
        asdict(settings)
        if is_dataclass(settings) and not isinstance(settings, type)
        else dict(settings or {})
    )
    identity = Identity.of({**known, **(more_settings or {})}, sources)
    claim(dataset, identity, sources, importlib.metadata.version("romancal_forcedphot"))
    if n_repeated := len(sources) - len(set(sources.label.tolist())):
        log.warning("%d labels of catalog %s repeat", n_repeated, sources.name)
    exposures, refused = name_exposures(locations)
    dataset.request([*exposures, *refused])
    failed: dict[str, str] = {}
    for exposure, reason in refused.items():
        _fail(dataset, Outcome(exposure, reason=reason), failed)
    todo = not_done(dataset, exposures, identity.digests)
    todo.sort(key=_by_detector)
    log.info("%d of %d exposures are to be measured", len(todo), len(exposures))
    limit_sigma = float(identity.settings.get("limit_sigma", 3.0))
    job = Job(measure, settings, sources, finder, identity.digests, limit_sigma)
    n_measured = 0
    if todo:
        workers = min(n_workers or available_cores(), len(todo))
        with opened(_pool(job, executor, scheduler, workers)) as pool:
            for outcome in _with_progress(outcomes(pool, todo), len(todo)):
                n_measured += _keep(dataset, outcome, failed)
    state = dataset.state()
    collated = collate(dataset, curve_options) if state.done else None
    failed = {**state.failed, **failed}
    seconds = time.monotonic() - start
    return Run(dataset.directory, n_measured, state, failed, collated, seconds)


def _by_detector(exposure: Requested) -> tuple[str, str]:
    """Order by which exposures that share reference files follow one another."""
    detector = _DETECTOR.search(exposure.name)
    return (detector[0].lower() if detector else "", exposure.name)


def _reference_settings(parameters: RunParameters) -> dict[str, str]:
    """What decides which reference files are used, by name."""
    named = {f"override_{kind}": path for kind, path in parameters.overrides.items()}
    settings = parameters.settings
    uses_crds = settings.pixel_area == "crds" or settings.gain_correction
    uses_crds |= settings.aperture_correction in REFERENCE_KINDS or bool(settings.match_psf_to)
    context = crds_context() if uses_crds else ""
    return named | ({"crds_context": context} if context else {})


def _pool(job: Job, executor: Executor | None, scheduler: str, n_workers: int) -> Pool:
    if executor is not None:
        return ExecutorPool(executor, job)
    return DaskPool(scheduler, job) if scheduler else ProcessPool(job, n_workers)


def _with_progress(found: Iterator[Outcome], n_exposures: int) -> Iterator[Outcome]:
    with Progress("Measuring", n_exposures, unit="exposures") as progress:
        for outcome in found:
            yield outcome
            progress.advance()


def _keep(dataset: Dataset, outcome: Outcome, failed: dict[str, str]) -> bool:
    """Keep what became of an exposure; whether it was measured and is safe."""
    if outcome.content is not None:
        try:
            dataset.save(outcome.exposure.name, outcome.content)
            return True
        except OSError as error:
            outcome = Outcome(outcome.exposure, reason=f"it cannot be kept: {error}")
    _fail(dataset, outcome, failed)
    return False


def _fail(dataset: Dataset, outcome: Outcome, failed: dict[str, str]) -> None:
    """Tell that an exposure failed, and keep why, where that can be written."""
    failed[outcome.exposure.name] = outcome.reason
    log.error("Exposure %s failed: %s", outcome.exposure.name, outcome.reason)
    if outcome.details:
        log.debug("It failed here:\n%s", outcome.details)
    try:
        dataset.fail(outcome.exposure, outcome.reason)
    except OSError as error:
        log.warning("Why it failed cannot be kept: %s", error)
