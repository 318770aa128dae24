"""Opening ASDF files, local and remote, by file objects and never by paths.

asdf takes a path for a URI: ``night#2/image.asdf`` would be the file ``night``.
"""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import asdf
from asdf.generic_io import get_file

from .blocks import check_blocks
from .errors import StorageError
from .files import open_local
from .locations import is_uri, shown
from .opening import open_remote
from .ranges import RangeFile
from .trees import check_tree

__all__ = ["expect_blocks", "open_asdf"]

_MAGIC = b"#ASDF"
_MAX_REASON = 200


def open_asdf(
    location: str | os.PathLike | BinaryIO,
    *,
    storage_options: Mapping[str, Any] | None = None,
    verify_checksums: bool = True,
    validate: bool = True,
    n_threads: int = 0,
) -> asdf.AsdfFile:
    """Open an ASDF file for reading; its arrays are read, and checked, when they are used.

    Parameters
    ----------
    location : str, path-like or file object
        A local path, an ``s3://`` URI, or an open binary file, which stays the caller's.
    storage_options : mapping, optional
        How to reach a file that is not local. See `storage.open_remote`.
    verify_checksums : bool
        Whether each block is compared with its own checksum (see `storage.blocks`).
    validate : bool
        Whether the tree is validated against the schemas of its tags.
    n_threads : int
        1 computes checksums in the thread that reads.

    Returns
    -------
    asdf.AsdfFile
        With a lazy tree. Closing it closes the file, unless it was open before.

    Raises
    ------
    RemoteError
        A remote file cannot be read.
    StorageError
        The file cannot be read, is no ASDF file, or is damaged.
    """
    if isinstance(location, str | os.PathLike):
        remote = is_uri(location)
        file = open_remote(location, storage_options) if remote else open_local(location)
        name, is_ours = shown(location), True
    else:
        file, is_ours = location, False
        name = shown(str(getattr(file, "name", "the ASDF file")))
    try:
        opened = _opened(file, name, is_ours, validate)
        with _closed_on_error(opened):
            check_blocks(opened, name, verify_checksums=verify_checksums, n_threads=n_threads)
        return opened
    except BaseException:
        if is_ours:
            file.close()
        raise


def expect_blocks(file: asdf.AsdfFile, blocks: Sequence[int]) -> None:
    """Tell a remote file what of it will be read, whole and in this order.

    Parameters
    ----------
    file : asdf.AsdfFile
        From `open_asdf`; nothing happens for a local file.
    blocks : sequence of int
        Numbers of the blocks that will be read.
    """
    remote = getattr(file._fd, "_fd", None)
    if isinstance(remote, RangeFile):
        remote.expect(blocks)


@contextlib.contextmanager
def _closed_on_error(file: asdf.AsdfFile) -> Iterator[None]:
    """Close a file if the context fails."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(Exception):
            file.close()
        raise


def _opened(file: BinaryIO, name: str, is_ours: bool, validate: bool) -> asdf.AsdfFile:
    start = file.tell()
    try:
        magic = file.read(len(_MAGIC))
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"{name} cannot be read ({error}): check its disk") from error
    if magic != _MAGIC:
        raise StorageError(f"{name} is not an ASDF file: it does not begin with #ASDF")
    file.seek(start)
    check_tree(file, name)
    file.seek(start)
    # asdf takes the raw file from a buffered one, wherever that stands.
    getattr(file, "raw", file).seek(start)
    _load_plugins()
    try:
        with asdf.config_context() as config:
            config.validate_on_read = validate
            return asdf.open(
                get_file(file, mode="r", close=is_ours),
                lazy_load=True,
                lazy_tree=True,
                memmap=False,
            )
    except StorageError:
        raise
    except Exception as error:  # of many kinds, and long
        raise StorageError(
            f"{name} cannot be read as ASDF ({_reason(error)}): it may be truncated or damaged, "
            "fetch it again"
        ) from error


def _load_plugins() -> None:
    """Load asdf's plugins, which takes a second; those loaded in a context are forgotten with it.

    They make a million objects that stay: collecting garbage meanwhile finds none.
    """
    is_collecting = gc.isenabled()
    gc.disable()
    try:
        _ = asdf.get_config().extensions, asdf.get_config().resource_manager
    finally:
        if is_collecting:
            gc.enable()


def _reason(error: Exception) -> str:
    """One line on why asdf cannot read a file."""
    text = str(error)
    if isinstance(error, asdf.ValidationError):
        text = f"{error.message}, in {'.'.join(map(str, error.absolute_path)) or 'the tree'}"
    return " ".join(text.split())[:_MAX_REASON] or type(error).__name__
