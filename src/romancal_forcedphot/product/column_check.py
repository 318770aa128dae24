"""Check of a product's table against the columns that its methods call for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asdf.exceptions import ValidationError
from astropy.table import Table
from astropy.units import Unit

from ..table import (
    COLUMNS_BY_METHOD,
    FLUX_UNITS,
    Column,
    aperture_columns,
    background_columns,
    known_column,
    table_columns,
)

__all__ = ["check_columns"]


def check_columns(table: Table, forced_phot: Mapping[str, Any]) -> None:
    """Compare the columns of a product's table with those that its methods call for.

    Parameters
    ----------
    table : astropy.table.Table
        ``source_catalog`` of the product.
    forced_phot : mapping
        Its ``meta.forced_phot``, with ``methods``, ``flux_unit`` and the aperture radii.

    Raises
    ------
    asdf.exceptions.ValidationError
        A column is missing, or has another dtype or unit.
    """
    unit = forced_phot.get("flux_unit", FLUX_UNITS[0])
    expected = {column.name: column for column in table_columns(_of_methods(forced_phot, unit))}
    for name in expected:
        if name not in table.colnames:
            raise ValidationError(f"column {name!r} is missing from source_catalog")
    for name in table.colnames:
        column = expected.get(name) or known_column(name, flux_unit=unit)
        if column is not None:
            _check_column(table, column)


def _of_methods(forced_phot: Mapping[str, Any], unit: str) -> list[Column]:
    """Columns of the methods of a product."""
    methods = forced_phot["methods"]
    columns: list[Column] = []
    if "aperture" in methods:
        radii = forced_phot.get("aperture_radii", [])
        try:
            columns += aperture_columns(
                radii, forced_phot.get("aperture_radius_unit"), flux_unit=unit
            )
        except ValueError as error:
            raise ValidationError(f"meta.forced_phot does not fit: {error}") from error
        columns += background_columns(flux_unit=unit)
    for name, columns_of in COLUMNS_BY_METHOD.items():
        columns += columns_of(flux_unit=unit) if name in methods else []
    return columns


def _check_column(table: Table, column: Column) -> None:
    """Raise a ValidationError for a column of another dtype or unit."""
    found = table[column.name]
    is_text = (found.dtype.kind, column.dtype) == ("U", "str")
    if not (is_text or found.dtype.name == column.dtype) or Unit(found.unit or "") != Unit(
        column.unit
    ):
        raise ValidationError(
            f"column {column.name!r} of source_catalog is {found.dtype.name} in "
            f"{found.unit}, expected {column.dtype} in {column.unit or None}"
        )
