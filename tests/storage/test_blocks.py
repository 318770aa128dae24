"""ASDF blocks are checked before they are believed: checksums, sizes, and that they are ours."""

from __future__ import annotations

import functools
import hashlib
import io
from concurrent.futures import ThreadPoolExecutor

import asdf
import numpy as np
import pytest

from hostile import at_most, block_offsets, with_flipped_bit, with_header
from romancal_forcedphot.storage import ChecksumError, StorageError, open_asdf
from romancal_forcedphot.storage.ranges import RangeFile

RNG = np.random.default_rng(4)
ARRAYS = {
    "noise": RNG.normal(size=(100, 200)).astype(np.float32),
    "zeros": np.zeros((300, 300), dtype=np.uint32),
    "large": RNG.integers(0, 2**31, 2**19).astype(np.int32),  # its checksum has a thread
}
COMPRESSIONS = (None, "lz4", "zlib", "bzp2")


@functools.cache
def written(compression, **options) -> bytes:
    file = io.BytesIO()
    asdf.AsdfFile(ARRAYS).write_to(file, all_array_compression=compression, **options)
    return file.getvalue()


def remote(content: bytes) -> RangeFile:
    """A file of which ranges are fetched, as of a server."""

    def fetch(ranges):
        return [content[start:stop] for start, stop in ranges]

    return RangeFile("s3://bucket/file.asdf", content[:65536], len(content), fetch)


@pytest.fixture(params=["local", "remote"])
def opened(request, tmp_path):
    """Open bytes as a file of one of both kinds; returns (open file, its name in messages)."""

    def open_it(content, **options):
        if request.param == "remote":
            return open_asdf(remote(content), **options), "s3://bucket/file.asdf"
        path = tmp_path / "file.asdf"
        path.write_bytes(content)
        return open_asdf(path, **options), str(path)

    return open_it


def read(file, names=tuple(ARRAYS)):
    with file:
        return {name: np.array(file[name]) for name in names}


def read_or_refused(opened, content, names=tuple(ARRAYS), **options):
    """Arrays, or None where an error names the file."""
    errors = []
    try:
        file, _ = opened(content, **options)
        return read(file, names)
    except StorageError as error:
        errors.append(str(error))
    assert "file.asdf" in errors[0]
    return None


@pytest.mark.parametrize("verify_checksums", [True, False])
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_whole_files_are_read_as_asdf_reads_them(opened, compression, verify_checksums):
    file, _ = opened(written(compression), verify_checksums=verify_checksums)
    for name, array in read(file).items():
        np.testing.assert_array_equal(array, ARRAYS[name])
        assert array.dtype == ARRAYS[name].dtype


def with_checksums_of_decompressed(content: bytes) -> bytes:
    """The file as most versions of asdf write it: MD5 of the blocks' decompressed content."""
    for block, array in enumerate(ARRAYS.values()):
        content = with_header(content, block, checksum=hashlib.md5(array.tobytes()).digest())
    return content


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_files_of_older_versions_are_whole_too(opened, compression):
    content = with_checksums_of_decompressed(written(compression))
    file, _ = opened(content)
    for name, array in read(file).items():
        np.testing.assert_array_equal(array, ARRAYS[name])
    for block, name in enumerate(ARRAYS):
        file, _ = opened(with_flipped_bit(content, block, 0.6))
        with file, pytest.raises(ChecksumError, match=f"block {block} of .*does not match"):
            np.array(file[name])


def test_blocks_without_checksum_or_index_and_with_padding_are_read(opened):
    without = written("lz4")
    for block in range(len(ARRAYS)):
        without = with_header(without, block, checksum=bytes(16))
    options = ({"include_block_index": False}, {"pad_blocks": True})
    for content in (without, *(written("lz4", **each) for each in options)):
        file, _ = opened(content)
        np.testing.assert_array_equal(read(file)["noise"], ARRAYS["noise"])


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("block", range(len(ARRAYS)))
def test_a_flipped_bit_is_told_with_file_and_block(opened, compression, block):
    name = list(ARRAYS)[block]
    content = with_flipped_bit(written(compression), block, 0.6)
    file, shown = opened(content)
    with file, pytest.raises(ChecksumError, match=f"block {block} of .*does not match") as caught:
        np.array(file[name])
    assert shown in str(caught.value)
    others = [each for each in ARRAYS if each != name]
    file, _ = opened(content)
    for each, array in read(file, others).items():
        np.testing.assert_array_equal(array, ARRAYS[each])


