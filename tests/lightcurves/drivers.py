"""Runs of made-up exposures, importable in child processes, as test modules are not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from lightcurves.series import made_catalog
from lightcurves.tasks import measure_made_up

from romancal_forcedphot.lightcurves.dataset import Requested
from romancal_forcedphot.lightcurves.running.engine import outcomes
from romancal_forcedphot.lightcurves.running.jobs import Job
from romancal_forcedphot.lightcurves.running.pools import ProcessPool
from romancal_forcedphot.lightcurves.running.run import run_dataset


def job(settings=None):
    return Job(measure_made_up, settings, made_catalog(names=True), made_from={"settings": "abc"})


def requested(n, prefix="exposure"):
    return [Requested(f"{prefix}_{k:04d}", f"/nowhere/{prefix}_{k:04d}_cal.asdf") for k in range(n)]


def drive(job):
    list(outcomes(ProcessPool(job, 2), requested(4)))


def made_up(directory, n, *, measure=measure_made_up, **options):
    names = [f"/nowhere/exposure_{k:04d}_cal.asdf" for k in range(n)]
    sources = made_catalog(50, names=True)
    return run_dataset(
        names, sources, output_dir=directory, settings={"a": 1}, measure=measure, **options
    )


def made_up_by_one_thread(directory, n):
    with ThreadPoolExecutor(1) as executor:
        return made_up(directory, n, executor=executor)
