"""The parts of `lightcurves.py`, and what worker processes import."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from romancal_forcedphot import lightcurves
from romancal_forcedphot.lightcurves.collating.collation import collate
from romancal_forcedphot.lightcurves.dataset import Dataset, Requested
from romancal_forcedphot.lightcurves.fingerprints import Identity
from romancal_forcedphot.lightcurves.measuring.exposure_files import to_parquet
from romancal_forcedphot.lightcurves.measuring.records import ExposureRecord, MeasuredExposure
from romancal_forcedphot.lightcurves.running.engine import outcomes
from romancal_forcedphot.lightcurves.running.jobs import Job, attempt
from romancal_forcedphot.lightcurves.running.pools import DaskPool, ProcessPool, opened
from romancal_forcedphot.lightcurves.running.resume import claim
from romancal_forcedphot.photometry import Sources
from romancal_forcedphot.storage import write_atomically

#: How long a stand-in for the measurement of a full-frame exposure takes.
TASK_S = 0.5


def field_of(n_sources: int) -> Sources:
    """Sources spread over a detector."""
    rng = np.random.default_rng(1)
    side = 0.13
    return Sources(
        label=np.arange(1, n_sources + 1),
        ra=270 + side / np.cos(np.radians(66)) * rng.uniform(size=n_sources),
        dec=66 + side * rng.uniform(size=n_sources),
        name="made up",
    )


def exposure_of(number: int, n_sources: int, seconds: float = 0.0) -> MeasuredExposure:
    """An exposure that was never taken, after so many seconds."""
    end = time.monotonic() + seconds
    rng = np.random.default_rng(number)
    truth = 10 ** np.random.default_rng(2).uniform(2, 5, n_sources)
    record = ExposureRecord(
        exposure=f"r0003201001001001004_{number:04d}_wfi01_f106",
        location="/nowhere",
        band=("F106", "F158")[number % 2],
        detector="WFI01",
        mjd_tai=61000 + number / 7,
        exptime=107.0,
        observer="spacecraft",
        flux="aper3pix",
        flux_scale=70.0,
        sky_rms=0.1,
        pixel_scale=0.11,
    )
    err = np.sqrt(15.0**2 + 5 * truth)
    columns = {
        "bjd_tdb": 2461000.5 + number / 7 + 1e-5 * rng.uniform(size=n_sources),
        "x": rng.uniform(0, 4088, n_sources),
        "y": rng.uniform(0, 4088, n_sources),
        "flux": truth + err * rng.normal(size=n_sources),
        "flux_err": err * rng.uniform(0.99, 1.01, n_sources),
        "bkg_flux": rng.normal(100, 1, n_sources),
        "bkg_flux_err": rng.uniform(0.9, 1.1, n_sources),
        "nea": rng.uniform(8, 9, n_sources),
        "warning_flags": np.where(rng.uniform(size=n_sources) < 0.02, 8, 0).astype(np.int32),
    }
    time.sleep(max(end - time.monotonic(), 0))
    return MeasuredExposure(record, np.arange(n_sources), columns)


def measure_made_up(location, settings, sources, finder):
    """Stand in for the measurement, for as long as the settings say."""
    number = int(Path(location).name.split("_")[1])
    victim = settings.get("victim")
    if victim and number == 7:  # kill the worker, once
        try:
            Path(victim).touch(exist_ok=False)
        except FileExistsError:
            pass
        else:
            os.kill(os.getpid(), signal.SIGKILL)
    return exposure_of(number, len(sources), settings["seconds"])


def collate_made_up(directory: Path, n_exposures: int, n_sources: int) -> dict[str, float]:
    """Collate exposures, and read a light curve; seconds, GB."""
    sources, dataset = field_of(n_sources), Dataset.at(directory / "series")
    identity = Identity.of({"limit_sigma": 3.0}, sources)
    claim(dataset, identity, sources, "0")
    requested = []
    for number in range(n_exposures):
        measured = exposure_of(number, n_sources)
        name = measured.record.exposure
        if not dataset.exposure_file(name).is_file():
            content = to_parquet(measured, sources.label, made_from=identity.digests)
            dataset.save(name, content)
        requested.append(Requested(name, "/nowhere"))
    dataset.request(requested)
    command = [sys.executable, __file__, str(dataset.directory)]
    print(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip())
    note = (directory / "series" / "figures").read_text().split()
    return dict(zip(("cpu", "peak", "curve"), map(float, note), strict=True))


def collate_here(directory: Path) -> None:
    """Collate in this process, whose memory is that of collating alone, and note the figures."""
    dataset = Dataset.at(directory)
    collate(dataset, lightcurves.CurveOptions(relative_calibration=True))  # anew, whatever was
    start, cpu = time.monotonic(), time.process_time()
    collated = collate(dataset)
    seconds, cpu = time.monotonic() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    size = sum(path.stat().st_size for path in dataset.light_curves.rglob("*") if path.is_file())
    print(f"  {collated.n_points} points of {collated.n_exposures} exposures: {seconds:.1f} s")
    print(f"  ({cpu:.1f} s of CPU), peak {peak:.2f} GB, {size / 1e9:.2f} GB on disk")
    curves = lightcurves.open(directory)
    labels = np.random.default_rng(3).integers(1, len(curves), 20)
    times = []
    for label in labels:
        start = time.process_time()
        curves.source(int(label))
        times.append(time.process_time() - start)
    print(f"  one light curve: {np.median(times):.3f} s of CPU, the first {times[0]:.3f} s")
    (directory / "figures").write_text(f"{cpu} {peak} {np.median(times)}")


def job_of(**settings: object) -> Job:
    """Stand-in for a run of 10,000 sources."""
    return Job(measure_made_up, {"seconds": TASK_S, **settings}, field_of(10_000))


def names_of(n_exposures: int) -> list[Requested]:
    """Exposures by name."""
    names = [f"r0003201001001001004_{number:04d}_wfi01_f106" for number in range(n_exposures)]
    return [Requested(name, f"/nowhere/{name}_cal.asdf") for name in names]


def busy_share(pool, directory: Path, n_workers: int, n_exposures: int = 100) -> float:
    """Share of the time in which workers measure, once all of them have begun.

    What they measure takes as long as it says, so that a busy machine does not count.
    """
    directory.mkdir(parents=True)
    busy = start = end = 0.0
    for n_seen, outcome in enumerate(outcomes(pool, names_of(n_exposures)), 1):
        if outcome.content is None:
            raise RuntimeError(outcome.reason)
        with write_atomically(directory / f"{outcome.exposure.name}.parquet") as file:
            file.write(outcome.content)
        if n_seen == n_workers:
            start = time.monotonic()
        elif n_seen > n_workers:
            busy += outcome.seconds
            end = time.monotonic()
    share = busy / (n_workers * (end - start))
    print(f"  {n_workers} workers measure in {share:.1%} of {end - start:.1f} s", flush=True)
    return share


def engine_overhead(directory: Path) -> tuple[float, float]:
    """Share of the time in which processes do not measure; how many measure at once."""
    with opened(ProcessPool(job_of(), 2)) as pool:
        list(outcomes(pool, names_of(8)))  # imports
        share = busy_share(pool, directory / str(time.time_ns()), 2)
    return 1 - share, 2 * share


def _wait_for_workers(address: str, n_workers: int) -> None:
    from distributed import Client

    for _ in range(60):
        try:
            client = Client(address, timeout=5, set_as_default=False)
        except OSError:
            continue
        with client:
            client.wait_for_workers(n_workers, timeout=120)
        return


def dask_overhead(directory: Path) -> tuple[float, float]:
    """Share of the time in which workers do not measure; of files that a death leaves the same."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])

    def start(*arguments: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "dask", *arguments, "--no-dashboard"]
        environment = os.environ | {"PYTHONPATH": paths}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(command, cwd=directory, env=environment, **quiet)

    processes = [start("scheduler", "--host", "127.0.0.1", "--port", str(port))]
    processes += [start("worker", address, "--nthreads", "1") for _ in range(2)]
    try:
        _wait_for_workers(address, 2)
        with opened(DaskPool(address, job_of())) as pool:
            list(outcomes(pool, names_of(8)))  # imports
            share = busy_share(pool, directory / str(time.time_ns()), 2)
        victim = job_of(victim=str(directory / f"victim_{time.time_ns()}"))
        with opened(DaskPool(address, victim)) as pool:
            died = {o.exposure.name: o.content for o in outcomes(pool, names_of(30))}
        lived = {each.name: attempt(job_of(seconds=0.0), each).content for each in names_of(30)}
        same = float(np.mean([died.get(name) == content for name, content in lived.items()]))
        print(f"  a worker killed: {len(died)} exposures, {same:.0%} the same")
    finally:
        for process in processes:
            process.terminate()
            process.wait()
    return 1 - share, same


