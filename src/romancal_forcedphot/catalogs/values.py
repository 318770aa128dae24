"""What stands in a column becomes plain numbers: degrees, pixels or integer ids.

No row is dropped: a value that is masked, missing or impossible becomes NaN (in an id: no name).
Each function takes a column and `what`, the words that an error calls it by.
"""

from __future__ import annotations

import logging

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord

from .errors import CatalogError

__all__ = [
    "coordinates_to_degrees",
    "plain_values",
    "texts",
    "to_degrees",
    "to_labels",
    "to_names",
    "to_numbers",
    "to_pixels",
]

# Below romancal's logger, whose handlers every romancal pipeline sets up.
log = logging.getLogger(f"romancal.{__name__}")

_SKY_REMEDY = "name another with --ra_column/--dec_column"
_PIXEL_REMEDY = "name another with --x_column/--y_column"

_FLOAT_EXACT = 2.0**53
"""From here on float64 skips integers."""


def to_degrees(column: object, what: str) -> np.ndarray:
    """Return a column of angles in degrees, float64; no unit means degrees."""
    unit = _unit(column)
    if unit is not None and not unit.is_equivalent(u.deg):
        raise CatalogError(
            f"{what} is in {str(unit)!r}, which is no angle: expected deg, rad, hourangle, "
            f"arcsec, or no unit (degrees); {_SKY_REMEDY}"
        )
    values = _numbers(column, what, _SKY_REMEDY)
    if column.dtype.kind == "f" and column.dtype.itemsize < 8:
        log.warning(
            "%s is of single precision: its positions are uncertain by up to 0.05 arcsec", what
        )
    return values if unit in (None, u.deg) else values * unit.to(u.deg)


def to_pixels(column: object, what: str) -> np.ndarray:
    """Return a column of pixel positions, float64; no unit means pixels."""
    unit = _unit(column)
    if unit not in (None, u.pix):
        raise CatalogError(
            f"{what} is in {str(unit)!r}: expected pix, or no unit (pixels); {_PIXEL_REMEDY}"
        )
    return _numbers(column, what, _PIXEL_REMEDY)


def to_numbers(column: object, what: str, default: u.UnitBase, remedy: str) -> np.ndarray:
    """Return a column as float64 in a unit, which is also that of numbers without one."""
    unit = _unit(column)
    if unit is not None and not unit.is_equivalent(default):
        raise CatalogError(
            f"{what} is in {str(unit)!r}: expected {default}, a unit that converts to it, or no "
            f"unit; {remedy}"
        )
    values = _numbers(column, what, remedy)
    return values if unit in (None, default) else values * unit.to(default)


