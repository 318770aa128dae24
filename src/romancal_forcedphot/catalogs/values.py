"""Conversion of columns to plain numbers in degrees, pixels, or any other unit.

No row is dropped: a value that is masked, missing or infinite becomes NaN. A column that holds
something else than one number in a row is refused.
"""

from __future__ import annotations

import datetime
import logging
import numbers

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord

from .errors import CatalogError

__all__ = [
    "PIXEL_REMEDY",
    "SKY_REMEDY",
    "are_scalars",
    "coordinates_to_degrees",
    "plain_values",
    "to_degrees",
    "to_numbers",
    "to_pixels",
]

# Below romancal's logger, whose handlers every romancal pipeline sets up.
log = logging.getLogger(f"romancal.{__name__}")

SKY_REMEDY = "name another with --ra_column/--dec_column"
"""What to do where a column of sky positions cannot be used."""

PIXEL_REMEDY = "name another with --x_column/--y_column"
"""What to do where a column of pixel positions cannot be used."""

_NUMBER = "one number in a row"
_SCALARS = (str, bytes, numbers.Number, np.generic, datetime.date, datetime.time)


def to_degrees(column: object, what: str) -> np.ndarray:
    """Convert a column of angles to degrees.

    Parameters
    ----------
    column : astropy.table.Column, astropy.units.Quantity or other column
        n angles; numbers without a unit are degrees.
    what : str
        How messages refer to the column.

    Returns
    -------
    ndarray of float64, shape (n,)
        Degrees, NaN where masked or infinite.

    Raises
    ------
    CatalogError
        The column holds something else than one angle in a row, or numbers of half precision.
    """
    values = _in_unit(
        column, what, u.deg, "which is no angle: expected deg, rad, hourangle, arcsec", SKY_REMEDY
    )
    _check_precision(column, what, "0.25 degrees", SKY_REMEDY)
    if column.dtype.kind == "f" and column.dtype.itemsize < 8:
        log.warning(
            "%s is of single precision: its positions are uncertain by up to 0.05 arcsec", what
        )
    return values


def to_pixels(column: object, what: str) -> np.ndarray:
    """Convert a column of pixel positions to plain numbers.

    Parameters
    ----------
    column : astropy.table.Column, astropy.units.Quantity or other column
        n coordinates; numbers without a unit are pixels.
    what : str
        How error messages refer to the column.

    Returns
    -------
    ndarray of float64, shape (n,)
        Pixels, NaN where masked or infinite.

    Raises
    ------
    CatalogError
        The column holds something else than one pixel coordinate in a row, or numbers of half
        precision.
    """
    values = _in_unit(column, what, u.pix, "which is no pixel: expected pix", PIXEL_REMEDY)
    _check_precision(column, what, "2 pixels", PIXEL_REMEDY)
    return values


def to_numbers(column: object, what: str, default: u.UnitBase, remedy: str) -> np.ndarray:
    """Convert a column to a unit.

    Parameters
    ----------
    column : astropy.table.Column, astropy.units.Quantity or other column
        n numbers.
    what : str
        How error messages refer to the column.
    default : astropy.units.UnitBase
        The unit to convert to, which is also that of numbers without one.
    remedy : str
        What the error message advises beside correcting the column.

    Returns
    -------
    ndarray of float64, shape (n,)
        In the unit, NaN where masked or infinite.

    Raises
    ------
    CatalogError
        The column holds something else than one such number in a row.
    """
    expected = f"expected {default}, a unit that converts to it"
    if default == u.one:
        expected = "which is no plain number: expected percent"
    return _in_unit(column, what, default, expected, remedy)


