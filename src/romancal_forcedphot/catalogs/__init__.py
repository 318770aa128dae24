"""A catalog in any supported form becomes `Sources`. Knows no image.

`files` turns a file into an astropy Table (with `parquet`, `trees` for ASDF, and `hats` for
directories), `values` turns a column into plain numbers, `sources` decides which columns are meant
(with `positions` for where, and `motion` for how sources move), `selection` which rows, and `kept`
holds the columns that the user wants to keep.
"""

from __future__ import annotations

from .errors import CatalogError
from .motion import Motion
from .sources import Sources, read_sources

__all__ = ["CatalogError", "Motion", "Sources", "read_sources"]
