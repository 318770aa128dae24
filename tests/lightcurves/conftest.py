"""Child processes for the tests of this folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture
def run_python(tmp_path):
    """Start a Python program of some lines; it is killed at the end if it still runs."""
    processes = []

    def start(*lines):
        program = tmp_path / f"program_{len(processes)}.py"
        program.write_text("\n".join(lines) + "\n")
        paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
        processes.append(subprocess.Popen([sys.executable, str(program)], env=environment))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()
