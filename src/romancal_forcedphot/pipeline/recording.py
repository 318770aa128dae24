"""The log lines of one run, for its product, while steps run in other threads.

stpipe records the lines of all steps of the process in one list, and takes its log configuration
away when the step that brought it ends. Here each run records its own lines, known by the context
(`contextvars`) that they are logged in, and stpipe's configuration stays while any step of ours
runs.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar

from stpipe import _log

from ..storage import printable

__all__ = ["console_config", "lines_so_far", "log_config_kept", "own_lines", "silent_config"]


class _Recorder(logging.Handler):
    """Collects the lines that are logged in the context of a run."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line of this run."""
        if _recorder.get() is self:
            self.lines.append(printable(self.format(record)))


_recorder: ContextVar[_Recorder | None] = ContextVar("recorder", default=None)


@contextlib.contextmanager
def own_lines(
    names: Sequence[str], formatter: logging.Formatter, *, anew: bool = False
) -> Iterator[None]:
    """Record the lines that are logged inside a block, by this thread and what it starts.

    Parameters
    ----------
    names : sequence of str
        Loggers, none below another.
    formatter : logging.Formatter
        Formats the lines.
    anew : bool
        Whether a block inside another one has lines of its own; else it adds to those.

    Yields
    ------
    None
        `lines_so_far` gives the lines inside the block.
    """
    if _recorder.get() is not None and not anew:
        yield
        return
    recorder = _Recorder(formatter)
    token = _recorder.set(recorder)
    loggers = [logging.getLogger(name) for name in names]
    for logger in loggers:
        logger.addHandler(recorder)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(recorder)
        _recorder.reset(token)


def lines_so_far() -> list[str]:
    """Return the lines that were recorded in the current `own_lines`.

    Returns
    -------
    list of str
        Each can be encoded as UTF-8; none outside of `own_lines`.
    """
    current = _recorder.get()
    return [] if current is None else list(current.lines)


class _Kept:
    """stpipe's log configuration, with the number of runs that need it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.n_runs = 0
        self.applied: _log.LogConfig | None = None


_kept = _Kept()


@contextlib.contextmanager
def log_config_kept(
    make: Callable[[], _log.LogConfig | None], names: Sequence[str]
) -> Iterator[None]:
    """Apply a log configuration of stpipe's until the last run that needs one has ended.

    Parameters
    ----------
    make : callable
        Makes the configuration; called where none is applied.
    names : sequence of str
        Loggers.

    Yields
    ------
    None
    """
    with _kept.lock:
        _kept.n_runs += 1
        if _log.LogConfig.applied is None and _kept.applied is None:
            _kept.applied = make()
            if _kept.applied is not None:
                _kept.applied.apply(names)
    try:
        yield
    finally:
        with _kept.lock:
            _kept.n_runs -= 1
            if _kept.n_runs == 0 and _kept.applied is not None:
                _kept.applied.undo(names)
                _kept.applied = None


def console_config(formatter: logging.Formatter) -> _log.LogConfig:
    """Make the log configuration of `stpipe.Step.call`, which shows lines on standard error.

    Parameters
    ----------
    formatter : logging.Formatter
        Formats the lines that stpipe records.

    Returns
    -------
    stpipe._log.LogConfig
    """
    config = _log.load_configuration(config_file=_log._find_logging_config_file())
    config.set_recording_formatter(formatter)
    return config


def silent_config(formatter: logging.Formatter) -> _log.LogConfig:
    """Make the log configuration of `stpipe.Step.run`, which shows nothing.

    Parameters
    ----------
    formatter : logging.Formatter
        Formats the lines that stpipe records.

    Returns
    -------
    stpipe._log.LogConfig
    """
    return _log.LogConfig([], level=logging.NOTSET, recording_formatter=formatter)
