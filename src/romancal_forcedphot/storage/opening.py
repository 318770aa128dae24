"""Opening a location, local or remote, as a file to read."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO

from .errors import StorageError
from .files import open_local
from .locations import is_uri, refuse_credentials, shown
from .ranges import RangeFile

__all__ = ["open_for_reading", "open_remote"]

_BUFFER_BYTES = 65536


@contextmanager
def open_for_reading(
    location: str | os.PathLike, storage_options: Mapping[str, Any] | None = None
) -> Iterator[BinaryIO]:
    """Open a location as a seekable binary file, closed when the context ends.

    Parameters
    ----------
    location : str or path-like
        A local path or an ``s3://`` URI. A leading ``~`` is the home directory (a shell leaves it
        alone in ``--catalog=~/x.ecsv``).
    storage_options : mapping, optional
        Options of `s3fs.S3FileSystem` for a URI. See `open_remote`.

    Yields
    ------
    file object
        Binary, readable and seekable, as `asdf.open` and ``Table.read`` accept it.

    Raises
    ------
    StorageError
        The location does not exist, is not a regular file, or cannot be opened.
    """
    if is_uri(location):
        file = io.BufferedReader(open_remote(location, storage_options), _BUFFER_BYTES)
    else:
        file = open_local(location)
    with file:
        yield file


def open_remote(
    uri: str | os.PathLike, storage_options: Mapping[str, Any] | None = None
) -> RangeFile:
    """Open an ``s3://`` URI; what is read, and little else, is fetched.

    Parameters
    ----------
    uri : str
        ``s3://bucket/key``, without credentials in it.
    storage_options : mapping, optional
        Options of `s3fs.S3FileSystem` (``key``, ``secret``, ``token``, ``profile``, ``anon``,
        ``endpoint_url``, ``client_kwargs``, ...). Without them the usual variables of AWS count:
        AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION, AWS_DEFAULT_REGION; and reading is
        tried anonymously first, then, if that is refused, with the credentials of
        AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN or of AWS_PROFILE.

    Returns
    -------
    RangeFile
        An unbuffered binary file, to be closed by the caller.

    Raises
    ------
    RemoteError
        It does not exist, may not be read, or cannot be reached.
    StorageError
        It is another kind of URI, or contains credentials.
    """
    refuse_credentials(uri, "location")
    if not os.fspath(uri).startswith("s3://"):
        raise StorageError(
            f"{shown(uri)} is a URI of a kind that is not supported: expected a local path or "
            "s3://bucket/key; copy the file to a local disk and give its path"
        )
    from .s3 import open_s3

    return open_s3(os.fspath(uri), storage_options)
