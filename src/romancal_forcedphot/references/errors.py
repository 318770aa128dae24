"""Error of reference files."""

from __future__ import annotations

__all__ = ["ReferenceFileError"]


class ReferenceFileError(RuntimeError):
    """A reference file is not available, or is invalid."""
