"""Local paths: what a location means on this machine, and why it cannot be used."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from .errors import StorageError
from .locations import is_uri, shown

__all__ = ["local_path", "reason", "refuse_foreign_links"]

_REASONS = {
    errno.ENOENT: "does not exist",
    errno.EISDIR: "is a directory, not a file",
    errno.ENOTDIR: "lies below something that is a file, not a directory",
    errno.EACCES: "may not be accessed with your permissions",
    errno.EPERM: "may not be accessed with your permissions",
    errno.EROFS: "is on a file system that cannot be written",
    errno.ELOOP: "is a symbolic link that leads back to itself",
    errno.ENAMETOOLONG: "has a name that is too long for its file system",
    errno.ENOSPC: "does not fit: no space is left on the device",
    errno.EDQUOT: "does not fit: your disk quota is exhausted",
    errno.EFBIG: "does not fit: it is larger than files may be here",
}
_MAX_LINKS = 40  # as Linux


def local_path(location: str | os.PathLike) -> Path:
    """Return the path of a local location.

    Parameters
    ----------
    location : str or path-like
        A path. A leading ``~`` or ``~user`` is a home directory, unless the working directory has
        something of that very name.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    StorageError
        It is a URI, or contains a null character.
    """
    if is_uri(location):
        raise StorageError(
            f"{shown(location)} is a URI, and only local paths are supported; "
            "copy the file to a local disk and give its path"
        )
    path = Path(location)
    if "\0" in str(path):
        raise StorageError(f"{shown(location)} contains a null character, which no path may")
    if not str(path).startswith("~") or os.path.lexists(path.parts[0]):
        return path
    try:
        return path.expanduser()
    except RuntimeError:  # there is no such user
        return path


def reason(error: Exception) -> str:
    """Return why the operating system refuses a file, as the end of a sentence about the file.

    Parameters
    ----------
    error : Exception
        What it raised.

    Returns
    -------
    str
        Such as ``'does not exist'``.
    """
    number = getattr(error, "errno", None)
    return _REASONS.get(number, f"fails with {getattr(error, 'strerror', None) or error}")


def refuse_foreign_links(path: Path) -> None:
    """Raise where a path leads through a symbolic link that another user owns.

    Such a link could send what is written over a file that its owner could not write.

    Parameters
    ----------
    path : pathlib.Path
        Where something is to be written.

    Raises
    ------
    StorageError
        A link belongs neither to this user nor to root.
    """
    for link in _links_followed(path):
        owner = link.lstat().st_uid
        if owner not in (0, os.geteuid()):
            raise StorageError(
                f"cannot write {shown(path)}: {shown(link)} is a symbolic link that belongs to "
                f"another user (uid {owner}); give the path it points to, "
                f"{shown(os.path.realpath(path))}, if you trust it"
            )


def _links_followed(path: Path) -> Iterator[Path]:
    """Yield every symbolic link that the operating system follows to reach a path."""
    start = path if path.is_absolute() else Path.cwd() / path
    current, parts, n_links = Path(start.anchor), list(reversed(start.parts[1:])), 0
    while parts and n_links < _MAX_LINKS:
        part = parts.pop()
        if part == "..":
            current = current.parent
            continue
        place = current / part
        if not os.path.islink(place):
            current = place
            continue
        yield place
        n_links += 1
        target = Path(os.readlink(place))
        if target.is_absolute():
            current = Path(target.anchor)
        parts += reversed([step for step in target.parts if step != target.anchor])
