"""A catalog in any supported form becomes `Sources`. Knows no image.

`files` turns a file into an astropy Table, `values` turns a column into plain numbers, `sources`
decides which columns are meant, and `motion` which of them tell of proper motion.
"""

from __future__ import annotations

from .errors import CatalogError
from .motion import Motion
from .sources import Sources, read_sources

__all__ = ["CatalogError", "Motion", "Sources", "read_sources"]
