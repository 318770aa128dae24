"""Reading and writing of files: clear errors, and products that are whole or absent."""

from __future__ import annotations

import os

import pytest

from romancal_forcedphot.storage import (
    StorageError,
    check_output_directory,
    file_name,
    is_uri,
    open_for_reading,
    write_atomically,
)


def names_in(directory):
    return sorted(os.listdir(directory))


@pytest.mark.parametrize("as_type", [str, lambda path: path])
def test_open_yields_a_seekable_binary_file_and_closes_it(tmp_path, as_type):
    path = tmp_path / "a.bin"
    path.write_bytes(b"\x00SIMPLE")
    with open_for_reading(as_type(path)) as file:
        assert file.seekable()
        assert file.read(1) == b"\x00"
        assert file.seek(0) == 0
        assert file.read() == b"\x00SIMPLE"
    assert file.closed


def test_open_expands_the_home_directory(tmp_path, monkeypatch):
    (tmp_path / "a.bin").write_bytes(b"home")
    monkeypatch.setenv("HOME", str(tmp_path))
    with open_for_reading("~/a.bin") as file:
        assert file.read() == b"home"


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("missing.ecsv", "does not exist"),
        ("folder", "is a directory"),
        ("file/below.ecsv", "lies below something that is a file"),
    ],
)
def test_what_cannot_be_opened_is_named_with_its_reason(tmp_path, location, reason):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    with (
        pytest.raises(StorageError, match=reason) as caught,
        open_for_reading(tmp_path / location),
    ):
        pass
    assert str(tmp_path / location) in str(caught.value)


def test_an_error_of_the_reader_passes_through_and_the_file_is_closed(tmp_path):
    (tmp_path / "a").write_text("x")
    with pytest.raises(KeyError), open_for_reading(tmp_path / "a") as file:
        raise KeyError("the caller's own")
    assert file.closed


@pytest.mark.parametrize("location", ["gs://bucket/key", "https://host/x.ecsv"])
def test_a_uri_of_an_unknown_kind_is_refused(location):
    assert is_uri(location)
    with pytest.raises(StorageError, match="local path"), open_for_reading(location):
        pass


@pytest.mark.parametrize(
    "location", ["a.ecsv", "/a/b.ecsv", "./s3:/x", "odd:name.csv", "~/x.ecsv", "a//b"]
)
def test_local_paths_are_no_uris(location):
    assert not is_uri(location)


@pytest.mark.parametrize(
    ("location", "name"),
    [("/a/b.ecsv", "b.ecsv"), ("b.ecsv", "b.ecsv"), ("s3://k/c/d.fits", "d.fits")],
)
def test_file_name(location, name):
    assert file_name(location) == name


def test_the_file_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "out.asdf"
    with write_atomically(path) as file:
        assert file.destination == path
        (part,) = tmp_path.iterdir()  # one file system: renamed, not copied
        file.write(b"first half, ")
        assert not path.exists()
        assert part.read_bytes() == b"first half, "
        file.write(b"second half")
    assert path.read_bytes() == b"first half, second half"
    assert names_in(tmp_path) == ["out.asdf"]


def write_half_and_fail(path, error):
    with write_atomically(path) as file:
        file.write(b"half a pro")
        raise error("in the middle")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_directory_as_it_was(tmp_path, error):
    (tmp_path / "old.asdf").write_bytes(b"old")
    for name in ("old.asdf", "new.asdf"):
        with pytest.raises(error):
            write_half_and_fail(tmp_path / name, error)
    assert names_in(tmp_path) == ["old.asdf"]
    assert (tmp_path / "old.asdf").read_bytes() == b"old"


def test_an_existing_file_is_replaced(tmp_path):
    path = tmp_path / "out.asdf"
    path.write_bytes(b"a much longer old product")
    with write_atomically(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"
    assert names_in(tmp_path) == ["out.asdf"]


def test_a_symbolic_link_is_followed(tmp_path):
    real = tmp_path / "disk" / "real.asdf"
    real.parent.mkdir()
    real.write_bytes(b"old")
    link = tmp_path / "link.asdf"
    link.symlink_to(real)
    with write_atomically(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"


def test_the_file_mode_follows_the_umask(tmp_path):
    previous = os.umask(0o027)
    try:
        with write_atomically(tmp_path / "out.asdf") as file:
            file.write(b"new")
    finally:
        os.umask(previous)
    assert (tmp_path / "out.asdf").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("destination", "reason"),
    [
        ("missing/out.asdf", "does not exist"),
        ("file/out.asdf", "is a file, not a directory"),
        ("folder", "is a directory"),
    ],
)
def test_a_destination_that_cannot_be_written_fails_before_any_work(tmp_path, destination, reason):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match=reason), write_atomically(tmp_path / destination):
        pytest.fail("the body must not run")
    assert names_in(tmp_path) == ["file", "folder"]


def test_a_writer_that_wrote_nothing_is_an_error(tmp_path):
    with (
        pytest.raises(StorageError, match="nothing was written"),
        write_atomically(tmp_path / "out.asdf"),
    ):
        pass
    assert names_in(tmp_path) == []


def test_products_are_not_written_to_uris(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StorageError, match="local"), write_atomically("s3://bucket/out.asdf"):
        pytest.fail("the body must not run")
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("directory", ["folder", "new", "folder/new/newer", "."])
def test_an_output_directory_that_is_or_can_be_made_passes_and_is_left_alone(tmp_path, directory):
    (tmp_path / "folder").mkdir()
    check_output_directory(tmp_path / directory)
    check_output_directory(str(tmp_path / directory))
    assert names_in(tmp_path) == ["folder"]
    assert names_in(tmp_path / "folder") == []


def test_a_relative_output_directory_is_looked_for_in_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    monkeypatch.chdir(tmp_path)
    check_output_directory("new/below")
    with pytest.raises(StorageError):
        check_output_directory("file/below")


@pytest.mark.parametrize("directory", ["file", "file/below", "file/below/further", "/proc/self"])
def test_an_output_directory_that_cannot_be_written_is_refused(tmp_path, directory):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="--output_dir") as caught:
        check_output_directory(tmp_path / directory)
    assert str(tmp_path / directory) in str(caught.value)
    assert names_in(tmp_path) == ["file"]


def test_an_output_directory_on_s3_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StorageError, match="local directories only"):
        check_output_directory("s3://bucket/products")
    assert names_in(tmp_path) == []
