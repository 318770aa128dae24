"""How the sources of a catalog move: `Motion`, read from the columns that Gaia made usual."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.time import Time

from ..photometry import Motion
from .errors import CatalogError
from .values import to_numbers

__all__ = ["USUAL_MOTION", "read_motion"]

log = logging.getLogger(f"romancal.{__name__}")

_NAMES = {
    "pm_ra_cosdec": ("pmra", "pm_ra", "pm_ra_cosdec", "pmra_cosdec"),
    "pm_dec": ("pmdec", "pm_dec", "pmde"),
    "parallax": ("parallax", "plx"),
    "radial_velocity": ("radial_velocity", "rv", "rvel", "dr2_radial_velocity"),
    "ref_epoch": ("ref_epoch", "refepoch", "epoch"),
}
_UNITS = {
    "pm_ra_cosdec": u.mas / u.yr,
    "pm_dec": u.mas / u.yr,
    "parallax": u.mas,
    "radial_velocity": u.km / u.s,
    "ref_epoch": u.yr,
}
_REMEDY = "correct it, or leave the sources where they are with --proper_motion=False"
_EPOCH_REMEDY = "correct it, or give the epoch of the positions with --ref_epoch=YEAR"

USUAL_MOTION = frozenset(sum(_NAMES.values(), ()))
"""Names of columns, in lower case, that `read_motion` looks for."""


def read_motion(columns: Any, *, with_epoch: bool = True) -> Motion | None:
    """Read the motions of a catalog.

    Parameters
    ----------
    columns : sources._Columns
        The catalog, whose columns are looked for under their usual names in any case: ``pmra``
        and ``pmdec``, and where present ``parallax``, ``radial_velocity`` and ``ref_epoch``.
        Numbers without a unit are mas/yr, mas, km/s and Julian years. Without such columns, the
        motion that a column of coordinate objects carries.
    with_epoch : bool
        Whether ``ref_epoch`` is wanted.

    Returns
    -------
    Motion or None
        None where the catalog has no proper motions.

    Raises
    ------
    CatalogError
        A column holds something else than numbers of its kind.
    """
    found = {quantity: columns.first(names) for quantity, names in _NAMES.items()}
    if not (found["pm_ra_cosdec"] and found["pm_dec"]):
        if found["pm_ra_cosdec"] or found["pm_dec"]:
            log.warning(
                "%s has only %r of the two proper motions pmra and pmdec: its sources are not "
                "moved",
                columns.shown,
                found["pm_ra_cosdec"] or found["pm_dec"],
            )
        return _of_coordinates(columns, with_epoch)
    if not with_epoch:
        found["ref_epoch"] = None
    return Motion(
        **{
            quantity: _read(columns, name, quantity) if name else None
            for quantity, name in found.items()
        }
    )


def _read(columns: Any, name: str, quantity: str) -> np.ndarray:
    """Return a column in the unit of its quantity."""
    column, what = columns.get(name)
    if quantity != "ref_epoch":
        return to_numbers(column, what, _UNITS[quantity], _REMEDY)
    if isinstance(column, Time):
        return np.asarray(np.ma.filled(column.jyear, np.nan), dtype=float)
    years = to_numbers(column, what, _UNITS[quantity], _EPOCH_REMEDY)
    outside = (years < 1800) | (years > 2200)
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise CatalogError(
            f"{what} has {years[row]:g} in row {row + 1}: expected Julian years such as 2016.0; "
            f"{_EPOCH_REMEDY}"
        )
    return years


def _of_coordinates(columns: Any, with_epoch: bool) -> Motion | None:
    """Return the motion that the one column of moving coordinates carries, if there is one."""
    moving = [name for name in columns.skycoords() if _is_moving(columns.table[name])]
    if len(moving) != 1:
        return None
    coordinates = columns.table[moving[0]]
    icrs = coordinates.icrs
    known = {
        "pm_ra_cosdec": icrs.pm_ra_cosdec.to_value(u.mas / u.yr),
        "pm_dec": icrs.pm_dec.to_value(u.mas / u.yr),
    }
    if icrs.distance.unit.is_equivalent(u.pc):
        known["parallax"] = icrs.distance.to_value(u.mas, u.parallax())
    if icrs.radial_velocity.unit.is_equivalent(u.km / u.s):
        known["radial_velocity"] = icrs.radial_velocity.to_value(u.km / u.s)
    if with_epoch and coordinates.obstime is not None:
        known["ref_epoch"] = coordinates.obstime.jyear
    shape = (len(columns.table),)
    return Motion(**{name: np.broadcast_to(v, shape).astype(float) for name, v in known.items()})


def _is_moving(coordinates: SkyCoord) -> bool:
    return "s" in coordinates.data.differentials
