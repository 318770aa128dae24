"""Writing files whole or not at all.

A file is written under another name in the directory of its destination, and renamed when it is
whole and on the disk: no reader ever sees half a product. The temporary name tells which process
writes it, so that what a killed process has left can be removed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import logging
import os
import re
import secrets
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from .errors import StorageError
from .local import local_path, reason, refuse_foreign_links
from .locations import shown

__all__ = ["PartFile", "part_name", "remove_leftovers", "write_atomically"]

log = logging.getLogger(f"romancal.{__name__}")

_SUFFIX = ".forcedphot-part"
_PART = re.compile(r"\..*\.(\d{1,10})-([0-9a-f]{8})-[0-9a-f]{8}" + re.escape(_SUFFIX), re.DOTALL)
#: A part of a process on another machine is abandoned when nothing was written for so long.
_ABANDONED_AFTER_S = 7 * 86400
_MAX_STEM_BYTES = 60
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
#: File systems that cannot flush a file to the disk say so by these.
_NO_FSYNC = (errno.EINVAL, errno.ENOTSUP)


class PartFile(io.FileIO):
    """The file that `write_atomically` hands out: binary, seekable, not yet at its destination.

    It is not buffered: writers that write little at a time should collect before.

    Attributes
    ----------
    destination : pathlib.Path
        The path at which the file will appear.
    """

    def __init__(self, path: Path, destination: Path) -> None:
        super().__init__(path, "x+b")
        self.destination = destination

    def write(self, content) -> int:
        """Write all of a buffer, as `io.FileIO` does not where a disk is nearly full.

        Parameters
        ----------
        content : bytes-like
            What to write.

        Returns
        -------
        int
            Number of bytes, all of them.

        Raises
        ------
        StorageError
            The file cannot be written; the message names the destination.
        """
        view = memoryview(content).cast("B")
        done = 0
        while done < len(view):
            with _explained(self.destination):
                done += super().write(view[done:])
        return done

    def finish(self) -> None:
        """Flush the file to the disk and close it.

        Raises
        ------
        StorageError
            Nothing was written, or it does not fit.
        """
        if os.fstat(self.fileno()).st_size == 0:
            raise StorageError(f"nothing was written for {shown(self.destination)}")
        with _explained(self.destination):
            try:
                os.fsync(self.fileno())
            except OSError as error:
                if error.errno not in _NO_FSYNC:
                    raise
            self.close()


@contextlib.contextmanager
def write_atomically(path: str | os.PathLike) -> Iterator[PartFile]:
    """Write a file so that it appears whole or not at all.

    The caller writes to the open file that the context yields; its ``destination`` is the final
    path. When the context ends without an error the file takes the place of what was at `path`;
    otherwise it is removed, and what was there before still is. So it is if the process is ended
    by SIGTERM meanwhile (unless the process has its own handler for it, or this is not the main
    thread).

    Parameters
    ----------
    path : str or path-like
        The local destination. A symbolic link is followed, not replaced.

    Yields
    ------
    PartFile
        To write to; nothing is written yet.

    Raises
    ------
    StorageError
        The directory does not exist or cannot be written, `path` is itself a directory or leads
        through a symbolic link of another user, there is no space left, or nothing was written.
    """
    destination = _destination(path)
    with _terminated_cleanly(), _part(destination) as part:
        yield part
        part.finish()
        with _explained(destination):
            os.replace(part.name, destination)


def remove_leftovers(directory: str | os.PathLike) -> None:
    """Remove what killed processes have left half-written in a directory.

    Parameters
    ----------
    directory : str or path-like
        A local directory. Parts of processes that still run stay; what cannot be removed, too.
    """
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            found = _PART.fullmatch(entry.name)
            if not found or not entry.is_file(follow_symlinks=False):
                continue
            with contextlib.suppress(OSError):
                if _is_abandoned(int(found[1]), found[2], entry.stat().st_mtime):
                    os.unlink(entry.path)
                    log.info("Removed %s, which a killed run had left", shown(entry.path))


def part_name(destination: Path) -> str:
    """Return a name for the temporary file of a destination.

    Parameters
    ----------
    destination : pathlib.Path
        What it will become.

    Returns
    -------
    str
        Unique, and short enough for any file system; `remove_leftovers` knows it.
    """
    stem = os.fsencode(destination.name)[:_MAX_STEM_BYTES].decode(errors="ignore")
    return f".{stem}.{os.getpid()}-{_host()}-{secrets.token_hex(4)}{_SUFFIX}"


def _destination(path: str | os.PathLike) -> Path:
    """Return the real path of what is to be written, or raise where that cannot be."""
    path = local_path(path)
    try:
        refuse_foreign_links(path)
        destination = Path(os.path.realpath(path))
        is_directory = destination.is_dir()
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"cannot write {shown(path)}: it {reason(error)}") from error
    if is_directory:
        raise StorageError(f"{shown(destination)} is a directory; give the path of a file to write")
    return destination


@contextlib.contextmanager
def _part(destination: Path) -> Iterator[PartFile]:
    """Make the temporary file, and remove it if it is still there at the end."""
    path = destination.parent / part_name(destination)
    # A signal may come as soon as the file is there, before anybody has the open file.
    try:
        with _opened(path, destination) as part:
            yield part
    finally:
        with contextlib.suppress(OSError):
            os.unlink(path)


@contextlib.contextmanager
def _opened(path: Path, destination: Path) -> Iterator[PartFile]:
    """Open the temporary file, and close it at the end."""
    try:
        part = PartFile(path, destination)
    except OSError as error:
        # A directory is missed as a missing file is, and a file below a file as a directory is.
        directory = destination.parent
        why = "is a file, not a directory" if directory.is_file() else reason(error)
        raise StorageError(
            f"cannot write {shown(destination)}: {shown(directory)} {why}; "
            "choose a directory that can be written (--output_dir)"
        ) from error
    try:
        yield part
    finally:
        with contextlib.suppress(OSError):
            part.close()


@contextlib.contextmanager
def _explained(destination: Path) -> Iterator[None]:
    """Let the errors of the operating system name the destination and the remedy."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        remedy = "free some, or choose another directory (--output_dir)"
        if error.errno not in _NO_ROOM:
            remedy = "choose another directory (--output_dir)"
        raise StorageError(
            f"cannot write {shown(destination)}: it {reason(error)}; {remedy}"
        ) from error


def _host() -> str:
    """Return 8 digits for this machine and the name space of its process ids."""
    try:
        names = os.readlink("/proc/self/ns/pid")
    except OSError:
        names = ""
    return hashlib.sha256(f"{socket.gethostname()} {names}".encode()).hexdigest()[:8]


def _is_abandoned(pid: int, host: str, modified: float) -> bool:
    """Return whether the process that wrote a part is gone."""
    if host != _host():
        return time.time() - modified > _ABANDONED_AFTER_S
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:  # it runs, and is another user's
        return False
    return False


class _Terminated(BaseException):
    """SIGTERM came."""


@contextlib.contextmanager
def _terminated_cleanly() -> Iterator[None]:
    """Let SIGTERM unwind the block before it ends the process, where nobody else handles it."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def stop(signum, frame):
        raise _Terminated

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except _Terminated:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
        raise
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
