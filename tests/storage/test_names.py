"""Every path that the operating system allows works, or is refused by its whole name."""

from __future__ import annotations

import asdf
import numpy as np
import pytest

from hostile import NAMES
from romancal_forcedphot.storage import (
    StorageError,
    check_output_directory,
    file_name,
    open_asdf,
    open_for_reading,
    printable,
    shown,
    write_atomically,
)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_any_name_is_written_and_read(tmp_path, name):
    directory = tmp_path / name
    directory.mkdir()
    check_output_directory(directory)
    path = directory / f"{name}.bin"
    with write_atomically(path) as file:
        file.write(b"content")
    assert [each.name for each in directory.iterdir()] == [path.name]
    with open_for_reading(path) as file:
        assert file.read() == b"content"


@pytest.mark.parametrize("name", NAMES)
def test_asdf_is_read_from_the_file_of_that_very_name(tmp_path, name):
    """asdf by itself takes ``night#2`` for ``night``."""
    array = np.arange(1000)
    for each in (name, "night", "what"):
        with (tmp_path / each).open("wb") as file:
            asdf.AsdfFile({"name": printable(each), "array": array}).write_to(file)
    with open_asdf(tmp_path / name) as opened:
        assert opened["name"] == printable(name)
        np.testing.assert_array_equal(opened["array"], array)


def test_a_file_whose_name_begins_with_a_tilde_comes_before_a_home_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "~").mkdir()
    (tmp_path / "~" / "x").write_bytes(b"here")
    with open_for_reading("~/x") as file:
        assert file.read() == b"here"
    with pytest.raises(StorageError, match=r"'~nobody_of_this_name/x' does not exist"):
        open_for_reading("~nobody_of_this_name/x").__enter__()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("x" * 300, "too long"),
        ("null\0character", "null character"),
        ("missing\nfile#1", "does not exist"),
    ],
)
def test_what_cannot_be_is_refused_by_its_whole_name_on_one_line(tmp_path, name, said):
    path = f"{tmp_path}/{name}"
    with pytest.raises(StorageError, match=said) as reading:
        open_for_reading(path).__enter__()
    assert repr(path) in str(reading.value)
    assert "\n" not in str(reading.value)
    if "#" in name:
        return
    for write in (write_atomically, check_output_directory):
        with pytest.raises(StorageError, match=said) as writing:
            getattr(write(path), "__enter__", lambda: None)()
        assert repr(path) in str(writing.value)


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StorageError, match="pipe' is not a regular file"):
        open_for_reading(tmp_path / "pipe").__enter__()


def test_names_in_metadata_and_messages_can_be_written_as_utf8():
    assert file_name("/a/b\udcff.asdf") == "b\\udcff.asdf"
    assert printable("naïve 星") == "naïve 星"
    assert shown("/a/two\nlines\udcff") == r"'/a/two\nlines\udcff'"
