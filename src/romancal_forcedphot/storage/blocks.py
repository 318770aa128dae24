"""Binary blocks of ASDF files, checked before they are believed.

asdf reads a block when its array is first used. Here that reading is replaced by one that compares
the sizes in the block's header with those of the file first (asdf loops or allocates without end
where a size is damaged), that computes the MD5 of the block in a second thread while the block is
decompressed, and whose errors name file and block.
"""

from __future__ import annotations

import bz2
import hashlib
import itertools
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import asdf
import lz4.block
import numpy as np
from asdf._block.manager import ReadBlocks
from asdf._block.reader import ReadBlock
from numpy.typing import NDArray

from .errors import ChecksumError, StorageError

__all__ = ["check_blocks"]

_MAGIC = b"\xd3BLK"
_HEADER_LENGTH_BYTES = 2
_STREAMED = 1  # flag of a block that ends with the file
_UNCOMPRESSED = b"\0\0\0\0"
#: Checksums of smaller blocks take less time than a thread.
_THREAD_FROM_BYTES = 2**20
_ADVICE = "it is truncated or damaged, fetch it again"


def check_blocks(file: asdf.AsdfFile, shown_name: str, *, verify_checksums: bool = True) -> None:
    """Let every block of an ASDF file be checked when it is read, and no other file be opened.

    Parameters
    ----------
    file : asdf.AsdfFile
        Open, none of its blocks read yet.
    shown_name : str
        How messages name the file (see `storage.shown`).
    verify_checksums : bool
        Whether blocks are compared with the MD5 in their headers, where they have one.

    Raises
    ------
    StorageError
        The block index is damaged. The same error is raised later where a block is read that does
        not fit into the file, does not match its checksum (ChecksumError) or cannot be
        decompressed, and where an array is kept in another file.
    """
    blocks = file._blocks.blocks
    offsets = [block.offset for block in blocks]
    if any(second <= first for first, second in itertools.pairwise(offsets)):
        raise StorageError(f"the block index of {shown_name} is not in order: {_ADVICE}")
    lock = threading.RLock()
    file._blocks.blocks = _CheckedBlocks(
        _CheckedBlock(block, f"block {number} of {shown_name}", verify_checksums, lock)
        for number, block in enumerate(blocks)
    )
    file._blocks.blocks.shown_name = shown_name

    def refuse(uri: str) -> None:
        raise StorageError(
            f"an array of {shown_name} is kept in another file, {uri!r}, which is never opened: "
            "store the arrays in the file itself"
        )

    file._blocks._load_external = refuse


class _CheckedBlocks(ReadBlocks):
    """The blocks of a file; an array in one that the file does not have is refused by name."""

    shown_name = "the ASDF file"

    def __iter__(self) -> Iterator[ReadBlock]:
        return iter(self.data)

    def __getitem__(self, index: int | slice) -> Any:
        try:
            return self.data[index]
        except IndexError:
            raise StorageError(
                f"an array is in block {index} of {self.shown_name}, which has {len(self.data)} "
                f"blocks: {_ADVICE}"
            ) from None


