"""Stand-ins for the measurement of an exposure, importable in worker processes."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from lightcurves.series import made_exposure


def exposure_name(location):
    """The name of a made-up exposure; workers start faster without the package's own function."""
    return Path(location).name.removesuffix("_cal.asdf")


@dataclass(frozen=True)
class Victim:
    """A setting by which so many workers are killed at their work."""

    directory: Path
    deaths: int

    def __call__(self):
        for number in range(self.deaths):
            try:
                (Path(self.directory) / f"death_{number}").touch(exist_ok=False)
            except FileExistsError:
                continue
            with open(Path(self.directory) / "deaths", "a") as file:
                file.write("x")
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Slow:
    """A setting by which workers say who they are and take their time."""

    directory: str
    seconds: float

    def __call__(self):
        with open(Path(self.directory) / "pids", "a") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(self.seconds)


def measure_made_up(location, settings, sources, finder):
    """What a measurement does, by the name of the exposure."""
    kind, number = exposure_name(location).rsplit("_", 1)
    if kind == "damaged":
        raise ValueError(f"no WCS in '{kind}_{number}'")
    if kind == "silent":
        raise KeyError
    if kind == "killer":
        os.kill(os.getpid(), signal.SIGKILL)
    if callable(settings):
        settings()
    return made_exposure(int(number), len(sources))


def measure_slowly(location, settings, sources, finder):
    """As `measure_made_up`, in a fifth of a second."""
    time.sleep(0.2)
    return measure_made_up(location, settings, sources, finder)


def measure_dying_once(location, settings, sources, finder, *, mark):
    """As `measure_made_up`, but the first worker that measures the third exposure is killed."""
    if exposure_name(location).endswith("_0002"):
        try:
            Path(mark).touch(exist_ok=False)
        except FileExistsError:
            pass
        else:
            os.kill(os.getpid(), signal.SIGKILL)
    return measure_made_up(location, settings, sources, finder)
