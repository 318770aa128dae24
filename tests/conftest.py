"""The simulated exposure that all tests share, and the CRDS cache that belongs to it.

The scene is made once and found again: below `FORCED_PHOT_EXAMPLE_DIR` if that is set (CI sets it,
so that the example command and the tests share one scene), else in pytest's cache directory.

crds reads its settings when it is imported and keeps what it looked up, so the simulated cache must
not be set up in a process that may have imported crds before. Tests that need it run child
processes with `crds_env`.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import gc
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import asdf.schema
import pytest
import yaml
from xdist.scheduler import LoadFileScheduling

from romancal_forcedphot.example import (
    crds_environment,
    make_crds_cache,
    make_example,
    make_mosaic,
    make_scene,
)
from romancal_forcedphot.example.series import make_series
from stpsf_tree import make_tree


def pytest_collection_modifyitems(items):
    """Begin with the files that take longest, as if a slow test took as long as thirty others."""
    weights = Counter()
    for item in items:
        weights[item.path] += 30 if item.get_closest_marker("slow") else 1
    items.sort(key=lambda item: -weights[item.path])


class Scheduling(LoadFileScheduling):
    """Share the tests among processes by file, but chapters of the tutorial one by one."""

    def _split_scope(self, nodeid):
        file = super()._split_scope(nodeid)
        return nodeid if file.endswith("test_tutorial.py") else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return Scheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """Escape names of files that are no text, in what a test has said: xdist cannot carry them."""
    report = yield
    report.sections = [
        (title, said.encode(errors="backslashreplace").decode()) for title, said in report.sections
    ]
    return report


@pytest.fixture(autouse=True)
def _quick_collections():
    """Leave what is there already out of collections: stpipe makes one in each run of a step.

    What a test itself leaves behind is collected as ever.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def _schemas_parsed_once():
    """Keep what asdf parses: each of its validations reads the text of all schemas anew."""
    parse = functools.lru_cache(maxsize=None)(yaml.load)

    def load(content, Loader):
        return parse(content, Loader) if isinstance(content, bytes) else yaml.load(content, Loader)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asdf.schema, "yaml", SimpleNamespace(load=load))
        yield


@pytest.fixture(scope="session")
def example_directory(request) -> Path:
    """Where simulated exposures outlive the test run."""
    chosen = os.environ.get("FORCED_PHOT_EXAMPLE_DIR")
    return Path(chosen) if chosen else Path(request.config.cache.mkdir("forced_phot_example"))


@pytest.fixture(scope="session")
def alone(example_directory):
    """A context in which no other process of the test run makes the scene of a name."""

    @contextlib.contextmanager
    def wait(name):
        example_directory.mkdir(parents=True, exist_ok=True)
        with (example_directory / f".{name}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    return wait


@pytest.fixture(scope="session")
def example(example_directory, alone):
    """The full-size example: (Scene, CRDS cache)."""
    with alone("full"):
        return make_example(example_directory)


@pytest.fixture(scope="session")
def scene(example):
    """The full-size simulated exposure, with its truth catalog."""
    return example[0]


@pytest.fixture(scope="session")
def crds_cache(example) -> Path:
    """The CRDS cache with the references of `scene`."""
    return example[1]


@pytest.fixture(scope="session")
def crds_env(crds_cache) -> dict[str, str]:
    """An environment for child processes in which CRDS serves `scene`."""
    return os.environ | crds_environment(crds_cache)


@pytest.fixture(scope="session")
def small_scene(example_directory, alone):
    """A window of 256 pixels at the centre of another detector, in another filter."""
    with alone("small"):
        return make_scene(
            example_directory / "small",
            detector="WFI09",
            band="F158",
            n_pixels=256,
            n_stars=30,
            n_galaxies=3,
            seed=5,
        )


@pytest.fixture(scope="session")
def small_cache(small_scene, alone) -> Path:
    """The CRDS cache with the references of `small_scene`."""
    with alone("small"):
        return make_crds_cache(small_scene.directory / "crds", [small_scene])


@pytest.fixture(scope="session")
def series(example_directory, small_cache, alone):
    """The series of the example, beside the scene that it begins with."""
    assert small_cache.is_dir()
    with alone("series"):
        return make_series(example_directory)


@pytest.fixture(scope="session")
def mosaic(example_directory, alone):
    """Three dithered windows of a detector, the mosaic of them, and their sources."""
    with alone("mosaic"):
        return make_mosaic(example_directory / "mosaic")


@pytest.fixture(scope="session")
def mosaic_cache(mosaic, alone) -> Path:
    """The CRDS cache with the references of `mosaic`."""
    with alone("mosaic"):
        return make_crds_cache(mosaic.scene.directory / "crds", [mosaic.scene])


@pytest.fixture
def workplace(tmp_path, monkeypatch) -> Path:
    """An empty working directory from which no CRDS is within reach."""
    for name in list(os.environ):
        if name.startswith("CRDS"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def strun():
    """Run `strun forced_phot ...` as a child process and return what it says."""

    def run(*arguments, cwd: Path, env: dict[str, str]) -> subprocess.CompletedProcess:
        command = [sys.executable, Path(sys.executable).with_name("strun"), "forced_phot"]
        command = [os.fspath(argument) for argument in (*command, *arguments)]
        return subprocess.run(
            command, cwd=cwd, env=env, capture_output=True, text=True, check=False
        )

    return run


@pytest.fixture(scope="session")
def stpsf_data(example_directory, alone) -> Path:
    """Data for STPSF, of WFI01 and F106, made from GalSim's."""
    with alone("stpsf"):
        return make_tree(example_directory)


@pytest.fixture
def stpsf_cache(stpsf_data, tmp_path, monkeypatch) -> Path:
    """Where STPSF's grids are kept: empty yet, with `stpsf_data` in place."""
    monkeypatch.setenv("STPSF_PATH", str(stpsf_data))
    (tmp_path / "cache").mkdir()  # else astropy complains
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "romancal_forcedphot" / "stpsf"
