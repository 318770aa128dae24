"""What the parts of the robustness harness share: trials, time limits, counting, one table.

A *part* of the harness, such as damaged images, is a function that makes trials:

    def parts(directory: Path) -> dict[str, Trial]

A *trial* gets a random generator and an empty directory of its own, damages something, runs what
is tested and returns an `Outcome`. Trial number i of a run with ``--seed S`` draws from
``default_rng(S + i)``, so that ``--only PART --seed S+i --trials 1`` repeats it.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

__all__ = [
    "Outcome",
    "Tally",
    "TimedOut",
    "Trial",
    "clear_error",
    "defect",
    "is_clear",
    "judge_error",
    "main",
    "right",
    "run_part",
    "time_limit",
]

KINDS = ("right", "clear error", "defect")
#: A message longer than this is no last line that anybody reads.
MAX_MESSAGE = 2000
#: Words of messages that nobody has meant for the user.
UNCLEAR = (
    "please report",
    "NoneType",
    "object has no attribute",
    "object is not",
    "positional argument",
    "unsupported operand",
    "list index out of range",
    "Unable to allocate",
    "could not broadcast",
    "Argument does not appear to be",
)


class TimedOut(BaseException):
    """A trial takes too long; no ``except Exception`` stops it."""


@dataclass(frozen=True)
class Outcome:
    """What came of a trial.

    Attributes
    ----------
    kind : {'right', 'clear error', 'defect'}
        Right: the true answer. Clear error: it was refused, and the message names what and why.
        Defect: anything else.
    note : str
        What went wrong, for a defect; what was said, for an error.
    """

    kind: str
    note: str = ""


Trial = Callable[[np.random.Generator, Path], Outcome]


def right(note: str = "") -> Outcome:
    """Return the outcome of a trial whose answer is the true one."""
    return Outcome("right", note)


def clear_error(note: str) -> Outcome:
    """Return the outcome of a trial that was refused with a clear message."""
    return Outcome("clear error", note)


def defect(note: str) -> Outcome:
    """Return the outcome of a trial that shows a defect."""
    return Outcome("defect", " ".join(note.split()))


def is_clear(message: str, *names: str) -> bool:
    """Whether an error message names one of some names, is short, and is meant for the user."""
    return (
        0 < len(message) <= MAX_MESSAGE
        and any(name in message for name in names)
        and not any(words in message for words in UNCLEAR)
    )


def judge_error(error: BaseException | str, *names: str) -> Outcome:
    """Judge the error (or last line) of a trial that was refused.

    Parameters
    ----------
    error : exception or str
        What was raised, or the last line that a process said.
    *names : str
        What the message may name: the file, the option, the column; one is enough.

    Returns
    -------
    Outcome
        A clear error or a defect.
    """
    message = str(error)
    kind = "" if isinstance(error, str) else type(error).__name__ + ": "
    if isinstance(error, MemoryError | RecursionError | AssertionError):
        return defect(f"{kind}{message}")
    if is_clear(message, *names):
        return clear_error(message)
    return defect(f"unclear error, {kind}{message[:300]}")


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TimedOut` in the main thread when a block takes longer."""

    def stop(signum, frame):
        raise TimedOut(f"took longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@dataclass
class Tally:
    """Counts of a part's outcomes.

    Attributes
    ----------
    name : str
        Name of the part.
    counts : dict
        Number of trials by kind of outcome.
    defects : list of (int, str)
        Seed and note of each defect.
    seconds : float
        Time that the trials took.
    """

    name: str
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    defects: list[tuple[int, str]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def tried(self) -> int:
        """Number of trials."""
        return sum(self.counts.values())

    def add(self, seed: int, outcome: Outcome) -> None:
        """Count an outcome, and keep the seed of a defect."""
        self.counts[outcome.kind] += 1
        if outcome.kind == "defect":
            self.defects.append((seed, outcome.note))


def _try(trial: Trial, seed: int, limit_s: float) -> Outcome:
    """Run one trial in a directory of its own; what it lets escape is a defect."""
    with tempfile.TemporaryDirectory(prefix="robustness-") as directory:
        try:
            with time_limit(limit_s):
                return trial(np.random.default_rng(seed), Path(directory))
        except TimedOut as error:
            return defect(f"hangs: {error}")
        except Exception as error:
            return defect(f"{type(error).__name__} escapes the trial: {error}")


def run_part(
    name: str,
    trial: Trial,
    *,
    seed: int,
    budget_s: float = np.inf,
    n_trials: int | None = None,
    limit_s: float = 120.0,
    say: Callable[[str], object] = lambda line: None,
) -> Tally:
    """Run the trials of a part.

    Parameters
    ----------
    name : str
        Name of the part.
    trial : callable
        See `Trial`.
    seed : int
        Seed of the first trial; each following one has the next.
    budget_s : float
        No trial but the first begins later than this many seconds after it.
    n_trials : int, optional
        Number of trials; as many as the time allows if not given.
    limit_s : float
        Seconds after which a trial counts as hanging.
    say : callable
        Is told of each defect as it is found.

    Returns
    -------
    Tally
    """
    tally = Tally(name)
    start = time.monotonic()
    while tally.tried == 0 or (
        (n_trials is None or tally.tried < n_trials) and time.monotonic() - start < budget_s
    ):
        this = seed + tally.tried
        outcome = _try(trial, this, limit_s)
        tally.add(this, outcome)
        if outcome.kind == "defect":
            say(f"{name}, seed {this}: {outcome.note}")
    tally.seconds = time.monotonic() - start
    return tally


def table(tallies: Sequence[Tally]) -> str:
    """Return the table of counts, and below it the defects with the seeds that repeat them."""
    width = max(len(tally.name) for tally in tallies)
    header = ("tried", *KINDS)
    lines = [" " * width + "".join(f"{name:>13s}" for name in header) + "      s"]
    for tally in tallies:
        numbers = (tally.tried, *(tally.counts[kind] for kind in KINDS))
        shown = "".join(f"{number:13d}" for number in numbers)
        lines.append(f"{tally.name:{width}s}{shown}{tally.seconds:7.0f}")
    for tally in tallies:
        lines += [
            f"defect: --only {tally.name} --seed {s} --trials 1: {n}" for s, n in tally.defects
        ]
    return "\n".join(lines)


def main(
    parts: Callable[[Path], Mapping[str, Trial]], description: str, arguments: Sequence[str] | None
) -> int:
    """Run a harness from the command line; the exit status is the number of defects, at most 99.

    Parameters
    ----------
    parts : callable
        Given a directory for what all trials share, returns the trials by name.
    description : str
        What the command does.
    arguments : sequence of str, optional
        Of the command line.

    Returns
    -------
    int
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seed", type=int, default=1, help="of the first trial of each part")
    parser.add_argument("--seconds", type=float, default=60, help="time budget, shared evenly")
    parser.add_argument("--trials", type=int, help="of each part, if the time allows")
    parser.add_argument("--only", action="append", help="name of a part; may be repeated")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="robustness-") as directory:
        chosen = parts(Path(directory))
        if unknown := set(options.only or ()) - set(chosen):
            parser.error(f"no part {', '.join(unknown)}: expected {', '.join(chosen)}")
        names = [name for name in chosen if options.only is None or name in options.only]
        start, tallies = time.monotonic(), []
        for number, name in enumerate(names):
            left = options.seconds - (time.monotonic() - start)
            tallies.append(
                run_part(
                    name,
                    chosen[name],
                    seed=options.seed,
                    budget_s=max(left / (len(names) - number), 0),
                    n_trials=options.trials,
                    say=lambda line: print(f"defect in {line}", file=sys.stderr, flush=True),
                )
            )
    print(table(tallies))
    return min(sum(len(tally.defects) for tally in tallies), 99)
