"""A seekable file of which a server delivers ranges of bytes.

The read-ahead window grows while a file is read sequentially, forwards or backwards, and shrinks
again after a seek. The index at the end of an ASDF file gives the offsets of its blocks: the window
never extends into the next block, so that arrays which are not used are not fetched. Of blocks that
are read from their beginnings, the next window is fetched while one is used.
"""

from __future__ import annotations

import bisect
import io
import itertools
import logging
import re
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import PurePosixPath

from .progress import Progress

__all__ = ["FIRST_BYTES", "RangeFile"]

log = logging.getLogger(f"romancal.{__name__}")

#: Bytes that are fetched at the beginning, at the end of an ASDF file, and after a seek.
FIRST_BYTES = 65536
_GROWTH = 4
_MAX_WINDOW = 16 * 2**20
#: A window is fetched in concurrent requests of this many bytes.
_PIECE = 4 * 2**20
#: Length of the magic bytes of a block; asdf reads what follows them.
_MAGIC_BYTES = 4

_BLOCK_INDEX = re.compile(rb"#ASDF BLOCK INDEX\s+%YAML.*?---\s(?P<list>.*?)\.\.\.", re.DOTALL)

Fetch = Callable[[Sequence[tuple[int, int]]], list[bytes]]


class RangeFile(io.RawIOBase):
    """A remote file, of which ranges are fetched as they are read.

    Parameters
    ----------
    name : str
        Its location, for the log.
    head : bytes
        Its first bytes, already fetched.
    size : int
        Its size in bytes.
    fetch : callable
        Takes a sequence of ranges (start, stop) in bytes and returns their contents; raises
        RemoteError.

    Attributes
    ----------
    name, size
        As given.
    bytes_fetched, n_requests : int
        Number of bytes and of requests so far.
    """

    def __init__(self, name: str, head: bytes, size: int, fetch: Fetch) -> None:
        self.name = name
        self.size = size
        self.bytes_fetched = len(head)
        self.n_requests = 1
        self._fetch = fetch
        self._position = 0
        self._ahead = FIRST_BYTES
        self._fixed = [(0, head)]
        self._window = (0, head)
        self._blocks: list[int] = []
        self._starts: set[int] = set()
        self._following: dict[int, int] = {}
        self._pool = ThreadPoolExecutor(1)
        self._coming: tuple[int, int, Future[list[bytes]]] | None = None
        self._progress = Progress(f"Reading {PurePosixPath(name).name}", size, unit="B")
        self._progress.advance(len(head))
        if head.startswith(b"#ASDF"):
            self._find_blocks()

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        self._checkClosed()
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position; nothing is fetched.

        Parameters
        ----------
        offset : int
            Bytes from the place that `whence` names.
        whence : int
            `io.SEEK_SET`, `io.SEEK_CUR` or `io.SEEK_END`.

        Returns
        -------
        int
            The new position.

        Raises
        ------
        ValueError
            It would lie before the file.
        """
        self._checkClosed()
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError(f"cannot seek to {base + offset}: expected a position from 0 on")
        self._position = base + offset
        return self._position

    def readinto(self, buffer) -> int:
        """Fill a buffer, wholly unless the file ends; see `io.RawIOBase.readinto`."""
        self._checkClosed()
        view = memoryview(buffer).cast("B")
        wanted = max(0, min(len(view), self.size - self._position))
        done = 0
        while done < wanted:
            start, content = self._window_at(self._position, wanted - done)
            skip = self._position - start
            n = min(len(content) - skip, wanted - done)
            view[done : done + n] = memoryview(content)[skip : skip + n]
            self._position += n
            done += n
        return done

    def close(self) -> None:
        """Let go of what was fetched, and log how much that was."""
        if not self.closed:
            self._progress.close()
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._coming = None
            self._window, self._fixed = (0, b""), []
            log.info(
                "Read %.1f of %.1f MB of %s in %d requests",
                self.bytes_fetched / 1e6,
                self.size / 1e6,
                self.name,
                self.n_requests,
            )
        super().close()

    def block_bytes(self, block: int) -> int:
        """Return the size of an ASDF block.

        Parameters
        ----------
        block : int
            Number of the block in the file.

        Returns
        -------
        int
            Bytes, with its header; 0 if the file's block index does not tell.
        """
        inside = 0 <= block < len(self._blocks) - 1
        return self._blocks[block + 1] - self._blocks[block] if inside else 0

    def expect(self, blocks: Sequence[int]) -> None:
        """Say which blocks will be read, whole and one after the other.

        The progress bar shows their size, and the next one is fetched while one is used.

        Parameters
        ----------
        blocks : sequence of int
            Numbers of the blocks in the file.
        """
        self._progress.total = self.bytes_fetched + sum(map(self.block_bytes, blocks))
        starts = [self._blocks[each] for each in blocks if self.block_bytes(each)]
        self._following = dict(itertools.pairwise(starts))

    def _find_blocks(self) -> None:
        """Fetch the end of an ASDF file and read there where its blocks begin."""
        start = max(len(self._window[1]), self.size - FIRST_BYTES)
        tail = self._fetch_window(start, self.size) if start < self.size else self._window[1]
        self._fixed.append((start, tail))
        found = _BLOCK_INDEX.search(tail)
        if found:
            first = self.size - len(tail) + found.start()
            self._blocks = [*map(int, re.findall(rb"\d+", found["list"])), first]
            self._starts = set(self._blocks[:-1])

    def _window_at(self, position: int, wanted: int) -> tuple[int, bytes]:
        """Return bytes around a position, and where they start."""
        for start, content in (self._window, *self._fixed):
            if start <= position < start + len(content):
                return start, content
        start, content = self._window
        if {position, position - _MAGIC_BYTES} & self._starts:  # a whole block will be read
            self._ahead = _MAX_WINDOW
        elif position == start + len(content):
            self._ahead = min(_GROWTH * self._ahead, _MAX_WINDOW)
        elif start - self._ahead <= position < start and not self._blocks:
            # asdf looks for a lost index, from the end backwards
            self._ahead = min(_GROWTH * self._ahead, _MAX_WINDOW)
            first = max(0, position + 1 - self._ahead)
            self._window = (first, self._fetch_window(first, start))
            return self._window
        else:
            self._ahead = FIRST_BYTES
        end = self._end(position)
        stop = min(position + min(max(self._ahead, wanted), _MAX_WINDOW), end)
        self._window = (position, self._fetch_window(position, stop))
        if self._ahead == _MAX_WINDOW and self._blocks:
            self._fetch_ahead(stop)
        return self._window

    def _fetch_ahead(self, start: int) -> None:
        """Begin to fetch the window that will be read after one that ends at a position."""
        if start in self._blocks:  # the block is at its end
            block = self._blocks[self._blocks.index(start) - 1]
            start = self._following.get(block, self.size)
        stop = min(start + _MAX_WINDOW, self._end(start))
        if start < stop:
            self._coming = start, stop, self._pool.submit(self._fetch, _pieces(start, stop))

    def _end(self, position: int) -> int:
        """Where the block ends that a position lies in."""
        following = bisect.bisect_right(self._blocks, position)
        return self._blocks[following] if following < len(self._blocks) else self.size

    def _fetch_window(self, start: int, stop: int) -> bytes:
        """Return a range, of which the server is asked unless it is coming already."""
        coming, self._coming = self._coming, None
        if coming is not None and coming[:2] == (start, stop):
            pieces = coming[2].result()
        else:
            pieces = self._fetch(_pieces(start, stop))
        self.n_requests += len(pieces)
        self.bytes_fetched += stop - start
        self._progress.advance(stop - start)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _pieces(start: int, stop: int) -> list[tuple[int, int]]:
    """Divide a range into those of concurrent requests."""
    return list(itertools.pairwise([*range(start, stop, _PIECE), stop]))
