"""The columns of the output table and the bits of its flag column, each defined once.

Everything that fills, writes, checks or draws the table takes names, units and types from here.
A column that RAD's source catalogs have keeps RAD's name, unit and type; ``label`` alone is wider
(int64), because the ids of surveys do not fit RAD's int32. Each aperture has a name (``aper3pix``,
``aper04``) which its columns begin with.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

__all__ = [
    "FLAG_MEANINGS",
    "FLUX_UNITS",
    "Column",
    "WarningFlag",
    "aperture_name",
    "check_more_names",
    "is_flux_column",
    "output_columns",
]

#: Units that the fluxes of a table may have, as astropy writes them; the first is RAD's.
FLUX_UNITS = ("nJy", "uJy", "mJy", "Jy", "mgy")

#: Names that the table's schema keeps for apertures of any radius.
_OF_APERTURES = re.compile(
    r"aper([0-9]{2}|[0-9]+(p[0-9]+)?(pix|arcsec))"
    r"_((total_)?flux(_err)?|abmag(_err)?|ee_fraction)"
)


class WarningFlag(enum.IntFlag):
    """Bits of ``warning_flags``; 0 is good. A released bit never changes its meaning."""

    CENTER_UNUSABLE = 1
    NOT_PLACED = 2
    EDGE = 4
    MASKED = 8
    SATURATED = 16
    FEW_BKG_PIXELS = 32
    NO_CORRECTION = 64
    NEIGHBOR = 128


FLAG_MEANINGS: dict[WarningFlag, str] = {
    WarningFlag.CENTER_UNUSABLE: "centre pixel unusable: masked, not finite, or off the image",
    WarningFlag.NOT_PLACED: "not placed: no pixel of the aperture on the image",
    WarningFlag.EDGE: "aperture cut by the edge of the image",
    WarningFlag.MASKED: "masked pixel in the aperture",
    WarningFlag.SATURATED: "saturated pixel in the aperture",
    WarningFlag.FEW_BKG_PIXELS: "too few background pixels",
    WarningFlag.NO_CORRECTION: "no aperture correction available, total flux is NaN",
    WarningFlag.NEIGHBOR: "another source of the catalog inside the aperture",
}


@dataclass(frozen=True)
class Column:
    """One column of the output table.

    Attributes
    ----------
    name : str
        Name in the table.
    dtype : str
        NumPy name of the type; ``'str'`` is text of any length.
    unit : str
        Unit as astropy writes it, ``''`` for a column without one.
    description : str
        One line for the reader of the table.
    """

    name: str
    dtype: str
    unit: str
    description: str


LABEL = Column("label", "int64", "", "Integer id of the source in the input catalog")
SOURCE_NAME = Column("source_name", "str", "", "Text id of the source in the input catalog")
POSITIONS = (
    Column("ra", "float64", "deg", "Right ascension of the aperture's centre (ICRS)"),
    Column("dec", "float64", "deg", "Declination of the aperture's centre (ICRS)"),
    Column("x", "float64", "pix", "Column coordinate of the aperture's centre (0 indexed)"),
    Column("y", "float64", "pix", "Row coordinate of the aperture's centre (0 indexed)"),
)
WARNING_FLAGS = Column("warning_flags", "int32", "", "Warning bit flags (0=good)")


def aperture_name(radius: float, unit: str = "pixel") -> str:
    """Name an aperture by its radius.

    The radius is written with six significant digits, ``p`` for the decimal point. In arcsec a
    whole number of tenths below ten takes RAD's name, which counts tenths with two digits.

    Parameters
    ----------
    radius : float
        Radius in ``unit``.
    unit : {'pixel', 'arcsec'}
        Unit of the radius.

    Returns
    -------
    str
        For example ``aper3pix``, ``aper3p5pix``; ``aper04`` (0.4 arcsec), ``aper0p33arcsec``.

    Raises
    ------
    ValueError
        The radius is not a positive number, or the unit is neither of the two.
    """
    if not (math.isfinite(radius) and radius > 0):
        raise ValueError(f"aperture radius {radius!r} is not a positive number: give one above 0")
    if unit not in ("pixel", "arcsec"):
        raise ValueError(f"aperture radius unit {unit!r} is unknown: use 'pixel' or 'arcsec'")
    rounded = Decimal(f"{float(radius):.6g}").normalize()
    tenths = rounded * 10
    if unit == "arcsec" and tenths < 100 and tenths == int(tenths):
        return f"aper{int(tenths):02d}"
    return f"aper{rounded:f}".replace(".", "p") + ("pix" if unit == "pixel" else "arcsec")


def output_columns(
    aperture_radii: Sequence[float],
    radius_unit: str = "pixel",
    *,
    source_names: bool = False,
    flux_unit: str = FLUX_UNITS[0],
) -> list[Column]:
    """List the columns of the output table in their order.

    Parameters
    ----------
    aperture_radii : sequence of float
        Radii of the apertures in ``radius_unit``, in the order their columns shall have.
    radius_unit : {'pixel', 'arcsec'}
        Unit of the radii.
    source_names : bool
        Whether the catalog has text ids; then ``source_name`` follows ``label``.
    flux_unit : str
        Unit of the fluxes, one of `FLUX_UNITS`.

    Returns
    -------
    list of Column
        Label and positions, seven columns per radius, local background, flags.

    Raises
    ------
    ValueError
        There is no radius, a radius is not positive, two radii have the same name, or the unit
        of the fluxes is none of `FLUX_UNITS`.
    """
    if flux_unit not in FLUX_UNITS:
        raise ValueError(f"flux unit {flux_unit!r} is unknown: use one of {', '.join(FLUX_UNITS)}")
    if len(aperture_radii) == 0:
        raise ValueError("no aperture radius was given: at least one is needed, such as 3.0")
    columns = [LABEL, *([SOURCE_NAME] if source_names else []), *POSITIONS]
    radius_by_name: dict[str, float] = {}
    for radius in aperture_radii:
        name = aperture_name(radius, radius_unit)
        if name in radius_by_name:
            raise ValueError(
                f"aperture radii {radius_by_name[name]!r} and {radius!r} {radius_unit} would both "
                f"be called {name!r}: keep one, or let them differ within six digits"
            )
        radius_by_name[name] = radius
        columns += _aperture_columns(name, f"radius {radius:.6g} {radius_unit}", flux_unit)
    return [*columns, *_background_columns(flux_unit), WARNING_FLAGS]


def check_more_names(names: Iterable[str], columns: Sequence[Column]) -> None:
    """Raise where a column from elsewhere would have the name of one of ours.

    Parameters
    ----------
    names : iterable of str
        Names of columns that shall stand beside ours.
    columns : sequence of Column
        Ours.

    Raises
    ------
    ValueError
        A name is taken, or of the form that the columns of apertures have.
    """
    taken = {column.name for column in columns} | {SOURCE_NAME.name}
    clashes = [name for name in names if name in taken or _OF_APERTURES.fullmatch(name)]
    if clashes:
        raise ValueError(
            f"keep_columns names {', '.join(map(repr, clashes))}, as the product's own columns are "
            "or may be called: expected other names; rename them in the catalog or leave them out"
        )


def is_flux_column(name: str) -> bool:
    """Whether one of the table's own columns is in units of flux (the background per arcsec²)."""
    return bool(re.fullmatch(r"aper\w+_flux(_err)?", name)) and (
        name.removesuffix("_err") == "aper_bkg_flux" or _OF_APERTURES.fullmatch(name) is not None
    )


