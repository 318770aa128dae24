"""Progress of long tasks: a bar on a terminal, log lines elsewhere.

Tasks shorter than about a second report nothing. A bar is written to standard error and removed at
the end; log lines are ten seconds apart, so that the log of a pipeline stays short.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from types import TracebackType

__all__ = ["Progress"]

# Below romancal's logger, whose handlers every romancal pipeline sets up.
log = logging.getLogger(f"romancal.{__name__}")

BAR_DELAY_S = 1.0  # shorter work shows no bar
_INTERVAL_S = 10.0
_MEGA = 1e6


class Progress:
    """Progress of a task, to be closed at its end.

    Use it as a context, and pass `advance` (or `stage`) to the function that does the work::

        with Progress("Measuring", len(sources), unit="sources") as progress:
            measure(..., progress=progress.advance)

    Parameters
    ----------
    task : str
        Name of the task, such as ``'Measuring'``.
    total : float, optional
        Total amount, in units; may be set later as an attribute.
    unit : str
        Name of the units, such as ``'sources'``; ``'B'`` for bytes, which are shown in MB.
    write : callable
        Function that writes a line without a terminal; by default the log at level INFO.
    interval : float
        Seconds between lines.
    """

    def __init__(
        self,
        task: str,
        total: float | None = None,
        *,
        unit: str = "",
        write: Callable[[str], object] = log.info,
        interval: float = _INTERVAL_S,
    ) -> None:
        self.task = task
        self.total = total
        self.done = 0.0
        self._unit = unit
        self._write = write
        self._interval = interval
        self._start = self._last = time.monotonic()
        self._first: tuple[float, float] | None = None  # time and amount of the first advance
        self._has_written = self._in_stage = False
        self._bar = self._make_bar() if _on_terminal() else None
        self._is_open = True

    def advance(self, amount: float = 1) -> None:
        """Add to the amount that is done; the task ends when the total is reached.

        Parameters
        ----------
        amount : float
            Number of units completed since the last call.
        """
        if not self._is_open:
            return
        self.done += amount
        if self._first is None and self.done:
            self._first = time.monotonic(), self.done
        if self._bar is not None:
            self._bar.total = self.total
            self._bar.update(amount)
        elif time.monotonic() - self._last >= self._interval:
            self._write_line(self._state())
        if self.total is not None and self.done >= self.total:
            self.close()

    def stage(self, name: str) -> None:
        """Begin a named stage; the stage before it, if any, is done, which counts as one unit.

        Parameters
        ----------
        name : str
            Name of the stage.
        """
        if self._in_stage:
            self.advance()
        self._in_stage = True
        if self._bar is not None:
            self._bar.set_description(f"{self.task}: {name}")
        else:
            self._write_line(name)

    def close(self) -> None:
        """End the task; further calls do nothing."""
        if not self._is_open:
            return
        self._is_open = False
        if self._bar is not None:
            self._bar.close()
        elif self._has_written:
            self._write_line(f"ended after {time.monotonic() - self._start:.1f} s")

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _make_bar(self):
        """Make a progress bar of tqdm."""
        from tqdm import tqdm

        return tqdm(
            desc=self.task,
            total=self.total,
            unit=self._unit if self._unit == "B" else f" {self._unit}",
            unit_scale=self._unit == "B",
            delay=BAR_DELAY_S if self._unit else 0,
            bar_format=None if self._unit else "{l_bar}{bar}| {n}/{total} {elapsed}",
            leave=False,
            dynamic_ncols=True,
            file=sys.stderr,
        )

    def _write_line(self, text: str) -> None:
        """Write a line about the task."""
        self._has_written = True
        self._last = time.monotonic()
        self._write(f"{self.task}: {text}")

    def _state(self) -> str:
        """Amount that is done, total, elapsed time and an estimate of what is left, as text.

        What came before the first units, such as a fit of all sources at once, tells nothing of
        the time that the others take.
        """
        scale, unit = (_MEGA, "MB") if self._unit == "B" else (1.0, self._unit)
        amounts, left = f"{self.done / scale:.0f}", ""
        elapsed = time.monotonic() - self._start
        if self.total:
            amounts = f"{self.done / self.total:.0%}, {amounts} of {self.total / scale:.0f}"
            since, first = self._first or (0.0, self.done)
            if self.done > first:
                each = (time.monotonic() - since) / (self.done - first)
                left = f", about {each * (self.total - self.done):.0f} s left"
        return f"{amounts} {unit} after {elapsed:.0f} s{left}"


def _on_terminal() -> bool:
    """Whether standard error is a terminal, where a bar can be drawn."""
    return sys.stderr is not None and sys.stderr.isatty()
