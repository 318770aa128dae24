"""Parts of `lightcurves.py` that measure the example's full-size image over and over."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from roman_datamodels import datamodels as rdm
from speed_processes import run_child, strun

from romancal_forcedphot.catalogs import read_sources
from romancal_forcedphot.example import crds_environment, make_example
from romancal_forcedphot.geometry import pixel_to_sky
from romancal_forcedphot.lightcurves.dataset import Requested
from romancal_forcedphot.lightcurves.measuring.exposure_files import to_parquet
from romancal_forcedphot.lightcurves.measuring.measurement import measure_image
from romancal_forcedphot.lightcurves.running.engine import outcomes
from romancal_forcedphot.lightcurves.running.jobs import Job
from romancal_forcedphot.lightcurves.running.pools import ProcessPool, opened
from romancal_forcedphot.photometry import Settings, Sources
from romancal_forcedphot.references import CRDSFinder, KeepingFinder

_N_TIMES = 9
_PLANES = ("data", "err", "dq")


def full_size(directory: Path, n_sources: int) -> tuple[str, Sources]:
    """Path of the example's image, and its stars with positions at random: so many in all."""
    example = Path(os.environ.get("FORCED_PHOT_EXAMPLE_DIR", directory / "example"))
    scene, cache = make_example(example)
    os.environ.update(crds_environment(cache))
    stars = read_sources(scene.catalog)
    with rdm.open(scene.image) as model:
        x, y = np.random.default_rng(1).uniform(0, 4088, (2, max(n_sources - len(stars), 0)))
        ra, dec = pixel_to_sky(model.meta.wcs, x, y)
    sources = Sources(
        label=np.arange(n_sources),
        ra=np.r_[stars.ra, ra][:n_sources],
        dec=np.r_[stars.dec, dec][:n_sources],
        name="made up",
    )
    return str(scene.image), sources


def cost_of_an_exposure(directory: Path, n_sources: int) -> tuple[float, float]:
    """CPU of measuring a full-size image once more, over that of opening and reading it.

    With checksums and without. The floor is what roman_datamodels takes, without checksums.
    """
    image, sources = full_size(directory, n_sources)
    finder, settings = KeepingFinder(CRDSFinder()), Settings()

    def floor() -> None:
        with rdm.open(image) as model:
            for name in _PLANES:
                np.asarray(model[name])

    def measured(*, verify_checksums: bool) -> None:
        found = measure_image(image, settings, sources, finder, verify_checksums=verify_checksums)
        to_parquet(found, sources.label)

    functions = {
        "opened and read by roman_datamodels": floor,
        "measured": lambda: measured(verify_checksums=True),
        "measured without checksums": lambda: measured(verify_checksums=False),
    }
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(_N_TIMES + 1):  # in turn, so that others disturb all of them; the first is cold
        for name, function in functions.items():
            start = time.process_time()
            function()
            times[name].append(time.process_time() - start)
    for name, each in times.items():
        print(f"  {name}: {np.median(each[1:]):.3f} s of CPU, at least {min(each):.3f}")
    base, with_checksums, without = (float(np.median(each[1:])) for each in times.values())
    return with_checksums / base, without / base


def further_exposure_of_a_step(directory: Path, n_sources: int = 100_000) -> float:
    """CPU of each further exposure of one `strun`: of seven less that of two, over five."""
    image, sources = full_size(directory, n_sources)
    columns = {"label": sources.label, "ra": sources.ra, "dec": sources.dec}
    pq.write_table(pa.table(columns), directory / "catalog.parquet")
    images = [directory / f"further_{number:04d}_cal.asdf" for number in range(7)]
    for link in images:
        link.unlink(missing_ok=True)
        link.symlink_to(image)
    processor = {}
    for n in (2, 7):
        program, step, _, *options = strun(images[0], directory / "catalog.parquet")
        command = [program, step, *map(str, images[:n]), *options]
        run = run_child(command, cwd=directory, environment=dict(os.environ))
        processor[n] = run.processor_s
        print(f"  {n} exposures of {n_sources} sources: {processor[n]:.2f} s of CPU")
    return (processor[7] - processor[2]) / 5


def speedup_of_two(directory: Path, n_sources: int, n_each: int = 8) -> tuple[float, float]:
    """How many times faster two workers measure than one: by the clock, and by their CPU.

    On a machine that others use the clock tells nothing; the CPU of an exposure tells what two
    workers lose by sharing memory and caches.
    """
    image, sources = full_size(directory, n_sources)
    job = Job(measure_image, Settings(), sources, KeepingFinder(CRDSFinder()))

    def requested(n: int) -> list[Requested]:
        return [Requested(f"exposure_{number:04d}", image) for number in range(n)]

    clock, processor = [], []
    for n_workers in (1, 2):
        with opened(ProcessPool(job, n_workers)) as pool:
            list(outcomes(pool, requested(3 * n_workers)))  # imports, references
            start, used = time.monotonic(), _children_cpu()
            for outcome in outcomes(pool, requested(n_each * n_workers)):
                if outcome.content is None:
                    raise RuntimeError(outcome.reason)
            clock.append((time.monotonic() - start) / (n_each * n_workers))
            processor.append((_children_cpu() - used) / (n_each * n_workers))
        print(
            f"  {n_workers} workers: {clock[-1]:.3f} s of the clock and {processor[-1]:.3f} s of "
            f"CPU for each exposure, load {os.getloadavg()[0]:.1f}"
        )
    return clock[0] / clock[1], 2 * processor[0] / processor[1]


def _children_cpu() -> float:
    """Seconds of CPU that the processes started here have used."""
    ticks = 0
    for child in multiprocessing.active_children():
        fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
