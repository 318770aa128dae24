"""Child processes for the tests of this folder."""

from __future__ import annotations

import multiprocessing

import pytest


@pytest.fixture
def started():
    """Start a function in a process, forked from one that has imported the package already."""
    context, processes = multiprocessing.get_context("forkserver"), []
    context.set_forkserver_preload(["romancal_forcedphot.lightcurves.running.run"])

    def start(function, *arguments):
        module = function.__module__.rpartition(".")[2]
        assert not module.startswith("test_"), "pytest alone cannot import test modules in children"
        processes.append(context.Process(target=function, args=arguments))
        processes[-1].start()
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.join()
