"""Finds reference files as stpipe does for a step: its overrides count, and it records them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stpipe import Step

from ..references import Reference, asked

__all__ = ["ReferenceParameters", "StepFinder"]

log = logging.getLogger(f"romancal.{__name__}")


@dataclass(frozen=True)
class ReferenceParameters:
    """What CRDS selects by, in place of the image: a step hands it through stpipe to itself."""

    values: Mapping[str, Any]


@dataclass(frozen=True)
class StepFinder:
    """A `references.Finder` behind which is a step.

    Attributes
    ----------
    step : FrameworkStep
        Its ``override_*`` parameters count, and it records what was found.
    """

    step: Step

    def find(self, kind: str, parameters: Mapping[str, Any]) -> Reference | None:
        """Find a reference file; see `references.Finder.find`."""
        step = self.step
        found = asked(
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
