"""Kills, full disks and hostile surroundings, by `strun` as a child process."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from astropy.table import Table
from stpipe._cli.strun import main as run_strun

from romancal_forcedphot.product.model import ForcedPhotometryModel
from small import CENTER, save_image

pytestmark = pytest.mark.slow

STRUN = Path(sys.executable).with_name("strun")
PLAIN = ("--pixel_area=wcs", "--aperture_correction=none")
IMAGE = "r0001_wfi01_f106_cal.asdf"
PRODUCT = "r0001_wfi01_f106_forcedphot.asdf"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    """An image and a catalog of many rows, whose product takes a while to write."""
    directory = tmp_path_factory.mktemp("inputs")
    save_image(directory / IMAGE)
    ra, dec = CENTER
    table = Table({"ra": [ra + 1e-6 * i for i in range(20_000)], "dec": [dec] * 20_000})
    table.write(directory / "catalog.ecsv")
    return directory


@pytest.fixture
def command(inputs):
    return [STRUN, "forced_phot", inputs / IMAGE, f"--catalog={inputs / 'catalog.ecsv'}", *PLAIN]


@pytest.fixture
def environment():
    return {name: value for name, value in os.environ.items() if not name.startswith("CRDS")}


@pytest.fixture
def in_process(command, workplace, monkeypatch, capsys):
    """Run the script strun in this process: the status that it ends with, and what it says."""

    def run(*options):
        arguments = [os.fspath(argument) for argument in (*command, *options)]
        monkeypatch.setattr(sys, "argv", arguments)
        status = 0
        try:
            run_strun()
        except SystemExit as ended:
            status = ended.code
        return status, capsys.readouterr().err

    return run


def wait_for_part(directory: Path, process) -> None:
    """Wait until the product is being written."""
    for _ in range(60_000):
        names = os.listdir(directory)
        if any(f".{PRODUCT}" in name and name.endswith("-part") for name in names):
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.001)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_ended_in_its_save_leaves_nothing_for_ever(
    command, environment, tmp_path, number, in_process
):
    (tmp_path / PRODUCT).write_bytes(b"of an earlier run")
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    wait_for_part(tmp_path, process)
    process.send_signal(number)
    process.communicate()
    if process.returncode == 0:  # the save was quicker
        assert len(ForcedPhotometryModel.read(tmp_path / PRODUCT).source_catalog) == 20_000
    else:
        assert process.returncode in (-number, 128 + number, 1)
        assert (tmp_path / PRODUCT).read_bytes() == b"of an earlier run"
    if number != signal.SIGKILL:
        assert os.listdir(tmp_path) == [PRODUCT]
    status, _ = in_process()
    assert not status
    assert os.listdir(tmp_path) == [PRODUCT]
    assert len(ForcedPhotometryModel.read(tmp_path / PRODUCT).source_catalog) == 20_000


def last_line(text):
    return [line for line in text.strip().splitlines() if line.strip()][-1]


@pytest.mark.parametrize("extension", ["asdf", "parquet"])
def test_a_full_disk_is_told_in_the_last_line(command, environment, tmp_path, extension):
    """A limit on the size of files stands for the disk."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    done = subprocess.run(
        [*command, f"--output_ext={extension}"],
        cwd=tmp_path,
        env=environment | {"PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    said = last_line(done.stderr)
    assert f"_forcedphot.{extension}': it does not fit" in said
    assert "--output_dir" in said
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("directory", ["nowhere", "nowhere/below"])
def test_a_dangling_link_is_refused_before_anything_is_measured(in_process, workplace, directory):
    (workplace / "nowhere").symlink_to("/no/such/place")
    status, said = in_process(f"--output_dir={directory}")
    assert status == 1
    assert f"cannot write '{directory}'" in last_line(said)
    assert "'/no/such/place', which does not exist" in last_line(said)
    assert "Measured" not in said
    assert os.listdir(workplace) == ["nowhere"]


def test_a_radius_beyond_the_image_is_told_in_the_last_line(in_process, workplace):
    status, said = in_process("--annulus_radii=20,100000")
    assert status == 1
    assert "annulus_radii has 100000" in last_line(said)
    assert os.listdir(workplace) == []