class _CheckedBlock(ReadBlock):
    """A block whose header, content and checksum are checked when they are read."""

    def __init__(
        self, block: ReadBlock, shown_name: str, verify_checksum: bool, lock: threading.RLock
    ) -> None:
        self.__dict__.update(block.__dict__)
        self._shown_name = shown_name
        self._verify_checksum = verify_checksum
        self._lock = lock  # of the file, whose position the blocks share
        self._is_checked = False

    def load(self) -> None:
        """Read the header, and check it against the size of the file."""
        with self._lock:
            if not (self.loaded and self._is_checked):
                self._load_checked()

    def _load_checked(self) -> None:
        fd = self._open_file()
        position = fd.tell()
        try:
            fd.seek(self.offset - len(_MAGIC))
            if fd.read(len(_MAGIC)) != _MAGIC:
                raise ValueError("there is no block where the file's index has it")
            super().load()
        except StorageError:
            raise
        except (OSError, ValueError, OverflowError, struct.error) as error:
            raise self._damaged(f"cannot be read ({error})") from error
        fd.seek(0, 2)
        self._check_sizes(fd.tell())
        fd.seek(position)
        self._is_checked = True

    @property
    def header(self) -> Any:
        """The block's header, a dict."""
        self.load()
        return self._header

    @property
    def data(self) -> NDArray[np.uint8]:
        """(n,) content of the block, decompressed."""
        header = self.header
        if header["flags"] & _STREAMED:
            if any(header["checksum"]):
                raise self._damaged("is marked as one without a size, but has a checksum")
            return super().data
        content = self._content(header["used_size"])
        if not self._verify_checksum or not any(header["checksum"]):
            return self._decompressed(content)
        if len(content) < _THREAD_FROM_BYTES:
            return self._verified(content, partial(_md5, content))
        with ThreadPoolExecutor(1) as pool:
            return self._verified(content, pool.submit(_md5, content).result)

    def _verified(self, content: bytes, digest: Callable[[], bytes]) -> NDArray[np.uint8]:
        """Decompress the block, and compare it with its checksum; `digest` gives its MD5."""
        checksum = self._header["checksum"]
        try:
            data = self._decompressed(content)
        except StorageError:
            if digest() != checksum:
                raise self._other_checksum() from None
            raise
        # The standard asks for the MD5 of what is stored; asdf before 5.3 wrote that of the
        # decompressed content.
        if digest() != checksum and _md5(data) != checksum:
            raise self._other_checksum()
        return data

    def _open_file(self) -> Any:
        fd = self._fd()
        if fd is None or fd.is_closed():
            raise OSError(f"{self._shown_name} cannot be read: the file has been closed")
        return fd

    def _check_sizes(self, file_size: int) -> None:
        """Compare the sizes in the header with each other and with the file's."""
        header, start = self._header, self.data_offset
        if header["flags"] & _STREAMED:
            return
        used, allocated = header["used_size"], header["allocated_size"]
        if used > allocated or start + used > file_size:
            raise self._damaged(
                f"has {used} bytes by its header, but the file ends {max(file_size - start, 0)} "
                "bytes behind the header"
                if used <= allocated
                else f"has {used} bytes in {allocated} by its header"
            )

    def _content(self, n_bytes: int) -> bytes:
        """Read the block as it is in the file."""
        with self._lock:
            fd = self._open_file()
            position = fd.tell()
            fd.seek(self.data_offset)
            content = fd.read(n_bytes)
            while len(content) < n_bytes and (more := fd.read(n_bytes - len(content))):
                content += more  # one call reads 2 GB at most
            fd.seek(position)
        if len(content) != n_bytes:
            raise self._damaged(f"ends after {len(content)} of {n_bytes} bytes")
        return content

    def _decompressed(self, content: bytes) -> NDArray[np.uint8]:
        label, size = self._header["compression"], self._header["data_size"]
        decompress = _DECOMPRESSORS.get(label)
        try:
            if decompress is None:  # an extension of asdf may know it
                return super().data
            data = decompress(content, size)
        except StorageError:
            raise
        except _UNDECOMPRESSABLE as error:
            raise self._damaged(f"cannot be decompressed ({error})") from error
        if len(data) != size:
            raise self._damaged(f"has {len(data)} bytes when decompressed: expected {size}")
        return data

    def _other_checksum(self) -> ChecksumError:
        return ChecksumError(
            f"{self._shown_name} does not match the checksum in its header: the file was damaged "
            "after it was written, fetch it again"
        )

    def _damaged(self, what: str) -> StorageError:
        return StorageError(f"{self._shown_name} {what}: {_ADVICE}")


#: What decompressors raise for damaged content.
_UNDECOMPRESSABLE = (
    *(ValueError, EOFError, OSError, RuntimeError, MemoryError),
    *(struct.error, zlib.error, lz4.block.LZ4BlockError),
)


def _md5(content: bytes | NDArray[np.uint8]) -> bytes:
    return hashlib.md5(content, usedforsecurity=False).digest()


def _uncompressed(content: bytes, size: int) -> NDArray[np.uint8]:
    return np.frombuffer(content, np.uint8)


def _from_lz4(content: bytes, size: int) -> NDArray[np.uint8]:
    """Decompress chunks that are each preceded by their length, as asdf writes them."""
    chunks = list(_lz4_chunks(memoryview(content)))
    # Each begins with its decompressed size: nothing is allocated that these do not add up to.
    if sum(struct.unpack_from("<I", chunk)[0] for chunk in chunks) != size:
        raise ValueError(f"the sizes of its parts do not add up to {size} bytes")
    data, start = np.empty(size, np.uint8), 0
    for chunk in chunks:
        part = lz4.block.decompress(chunk, return_bytearray=True)
        data[start : start + len(part)] = part
        start += len(part)
    return data[:start]


def _lz4_chunks(content: memoryview) -> Iterator[memoryview]:
    start = 0
    while start < len(content):
        (length,) = struct.unpack_from(">I", content, start)
        start += 4
        if start + length > len(content):
            raise ValueError(
                f"a part of {length} bytes begins {len(content) - start} before its end"
            )
        yield content[start : start + length]
        start += length


def _from_zlib(content: bytes, size: int) -> NDArray[np.uint8]:
    return np.frombuffer(zlib.decompressobj().decompress(content, size + 1), np.uint8)


def _from_bzp2(content: bytes, size: int) -> NDArray[np.uint8]:
    return np.frombuffer(bz2.BZ2Decompressor().decompress(content, size + 1), np.uint8)


_DECOMPRESSORS = {
    _UNCOMPRESSED: _uncompressed,
    b"lz4\0": _from_lz4,
    b"zlib": _from_zlib,
    b"bzp2": _from_bzp2,
}
