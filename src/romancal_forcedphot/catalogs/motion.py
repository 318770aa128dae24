"""Proper motions, parallaxes, radial velocities and epochs of a catalog, as `photometry.Motion`."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.time import Time

from ..photometry import Motion
from .columns import CatalogColumns
from .errors import CatalogError
from .identifiers import texts
from .names import MOTION_COLUMNS
from .positions import sky_columns
from .values import plain_values, to_numbers

__all__ = ["read_motion"]

log = logging.getLogger(f"romancal.{__name__}")

_UNITS = {
    "pm_ra_cosdec": u.mas / u.yr,
    "pm_dec": u.mas / u.yr,
    "parallax": u.mas,
    "radial_velocity": u.km / u.s,
    "ref_epoch": u.yr,
}
_REMEDY = "leave the sources where they are with --proper_motion=False"
_EPOCH_REMEDY = "give the epoch of the positions with --ref_epoch=YEAR"


def read_motion(
    columns: CatalogColumns, found: Mapping[str, str], *, with_epoch: bool = True
) -> Motion | None:
    """Read the proper motions of a catalog, and what else is known of how its sources move.

    Parameters
    ----------
    columns : CatalogColumns
        The catalog, of n rows, whose columns are looked for under their usual names in any case:
        ``pmra`` and ``pmdec``, and where present ``parallax``, ``radial_velocity`` and
        ``ref_epoch``. Numbers without a unit are mas/yr, mas, km/s and Julian years; epochs may
        also be times. Without such columns, the motion that a column of coordinate objects
        carries.
    found : mapping of str
        The columns of positions that the user named, by axis: ra, dec.
    with_epoch : bool
        Whether ``ref_epoch`` is wanted.

    Returns
    -------
    Motion or None
        Of n sources; None where the catalog has no proper motions.

    Raises
    ------
    CatalogError
        A column holds something else than numbers of its kind, an epoch is no year from 1800 to
        2200, or the motions are in another coordinate system than ICRS or FK5.
    """
    names = {quantity: columns.first(usual) for quantity, usual in MOTION_COLUMNS.items()}
    if not (names["pm_ra_cosdec"] and names["pm_dec"]):
        if names["pm_ra_cosdec"] or names["pm_dec"]:
            log.warning(
                "%s has only %r of the two proper motions pmra and pmdec: its sources are not "
                "moved",
                columns.shown,
                names["pm_ra_cosdec"] or names["pm_dec"],
            )
        return _of_coordinates(columns, with_epoch)
    epoch_name = names.pop("ref_epoch")
    motion = {
        quantity: to_numbers(*columns.get(name), _UNITS[quantity], _REMEDY)
        for quantity, name in names.items()
        if name
    }
    epoch_of_system = _check_system(columns, found, with_epoch and not epoch_name)
    if with_epoch and epoch_name:
        motion["ref_epoch"] = _years(*columns.get(epoch_name))
    elif epoch_of_system is not None:
        motion["ref_epoch"] = np.full(len(columns.table), epoch_of_system)
    return Motion(**motion)


def _check_system(
    columns: CatalogColumns, found: Mapping[str, str], with_epoch: bool
) -> float | None:
    """Refuse motions that are not along the axes of ICRS; return the epoch of the system."""
    used = sky_columns(columns, found)
    system = columns.system(used[0]) if len(used) == 2 else None
    if system is None:
        return None
    what = f"{columns.shown}: columns {' and '.join(map(repr, used))}"
    if not system.keeps_directions:
        raise CatalogError(
            f"{what} are in the coordinate system {system}, and so are the proper motions: "
            f"expected ICRS or FK5 J2000; transform the catalog to ICRS, or {_REMEDY}"
        )
    return system.julian_epoch(what) if with_epoch else None


def _years(column: Any, what: str) -> np.ndarray:
    """Return a column of epochs as Julian years, NaN where masked."""
    if isinstance(column, Time):
        return _checked(_jyear(column), what)
    if getattr(column, "dtype", None) == np.float16:
        raise CatalogError(
            f"{what} is of half precision (float16), which is wrong by up to half a year: "
            f"expected float64; write it again in double precision, or {_EPOCH_REMEDY}"
        )
    values, mask = plain_values(column, what, "one epoch in a row", _EPOCH_REMEDY)
    if values.dtype.kind in "iuf":
        return _checked(to_numbers(column, what, _UNITS["ref_epoch"], _EPOCH_REMEDY), what)
    if values.dtype.kind == "M":
        mask = mask | np.isnat(values)
        values = Time(np.where(mask, np.datetime64("2000-01-01"), values)).jyear
        return _checked(np.where(mask, np.nan, values), what)
    words = np.where(mask, "", texts(values, what))
    different, rows, inverse = np.unique(words, return_index=True, return_inverse=True)
    pairs = zip(different.tolist(), rows.tolist(), strict=True)
    return _checked(np.array([_year(text, row, what) for text, row in pairs])[inverse], what)


def _year(text: str, row: int, what: str) -> float:
    """Return the Julian year of a text such as 2016.0, J2016.0 or 2016-01-01."""
    text = text.strip()
    if text in ("", "--", "nan", "NaN"):
        return np.nan
    number = text[1:] if text[:1] in "Jj" else text
    try:
        return float(number) if re.fullmatch(r"[+-]?[0-9.]+", number) else Time(text).jyear
    except ValueError:
        raise CatalogError(
            f"{what} has {text!r} in row {row + 1}: expected Julian years such as 2016.0, or dates "
            f"such as 2016-01-01; correct it, or {_EPOCH_REMEDY}"
        ) from None


def _checked(years: np.ndarray, what: str) -> np.ndarray:
    """Refuse epochs that no catalog has, such as dates as numbers of days."""
    if years.ndim > 1:
        raise CatalogError(f"{what} has several epochs in a row: expected one; {_EPOCH_REMEDY}")
    outside = (years < 1800) | (years > 2200)
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise CatalogError(
            f"{what} has {years.flat[row]:g} in row {row + 1}: expected Julian years such as "
            f"2016.0; correct it, or {_EPOCH_REMEDY}"
        )
    return years


def _jyear(time: Time) -> np.ndarray:
    """Return Julian years of times, NaN where masked."""
    years = time.jyear
    mask = getattr(years, "mask", False)
    return np.where(mask, np.nan, np.asarray(getattr(years, "unmasked", years), dtype=float))


def _of_coordinates(columns: CatalogColumns, with_epoch: bool) -> Motion | None:
    """Return the motion that the one column of moving coordinates carries, if there is one."""
    moving = [name for name in columns.skycoords() if _is_moving(columns.table[name])]
    if len(moving) != 1:
        return None
    coordinates, what = columns.get(moving[0])
    icrs = coordinates.icrs
    known = {"pm_ra_cosdec": icrs.pm_ra_cosdec, "pm_dec": icrs.pm_dec}
    if icrs.distance.unit.is_equivalent(u.pc):
        known["parallax"] = icrs.distance.to(u.mas, u.parallax())
    if icrs.radial_velocity.unit.is_equivalent(u.km / u.s):
        known["radial_velocity"] = icrs.radial_velocity
    shape = (len(columns.table),)
    motion = {
        name: to_numbers(np.broadcast_to(v, shape, subok=True), what, _UNITS[name], _REMEDY)
        for name, v in known.items()
    }
    if with_epoch and coordinates.obstime is not None:
        years = _checked(_jyear(coordinates.obstime), f"{what}: its obstime")
        motion["ref_epoch"] = np.broadcast_to(years, shape).astype(float)
    return Motion(**motion)


def _is_moving(coordinates: SkyCoord) -> bool:
    return "s" in coordinates.data.differentials
