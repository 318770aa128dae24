"""A short run of the harness of generated catalogs, with fixed seeds: no defects."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
N_TRIALS = 10
SEED = 20261122


@pytest.fixture
def harness(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    import robustness_catalogs
    import robustness_common

    logging.disable(logging.CRITICAL)
    yield robustness_catalogs, robustness_common
    logging.disable(logging.NOTSET)
    for name in set(sys.modules) - before:
        if name.startswith("robustness_"):
            del sys.modules[name]


def test_generated_catalogs_show_no_defect(harness, tmp_path):
    catalogs, common = harness
    tallies = [
        common.run_part(name, trial, seed=SEED, n_trials=N_TRIALS, limit_s=60)
        for name, trial in catalogs.parts(tmp_path).items()
    ]
    assert sum(tally.tried for tally in tallies) == N_TRIALS * len(tallies) > 150
    assert not any(tally.defects for tally in tallies), common.table(tallies)
    assert all(sum(tally.counts[kind] for tally in tallies) for kind in ("right", "clear error"))
