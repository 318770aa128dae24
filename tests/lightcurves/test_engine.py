"""Many exposures in pools of several kinds, with failures and deaths in the middle."""

from __future__ import annotations

import io
import os
import signal
import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
from lightcurves.drivers import drive, job, requested
from lightcurves.tasks import Slow, Victim

from romancal_forcedphot.lightcurves.dataset import Requested
from romancal_forcedphot.lightcurves.measuring.exposure_files import read_exposure
from romancal_forcedphot.lightcurves.running.engine import outcomes
from romancal_forcedphot.lightcurves.running.jobs import Outcome, attempt
from romancal_forcedphot.lightcurves.running.pools import (
    ExecutorPool,
    PoolError,
    ProcessPool,
    opened,
)


def by_name(found):
    return {outcome.exposure.name: outcome for outcome in found}


def test_an_attempt_never_raises():
    good = attempt(job(), requested(1)[0])
    assert good.reason == ""
    assert good.record.exposure == "exposure_0000"
    assert read_exposure(io.BytesIO(good.content)).record.location.endswith(
        "exposure_0000_cal.asdf"
    )
    bad = attempt(job(), Requested("damaged_0003", "/nowhere/damaged_0003_cal.asdf"))
    assert bad.content is None
    assert bad.reason == "no WCS in 'damaged_0003'"
    assert "raise ValueError" in bad.details
    assert attempt(job(), Requested("silent_0001", "/silent_0001")).reason == "KeyError"


@pytest.mark.slow
def test_threads_and_processes_give_the_same_bytes():
    exposures = requested(5)
    with ThreadPoolExecutor(2) as executor:
        threads = by_name(outcomes(ExecutorPool(executor, job()), exposures))
    with opened(ProcessPool(job(), 2)) as pool:
        processes = by_name(outcomes(pool, exposures))
    assert set(threads) == set(processes) == {exposure.name for exposure in exposures}
    for name, outcome in threads.items():
        assert outcome.content is not None
        assert outcome.content == processes[name].content


@pytest.mark.slow
def test_failures_and_deaths_stay_with_their_exposures(tmp_path):
    """A worker is killed once, one exposure kills each of its workers, one is damaged."""
    exposures = [*requested(1, "killer"), *requested(6), *requested(1, "damaged")]
    with opened(ProcessPool(job(Victim(tmp_path, deaths=1)), 2)) as pool:
        found = by_name(outcomes(pool, exposures))
    assert "worker that measures it dies" in found.pop("killer_0000").reason
    assert "no WCS" in found.pop("damaged_0000").reason
    assert len(found) == 6
    assert all(outcome.content for outcome in found.values())
    assert (tmp_path / "deaths").read_text() == "x"


@pytest.mark.slow
def test_a_worker_that_dies_while_it_waits_costs_nothing(tmp_path):
    with opened(ProcessPool(job(Slow(str(tmp_path), 0.0)), 1)) as pool:
        assert pool.submit(requested(1)[0]).result().content
        os.kill(int((tmp_path / "pids").read_text()), signal.SIGKILL)
        time.sleep(0.5)
        assert next(iter(outcomes(pool, requested(1)))).content


class Dying:
    """A pool whose workers die at once."""

    n_in_flight = 2

    def submit(self, exposure):
        future = Future()
        future.set_exception(BrokenProcessPool("a child process terminated abruptly"))
        return future

    def check(self):
        pass

    def replace_worker(self):
        pass


def test_workers_that_only_die_end_the_run():
    with pytest.raises(PoolError, match="one after the other"):
        list(outcomes(Dying(), requested(5)))


def test_a_given_executor_that_breaks_ends_the_run():
    class Broken(Dying):
        def submit(self, function, job, exposure):
            return super().submit(exposure)

    with pytest.raises(PoolError, match="run again with a new one"):
        list(outcomes(ExecutorPool(Broken(), job()), requested(3)))


def test_what_cannot_be_sent_is_told():
    class Unpicklable:
        _max_workers = 1

        def submit(self, function, job, exposure):
            future = Future()
            if exposure.name.endswith("1"):
                future.set_exception(TypeError("cannot pickle"))
            else:
                future.set_result(Outcome(exposure, b"content"))
            return future

    found = by_name(outcomes(ExecutorPool(Unpicklable(), job()), requested(3)))
    assert found["exposure_0001"].reason == "TypeError: cannot pickle"
    assert found["exposure_0002"].content == b"content"


def test_no_workers_are_refused():
    with pytest.raises(PoolError, match="n_workers is 0"):
        ProcessPool(job(), 0)


@pytest.mark.slow
def test_workers_end_when_their_parent_is_killed(tmp_path, started):
    """Else they would wait for work for ever."""
    driver = started(drive, job(Slow(str(tmp_path), 60.0)))
    pids = tmp_path / "pids"
    _wait_for(lambda: pids.exists() and pids.read_text().count("\n") >= 2)
    driver.kill()
    driver.join()
    for pid in map(int, pids.read_text().split()):
        _wait_for(lambda pid=pid: not _runs(pid))


def _runs(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def _wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
