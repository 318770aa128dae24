"""The output table: definitions of its columns, its flags and units, and statistics of its rows.

Measuring code and file formats both use this package; it imports no other part of ours.
"""

from __future__ import annotations

from .columns import (
    check_catalog_columns,
    coverage_columns,
    is_flux_column,
    known_column,
    table_columns,
)
from .flags import FLAG_MEANINGS, WarningFlag
from .method_columns import (
    COLUMNS_BY_METHOD,
    FLUX_UNITS,
    Column,
    aperture_column_names,
    aperture_columns,
    aperture_name,
    apertures_in,
    background_columns,
    ellipse_columns,
    error_columns,
    kron_columns,
    model_columns,
    psf_columns,
    shape_columns,
)
from .rows import count_rows, make_table, median_ee_fractions, on_image
from .units import convert_flux, in_flux_unit, table_unit

__all__ = [
    "COLUMNS_BY_METHOD",
    "FLAG_MEANINGS",
    "FLUX_UNITS",
    "Column",
    "WarningFlag",
    "aperture_column_names",
    "aperture_columns",
    "aperture_name",
    "apertures_in",
    "background_columns",
    "check_catalog_columns",
    "convert_flux",
    "count_rows",
    "coverage_columns",
    "ellipse_columns",
    "error_columns",
    "in_flux_unit",
    "is_flux_column",
    "known_column",
    "kron_columns",
    "make_table",
    "median_ee_fractions",
    "model_columns",
    "on_image",
    "psf_columns",
    "shape_columns",
    "table_columns",
    "table_unit",
]
