"""Light curves: the cost of an exposure, the engine, collating, one curve, and how right they are.

    python benchmarks/lightcurves.py [--only=PARTS] [--directory=DIR]

Parts, with commas: `collate` makes up exposures that were never taken (1000 of 10,000 sources) and
collates them; `engine` and `dask` run a stand-in for the measurement that takes a known time;
`workers` measures the example's full-size image by one process and by two, `cost` over and over
beside opening it alone; `further` runs `strun` on two and on seven of it; `series` simulates 200
epochs of 2,000 stars, and judges their light curves by the truth. At the end the figures stand
beside those to reach. Times are of the processor where one process works, of the clock where
several do: leave the machine to them.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from lightcurves_full import (
    cost_of_an_exposure,
    further_exposure_of_a_step,
    speedup_of_two,
)
from lightcurves_parts import (
    collate_made_up,
    dask_overhead,
    engine_overhead,
    series_accuracy,
)

#: What is measured: its unit, the bound, and on which side of it to be.
BOUNDS = {
    "collate_cpu": ("s of CPU for 1000 x 10,000 points", 40, "<="),
    "collate_peak": ("GB at most", 1.5, "<="),
    "curve": ("s for one light curve", 0.2, "<="),
    "engine": ("of the time two processes do not measure", 0.05, "<="),
    "speedup": ("exposures at once by two processes", 1.8, ">="),
    "dask": ("of the time two Dask workers do not measure", 0.05, "<="),
    "dask_same": ("of the bytes are the same, a worker killed", 1.0, ">="),
    "workers": ("times as fast by two workers, of the clock", 1.8, ">="),
    "workers_cpu": ("times as fast by two workers, by their CPU", 1.8, ">="),
    "cost": ("times the CPU of opening the image", 2.0, "<="),
    "further": ("s of CPU for a further exposure of strun, 100,000 sources", 1.6, "<="),
    "cost_unchecked": ("times it without checksums", 2.0, "<="),
    "constant_chi2_low": ("chi2/dof of constant stars, at least", 0.95, ">="),
    "constant_chi2": ("chi2/dof of constant stars, at most", 1.05, "<="),
    "transient_low": ("pull width of transients, at least", 0.95, ">="),
    "transient": ("pull width of transients, at most", 1.05, "<="),
    "difference_low": ("pull width of transients' differences, at least", 0.95, ">="),
    "difference": ("pull width of transients' differences, at most", 1.05, "<="),
    "zero_point": ("of the drift, largest error of a zero point", 0.1, "<="),
    "offset": ("of the drift, error of the last offset", 0.1, "<="),
}


def main() -> int:
    """Run what is asked for; 1 if a figure is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="collate,engine,dask,workers,cost,further,series")
    parser.add_argument("--exposures", type=int, default=1000)
    parser.add_argument("--sources", type=int, default=10_000)
    parser.add_argument("--directory", type=Path, help="where files go; a temporary one if empty")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        print(_PARTS[options.part](options, options.directory))
        return 0
    cores = len(os.sched_getaffinity(0))
    print(f"{platform.platform()}, {cores} cores, load {os.getloadavg()[0]:.1f}")
    print(", ".join(f"{n} {version(n)}" for n in ("pyarrow", "numpy", "astropy", "romancal")))
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        directory = (options.directory or Path(name)).resolve()
        directory.mkdir(parents=True, exist_ok=True)
        for part in options.only.split(","):
            print(f"\n{part}", flush=True)
            start = time.monotonic()
            figures |= _in_a_process_of_its_own(part, options, directory / part)
            print(f"  ({time.monotonic() - start:.0f} s in all)", flush=True)
    return _judge(figures)


def _in_a_process_of_its_own(
    part: str, options: argparse.Namespace, directory: Path
) -> dict[str, float]:
    """Run a part, so that its memory and imports are its own; return its figures."""
    directory.mkdir(exist_ok=True)
    command = [sys.executable, __file__, f"--part={part}", f"--directory={directory}"]
    command += [f"--exposures={options.exposures}", f"--sources={options.sources}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        print(f"  failed with exit status {done.returncode}")
        return {}
    *said, last = done.stdout.rstrip().splitlines()
    print("\n".join(said))
    return {key: float(value) for key, value in (item.split("=") for item in last.split())}


def _figures(**values: float) -> str:
    return " ".join(f"{name}={value:.6g}" for name, value in values.items())


def _collate(options: argparse.Namespace, directory: Path) -> str:
    found = collate_made_up(directory, options.exposures, options.sources)
    return _figures(collate_cpu=found["cpu"], collate_peak=found["peak"], curve=found["curve"])


def _engine(options: argparse.Namespace, directory: Path) -> str:
    overhead, speedup = engine_overhead(directory)
    return _figures(engine=overhead, speedup=speedup)


def _dask(options: argparse.Namespace, directory: Path) -> str:
    overhead, same = dask_overhead(directory)
    return _figures(dask=overhead, dask_same=same)


def _cost(options: argparse.Namespace, directory: Path) -> str:
    cost, unchecked = cost_of_an_exposure(directory, options.sources)
    return _figures(cost=cost, cost_unchecked=unchecked)


def _workers(options: argparse.Namespace, directory: Path) -> str:
    clock, processor = speedup_of_two(directory, options.sources)
    return _figures(workers=clock, workers_cpu=processor)


def _further(options: argparse.Namespace, directory: Path) -> str:
    return _figures(further=further_exposure_of_a_step(directory))


def _series(options: argparse.Namespace, directory: Path) -> str:
    found, difference = series_accuracy(directory)
    return _figures(
        constant_chi2_low=found.constant_chi2,
        constant_chi2=found.constant_chi2,
        transient_low=found.transient_pull_width,
        transient=found.transient_pull_width,
        difference_low=difference,
        difference=difference,
        zero_point=found.zero_point_error,
        offset=found.offset_error,
    )


_PARTS = {
    "collate": _collate,
    "engine": _engine,
    "dask": _dask,
    "workers": _workers,
    "cost": _cost,
    "further": _further,
    "series": _series,
}


def _judge(figures: dict[str, float]) -> int:
    """Print the figures beside those to reach."""
    print("\nfigure, to reach")
    n_missed = 0
    for name, (words, bound, side) in BOUNDS.items():
        if name in figures:
            value = figures[name]
            is_reached = value <= bound if side == "<=" else value >= bound
            n_missed += not is_reached
            verdict = "reached" if is_reached else "MISSED"
            print(f"  {value:8.3f} {side} {bound:<6g} {words:46s} {verdict}")
    return int(n_missed > 0)


if __name__ == "__main__":
    np.seterr(all="warn")
    sys.exit(main())
