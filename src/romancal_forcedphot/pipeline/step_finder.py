"""Finder of reference files that uses a step: its overrides apply, and it records the files."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stpipe import Step

from ..references import Reference, query_reference

__all__ = ["ReferenceParameters", "StepFinder"]

log = logging.getLogger(f"romancal.{__name__}")


@dataclass(frozen=True)
class ReferenceParameters:
    """Metadata by which CRDS selects, passed to the step's `get_reference_file` as its dataset.

    Attributes
    ----------
    values : mapping
        See `references.Finder.find`.
    """

    values: Mapping[str, Any]


@dataclass(frozen=True)
class StepFinder:
    """A `references.Finder` that uses a step.

    Attributes
    ----------
    step : FrameworkStep
        Its ``override_*`` parameters apply, and it records the files that were found.
    """

    step: Step

    def find(self, kind: str, parameters: Mapping[str, Any]) -> Reference | None:
        """Find a reference file; see `references.Finder.find`."""
        step = self.step
        found = query_reference(
            kind,
            lambda: step.get_reference_file(ReferenceParameters(parameters), kind),
            override=step.get_ref_override(kind),
        )
        if found in (None, "N/A", ""):
            return None
        name = dict(step._reference_files_used).get(kind, "N/A")
        reference = Reference(kind, found, name)
        log.info("The %s reference is %s", kind, reference.shown)
        return reference
