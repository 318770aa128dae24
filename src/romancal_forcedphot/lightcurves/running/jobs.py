"""What a worker does: measure one exposure and return the content of its file.

Everything that all exposures share (settings, sources, the finder of references) is a `Job`, which
a worker gets once. `attempt` never raises: what went wrong with an exposure comes back as a reason,
so that no worker and no other exposure suffers from it. Workers write nothing; the process that
runs them keeps the results, so that they need no common disk.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...photometry import Sources
from ..dataset import Requested
from ..fingerprints import exposure_digest
from ..measuring.exposure_files import to_parquet
from ..measuring.records import ExposureRecord, MeasuredExposure

__all__ = ["Job", "Outcome", "attempt", "reason_of"]

Measure = Callable[[str, Any, Sources, Any], MeasuredExposure]


@dataclass(frozen=True, eq=False)
class Job:
    """What all exposures of a run share; can be pickled.

    Attributes
    ----------
    measure : callable
        ``measure(location, settings, sources, finder)`` measures one exposure.
    settings : object
        Every parameter that shapes a number.
    sources : Sources
        The catalog.
    finder : object
        Finds reference files.
    made_from : mapping of str to str
        Digests of settings and catalog, kept in each exposure's file.
    limit_sigma : float
        How many times the error the limiting magnitude is.
    """

    measure: Measure
    settings: Any
    sources: Sources
    finder: Any = None
    made_from: Mapping[str, str] = field(default_factory=dict)
    limit_sigma: float = 3.0


@dataclass(frozen=True)
class Outcome:
    """What became of an exposure.

    Attributes
    ----------
    exposure : Requested
        The exposure.
    content : bytes or None
        Content of its file, None if it failed.
    reason : str
        Why it failed, '' if it did not.
    record : ExposureRecord or None
        What holds for the whole exposure.
    seconds : float
        How long it took.
    details : str
        Where it failed, for the log at level DEBUG.
    """

    exposure: Requested
    content: bytes | None = None
    reason: str = ""
    record: ExposureRecord | None = None
    seconds: float = 0.0
    details: str = ""


def attempt(job: Job, exposure: Requested) -> Outcome:
    """Measure an exposure.

    Parameters
    ----------
    job : Job
        What all exposures share.
    exposure : Requested
        The exposure.

    Returns
    -------
    Outcome
    """
    start = time.monotonic()
    try:
        image = exposure_digest(exposure.location)
        with _collected_warnings() as warnings:
            measured = job.measure(exposure.location, job.settings, job.sources, job.finder)
        measured = measured.named(exposure.name, exposure.location, warnings)
        content = to_parquet(
            measured,
            job.sources.label,
            job.sources.source_name,
            made_from={**job.made_from, "image": image},
            limit_sigma=job.limit_sigma,
        )
    except Exception as error:
        return Outcome(
            exposure,
            reason=reason_of(error),
            seconds=time.monotonic() - start,
            details=traceback.format_exc(),
        )
    return Outcome(exposure, content, "", measured.record, time.monotonic() - start)


class _WarningCollector(logging.Handler):
    """Collects what this thread logs as a warning."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.messages.append(record.getMessage())


@contextlib.contextmanager
def _collected_warnings() -> Iterator[list[str]]:
    """Keep what is logged as a warning in the context: it belongs to the exposure."""
    collector, logger = _WarningCollector(), logging.getLogger("romancal")
    logger.addHandler(collector)
    try:
        yield collector.messages
    finally:
        logger.removeHandler(collector)


def reason_of(error: BaseException) -> str:
    """Return an error as one line; its kind is told where its text does not speak for itself."""
    text, kind = " ".join(str(error).split()), type(error).__name__
    if not text:
        return kind
    return text if isinstance(error, ValueError | OSError) else f"{kind}: {text}"
