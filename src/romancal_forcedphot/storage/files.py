"""Local files: opened with clear errors, written whole or not at all.

Products are written under their own name in a temporary directory beside their destination and
moved when whole, so that a failure leaves nothing half-written and no reader ever sees half a
product.
"""

from __future__ import annotations

import errno
import os
import tempfile
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from .errors import StorageError
from .locations import is_uri

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check_output_directory", "open_local", "write_atomically"]

_REASONS = {
    errno.ENOENT: "does not exist",
    errno.EISDIR: "is a directory, not a file",
    errno.ENOTDIR: "lies below something that is a file, not a directory",
    errno.EACCES: "may not be accessed with your permissions",
    errno.EPERM: "may not be accessed with your permissions",
    errno.EROFS: "is on a file system that cannot be written",
    errno.ENOSPC: "does not fit: no space is left on the device",
}


def open_local(location: str | os.PathLike) -> BinaryIO:
    """Open a local file for reading, or raise a StorageError that says why not."""
    path = _local_path(location)
    try:
        return path.open("rb")
    except OSError as error:
        raise StorageError(
            f"'{location}' {_reason(error)}; give the path of a file that can be read"
        ) from error


@contextmanager
def write_atomically(path: str | os.PathLike) -> Iterator[Path]:
    """Write a file so that it appears whole or not at all.

    The caller writes to the path that the context yields. It has the name of `path` (writers
    choose their format by it and note it in the file) and lies in a temporary directory beside it.
    When the context ends without an error it takes the place of `path`; otherwise it is removed,
    and a file that was at `path` before is still there.

    Parameters
    ----------
    path : str or path-like
        The local destination. A symbolic link is followed, not replaced.

    Yields
    ------
    pathlib.Path
        The temporary path to write to. No file exists there yet.

    Raises
    ------
    StorageError
        If the directory does not exist or cannot be written, or `path` is itself a directory.
    """
    destination = Path(os.path.realpath(_local_path(path)))
    _check_destination(destination)
    with tempfile.TemporaryDirectory(prefix=".forcedphot-", dir=destination.parent) as directory:
        temporary = Path(directory) / Path(path).name
        yield temporary
        if not temporary.is_file():
            raise StorageError(f"nothing was written for '{destination}'; please report this")
        temporary.replace(destination)


def check_output_directory(directory: str | os.PathLike) -> None:
    """Raise where products could not be written, before any work is done for them.

    Parameters
    ----------
    directory : str or path-like
        A local directory. One that does not exist yet is fine where it can be made (stpipe makes
        it when it saves).

    Raises
    ------
    StorageError
        If it is a URI, is or lies below a file, or nothing can be written there.
    """
    if is_uri(directory):
        raise StorageError(
            f"cannot write to '{directory}': products are written to local directories only; "
            "choose one with --output_dir and copy the product from there"
        )
    path = _local_path(directory).absolute()
    _probe(next(place for place in (path, *path.parents) if place.exists()), directory)


def _local_path(location: str | os.PathLike) -> Path:
    if is_uri(location):
        raise StorageError(
            f"'{location}' is a URI, and only local paths are supported; "
            "copy the file to a local disk and give its path"
        )
    return Path(location).expanduser()


def _check_destination(destination: Path) -> None:
    if destination.is_dir():
        raise StorageError(f"'{destination}' is a directory; give the path of a file to write")
    _probe(destination.parent, destination)


def _probe(directory: Path, wanted: str | os.PathLike) -> None:
    """Raise where no file can be made, by making one: permission bits tell root nothing."""
    probe = directory / f".{uuid.uuid4().hex}.probe"
    try:
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        # A directory is missed as a missing file is, and a file below a file as a directory is.
        reason = "is a file, not a directory" if directory.is_file() else _reason(error)
        raise StorageError(
            f"cannot write '{wanted}': '{directory}' {reason}; "
            "choose a directory that can be written (--output_dir)"
        ) from error


def _reason(error: OSError) -> str:
    return _REASONS.get(error.errno, f"fails with {error.strerror or error}")
