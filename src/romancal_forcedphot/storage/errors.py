"""Exceptions of reading and writing files."""

from __future__ import annotations

__all__ = ["ChecksumError", "MissingFileError", "RemoteError", "StorageError"]


class StorageError(OSError):
    """A location cannot be read or written; the message says which, why, and what to do."""


class MissingFileError(StorageError, FileNotFoundError):
    """A local file does not exist."""


class RemoteError(StorageError, ConnectionError):
    """A remote location cannot be read.

    It is a ConnectionError too, so that whoever reads an array can distinguish it from a damaged
    file without importing this package.
    """


class ChecksumError(StorageError):
    """Part of a file does not match the checksum that the file itself gives for it."""
