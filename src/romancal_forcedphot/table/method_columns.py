"""Definitions of the columns of each method of measurement: names, types, units, descriptions.

Each aperture has a name (``aper3pix``, ``aper04``), with which its columns begin.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

__all__ = [
    "COLUMNS_BY_METHOD",
    "FLUX_UNITS",
    "Column",
    "aperture_column_names",
    "aperture_columns",
    "aperture_columns_by_name",
    "aperture_name",
    "apertures_in",
    "background_columns",
    "ellipse_columns",
    "error_columns",
    "kron_columns",
    "model_columns",
    "psf_columns",
    "shape_columns",
]

#: Units that the fluxes of a table may have, in astropy's notation; the first is RAD's.
FLUX_UNITS = ("nJy", "uJy", "mJy", "Jy", "mgy")

#: Pattern of the column names of apertures of any radius; the table's schema has the same.
_APERTURE_COLUMN = re.compile(
    r"(?P<aperture>aper([0-9]{2}|[0-9]+(p[0-9]+)?(pix|arcsec)))"
    r"_(?P<quantity>(total_)?flux(_err)?|abmag(_err)?|ee_fraction)"
)


@dataclass(frozen=True)
class Column:
    """Definition of one column of the output table.

    Attributes
    ----------
    name : str
        Name in the table.
    dtype : str
        NumPy name of the type; ``'str'`` is text of any length.
    unit : str
        Unit in astropy's notation, ``''`` for a column without one.
    description : str
        One line, stored in the table.
    """

    name: str
    dtype: str
    unit: str
    description: str


def aperture_name(radius: float, unit: str = "pixel") -> str:
    """Return the name of an aperture, with which its columns begin.

    The radius is written with six significant digits and ``p`` for the decimal point. A radius
    below 10 arcsec that is a multiple of 0.1 arcsec takes RAD's name, two digits of tenths.

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


def aperture_columns(
    aperture_radii: Sequence[float], radius_unit: str = "pixel", *, flux_unit: str = FLUX_UNITS[0]
) -> list[Column]:
    """Return the definitions of the columns of apertures, seven for each.

    Parameters
    ----------
    aperture_radii : sequence of float
        Radii of the apertures in ``radius_unit``, in the order of their columns.
    radius_unit : {'pixel', 'arcsec'}
        Unit of the radii.
    flux_unit : str
        Unit of the fluxes, one of `FLUX_UNITS`.

    Returns
    -------
    list of Column

    Raises
    ------
    ValueError
        There is no radius, a radius is not positive, two radii have the same name, or a unit is
        unknown.
    """
    if len(aperture_radii) == 0:
        raise ValueError("no aperture radius was given: at least one is needed, such as 3.0")
    columns: list[Column] = []
    radius_by_name: dict[str, float] = {}
    for radius in aperture_radii:
        name = aperture_name(radius, radius_unit)
        if name in radius_by_name:
            raise ValueError(
                f"aperture radii {radius_by_name[name]!r} and {radius!r} {radius_unit} would both "
                f"be called {name!r}: keep one, or let them differ within six digits"
            )
        radius_by_name[name] = radius
        columns += _columns_of(name, f"radius {radius:.6g} {radius_unit}", _checked(flux_unit))
    return columns


def background_columns(*, flux_unit: str = FLUX_UNITS[0]) -> list[Column]:
    """Return the definitions of the columns of the local background, a surface brightness.

    Parameters
    ----------
    flux_unit : str
        One of `FLUX_UNITS`; the columns are in this unit per arcsec².

    Returns
    -------
    list of Column

    Raises
    ------
    ValueError
        The unit is unknown.
    """
    unit = f"{_checked(flux_unit)} arcsec-2"
    rows = (
        ("aper_bkg_flux", "Local background estimated within a circular annulus"),
        ("aper_bkg_flux_err", "Uncertainty in local background estimated in a circular annulus"),
    )
    return [Column(name, "float32", unit, text) for name, text in rows]


def psf_columns(*, flux_unit: str = FLUX_UNITS[0]) -> list[Column]:
    """Return the definitions of the columns of PSF photometry.

    Parameters
    ----------
    flux_unit : str
        Unit of the fluxes, one of `FLUX_UNITS`.

    Returns
    -------
    list of Column
    """
    rows = (
        *_fitted("psf", "PSF flux, fitted together with all other sources", flux_unit),
        ("psf_gof", "", "Goodness of the PSF fit: PSF-weighted reduced chi-squared"),
        ("psf_chi2", "", "Reduced chi-squared of the PSF fit in the core of the source"),
        ("psf_blend", "", "Fraction of the fitted light in the core that is of other sources"),
    )
    return _in_single_precision(rows)


def model_columns(*, flux_unit: str = FLUX_UNITS[0]) -> list[Column]:
    """Return the definitions of the columns of model photometry.

    Parameters
    ----------
    flux_unit : str
        Unit of the fluxes, one of `FLUX_UNITS`.

    Returns
    -------
    list of Column
    """
    what = "Total flux of a Sersic profile or point, fitted with all sources"
    chi2 = ("model_chi2", "", "Reduced chi-squared of the model fit in the core of the source")
    return _in_single_precision([*_fitted("model", what, flux_unit), chi2])


def shape_columns(
    name: str, adjective: str, size: str, *, flux_unit: str = FLUX_UNITS[0]
) -> list[Column]:
    """List the seven columns of apertures of a shape, such as an ``elliptical`` one."""
    return [
        Column(c.name, c.dtype, c.unit, c.description.replace("circular", adjective))
        for c in _columns_of(name, size, _checked(flux_unit))
    ]


