"""The errors of this package."""

from __future__ import annotations

__all__ = ["CatalogError", "UnusableContentError"]


class CatalogError(ValueError):
    """A catalog cannot be used; the message says which, why, and what to do."""


class UnusableContentError(ValueError):
    """A file is whole, but its content cannot be used.

    A reader raises it with words that go on after the file's name, such as ``has several columns
    called 'ra': ...``; `read_table` makes a CatalogError of it.
    """
