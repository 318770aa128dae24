"""How fast: our kernel beside photutils, sep and others; `strun forced_phot` beside its floor.

    python benchmarks/speed.py [--quick] [--sizes 1000,10000,100000,1000000] [--directory example]

The contenders take turns, so that a busy machine is busy for all of them; times are medians, of
five runs (three for the largest catalog, one with --quick). The directory holds the simulated
exposure of `forced_phot_example`, which is made there if need be. At the end the figures stand
beside those to reach. It takes about ten minutes on two free cores, two with --quick.

The speed of PSF photometry: `psf.py` (whole runs of 20,000 stars beside their floor) and
`psf_bulge.py` (microseconds of the fit per star).
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
from speed_kernels import Contender, Scene, contenders, microseconds_per_source
from speed_processes import Run, ourselves, run_child, strun
from speed_s3 import read_over_transfer

from romancal_forcedphot.example import crds_environment, make_example

HERE = Path(__file__).resolve().parent
Figures = dict[tuple[str, int], float]


def print_setting() -> None:
    """Say on what machine and with what versions this is."""
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if "model name" in line), model)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = os.getloadavg()[0]
    packages = ("romancal_forcedphot", "numpy", "scipy", "astropy", "photutils", "sep")
    packages += ("romancal", "roman_datamodels", "stpipe", "asdf")
    print(f"{model}, {cores} cores, load {load:.1f}; Python {platform.python_version()}")
    print(", ".join(f"{name} {version(name)}" for name in packages))
    print("python " + " ".join(sys.argv), flush=True)


def repeats_of(n_sources: int, quick: bool) -> int:
    """Runs that a median is taken of."""
    return 1 if quick else 3 if n_sources > 300_000 else 5


def time_kernels(
    runners: dict[str, Contender], scene: Scene, sizes: list[int], quick: bool
) -> tuple[Figures, Figures]:
    """Print the time per source of each contender at each size; return wall, processor times."""
    for contender in runners.values():  # imports and caches
        contender.run(scene.with_sources(1024).part(64))
    print("\nMicroseconds per source: wall (processor), and wall over ours with two threads")
    print(f"{'':28s}" + "".join(f"{n:>26,d}" for n in sizes), flush=True)
    walls, texts = {}, dict.fromkeys(runners, "")
    processors: Figures = {}
    for n_sources in sizes:
        some = scene.with_sources(n_sources)
        times = {key: [] for key in runners}
        for _ in range(repeats_of(n_sources, quick)):
            for key, contender in runners.items():
                times[key].append(microseconds_per_source(contender, some))
        for key in runners:
            wall, processor = np.median(times[key], axis=0)
            walls[key, n_sources] = wall
            processors[key, n_sources] = processor
            ratio = wall / walls["ours2", n_sources]
            texts[key] += f"{f'{wall:.2f} ({processor:.2f}) {ratio:.2f}':>26s}"
    for key, contender in runners.items():
        print(f"{contender.name:28s}{texts[key]}")
    print_caps(runners, max(sizes))
    return walls, processors


def print_caps(runners: dict[str, Contender], n_sources: int) -> None:
    """Say which contenders were timed on a part of the sources."""
    capped = [f"{c.name} {c.most:,d}" for c in runners.values() if c.most < n_sources]
    print(f"At most so many of the sources were given to: {', '.join(capped)}", flush=True)


def kernel_memory(runners: dict[str, Contender], sizes: list[int], directory: Path) -> None:
    """Print the peak memory of a process that makes the scene and measures it once."""
    n_sources = max(sizes)
    print(
        f"\nPeak memory of a process that makes the scene and measures {n_sources:,d} sources, GB"
    )
    for key, contender in runners.items():
        command = [sys.executable, os.fspath(HERE / "speed_kernels.py"), key, str(n_sources)]
        run = run_child(command, cwd=directory, environment=dict(os.environ))
        print(f"{contender.name:28s}{run.peak_gb:26.2f}", flush=True)


def time_processes(
    image: Path, cache: Path, sizes: list[int], quick: bool, room: Path
) -> tuple[Figures, Figures]:
    """Print whole runs beside their floors; return the ratios and the peak memories."""
    environment = environment_of(cache)
    print("\nWhole processes: wall s (processor s) peak GB")
    names = f"{'strun forced_phot':>26s}{'floor':>26s}{'wall ratio':>12s}{'processor':>12s}"
    print(f"{'sources':>12s}{names}")
    ratios, peaks = {}, {}
    for n_sources in sizes:
        catalog, columns = room / "catalog.parquet", room / "columns.npz"
        product = room / image.name.replace("_cal", "_forcedphot")
        command = strun(image, catalog)
        for first in (  # files come to the system's cache by the way
            ourselves("catalog", image, catalog, n_sources),
            command,
            ourselves("columns", product, columns),
        ):
            run_child(first, cwd=room, environment=environment)
        (area,) = cache.glob("references/roman/*area*.asdf")
        floor = ourselves("floor", image, area, columns, room / "floor.asdf")
        runs = {"strun": [], "floor": []}
        for _ in range(repeats_of(n_sources, quick)):
            runs["strun"].append(run_child(command, cwd=room, environment=environment))
            runs["floor"].append(run_child(floor, cwd=room, environment=environment))
        ours, theirs = (median_run(runs[name]) for name in ("strun", "floor"))
        ratios["strun", n_sources] = ours.wall_s / theirs.wall_s
        ratios["processor", n_sources] = ours.processor_s / theirs.processor_s
        peaks["strun", n_sources] = ours.peak_gb
        cells = "".join(f"{text_of(run):>26s}" for run in (ours, theirs))
        both = "".join(f"{ratios[kind, n_sources]:12.2f}" for kind in ("strun", "processor"))
        print(f"{n_sources:12,d}{cells}{both}", flush=True)
    return ratios, peaks


def time_further(image: Path, cache: Path, n_sources: int, room: Path) -> Figures:
    """Print the processor time of one more exposure in a process that measures many."""
    environment = environment_of(cache)
    catalog = room / "catalog.parquet"
    run_child(ourselves("catalog", image, catalog, n_sources), cwd=room, environment=environment)
    run = run_child(ourselves("further", image, catalog), cwd=room, environment=environment)
    seconds = float(run.output.rsplit("processor_s", 1)[1].split()[0])
    print(f"A further exposure, {n_sources:,d} sources: {seconds:.2f} processor s", flush=True)
    return {("further", n_sources): seconds}


def environment_of(cache: Path) -> dict[str, str]:
    """The environment of whole processes: with bytecode, as that of installed packages is there."""
    environment = os.environ | crds_environment(cache)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


def time_romancal(image: Path, cache: Path, room: Path) -> None:
    """Print a run of romancal's SourceCatalogStep, or why it does not run."""
    try:
        run = run_child(
            ourselves("romancal", image),
            cwd=room,
            environment=environment_of(cache),
        )
    except RuntimeError as error:
        print(f"romancal's SourceCatalogStep does not run here: {error}", flush=True)
        return
    n_sources = int(run.output.rsplit("n_sources", 1)[1].split()[0])
    print(
        f"romancal's SourceCatalogStep, which finds {n_sources:,d} sources itself: "
        f"{text_of(run)} GB, {1e6 * run.wall_s / n_sources:.0f} microseconds per source",
        flush=True,
    )