def coordinates_to_degrees(coordinates: SkyCoord, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Return ICRS right ascension and declination, float64 degrees, of coordinate objects."""
    if coordinates.ndim != 1:
        raise _many_numbers(coordinates, what, _SKY_REMEDY)
    try:
        with np.errstate(invalid="ignore"):
            icrs = coordinates.icrs
    except Exception as error:  # of many kinds, for instance a frame that lacks its location
        raise CatalogError(
            f"{what} cannot be transformed from {coordinates.frame.name} to ICRS ({error}): "
            f"expected a frame of sky positions; {_SKY_REMEDY}"
        ) from error
    return _numbers(icrs.ra, what, _SKY_REMEDY), _numbers(icrs.dec, what, _SKY_REMEDY)


def to_labels(column: object, what: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Return ids as integers where they are, else numbers from 1 and the ids as text.

    Parameters
    ----------
    column : astropy column
        Integers, whole numbers held as floats, or text.
    what : str
        The words that an error or a warning calls it by.

    Returns
    -------
    label : ndarray of int64, shape (n,)
        The ids, or 1 to n.
    source_name : ndarray of str, shape (n,), or None
        None where the ids are the labels, or there are none; '' in a row without one.
    """
    values, mask = plain_values(column)
    if values.ndim != 1:
        raise _many_numbers(values, what, "name another with --label_column")
    counted = np.arange(1, len(values) + 1, dtype=np.int64)
    if not mask.any() and _are_integers(values):
        return values.astype(np.int64), None
    if values.dtype.kind == "f" and np.any(np.abs(values) >= _FLOAT_EXACT):
        log.warning("%s holds ids with more digits than its floats: numbered from 1 instead", what)
        return counted, None
    if values.dtype.kind == "O":
        mask = mask | np.array([value is None for value in values], dtype=bool)
    names = np.strings.rstrip(np.where(mask, "", texts(values)))
    return counted, names if np.any(names != "") else None


def to_names(column: object, what: str, remedy: str) -> np.ndarray:
    """Return a column of names as text without blanks around, '' where there is none."""
    values, mask = plain_values(column)
    if values.ndim != 1 or values.dtype.kind not in "USO":
        raise CatalogError(
            f"{what} is of type {values.dtype} and shape {values.shape}: expected one name in a "
            f"row; {remedy}"
        )
    if values.dtype.kind == "O":
        mask = mask | np.array([value is None for value in values], dtype=bool)
    return np.strings.strip(np.where(mask, "", texts(values)))


def _are_integers(values: np.ndarray) -> bool:
    """Whether all values are integers that int64 holds, with no digit lost on the way here."""
    if values.dtype.kind == "i":
        return True
    if values.dtype.kind == "u":
        return bool(np.all(values <= np.iinfo(np.int64).max))
    if values.dtype.kind == "f":
        return bool(np.all((np.abs(values) < _FLOAT_EXACT) & (np.trunc(values) == values)))
    return False


def texts(values: np.ndarray) -> np.ndarray:
    """Return bytes or Python objects as text."""
    if values.dtype.kind == "S":
        return np.strings.decode(values, "utf-8", "replace")
    if values.dtype.kind == "U":
        return values
    return np.array([_text(value) for value in values], dtype=str)


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _numbers(column: object, what: str, remedy: str) -> np.ndarray:
    """Return a column of numbers as float64, NaN where masked or infinite.

    A column that is float64 and whole already is returned as it is, not copied.
    """
    values, mask = plain_values(column)
    if values.ndim != 1:
        raise _many_numbers(values, what, remedy)
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
    numbers = np.full(len(values), np.nan)
    for row in np.flatnonzero(~mask):
        value = values[row]
        if isinstance(value, str | bytes):
            value = _text(value).strip()
        if value is None or value is np.ma.masked or value in ("", "--"):
            continue
        try:
            numbers[row] = float(value)
        except (TypeError, ValueError):
            raise CatalogError(
                f"{what} has {value!r} in row {row + 1}: expected a number (sexagesimal "
                f"angles must be converted first); correct it, or {remedy}"
            ) from None
    return numbers, np.isnan(numbers)


def plain_values(column: object) -> tuple[np.ndarray, np.ndarray]:
    """Return the bare values of a column and its mask, whatever holds them."""
    values = np.asarray(getattr(column, "unmasked", column))
    mask = getattr(column, "mask", None)
    return values, np.zeros(values.shape, bool) if mask is None else np.asarray(mask, bool)


def _unit(column: object) -> u.UnitBase | None:
    """Return a column's unit, None where it has none; plurals and capitals are understood."""
    unit = getattr(column, "unit", None)
    if unit is None or str(unit).strip() in ("", "None"):
        return None
    if not isinstance(unit, u.UnrecognizedUnit):
        return u.Unit(unit)
    try:
        return u.Unit(str(unit).strip().lower().removesuffix("s"))
    except ValueError:
        return unit


def _many_numbers(values: object, what: str, remedy: str) -> CatalogError:
    shape = "x".join(map(str, values.shape))
    return CatalogError(f"{what} has the shape {shape}: expected one value in a row; {remedy}")
