"""A pipeline with nothing but our step in it, for strun to import."""

from __future__ import annotations

from typing import ClassVar

from romancal.stpipe import RomanPipeline

from romancal_forcedphot import ForcedPhotometryStep


class OnlyForcedPhotometry(RomanPipeline):
    """Measure, and return the product."""

    step_defs: ClassVar = {"forced_phot": ForcedPhotometryStep}

    def process(self, dataset):
        """Run the step."""
        return self.forced_phot.run(dataset)