def median_run(runs: list[Run]) -> Run:
    """Medians of what runs took."""
    figures = np.median([(run.wall_s, run.processor_s, run.peak_gb) for run in runs], axis=0)
    return Run(*figures.tolist(), runs[0].output)


def text_of(run: Run) -> str:
    """A run in a cell of a table."""
    return f"{run.wall_s:.2f} ({run.processor_s:.2f}) {run.peak_gb:.2f}"


def print_figures(walls: Figures, processors: Figures, ratios: Figures, peaks: Figures) -> None:
    """Print the figures to reach beside those reached; those of sizes that were left out not."""
    new = tuple(int(part) for part in version("photutils").split(".")[:2]) >= (3, 1)
    n, many = 100_000, 1_000_000
    rows: list[tuple[str, Callable[[], float], str, float]] = [
        (
            f"times faster than photutils {version('photutils')}, 1 thread (ours 2)",
            lambda: walls["photutils", n] / walls["ours2", n],
            ">=",
            6 if new else 50,
        ),
        ("microseconds per source, 2 threads", lambda: walls["ours2", n], "<=", 12),
        (
            "time per source at 1e6 over that at 1e5",
            lambda: walls["ours2", many] / walls["ours2", n],
            "<=",
            1.2,
        ),
        ("microseconds per source, 1 thread", lambda: walls["ours1", n], "<=", 8),
        ("the same in processor time", lambda: processors["ours1", n], "<=", 8),
        (
            "20 radii over one of 5 pixels, processor time",
            lambda: processors["radii", n] / processors["radius", n],
            "<=",
            4,
        ),
        ("strun over floor, 10 sources", lambda: ratios["strun", 10], "<=", 1.15),
        ("strun over floor, 1e5 sources", lambda: ratios["strun", n], "<=", 1.5),
        ("strun over floor, 1e6 sources", lambda: ratios["strun", many], "<=", 3.5),
        ("the same in processor time, 10 sources", lambda: ratios["processor", 10], "<=", 1.15),
        ("the same in processor time, 1e5 sources", lambda: ratios["processor", n], "<=", 1.5),
        ("the same in processor time, 1e6 sources", lambda: ratios["processor", many], "<=", 3.5),
        ("processor s of a further exposure, 1e5 sources", lambda: ratios["further", n], "<=", 1.6),
        ("reading from S3 over the transfer at 1 Gbit/s", lambda: ratios["s3", 0], "<=", 1.15),
        ("peak GB, 1e5 sources", lambda: peaks["strun", n], "<=", 0.8),
        ("peak GB, 1e6 sources", lambda: peaks["strun", many], "<=", 1.2),
        ("microseconds per ePSF correction", lambda: walls["epsf", n], "<=", 40),
    ]
    print("\nFigures to reach")
    for what, figure, sign, limit in rows:
        try:
            value = figure()
        except KeyError:
            continue
        reached = value >= limit if sign == ">=" else value <= limit
        verdict = "reached" if reached else "NOT reached"
        print(f"{what:62s}{value:8.2f}  {sign} {limit:<5g} {verdict}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one run of each, sizes to 1e5")
    parser.add_argument("--sizes", help="numbers of sources, separated by commas")
    parser.add_argument("--directory", type=Path, default=Path("example"))
    parser.add_argument("--only", choices=["kernels", "processes", "s3"], help="a part of it")
    parser.add_argument("--contenders", help="some kernels, such as ours1,radius,radii (and ours2)")
    options = parser.parse_args()
    usual = "10,10000,100000" if options.quick else "10,1000,10000,100000,1000000"
    sizes = [int(size) for size in (options.sizes or usual).split(",")]
    warnings.simplefilter("ignore")
    print_setting()
    walls, processors, ratios, peaks = {}, {}, {}, {}
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        if options.only in (None, "s3"):
            scene, _ = make_example(options.directory.resolve())
            n_runs = 2 if options.quick else 5
            ratios["s3", 0] = float(
                np.median([read_over_transfer(scene.image) for _ in range(n_runs)])
            )
        if options.only in (None, "processes"):
            scene, cache = make_example(options.directory.resolve())
            ratios, peaks = time_processes(scene.image, cache, sizes, options.quick, room)
            if 100_000 in sizes:
                ratios |= time_further(scene.image, cache, 100_000, room)
            time_romancal(scene.image, cache, room)
        if options.only in (None, "kernels"):
            runners = contenders()
            if options.contenders:
                names = ["ours2", *options.contenders.split(",")]
                runners = {name: runners[name] for name in names}
            else:
                kernel_memory(runners, sizes, room)  # while this process is small: children inherit
            walls, processors = time_kernels(runners, Scene.make(1024), sizes, options.quick)
    print_figures(walls, processors, ratios, peaks)


if __name__ == "__main__":
    main()