def _background_columns(flux_unit: str) -> list[Column]:
    """Columns of the local background."""
    rows = (
        ("aper_bkg_flux", "Local background estimated within a circular annulus"),
        ("aper_bkg_flux_err", "Uncertainty in local background estimated in a circular annulus"),
    )
    return [Column(name, "float32", f"{flux_unit} arcsec-2", text) for name, text in rows]


def _aperture_columns(name: str, radius: str, flux_unit: str) -> list[Column]:
    """Columns of one aperture; ``radius`` is its radius in words."""
    rows = (
        ("flux", flux_unit, f"Flux within circular aperture ({radius}), background subtracted"),
        ("flux_err", flux_unit, "Uncertainty in flux within circular aperture"),
        ("total_flux", flux_unit, f"Aperture-corrected flux of a point source ({radius})"),
        ("total_flux_err", flux_unit, f"Uncertainty in {name}_total_flux"),
        ("abmag", "mag(AB)", f"AB magnitude of {name}_total_flux"),
        ("abmag_err", "mag(AB)", f"Uncertainty in {name}_abmag"),
        ("ee_fraction", "", f"Fraction of a point source that {name}_flux was divided by"),
    )
    return [Column(f"{name}_{suffix}", "float32", unit, text) for suffix, unit, text in rows]
