"""What long work says while it runs: a bar on a terminal, plain log lines elsewhere.

Work that ends within a second or so says nothing. A bar goes to standard error and disappears
when the work is done; log lines come every ten seconds, so that the log of a pipeline stays short.
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
    """Progress of one piece of work, to be closed when that is done.

    Use it as a context, hand `advance` (or `stage`) to what does the work::

        with Progress("Measuring", len(sources), unit="sources") as progress:
            measure(..., progress=progress.advance)

    Parameters
    ----------
    task : str
        What is being done, such as ``'Measuring'``.
    total : float, optional
        How much there is to do; may be set later, as attribute.
    unit : str
        What is counted, such as ``'sources'``; ``'B'`` for bytes, which are shown in MB.
    say : callable
        Takes a line of text where there is no terminal; the log at level INFO by default.
    interval : float
        Seconds between lines.
    """

    def __init__(
        self,
        task: str,
        total: float | None = None,
        *,
        unit: str = "",
        say: Callable[[str], object] = log.info,
        interval: float = _INTERVAL_S,
    ) -> None:
        self.task = task
        self.total = total
        self.done = 0.0
        self._unit = unit
        self._say = say
        self._interval = interval
        self._start = self._last = time.monotonic()
        self._has_spoken = self._in_stage = False
        self._bar = self._make_bar() if _on_terminal() else None
        self._is_open = True

    def advance(self, amount: float = 1) -> None:
        """Say that so much more is done. When the total is reached the work is over."""
        if not self._is_open:
            return
        self.done += amount
        if self._bar is not None:
            self._bar.total = self.total
            self._bar.update(amount)
        elif time.monotonic() - self._last >= self._interval:
            self._tell(self._state())
        if self.total is not None and self.done >= self.total:
            self.close()

    def stage(self, name: str) -> None:
        """Say that a named stage begins, and that the one before it, if any, is done."""
        if self._in_stage:
            self.advance()
        self._in_stage = True
        if self._bar is not None:
            self._bar.set_description(f"{self.task}: {name}")
        else:
            self._tell(name)

    def close(self) -> None:
        """End the work; more calls do nothing."""
        if not self._is_open:
            return
        self._is_open = False
        if self._bar is not None:
            self._bar.close()
        elif self._has_spoken:
            self._tell(f"ended after {time.monotonic() - self._start:.1f} s")

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

    def _tell(self, what: str) -> None:
        self._has_spoken = True
        self._last = time.monotonic()
        self._say(f"{self.task}: {what}")

    def _state(self) -> str:
        """How much of how much is done, since when."""
        scale, unit = (_MEGA, "MB") if self._unit == "B" else (1.0, self._unit)
        amounts = f"{self.done / scale:.0f}"
        if self.total:
            amounts = f"{self.done / self.total:.0%}, {amounts} of {self.total / scale:.0f}"
        return f"{amounts} {unit} after {time.monotonic() - self._start:.0f} s"


def _on_terminal() -> bool:
    """Whether standard error is a terminal, where a bar can be drawn."""
    return sys.stderr is not None and sys.stderr.isatty()