def coordinates_to_degrees(coordinates: SkyCoord, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Transform coordinate objects to ICRS.

    Parameters
    ----------
    coordinates : astropy.coordinates.SkyCoord
        n positions in any frame of the sky.
    what : str
        How error messages refer to them.

    Returns
    -------
    ra, dec : ndarray of float64, shape (n,)
        Degrees, ICRS; NaN where masked or not finite.

    Raises
    ------
    CatalogError
        There are several positions in a row, the frame cannot be transformed to ICRS, or the
        positions are of half precision.
    """
    if coordinates.ndim != 1:
        raise _many_values(coordinates.shape, what, _NUMBER, SKY_REMEDY)
    _check_precision(coordinates.spherical.lat, what, "0.25 degrees", SKY_REMEDY)
    try:
        with np.errstate(invalid="ignore"):
            icrs = coordinates.icrs
    except Exception as error:  # of many kinds, for instance a frame that lacks its location
        raise CatalogError(
            f"{what} cannot be transformed from {coordinates.frame.name} to ICRS ({error}): "
            f"expected a frame of sky positions; {SKY_REMEDY}"
        ) from error
    ra, dec = (_numbers(angle.to(u.deg), what, SKY_REMEDY) for angle in (icrs.ra, icrs.dec))
    return ra, dec


def plain_values(
    column: object, what: str, expected: str, remedy: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the bare values of a column and its mask, whatever holds them.

    Parameters
    ----------
    column : astropy.table.Column, astropy.units.Quantity or other column
        n values.
    what : str
        How error messages refer to the column.
    expected, remedy : str
        What the error message says was expected, and what it advises.

    Returns
    -------
    values : ndarray, shape (n,)
        Of any type; Python objects are scalars, None where masked.
    mask : ndarray of bool, shape (n,)
        Where there is no value.

    Raises
    ------
    CatalogError
        There is something else than one value in a row, such as a list.
    """
    if not isinstance(column, np.ndarray):
        kind = type(column).__name__
        raise CatalogError(f"{what} holds {kind} objects: expected {expected}; {remedy}")
    values = np.asarray(getattr(column, "unmasked", column))
    mask = getattr(column, "mask", None)
    mask = np.zeros(values.shape, bool) if mask is None else np.asarray(mask, bool)
    if values.ndim != 1:
        raise _many_values(values.shape, what, expected, remedy)
    if values.dtype.kind == "O":
        mask = mask | np.array([v is None or v is np.ma.masked for v in values], dtype=bool)
        for row in np.flatnonzero(~mask):
            if not are_scalars(values[row : row + 1]):
                kind = type(values[row]).__name__
                raise CatalogError(
                    f"{what} holds a {kind} in row {row + 1}: expected {expected}; {remedy}"
                )
    elif values.dtype.kind == "V":
        raise CatalogError(f"{what} is of type {values.dtype}: expected {expected}; {remedy}")
    return values, mask


def are_scalars(values: np.ndarray) -> bool:
    """Tell whether Python objects are all numbers, texts, dates or times.

    Parameters
    ----------
    values : ndarray of object, shape (n,)
        Any objects.

    Returns
    -------
    bool
    """
    return all(isinstance(v, _SCALARS) and not isinstance(v, np.void) for v in values)


def _in_unit(
    column: object, what: str, wanted: u.UnitBase, expected: str, remedy: str
) -> np.ndarray:
    """Return a column in a unit, float64, NaN where masked or infinite."""
    unit = _unit(column, wanted)
    if unit is not None and not unit.is_equivalent(wanted):
        meant = f" ({wanted})" if str(wanted) else ""
        raise CatalogError(
            f"{what} is in {str(unit)!r}, {expected}, or no unit{meant}; correct it, or {remedy}"
        )
    values = _numbers(column, what, remedy)
    return values if unit in (None, wanted) else values * unit.to(wanted)


def _unit(column: object, wanted: u.UnitBase) -> u.UnitBase | None:
    """Return a column's unit, None where it has none; plurals and capitals are understood."""
    unit = getattr(column, "unit", None)
    text = str(unit or "").strip()
    if text.lower() in ("", "none"):
        return None
    unit = u.Unit(unit, parse_strict="silent")
    if unit.is_equivalent(wanted):
        return unit
    for spelling in (text.lower(), text.lower().removesuffix("s")):
        other = u.Unit(spelling, parse_strict="silent")
        if other.is_equivalent(wanted):
            return other
    return unit


def _numbers(column: object, what: str, remedy: str) -> np.ndarray:
    """Return a column of numbers as float64, NaN where masked or infinite.

    A column that is float64 and whole already is returned as it is, not copied.
    """
    values, mask = plain_values(column, what, _NUMBER, remedy)
    if values.dtype.kind in "USO":
        values, mask = _parsed(values, mask, what, remedy)
    elif values.dtype.kind not in "iuf":
        raise CatalogError(f"{what} is of type {values.dtype}: expected numbers; {remedy}")
    values = values.astype(np.float64, copy=False)
    unusable = mask | ~np.isfinite(values)
    return np.where(unusable, np.nan, values) if unusable.any() else values


def _parsed(
    values: np.ndarray, mask: np.ndarray, what: str, remedy: str
) -> tuple[np.ndarray, np.ndarray]:
    """Read numbers from text or objects; a blank is a missing value, a word is an error."""
    parsed = np.full(len(values), np.nan)
    for row in np.flatnonzero(~mask):
        value = values[row]
        if isinstance(value, str | bytes):
            value = str(value.decode("latin-1") if isinstance(value, bytes) else value)
        if isinstance(value, str) and value.strip() in ("", "--"):
            continue
        try:
            if isinstance(value, str) and "_" in value:  # which Python takes for a separator
                raise ValueError(value)
            parsed[row] = float(value)
        except (TypeError, ValueError, OverflowError):
            raise CatalogError(
                f"{what} has {value!r} in row {row + 1}: expected a number (sexagesimal "
                f"angles must be converted first); correct it, or {remedy}"
            ) from None
    return parsed, np.isnan(parsed)


def _check_precision(column: object, what: str, error: str, remedy: str) -> None:
    """Refuse numbers of half precision, which have three digits."""
    if column.dtype.kind == "f" and column.dtype.itemsize < 4:
        raise CatalogError(
            f"{what} is of half precision (float16), which is wrong by up to {error}: expected "
            f"float64; write the catalog again in double precision, or {remedy}"
        )


def _many_values(shape: tuple[int, ...], what: str, expected: str, remedy: str) -> CatalogError:
    shown = "x".join(map(str, shape))
    return CatalogError(f"{what} has the shape {shown}: expected {expected}; {remedy}")