def series_accuracy(directory: Path):
    """Simulate 200 epochs of 2,000 stars and judge their light curves."""
    from romancal_forcedphot.example import crds_environment
    from romancal_forcedphot.example.series import SeriesRecipe, make_series
    from romancal_forcedphot.example.series_summary import summarize_series

    recipe = SeriesRecipe(n_epochs=200, n_sources=2000, n_pixels=1792, days=1.0)
    series = make_series(directory, recipe)
    os.environ.update(crds_environment(series.crds))
    output = directory / f"lightcurves_{time.time_ns()}"
    done = lightcurves.run(
        series.directory / "*_cal.asdf",
        series.catalog,
        output_dir=output,
        settings={"aperture_correction": "epsf"},
        measure_options=lightcurves.MeasureOptions(align=True),
        curve_options=lightcurves.CurveOptions(relative_calibration=True),
    )
    print(f"  {done.n_measured} exposures in {done.seconds:.0f} s; {len(done.failed)} failed")
    summary = summarize_series(output, series)
    print("\n".join(f"  {line}" for line in str(summary).splitlines()))
    return summary, difference_pull_width(output, series)


def difference_pull_width(output: Path, series) -> float:
    """Pull width of the transients' fluxes less the mean of a baseline before they begin.

    What wings of neighbours in the annulus do to a source is the same at all epochs.
    """
    from astropy.table import Table

    from romancal_forcedphot.example.series import true_flux
    from romancal_forcedphot.table.statistics import pull_width

    mjd = series.recipe.mjd
    baseline = (float(mjd[0]) - 1, float(mjd[int(0.4 * len(mjd))]))
    options = lightcurves.CurveOptions(relative_calibration=True, baseline=baseline)
    collate(Dataset.at(output), options)
    curves, pulls = lightcurves.open(output), []
    truth = Table.read(series.catalog, format="ascii.ecsv")
    flux = true_flux(truth, mjd) * np.median(series.recipe.zero_points)
    for row in np.flatnonzero(truth["kind"] == "transient"):
        curve = curves.source(int(truth["label"][row]))
        good = np.asarray(curve["warning_flags"]) == 0
        epoch = np.searchsorted(mjd, curve.time.mjd - 0.5 * series.recipe.days)
        found, error = (
            np.asarray(curve[f"flux_difference{end}"].value, dtype=float) for end in ("", "_err")
        )
        pulls += ((found - flux[row][epoch]) / error)[good].tolist()
    return pull_width(np.array(pulls))


if __name__ == "__main__":
    collate_here(Path(sys.argv[1]))
