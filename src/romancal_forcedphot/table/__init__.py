"""The output table: its columns, flags and units, each defined once.

Arrays and files both use this package; it imports nothing else of ours.
"""

from __future__ import annotations

from .columns import (
    FLUX_UNITS,
    Column,
    aperture_columns,
    aperture_name,
    apertures_in,
    background_columns,
    check_more_names,
    ellipse_columns,
    is_flux_column,
    known_column,
    kron_columns,
    table_columns,
)
from .flags import FLAG_MEANINGS, WarningFlag
from .rows import count_rows, make_table, on_image, typical_fractions
from .units import convert_flux, in_flux_unit, table_unit

__all__ = [
    "FLAG_MEANINGS",
    "FLUX_UNITS",
    "Column",
    "WarningFlag",
    "aperture_columns",
    "aperture_name",
    "apertures_in",
    "background_columns",
    "check_more_names",
    "convert_flux",
    "count_rows",
    "ellipse_columns",
    "in_flux_unit",
    "is_flux_column",
    "known_column",
    "kron_columns",
    "make_table",
    "on_image",
    "table_columns",
    "table_unit",
    "typical_fractions",
]