def test_checksums_are_not_looked_at_where_that_is_not_wanted(opened):
    content = with_flipped_bit(written(None), 0, 0.5)
    file, _ = opened(content, verify_checksums=False)
    assert (read(file)["noise"] != ARRAYS["noise"]).sum() == 1


@pytest.mark.parametrize("field", ["allocated_size", "used_size", "data_size"])
@pytest.mark.parametrize("bit", [3, 20, 33, 47, 62, 63])
@pytest.mark.parametrize("verify_checksums", [True, False])
@pytest.mark.parametrize("compression", ["lz4", None])
def test_a_damaged_size_neither_hangs_nor_fills_the_memory(
    opened, compression, verify_checksums, bit, field
):
    """asdf reads on at the end of the file, 2**47 bytes of nothing, or allocates as many."""
    content = with_header(written(compression), 0, **{field: lambda size: size ^ 1 << bit})
    with at_most(20):
        found = read_or_refused(opened, content, ["noise"], verify_checksums=verify_checksums)
    if found is not None:  # room behind the block that is too large hurts nobody
        assert field == "allocated_size"
        np.testing.assert_array_equal(found["noise"], ARRAYS["noise"])


@pytest.mark.filterwarnings("ignore::asdf.exceptions.AsdfWarning")
def test_a_damaged_index_is_told_or_does_no_harm(opened):
    """Each digit of the index by turns."""
    content = written("lz4")
    offsets = block_offsets(content)
    index = content.index(b"#ASDF BLOCK INDEX")
    places = [
        i for i in range(content.index(b"---", index), len(content)) if 48 <= content[i] <= 57
    ]
    assert len(places) == sum(len(str(offset)) for offset in offsets)
    for place in places:
        changed = bytearray(content)
        changed[place] ^= 1
        for name, array in (read_or_refused(opened, bytes(changed)) or {}).items():
            np.testing.assert_array_equal(array, ARRAYS[name])


def test_threads_read_one_file(opened):
    """They share its position."""
    for _ in range(20):  # asdf keeps what was read
        file, _ = opened(written("lz4"))
        with file, ThreadPoolExecutor(3) as pool:
            nodes = {name: file[name] for name in ARRAYS}
            found = dict(zip(nodes, pool.map(np.array, nodes.values()), strict=True))
        for name, array in found.items():
            np.testing.assert_array_equal(array, ARRAYS[name])


def test_a_truncated_file_is_told(opened):
    content = written("lz4")
    for fraction in (0.2, 0.5, 0.9):
        assert read_or_refused(opened, content[: int(fraction * len(content))]) is None


def test_an_array_in_another_file_is_refused_and_the_file_not_opened(tmp_path, monkeypatch):
    (tmp_path / "secret.asdf").write_bytes(written(None))
    tree = (
        b"#ASDF 1.0.0\n#ASDF_STANDARD 1.5.0\n%YAML 1.1\n%TAG ! tag:stsci.edu:asdf/\n"
        b"--- !core/asdf-1.1.0\narray: !core/ndarray-1.0.0\n  source: SOURCE\n"
        b"  datatype: float32\n  byteorder: little\n  shape: [100, 200]\n...\n"
    )
    monkeypatch.chdir(tmp_path)
    touched = []
    monkeypatch.setattr("urllib.request.urlopen", lambda *args, **_: touched.append(args))
    for source in ("secret.asdf", f"file://{tmp_path}/secret.asdf", "http://localhost/x.asdf"):
        (tmp_path / "hostile.asdf").write_bytes(tree.replace(b"SOURCE", source.encode()))
        with (
            open_asdf(tmp_path / "hostile.asdf") as file,
            pytest.raises(StorageError, match=r"hostile.asdf' is kept in another file") as caught,
        ):
            np.array(file["array"])
        assert source in str(caught.value)
    assert not touched


@pytest.mark.parametrize("block", range(len(ARRAYS)))
def test_a_file_that_ends_where_a_block_begins(opened, block):
    """asdf takes it for a file of fewer blocks."""
    content = written("lz4")
    names = list(ARRAYS)
    file, shown = opened(content[: block_offsets(content)[block]])
    with file:
        for name in names[:block]:
            np.testing.assert_array_equal(np.array(file[name]), ARRAYS[name])
        with pytest.raises(StorageError, match=f"is in block {block} of .*has {block} blocks") as e:
            np.array(file[names[block]])
    assert shown in str(e.value)
