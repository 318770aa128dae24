"""Where files are: the one door between this package and the disk, and the only way to S3.

Callers ask for a *location* (a path or an ``s3://`` URI) and get a seekable binary file, so that
nobody above this room has to know what a location is. Products go the other way through
`write_atomically`, to local disks only.
"""

from __future__ import annotations

from .errors import RemoteError, StorageError
from .files import check_output_directory, write_atomically
from .locations import file_name, is_uri
from .opening import open_for_reading, open_remote

__all__ = [
    "RemoteError",
    "StorageError",
    "check_output_directory",
    "file_name",
    "is_uri",
    "open_for_reading",
    "open_remote",
    "write_atomically",
]
