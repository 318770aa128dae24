"""The error of reference files."""

from __future__ import annotations

__all__ = ["ReferenceFileError"]


class ReferenceFileError(RuntimeError):
    """A reference file is not to be had, or is not what it should be."""
