"""Reading of source catalogs, in any supported format, as `photometry.Sources`.

`files` reads a file as an astropy Table, with a reader for each format (`delimited` for CSV,
`ecsv`, `fits`, `parquet`, `votable`, `trees` for ASDF) and `hats` for directories. `columns` finds
columns by the `names` that they usually have, `values` turns a column into plain numbers and
`identifiers` into ids and text. `sources` puts them together (with `positions` and `frames` for
coordinates, and `motion` for proper motions), `selection` chooses rows, `kron` finds apertures in
another catalog, and `kept` prepares the columns that the user wants beside the photometry.
"""

from __future__ import annotations

from .errors import CatalogError
from .kron import shape_options
from .sources import read_sources

__all__ = ["CatalogError", "read_sources", "shape_options"]
