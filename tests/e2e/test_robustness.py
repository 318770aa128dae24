"""A short run of the robustness harness, with fixed seeds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

HARNESS = Path(__file__).parents[2] / "benchmarks" / "robustness.py"


def test_half_a_minute_of_the_harness_shows_no_defect():
    """Each of its parts is tried, and each trial is right or refused with a clear message."""
    environment = {name: value for name, value in os.environ.items() if "CRDS" not in name}
    done = subprocess.run(
        [sys.executable, HARNESS, "--seconds", "30", "--seed", "1"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    rows = re.findall(r"^(\S+) +(\d+) +(\d+) +(\d+) +(\d+) +\d+$", done.stdout, re.MULTILINE)
    assert len(rows) > 20, done.stderr
    for name, *counts in rows:
        tried, right, clear, defects = map(int, counts)
        assert tried > 0, name
        assert (tried, defects) == (right + clear, 0), done.stdout
    assert done.returncode == 0
