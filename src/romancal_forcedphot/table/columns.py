"""The columns of the whole output table: ids, positions, those of the methods, and flags.

All code that fills, writes, checks or plots the table takes its columns from here. A column of
RAD's source catalogs keeps RAD's name, unit and type, with two exceptions: ``label`` is int64,
because survey ids do not fit RAD's int32, and positions are float64, where RAD 1.2 has ``x`` and
``y`` in float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .method_columns import (
    FLUX_UNITS,
    Column,
    aperture_columns_by_name,
    background_columns,
    model_columns,
    psf_columns,
)

__all__ = [
    "check_catalog_columns",
    "coverage_columns",
    "is_flux_column",
    "known_column",
    "table_columns",
]

LABEL = Column("label", "int64", "", "Integer id of the source in the input catalog")
SOURCE_NAME = Column("source_name", "str", "", "Text id of the source in the input catalog")
POSITIONS = (
    Column("ra", "float64", "deg", "Right ascension of the source (ICRS)"),
    Column("dec", "float64", "deg", "Declination of the source (ICRS)"),
    Column("x", "float64", "pix", "Column coordinate of the source (0 indexed)"),
    Column("y", "float64", "pix", "Row coordinate of the source (0 indexed)"),
)
WARNING_FLAGS = Column("warning_flags", "int32", "", "Warning bit flags (0=good)")


def table_columns(of_methods: Sequence[Column], *, source_names: bool = False) -> list[Column]:
    """Return the definitions of all columns of the output table in their order.

    Parameters
    ----------
    of_methods : sequence of Column
        Columns of the methods of measurement.
    source_names : bool
        Whether the catalog has text ids; then ``source_name`` follows ``label``.

    Returns
    -------
    list of Column
        Id and positions, the methods' columns, flags.

    Raises
    ------
    ValueError
        Two columns have the same name.
    """
    names = [SOURCE_NAME] if source_names else []
    columns = [LABEL, *names, *POSITIONS, *of_methods, WARNING_FLAGS]
    seen: set[str] = set()
    for column in columns:
        if column.name in seen:
            raise ValueError(
                f"two methods would both write column {column.name!r}: leave one of them out"
            )
        seen.add(column.name)
    return columns


def coverage_columns() -> list[Column]:
    """List the columns that tell which exposures of a mosaic made the pixels of a source."""
    return [
        Column("n_exposures", "int32", "", "Exposures that made the 5 x 5 pixels at the source"),
        Column("weight", "float32", "", "Median weight of the 5 x 5 pixels at the source"),
    ]


def known_column(name: str, *, flux_unit: str = FLUX_UNITS[0]) -> Column | None:
    """Return the definition of a column of the product by its name, whatever the methods.

    Columns of methods with RAD's names may as well come from the catalog; they are not included.

    Parameters
    ----------
    name : str
        Name of a column.
    flux_unit : str
        Unit of the fluxes, one of `FLUX_UNITS`.

    Returns
    -------
    Column or None
        None for a column that is not one of the product's own.
    """
    of_aperture = aperture_columns_by_name(name, flux_unit=flux_unit)
    of_methods = [
        column
        for columns in (background_columns, psf_columns, model_columns)
        for column in columns(flux_unit=flux_unit)
    ]
    of_methods += coverage_columns()
    candidates = of_aperture or table_columns(of_methods, source_names=True)
    return next((column for column in candidates if column.name == name), None)


def check_catalog_columns(names: Iterable[str], columns: Sequence[Column]) -> None:
    """Check that columns kept from a catalog do not have names of the product's own columns.

    Parameters
    ----------
    names : iterable of str
        Names of the columns to be kept.
    columns : sequence of Column
        The product's own columns.

    Raises
    ------
    ValueError
        A name is that of one of these, or one that the product may have with other settings.
    """
    taken = {column.name for column in columns}
    clashes = [name for name in names if name in taken or known_column(name)]
    if clashes:
        raise ValueError(
            f"keep_columns names {', '.join(map(repr, clashes))}, as the product's own columns are "
            "or may be called: expected other names; rename them in the catalog or leave them out"
        )


def is_flux_column(name: str) -> bool:
    """Return whether a column is one of the product's own with a unit of flux, or flux per arcsec².

    Parameters
    ----------
    name : str
        Name of a column.

    Returns
    -------
    bool
    """
    column = known_column(name)
    return column is not None and column.unit.split(" ")[0] == FLUX_UNITS[0]
