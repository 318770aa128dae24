"""Local files: opening them with clear errors, and checking where products can be written."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from .atomic import part_name, remove_leftovers
from .errors import MissingFileError, StorageError
from .local import local_path, reason, refuse_foreign_links
from .locations import is_uri, shown

__all__ = ["check_output_directory", "open_local"]


def open_local(location: str | os.PathLike) -> BinaryIO:
    """Open a local file for reading.

    Parameters
    ----------
    location : str or path-like
        Any path that the operating system allows; for a leading ``~`` see `local.local_path`.

    Returns
    -------
    file object
        Binary, buffered and seekable.

    Raises
    ------
    StorageError
        The file does not exist (MissingFileError), may not be read, or is not a regular file.
    """
    path = local_path(location)
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
        if kind not in (stat.S_IFREG, stat.S_IFDIR):  # a pipe would be waited for
            raise StorageError(
                f"{shown(location)} is not a regular file: expected the path of a file on disk; "
                "write what it delivers to a file and give that"
            )
        return path.open("rb")
    except StorageError:
        raise
    except (OSError, ValueError) as error:
        missing = isinstance(error, FileNotFoundError)
        raise (MissingFileError if missing else StorageError)(
            f"{shown(location)} {reason(error)}; give the path of a file that can be read"
        ) from error


def check_output_directory(directory: str | os.PathLike) -> None:
    """Check that products can be written to a directory, before any work is done for them.

    Files that killed processes left there half-written are removed.

    Parameters
    ----------
    directory : str or path-like
        A local directory; one that does not exist yet is accepted where it can be made.

    Raises
    ------
    StorageError
        It is a URI, is or lies below a file, is or lies below a symbolic link that leads nowhere
        or belongs to another user, or nothing can be written there.
    """
    if is_uri(directory):
        raise StorageError(
            f"cannot write to {shown(directory)}: products are written to local directories only; "
            "choose one with --output_dir and copy the product from there"
        )
    try:
        path = local_path(directory).absolute()
    except OSError as error:  # the working directory was removed
        raise _unwritable(directory, reason(error)) from error
    refuse_foreign_links(path)
    place = next(place for place in (path, *path.parents) if _is_there(place, directory))
    _probe(place, directory)
    if place == path:
        remove_leftovers(path)


def _is_there(place: Path, wanted: str | os.PathLike) -> bool:
    """Whether a directory on the way to the wanted one exists; a link to nowhere is an error."""
    try:
        place.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:
        raise _unwritable(wanted, reason(error)) from error
    if place.is_symlink() and not place.exists():
        raise _unwritable(
            wanted,
            f"{shown(place)} is a symbolic link to {shown(os.readlink(place))}, which does not "
            "exist",
        )
    return True


def _probe(directory: Path, wanted: str | os.PathLike) -> None:
    """Raise where no file can be made, by making one: permission bits tell root nothing."""
    probe = directory / part_name(Path("probe"))
    try:
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        # A directory is missed as a missing file is, and a file below a file as a directory is.
        why = "is a file, not a directory" if directory.is_file() else reason(error)
        raise _unwritable(wanted, f"{shown(directory)} {why}") from error


def _unwritable(wanted: str | os.PathLike, why: str) -> StorageError:
    return StorageError(
        f"cannot write {shown(wanted)}: {why}; choose a directory that can be written "
        "(--output_dir)"
    )