def ellipse_columns(*, flux_unit: str = FLUX_UNITS[0]) -> list[Column]:
    """List the columns of elliptical apertures."""
    of_flux = shape_columns("ellipse", "elliptical", "scaled shape", flux_unit=flux_unit)
    shape = (
        ("ellipse_semimajor", "arcsec", "Half major axis of the elliptical aperture"),
        ("ellipse_semiminor", "arcsec", "Half minor axis of the elliptical aperture"),
        ("ellipse_orientation", "deg", "Position angle from North of the aperture's major axis"),
    )
    return [*of_flux, *_in_single_precision(shape)]


def kron_columns(*, flux_unit: str = FLUX_UNITS[0]) -> list[Column]:
    """List the columns of Kron apertures, as RAD names and means them."""
    unit = _checked(flux_unit)
    rows = (
        ("kron_flux", unit, "Flux within the elliptical Kron aperture"),
        ("kron_flux_err", unit, "Uncertainty in kron_flux"),
        ("kron_abmag", "mag(AB)", "AB magnitude within the elliptical Kron aperture"),
        ("kron_abmag_err", "mag(AB)", "Uncertainty in kron_abmag"),
        ("kron_radius", "arcsec", "First-moment radius, half axes times 0.11 arcsec"),
        ("semimajor", "arcsec", "Length of the source semimajor axis the Kron radius counts"),
        ("semiminor", "arcsec", "Length of the source semiminor axis the Kron radius counts"),
        ("orientation_sky", "deg", "Position angle from North of the source semimajor axis"),
    )
    return _in_single_precision(rows)


def apertures_in(names: Iterable[str]) -> list[str]:
    """Return the names of the apertures of a table.

    Parameters
    ----------
    names : iterable of str
        Names of the table's columns.

    Returns
    -------
    list of str
        Such as ``['aper3pix', 'aper5pix']``, in the order of their flux columns.
    """
    found = map(_APERTURE_COLUMN.fullmatch, names)
    return [match["aperture"] for match in found if match and match["quantity"] == "flux"]


def aperture_column_names(aperture: str) -> list[str]:
    """Return the names of the columns of an aperture, of any shape, in their order.

    Parameters
    ----------
    aperture : str
        Name of the aperture, see `aperture_name`.

    Returns
    -------
    list of str
        Flux, total flux and magnitude, each with its error after it, and encircled-energy fraction.
    """
    return [column.name for column in _columns_of(aperture, aperture, FLUX_UNITS[0])]


def error_columns(aperture: str) -> list[str]:
    """Return the names of the columns of an aperture that hold errors.

    Parameters
    ----------
    aperture : str
        Name of the aperture, see `aperture_name`.

    Returns
    -------
    list of str
        Errors of the flux, of the total flux and of the magnitude.
    """
    return [name for name in aperture_column_names(aperture) if name.endswith("_err")]


def aperture_columns_by_name(name: str, *, flux_unit: str = FLUX_UNITS[0]) -> list[Column]:
    """Return the columns of the aperture that a column belongs to by its name.

    Parameters
    ----------
    name : str
        Name of any column.
    flux_unit : str
        Unit of the fluxes, one of `FLUX_UNITS`.

    Returns
    -------
    list of Column
        Empty if the name is not that of an aperture's column.
    """
    found = _APERTURE_COLUMN.fullmatch(name)
    return _columns_of(found["aperture"], found["aperture"], _checked(flux_unit)) if found else []


def _checked(flux_unit: str) -> str:
    """Return a unit of `FLUX_UNITS`; raise a ValueError for any other."""
    if flux_unit not in FLUX_UNITS:
        raise ValueError(f"flux unit {flux_unit!r} is unknown: use one of {', '.join(FLUX_UNITS)}")
    return flux_unit


def _columns_of(name: str, radius: str, flux_unit: str) -> list[Column]:
    """Definitions of the columns of one aperture; ``radius`` is its radius as text."""
    rows = (
        ("flux", flux_unit, f"Flux within circular aperture ({radius}), background subtracted"),
        ("flux_err", flux_unit, "Uncertainty in flux within circular aperture"),
        ("total_flux", flux_unit, f"Aperture-corrected flux of a point source ({radius})"),
        ("total_flux_err", flux_unit, f"Uncertainty in {name}_total_flux"),
        ("abmag", "mag(AB)", f"AB magnitude of {name}_total_flux"),
        ("abmag_err", "mag(AB)", f"Uncertainty in {name}_abmag"),
        ("ee_fraction", "", f"Encircled-energy fraction by which {name}_flux was divided"),
    )
    return _in_single_precision((f"{name}_{suffix}", unit, text) for suffix, unit, text in rows)


def _fitted(name: str, what: str, flux_unit: str) -> list[tuple[str, str, str]]:
    """Rows of the flux and the magnitude of a fit, each with its error."""
    unit = _checked(flux_unit)
    return [
        (f"{name}_flux", unit, what),
        (f"{name}_flux_err", unit, f"Uncertainty in {name}_flux"),
        (f"{name}_abmag", "mag(AB)", f"AB magnitude of {name}_flux"),
        (f"{name}_abmag_err", "mag(AB)", f"Uncertainty in {name}_abmag"),
    ]


def _in_single_precision(rows: Iterable[tuple[str, str, str]]) -> list[Column]:
    """Columns of numbers by their names, units and descriptions."""
    return [Column(name, "float32", unit, text) for name, unit, text in rows]


#: Columns of the methods that always have the same, by the name of the method.
COLUMNS_BY_METHOD: Mapping[str, Callable[..., list[Column]]] = {
    "psf": psf_columns,
    "model": model_columns,
    "ellipse": ellipse_columns,
    "kron": kron_columns,
}
