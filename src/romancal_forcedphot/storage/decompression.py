"""Decompression of ASDF blocks piece by piece, so that only the result is whole in memory.

Sizes that a header claims are not believed: no more is allocated than the content can hold.
"""

from __future__ import annotations

import bz2
import struct
import sys
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import lz4.block
import numpy as np
from numpy.typing import NDArray

__all__ = ["DECOMPRESSORS", "UNDECOMPRESSABLE"]

_LZ4_MAX_RATIO = 255  # of the format
_LENGTH = struct.Struct(">I")

#: What decompressors raise for damaged content.
UNDECOMPRESSABLE = (
    *(ValueError, EOFError, OSError, RuntimeError, MemoryError),
    *(struct.error, zlib.error, lz4.block.LZ4BlockError),
)


def _uncompressed(pieces: Iterator[bytes], n_bytes: int, size: int) -> NDArray[np.uint8]:
    return _filled(pieces, n_bytes)


def _filled(parts: Iterable[bytes | bytearray], size: int) -> NDArray[np.uint8]:
    """Put parts of a known total size together."""
    data, start = np.empty(size, np.uint8), 0
    for part in parts:
        stop = start + len(part)
        if stop > size:
            raise ValueError(f"its parts have more than {size} bytes")
        data[start:stop] = np.frombuffer(part, np.uint8)
        start = stop
    return data[:start]


def _from_lz4(pieces: Iterator[bytes], n_bytes: int, size: int) -> NDArray[np.uint8]:
    """Decompress chunks that are each preceded by their length, as asdf writes them."""
    if size > _LZ4_MAX_RATIO * n_bytes:  # else a damaged size would be allocated
        raise ValueError(f"{n_bytes} bytes cannot hold {size}")
    return _filled(_lz4_parts(pieces, size), size)


def _lz4_parts(pieces: Iterator[bytes], size: int) -> Iterator[bytearray]:
    """Yield the decompressed chunks; each begins with its own decompressed size."""
    stream = _Stream(pieces)
    while head := stream.take(4):
        chunk = stream.take(_LENGTH.unpack(head)[0]) if len(head) == 4 else b""
        if len(head) < 4 or len(chunk) < _LENGTH.unpack(head)[0]:
            raise ValueError(f"{len(head) + len(chunk)} bytes at its end are no whole part")
        if struct.unpack_from("<I", chunk)[0] > size:
            raise ValueError(f"one of its parts has more than {size} bytes")
        yield lz4.block.decompress(chunk, return_bytearray=True)


class _Stream:
    """Pieces of bytes, taken in parts of other lengths with as few copies as there can be."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._piece = memoryview(b"")

    def take(self, n_bytes: int) -> bytes | memoryview:
        """Return the next bytes, fewer at the end."""
        parts, missing = [self._piece[:n_bytes]], n_bytes - len(self._piece)
        self._piece = self._piece[n_bytes:]
        while missing > 0 and (piece := next(self._pieces, None)) is not None:
            parts.append(memoryview(piece)[:missing])
            self._piece = memoryview(piece)[missing:]
            missing -= len(parts[-1])
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _from_zlib(pieces: Iterator[bytes], n_bytes: int, size: int) -> NDArray[np.uint8]:
    return _decompressed_by(zlib.decompressobj(), pieces, size)


def _from_bzp2(pieces: Iterator[bytes], n_bytes: int, size: int) -> NDArray[np.uint8]:
    return _decompressed_by(bz2.BZ2Decompressor(), pieces, size)


def _decompressed_by(decompressor: Any, pieces: Iterator[bytes], size: int) -> NDArray[np.uint8]:
    """Decompress until more than the expected size is there."""
    parts, n_done = [], 0
    for piece in pieces:
        if decompressor.eof or n_done > size:
            continue  # it is counted in the checksum
        most = min(size + 1 - n_done, sys.maxsize)
        parts.append(decompressor.decompress(piece, most))
        n_done += len(parts[-1])
    return np.frombuffer(b"".join(parts), np.uint8)


#: Functions of the pieces of a block, their total length and the decompressed size, by label.
DECOMPRESSORS = {
    b"\0\0\0\0": _uncompressed,
    b"lz4\0": _from_lz4,
    b"zlib": _from_zlib,
    b"bzp2": _from_bzp2,
}
