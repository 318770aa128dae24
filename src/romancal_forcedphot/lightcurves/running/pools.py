"""Where exposures are measured: processes of this machine, a Dask cluster, any other executor.

A pool takes an exposure and returns a `concurrent.futures.Future` of its `Outcome`. What all
exposures share travels to each worker once. A pool may break (a worker was killed, the scheduler
is gone); the engine then asks whether work can go on.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from multiprocessing import connection
from typing import Any, Protocol

from ..dataset import Requested
from .jobs import Job, Outcome, attempt

__all__ = ["DaskPool", "ExecutorPool", "Pool", "PoolError", "ProcessPool"]

_CONNECT_S = 10
#: Tasks that a scheduler holds at once, enough for any cluster; results are small.
_IN_FLIGHT = 1000


class PoolError(RuntimeError):
    """Nothing can be measured any more; the message says why and what to do."""


class Pool(Protocol):
    """Where exposures are measured.

    Attributes
    ----------
    n_in_flight : int
        How many exposures it should hold at once.
    """

    n_in_flight: int

    def submit(self, exposure: Requested) -> Future[Outcome]:
        """Have an exposure measured."""
        ...

    def check(self) -> None:
        """Raise a PoolError if nothing more will come of what was submitted."""
        ...

    def replace_worker(self) -> None:
        """Make good for a worker that died, or raise a PoolError."""
        ...

    def close(self) -> None:
        """Let go of the workers; what is not done yet is given up."""
        ...


class ProcessPool:
    """Processes of this machine, started anew (spawn), each with the job from its beginning.

    Each process is an executor of its own with one exposure in hand: when it dies, that is the
    exposure it died on, and the others go on. (One executor of several processes breaks as a whole,
    and may not notice the death of a process that it started while it waited: it waits for ever.)

    Parameters
    ----------
    job : Job
        What all exposures share.
    n_workers : int
        Number of processes.
    """

    def __init__(self, job: Job, n_workers: int) -> None:
        if n_workers < 1:
            raise PoolError(f"n_workers is {n_workers}: expected 1 or more processes")
        self.n_in_flight = n_workers
        self._job = pickle.dumps(job)
        self._workers: list[ProcessPoolExecutor | None] = [None] * n_workers
        self._work: list[Future[Outcome] | None] = [None] * n_workers

    def submit(self, exposure: Requested) -> Future[Outcome]:
        """Have an exposure measured by a free process, which is started if need be."""
        free = next(n for n, work in enumerate(self._work) if work is None or work.done())
        try:
            work = self._worker(free).submit(_attempt_here, exposure)
        except BrokenExecutor:  # it died, at work or idle
            self._worker(free).shutdown()
            self._workers[free] = None
            work = self._worker(free).submit(_attempt_here, exposure)
        self._work[free] = work
        return work

    def _worker(self, number: int) -> ProcessPoolExecutor:
        """Return one of the processes, started if need be."""
        worker = self._workers[number]
        if worker is None:
            worker = self._workers[number] = ProcessPoolExecutor(
                1,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_begin,
                initargs=(self._job,),
            )
        return worker

    def check(self) -> None:
        """Do nothing: a process that died says so in its future."""

    def replace_worker(self) -> None:
        """Do nothing: the next exposure starts another process."""

    def close(self) -> None:
        """End the processes."""
        for worker in filter(None, self._workers):
            worker.shutdown(wait=False, cancel_futures=True)
        for worker in filter(None, self._workers):
            worker.shutdown()
        self._workers = [None] * self.n_in_flight


class ExecutorPool:
    """Any executor; the job is pickled with each exposure if the executor does so.

    Parameters
    ----------
    executor : concurrent.futures.Executor
        Where to measure. It stays open.
    job : Job
        What all exposures share.
    """

    def __init__(self, executor: Executor, job: Job) -> None:
        self._executor, self._job = executor, job
        workers = getattr(executor, "_max_workers", None)
        self.n_in_flight = 2 * workers if isinstance(workers, int) else _IN_FLIGHT

    def submit(self, exposure: Requested) -> Future[Outcome]:
        """Have an exposure measured."""
        return self._executor.submit(attempt, self._job, exposure)

    def check(self) -> None:
        """Do nothing: what the executor knows it says in each future."""

    def replace_worker(self) -> None:
        """Raise: who gave the executor must give another one."""
        raise PoolError(
            f"the {type(self._executor).__name__} broke while exposures were measured: run again "
            "with a new one, what is done stays done"
        )

    def close(self) -> None:
        """Leave the executor to who gave it."""


class DaskPool:
    """A Dask cluster.

    Parameters
    ----------
    address : str
        Of its scheduler, such as ``'tcp://host:8786'``.
    job : Job
        What all exposures share. It is a task's result on the cluster, so that it is made again
        where the worker that held it is lost.
    connect_s : float
        How long to wait for the scheduler.
    """

    n_in_flight = _IN_FLIGHT

    def __init__(self, address: str, job: Job, *, connect_s: float = _CONNECT_S) -> None:
        try:
            from distributed import Client
        except ImportError as error:
            raise PoolError(
                f"a scheduler needs Dask, which cannot be imported here ({error}): "
                "pip install 'romancal_forcedphot[dask]'"
            ) from error
        self._address = address
        try:
            self._client = Client(address, timeout=connect_s, set_as_default=False)
        except (OSError, ValueError) as error:
            raise PoolError(
                f"the scheduler at {address!r} cannot be reached within {connect_s:g} s ({error}): "
                "start it with 'dask scheduler', workers with 'dask worker ADDRESS --nthreads 1'"
            ) from error
        self._executor = self._client.get_executor(pure=False)
        self._job = self._client.submit(pickle.loads, pickle.dumps(job), pure=False)

    def submit(self, exposure: Requested) -> Future[Outcome]:
        """Have an exposure measured."""
        return self._executor.submit(attempt, self._job, exposure)

    def check(self) -> None:
        """Raise where the scheduler is lost, whose futures would wait for ever."""
        if self._client.status != "running":
            self.replace_worker()

    def replace_worker(self) -> None:
        """Raise: a scheduler that is gone has lost what it held."""
        raise PoolError(
            f"the scheduler at {self._address!r} is lost: start it and run again, what is done "
            "stays done"
        )

    def close(self) -> None:
        """Give up what is not done, and leave the cluster."""
        with contextlib.suppress(Exception):  # the scheduler may be gone
            self._executor.shutdown(wait=False)
        with contextlib.suppress(Exception):
            self._client.close(timeout=1)


#: The job of a worker process, once `_begin` has run there.
_jobs: list[Job] = []


def _begin(job: bytes) -> None:
    """Begin a worker's life: keep the job, and end when the parent does."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.captureWarnings(True)
    for name in ("romancal", "py.warnings"):  # what matters comes back with each exposure
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).propagate = False
    _jobs[:] = [pickle.loads(job)]


def _end_with_parent() -> None:
    """Wait for the parent's end: a worker whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _attempt_here(exposure: Requested) -> Outcome:
    """Measure an exposure by this worker's job."""
    return attempt(_jobs[0], exposure)


@contextlib.contextmanager
def opened(pool: Any) -> Iterator[Any]:
    """Close a pool when the context ends."""
    try:
        yield pool
    finally:
        pool.close()
