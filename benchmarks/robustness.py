"""How robust: generated catalogs, damaged images, kills, full disks, hostile names.

    python benchmarks/robustness.py [--seconds 60] [--seed 1] [--trials 100] [--only image-tree]

Thousands of inputs that a hostile or careless world might hand to the step, each with its right
answer computed by another path than the one tested. At the end one table counts the trials that
were right, were refused with a clear message, or show a defect, each defect with the seed that
repeats it. The exit status is the number of defects.
"""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import robustness_catalogs
import robustness_images
import robustness_processes
from robustness_common import Trial
from robustness_common import main as run

__all__ = ["main", "parts"]


def parts(directory: Path) -> dict[str, Trial]:
    """Trials of all kinds by name, quick ones first."""
    found: dict[str, Trial] = {}
    for module in (robustness_catalogs, robustness_images, robustness_processes):
        own = directory / module.__name__
        own.mkdir()
        found |= module.parts(own)
    gc.collect()
    gc.freeze()  # stpipe collects in each run of a step: what is imported need not take part
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the harness; the exit status is the number of defects, at most 99."""
    logging.disable(logging.CRITICAL)
    try:
        return run(parts, __doc__.splitlines()[0], arguments)
    finally:
        logging.disable(logging.NOTSET)


if __name__ == "__main__":
    sys.exit(main())
