"""What a location is: a local path or a URI."""

from __future__ import annotations

import os
import re

__all__ = ["file_name", "is_uri"]

_URI = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")


def is_uri(location: str | os.PathLike) -> bool:
    """Whether a location is a URI such as ``s3://bucket/key`` and not a local path."""
    return bool(_URI.match(os.fspath(location)))


def file_name(location: str | os.PathLike) -> str:
    """Return the last part of a location: the name to use in logs and metadata."""
    return os.fspath(location).rstrip("/").rsplit("/", 1)[-1]
