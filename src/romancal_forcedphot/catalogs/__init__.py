"""A catalog in any supported form becomes `photometry.Sources`. Knows no image.

`files` turns a file into an astropy Table (with `parquet`, `trees` for ASDF, and `hats` for
directories), `values` turns a column into plain numbers, `sources` finds the columns (with
`positions` for coordinates, and `motion` for proper motions), `selection` chooses rows, and `kept`
prepares the columns that the user wants beside the photometry.
"""

from __future__ import annotations

from .errors import CatalogError
from .sources import read_sources

__all__ = ["CatalogError", "read_sources"]
