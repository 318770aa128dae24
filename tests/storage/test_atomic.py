"""What is left behind by processes that end in the middle, and by full disks."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time

import pytest

from romancal_forcedphot.storage import (
    StorageError,
    check_output_directory,
    remove_leftovers,
    write_atomically,
)

WRITE_SLOWLY = """
import sys, time
from romancal_forcedphot.storage import write_atomically
with write_atomically(sys.argv[1]) as file:
    file.write(b"half a product")
    print("writing", flush=True)
    time.sleep(60)
"""


def names_in(directory):
    return sorted(os.listdir(directory))


def killed_while_writing(path, number) -> int:
    """Exit status of a process that a signal ends while it writes."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITE_SLOWLY, str(path)], stdout=subprocess.PIPE, text=True
    )
    with process.stdout:
        assert process.stdout.readline() == "writing\n"
        process.send_signal(number)
        return process.wait()


def test_the_file_is_written_beside_its_destination_under_a_recognisable_name(tmp_path):
    with write_atomically(tmp_path / "out.asdf") as file:
        file.write(b"first half, ")
        (part,) = names_in(tmp_path)
        assert part.startswith(f".out.asdf.{os.getpid()}-")
        assert part.endswith(".forcedphot-part")
        file.write(b"second half")
    assert names_in(tmp_path) == ["out.asdf"]
    assert (tmp_path / "out.asdf").read_bytes() == b"first half, second half"


@pytest.mark.parametrize("name", ["x" * 255, "星" * 85])
def test_the_longest_names_are_written(tmp_path, name):
    with write_atomically(tmp_path / name) as file:
        file.write(b"content")
    assert names_in(tmp_path) == [name]


def test_two_writers_of_one_file_do_not_disturb_each_other(tmp_path):
    with write_atomically(tmp_path / "out") as first:
        with write_atomically(tmp_path / "out") as second:
            second.write(b"second")
        first.write(b"first")
    assert names_in(tmp_path) == ["out"]
    assert (tmp_path / "out").read_bytes() == b"first"


def test_the_next_run_removes_what_a_killed_one_has_left(tmp_path):
    (tmp_path / "out.asdf").write_bytes(b"old")
    assert killed_while_writing(tmp_path / "out.asdf", signal.SIGKILL) == -signal.SIGKILL
    assert len(names_in(tmp_path)) == 2
    check_output_directory(tmp_path)
    assert names_in(tmp_path) == ["out.asdf"]
    assert (tmp_path / "out.asdf").read_bytes() == b"old"


def test_parts_of_running_processes_and_of_other_machines_stay(tmp_path):
    foreign = tmp_path / ".out.asdf.1-00000000-01234567.forcedphot-part"
    foreign.write_bytes(b"of a machine elsewhere")
    ours_not = tmp_path / ".notes.forcedphot-part"
    ours_not.write_bytes(b"of somebody else")
    with write_atomically(tmp_path / "out.asdf") as file:
        file.write(b"x")
        remove_leftovers(tmp_path)
        assert len(names_in(tmp_path)) == 3
    remove_leftovers(tmp_path)
    assert names_in(tmp_path) == [ours_not.name, foreign.name, "out.asdf"]
    long_ago = time.time() - 30 * 86400
    os.utime(foreign, (long_ago, long_ago))
    remove_leftovers(tmp_path)
    assert names_in(tmp_path) == [ours_not.name, "out.asdf"]


def test_sigterm_cleans_up_as_an_interrupt_does(tmp_path):
    (tmp_path / "out.asdf").write_bytes(b"old")
    assert killed_while_writing(tmp_path / "out.asdf", signal.SIGTERM) == -signal.SIGTERM
    assert names_in(tmp_path) == ["out.asdf"]
    assert (tmp_path / "out.asdf").read_bytes() == b"old"


def test_sigterm_at_the_moment_the_file_appears(tmp_path):
    """After the system made it, before the process has it in its hands."""
    code = """
import io, os, signal, sys
from romancal_forcedphot.storage import write_atomically

class Interrupted(io.FileIO):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        os.kill(os.getpid(), signal.SIGTERM)

sys.modules["romancal_forcedphot.storage.atomic"].PartFile.__bases__ = (Interrupted,)
with write_atomically(sys.argv[1]) as file:
    file.write(b"never")
"""
    command = [sys.executable, "-c", code, str(tmp_path / "product.asdf")]
    assert subprocess.run(command, check=False).returncode == -signal.SIGTERM
    assert names_in(tmp_path) == []


def test_the_handlers_of_a_host_are_left_alone(tmp_path):
    def of_the_host(signum, frame):
        pass

    found = []

    def write():
        with write_atomically(tmp_path / "out") as file:
            found.append(signal.getsignal(signal.SIGTERM))
            file.write(b"x")

    before = signal.signal(signal.SIGTERM, of_the_host)
    try:
        write()
    finally:
        signal.signal(signal.SIGTERM, before)
    thread = threading.Thread(target=write)
    thread.start()
    thread.join()
    assert found == [of_the_host, before]
    write()
    assert found[-1] not in (of_the_host, before)
    assert signal.getsignal(signal.SIGTERM) == before


def write_much(path):
    with write_atomically(path) as file:
        for _ in range(100):
            file.write(bytes(9999))


def test_a_full_disk_is_told_with_the_name_and_the_remedy(tmp_path):
    """A limit on the size of files stands for the disk."""
    (tmp_path / "out.asdf").write_bytes(b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(StorageError, match=r"out.asdf': it does not fit.*--output_dir"):
            write_much(tmp_path / "out.asdf")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert names_in(tmp_path) == ["out.asdf"]
    assert (tmp_path / "out.asdf").read_bytes() == b"old"


def test_a_link_to_nowhere_is_no_output_directory(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for directory in ("link", "link/below", "loop"):
        with pytest.raises(
            StorageError, match=r"is a symbolic link to .* does not exist"
        ) as caught:
            check_output_directory(tmp_path / directory)
        assert str(tmp_path / directory) in str(caught.value)


@pytest.fixture
def foreign_link(tmp_path, monkeypatch):
    """Make a link that belongs to another user."""

    def make(name, target):
        link = tmp_path / name
        link.symlink_to(target)
        if os.geteuid() == 0:
            os.lchown(link, 54321, -1)
        else:
            monkeypatch.setattr(os, "geteuid", lambda: 54321)
        return link

    return make


def test_nothing_is_written_through_a_link_of_another_user(tmp_path, foreign_link):
    victim = tmp_path / "home" / "victim"
    victim.parent.mkdir()
    victim.write_bytes(b"precious")
    file = foreign_link("out.asdf", victim)
    directory = foreign_link("out", victim.parent)
    for path in (file, directory / "victim", directory / ".." / "out" / "new"):
        with pytest.raises(StorageError, match=r"belongs to another user \(uid"):
            write_atomically(path).__enter__()
    with pytest.raises(StorageError, match="belongs to another user"):
        check_output_directory(directory)
    assert victim.read_bytes() == b"precious"
    assert names_in(victim.parent) == ["victim"]


def test_a_link_of_ones_own_is_followed(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "out").symlink_to("real")
    with write_atomically(tmp_path / "link" / "out") as file:
        file.write(b"x")
    assert names_in(tmp_path / "disk") == ["out", "real"]
