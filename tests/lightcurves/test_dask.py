"""Exposures on a Dask cluster of this machine, whose parts are killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from lightcurves.drivers import job, made_up, made_up_by_one_thread, requested
from lightcurves.tasks import Victim, measure_slowly
from lightcurves.test_engine import by_name
from lightcurves.test_run import digests_of

from romancal_forcedphot.lightcurves.running.engine import outcomes
from romancal_forcedphot.lightcurves.running.jobs import attempt
from romancal_forcedphot.lightcurves.running.pools import DaskPool, PoolError, opened

TESTS = Path(__file__).resolve().parents[1]


class Cluster:
    """A scheduler and workers as processes of their own."""

    def __init__(self, directory):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{port}"
        self._directory = directory
        self.scheduler = self.start("scheduler", "--host", "127.0.0.1", "--port", str(port))
        self.workers = [
            self.start("worker", self.address, "--nthreads", "1", "--no-nanny") for _ in range(2)
        ]

    def start(self, kind, *arguments):
        paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
        command = [sys.executable, "-m", "dask", kind, *arguments, "--no-dashboard"]
        return subprocess.Popen(
            command,
            cwd=self._directory,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    @property
    def is_alive(self):
        return self.scheduler.poll() is None and any(each.poll() is None for each in self.workers)

    def stop(self):
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def clusters(tmp_path_factory):
    """Clusters that were started, the last of them perhaps alive."""
    started = []
    yield started
    for cluster in started:
        cluster.stop()


@pytest.fixture
def cluster(clusters, tmp_path_factory):
    """A cluster with one worker at least, which takes seconds to start."""
    if not (clusters and clusters[-1].is_alive):
        clusters.append(Cluster(tmp_path_factory.mktemp("cluster")))
    return clusters[-1]


def connected(cluster, settings=None, seconds=60.0):
    """A pool, as soon as the scheduler is there."""
    end = time.monotonic() + seconds
    while True:
        try:
            return DaskPool(cluster.address, job(settings))
        except PoolError:
            assert time.monotonic() < end


@pytest.mark.slow
def test_a_cluster_gives_the_same_bytes_though_a_worker_dies(cluster, tmp_path):
    exposures = [*requested(8), *requested(1, "damaged")]
    with opened(connected(cluster, Victim(tmp_path, deaths=1))) as pool:
        found = by_name(outcomes(pool, exposures))
    assert (tmp_path / "deaths").read_text() == "x"
    assert "no WCS" in found.pop("damaged_0000").reason
    assert len(found) == 8
    for outcome in found.values():
        assert outcome.content == attempt(job(), outcome.exposure).content


@pytest.mark.slow
def test_a_scheduler_that_dies_ends_the_run_and_another_completes_the_same_data_set(
    cluster, tmp_path
):
    connected(cluster).close()
    series = tmp_path / "killed" / "series"

    def kill():
        while len(list(series.glob("exposures/*.parquet"))) < 3:
            time.sleep(0.02)
        cluster.scheduler.send_signal(signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(PoolError, match="is lost"):
        made_up(series, 60, scheduler=cluster.address, measure=measure_slowly)
    killer.join()
    n_kept = len(list(series.glob("exposures/*.parquet")))
    assert 3 <= n_kept < 60
    done = made_up_by_one_thread(series, 60)
    assert (done.n_measured, done.failed) == (60 - n_kept, {})
    made_up_by_one_thread(tmp_path / "lived" / "series", 60)
    assert digests_of(tmp_path / "lived") == digests_of(tmp_path / "killed")


def test_a_scheduler_that_is_not_there_is_told():
    with pytest.raises(PoolError, match="cannot be reached"):
        DaskPool("tcp://127.0.0.1:9", job(), connect_s=0.5)
    with pytest.raises(PoolError, match="cannot be reached"):
        DaskPool("no-such-protocol://host", job())
