"""Reading and writing of files: the only modules that know the disk and S3.

Callers give a *location* (a path or an ``s3://`` URI) and get a seekable binary file, or an open
ASDF file whose blocks are checked as they are read. Products go the other way through
`write_atomically`, to local disks only. `progress` reports how far a transfer,
or other long work, is.
"""

from __future__ import annotations

from .asdf_files import expect_blocks, open_asdf
from .atomic import PartFile, remove_leftovers, write_atomically
from .errors import ChecksumError, RemoteError, StorageError
from .files import check_output_directory
from .locations import file_name, is_uri, printable, refuse_credentials, shown
from .opening import open_for_reading, open_remote

__all__ = [
    "ChecksumError",
    "PartFile",
    "RemoteError",
    "StorageError",
    "check_output_directory",
    "expect_blocks",
    "file_name",
    "is_uri",
    "open_asdf",
    "open_for_reading",
    "open_remote",
    "printable",
    "refuse_credentials",
    "remove_leftovers",
    "shown",
    "write_atomically",
]
