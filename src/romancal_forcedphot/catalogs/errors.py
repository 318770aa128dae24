"""The error that every room of this package raises."""

from __future__ import annotations

__all__ = ["CatalogError"]


class CatalogError(ValueError):
    """A catalog cannot be used; the message says which, why, and what to do."""
