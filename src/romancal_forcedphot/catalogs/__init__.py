"""A catalog in any supported form becomes `Sources`. Knows no image.

`files` turns a file into an astropy Table, `values` turns a column into plain numbers, and
`sources` decides which columns are meant.
"""

from __future__ import annotations

from .errors import CatalogError
from .sources import Sources, read_sources

__all__ = ["CatalogError", "Sources", "read_sources"]
