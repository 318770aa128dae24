"""Progress: a bar on a terminal, lines elsewhere, silence for short work."""

from __future__ import annotations

import logging
import os
import pty
import select
import subprocess
import sys
import termios
import time

import numpy as np
import pytest

from romancal_forcedphot import measure, read_level2
from romancal_forcedphot.storage import progress
from romancal_forcedphot.storage.progress import Progress
from small import level2_image, pixel_sources

WORK = """
import time
from romancal_forcedphot.storage.progress import Progress
with Progress("Counting", 4, unit="sheep") as progress:
    for _ in range(4):
        time.sleep({pause})
        progress.advance()
with Progress("making", 2) as progress:
    progress.stage("bread")
    progress.stage("wine")
"""


def on_terminal(code):
    """What a program shows on a terminal."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    process = subprocess.Popen([sys.executable, "-c", code], stderr=theirs)
    shown = b""
    while select.select([ours], [], [], 0.2)[0] or process.poll() is None:
        if select.select([ours], [], [], 0)[0]:
            shown += os.read(ours, 65536)
    os.close(theirs)
    os.close(ours)
    assert process.returncode == 0
    return shown.decode()


def test_a_terminal_shows_a_bar():
    shown = on_terminal(WORK.format(pause=0.5))
    assert "Counting:  75%" in shown
    assert "3/4" in shown
    assert "sheep" in shown
    assert "making: bread" in shown
    assert "making: wine:  50%" in shown
    assert shown.count("\n") == 0  # nothing stays behind


def test_short_work_shows_no_bar():
    assert "Counting" not in on_terminal(WORK.format(pause=0.0))


def test_elsewhere_there_are_lines_at_intervals():
    lines = []
    with Progress("Counting", 4, unit="sheep", write=lines.append, interval=0) as counting:
        for _ in range(4):
            counting.advance()
    assert [line.partition(" after")[0] for line in lines] == [
        "Counting: 25%, 1 of 4 sheep",
        "Counting: 50%, 2 of 4 sheep",
        "Counting: 75%, 3 of 4 sheep",
        "Counting: 100%, 4 of 4 sheep",
        "Counting: ended",
    ]


def test_what_comes_before_the_first_units_tells_nothing_of_the_others():
    """As where all sources are fitted at once, and then told."""
    lines = []
    with Progress("Counting", 1000, unit="sheep", write=lines.append, interval=0) as counting:
        time.sleep(0.1)
        counting.advance(3)
        counting.advance()
    assert "left" not in lines[0]
    assert lines[1].endswith("about 0 s left")


def test_bytes_are_shown_as_megabytes():
    lines = []
    with Progress("Reading", unit="B", write=lines.append, interval=0) as reading:
        reading.advance(2_000_000)
        reading.total = 8e6
        reading.advance(2_000_000)
    assert lines[0].startswith("Reading: 2 MB after")
    assert lines[1].startswith("Reading: 50%, 4 of 8 MB after")


def test_short_work_says_nothing(caplog):
    with caplog.at_level(logging.DEBUG), Progress("Counting", 1000) as counting:
        for _ in range(1000):
            counting.advance()
    assert caplog.text == ""


def test_stages_are_told_as_they_begin():
    lines = []
    with Progress("making", 2, write=lines.append) as making:
        making.stage("bread")
        assert lines == ["making: bread"]
        making.stage("wine")
    assert lines[1] == "making: wine"
    assert making.done == 1


def test_what_is_closed_stays_silent():
    lines = []
    counting = Progress("Counting", 2, write=lines.append, interval=0)
    counting.advance(2)
    before = list(lines)
    counting.advance(2)
    counting.close()
    assert lines == before


def test_lines_go_to_the_log_where_nobody_else_takes_them(caplog):
    with caplog.at_level(logging.INFO), Progress("Counting", 9, interval=0) as counting:
        counting.advance(3)
    assert "Counting: 33%, 3 of 9" in caplog.text
    assert caplog.records[0].name == f"romancal.{progress.__name__}"


@pytest.mark.parametrize("on_image_only", [False, True])
@pytest.mark.parametrize("n", [0, 1, 2000])
def test_measuring_reports_every_row_once(n, on_image_only):
    exposure = read_level2(level2_image())
    rng = np.random.default_rng(n)
    x = rng.uniform(-100, 300, n)
    sources = pixel_sources(x, rng.uniform(0, 180, n))
    told = []
    measure(exposure, sources, on_image_only=on_image_only, progress=told.append)
    assert sum(told) == n
    on_image = np.count_nonzero((x > -0.5) & (x < 199.5))
    assert told[0] <= n - on_image
