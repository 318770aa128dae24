"""Conversion of fluxes between nJy, uJy, mJy, Jy, maggies and AB magnitudes.

The conversions are astropy's; a maggy is the flux density of an AB magnitude of zero. The fluxes of
a table are in one of the linear units, in which negative fluxes are meaningful; AB magnitudes have
their own columns.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from astropy import units as u
from astropy.table import Table
from numpy.typing import ArrayLike, NDArray

from .columns import is_flux_column
from .method_columns import FLUX_UNITS, Column

__all__ = ["convert_flux", "in_flux_unit", "table_unit"]

_AB = u.zero_point_flux(1.0 * u.AB)
_NAMES = {name: u.Unit(name) for name in FLUX_UNITS} | {
    "maggy": u.maggy,
    "AB": u.ABmag,
    "ABmag": u.ABmag,
}


def convert_flux(
    values: ArrayLike, from_unit: str | u.UnitBase, to_unit: str | u.UnitBase
) -> NDArray[np.float64]:
    """Convert fluxes or AB magnitudes from one unit to another.

    Parameters
    ----------
    values : array_like
        Numbers in ``from_unit``.
    from_unit, to_unit : str or astropy.units.UnitBase
        ``nJy``, ``uJy``, ``mJy``, ``Jy``, ``maggy`` (or ``mgy``), ``ABmag``, or an astropy unit
        equivalent to one of them.

    Returns
    -------
    ndarray of float64
        Numbers in ``to_unit``, of the shape of ``values``. The magnitude of a flux that is not
        positive is NaN.

    Raises
    ------
    ValueError
        A unit is unknown or not one of flux.
    """
    source, target = _unit(from_unit), _unit(to_unit)
    values = np.asarray(values, dtype=float)
    if source == target:
        return values.copy()
    quantity = u.Magnitude(values, source) if source == u.ABmag else u.Quantity(values, source)
    flux: u.Quantity = quantity.to(u.nJy, [] if source == u.ABmag else _AB)
    if target != u.ABmag:
        return flux.to_value(target, _AB)
    positive: u.Quantity = np.where(flux > 0, flux, np.nan * u.nJy)
    return positive.to_value(u.ABmag)


def table_unit(name: str) -> str:
    """Return the unit of the table's flux columns for a requested output unit.

    Parameters
    ----------
    name : str
        One of the units of `convert_flux`. For ``ABmag`` the fluxes stay in nJy: the table always
        has columns of AB magnitudes beside them.

    Returns
    -------
    str
        The unit in astropy's notation.

    Raises
    ------
    ValueError
        The unit is unknown or not one of flux.
    """
    unit = _unit(name)
    return FLUX_UNITS[0] if unit == u.ABmag else str(unit)


def in_flux_unit(table: Table, unit: str, columns: Iterable[Column] = ()) -> Table:
    """Return a table of photometry with its fluxes converted to another unit.

    Parameters
    ----------
    table : astropy.table.Table
        The table of `photometry.measure`, in nJy.
    unit : str
        One of `columns.FLUX_UNITS`.
    columns : iterable of Column
        Columns of the methods that made the table.

    Returns
    -------
    astropy.table.Table
        The same object for nJy, else a copy: fluxes and their errors in the unit, the background
        in the unit per arcsec².
    """
    if unit == FLUX_UNITS[0]:
        return table
    factor = convert_flux(1.0, FLUX_UNITS[0], unit)
    table = table.copy()
    ours = {column.name for column in columns if column.unit.split(" ")[0] == FLUX_UNITS[0]}
    for name in (name for name in table.colnames if name in ours or is_flux_column(name)):
        column = table[name]
        column[:] = np.asarray(column, dtype=float) * factor
        column.unit = u.Unit(str(column.unit).replace(FLUX_UNITS[0], unit))
    return table


def _unit(unit: str | u.UnitBase) -> u.UnitBase:
    """Return a unit of flux by name; raise a ValueError for any other."""
    try:
        found = _NAMES[unit] if isinstance(unit, str) and unit in _NAMES else u.Unit(unit)
        known = found == u.ABmag or found.is_equivalent(u.nJy, _AB)
    except (ValueError, TypeError, AttributeError):
        known = False
    if not known:
        raise ValueError(
            f"{str(unit)!r} is no unit of flux: expected {', '.join(FLUX_UNITS)}, maggy or ABmag"
        )
    return found
