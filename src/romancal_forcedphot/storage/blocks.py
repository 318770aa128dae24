"""Binary blocks of ASDF files, checked before they are believed.

asdf reads a block when its array is first used. Here that reading is replaced by one that compares
the sizes in the block's header with those of the file first (asdf loops or allocates without end
where a size is damaged), that decompresses the block piece by piece while a second thread computes
its MD5, and whose errors name file and block.
"""

from __future__ import annotations

import collections
import hashlib
import itertools
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asdf
import numpy as np
from asdf._block.manager import ReadBlocks
from asdf._block.reader import ReadBlock
from numpy.typing import NDArray

from .decompression import DECOMPRESSORS, UNDECOMPRESSABLE
from .errors import ChecksumError, StorageError

__all__ = ["check_blocks"]

_MAGIC = b"\xd3BLK"
_HEADER_LENGTH_BYTES = 2
_STREAMED = 1  # flag of a block that ends with the file
_PIECE_BYTES = 2**22  # as asdf's chunks of lz4
#: Checksums of smaller pieces take less time than a thread.
_THREAD_FROM_BYTES = 2**20
_ADVICE = "it is truncated or damaged, fetch it again"


def check_blocks(
    file: asdf.AsdfFile, shown_name: str, *, verify_checksums: bool = True, n_threads: int = 0
) -> None:
    """Let every block of an ASDF file be checked when it is read, and no other file be opened.

    Parameters
    ----------
    file : asdf.AsdfFile
        Open, none of its blocks read yet.
    shown_name : str
        How messages name the file (see `storage.shown`).
    verify_checksums : bool
        Whether blocks are compared with the MD5 in their headers, where they have one.
    n_threads : int
        1 computes the MD5 in the thread that reads, where all cores have work.

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
        _CheckedBlock(block, f"block {number} of {shown_name}", verify_checksums, n_threads, lock)
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
        self,
        block: ReadBlock,
        shown_name: str,
        verify_checksum: bool,
        n_threads: int,
        lock: threading.RLock,
    ) -> None:
        self.__dict__.update(block.__dict__)
        self._shown_name = shown_name
        self._verify_checksum = verify_checksum
        self._n_threads = n_threads
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
        n_bytes = header["used_size"]
        if not self._verify_checksum or not any(header["checksum"]):
            return self._decompressed(self._pieces(n_bytes))
        with _Digest(self._n_threads) as digest:
            return self._verified(digest.passing(self._pieces(n_bytes)), digest)

    def _verified(self, pieces: Iterator[bytes], digest: _Digest) -> NDArray[np.uint8]:
        """Decompress the block, and compare it with its checksum; `digest` gives its MD5."""
        checksum = self._header["checksum"]
        try:
            data = self._decompressed(pieces)
        except StorageError:
            collections.deque(pieces, maxlen=0)  # the rest, for the checksum
            if digest.n_bytes == self._header["used_size"] and digest.value != checksum:
                raise self._other_checksum() from None
            raise
        # The standard asks for the MD5 of what is stored; asdf before 5.3 wrote that of the
        # decompressed content.
        if digest.value != checksum and _md5(data) != checksum:
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

    def _pieces(self, n_bytes: int) -> Iterator[bytes]:
        """Read the block as it is in the file, piece by piece."""
        start = 0
        while start < n_bytes:
            piece = self._read(self.data_offset + start, min(_PIECE_BYTES, n_bytes - start))
            if not piece:
                raise self._damaged(f"ends after {start} of {n_bytes} bytes")
            start += len(piece)
            yield piece

    def _read(self, start: int, n_bytes: int) -> bytes:
        with self._lock:
            fd = self._open_file()
            position = fd.tell()
            fd.seek(start)
            content = fd.read(n_bytes)
            fd.seek(position)
        return content

    def _decompressed(self, pieces: Iterator[bytes]) -> NDArray[np.uint8]:
        label, size = self._header["compression"], self._header["data_size"]
        decompress = DECOMPRESSORS.get(label)
        try:
            if decompress is None:  # an extension of asdf may know it
                collections.deque(pieces, maxlen=0)  # for the checksum
                return super().data
            data = decompress(pieces, self._header["used_size"], size)
        except StorageError:
            raise
        except UNDECOMPRESSABLE as error:
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


class _Digest:
    """MD5 of pieces of bytes, computed in a second thread while they are used, if there may be one.

    Attributes
    ----------
    n_bytes : int
        How many bytes there were; fewer than the block has if it could not be read to its end.
    """

    def __init__(self, n_threads: int) -> None:
        self.n_bytes = 0
        self._n_threads = n_threads
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._pool = ThreadPoolExecutor(1)

    def __enter__(self) -> _Digest:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown()

    def passing(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Yield pieces; each is used while its MD5 is computed."""
        for piece in pieces:
            self.n_bytes += len(piece)
            if self._n_threads == 1 or len(piece) < _THREAD_FROM_BYTES:
                self._md5.update(piece)
                yield piece
            else:
                pending = self._pool.submit(self._md5.update, piece)
                yield piece
                pending.result()

    @property
    def value(self) -> bytes:
        """MD5 of the pieces so far."""
        return self._md5.digest()


def _md5(content: NDArray[np.uint8]) -> bytes:
    return hashlib.md5(content, usedforsecurity=False).digest()
