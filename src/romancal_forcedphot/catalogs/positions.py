"""Which columns of a catalog are positions, and what they say in degrees or pixels.

Sky positions take precedence over pixel positions; coordinate objects count as sky positions.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np

from .columns import CatalogColumns
from .errors import CatalogError
from .frames import positions_to_icrs, same_system
from .names import PIXEL_PAIRS, SKY_PAIRS, SKYCOORD_COLUMNS
from .values import coordinates_to_degrees, to_degrees, to_pixels

__all__ = ["positions_of", "sky_columns"]

# Below romancal's logger, whose handlers every romancal pipeline sets up.
log = logging.getLogger(f"romancal.{__name__}")

_SKY_REMEDY = "name them with --ra_column/--dec_column"
_PIXEL_REMEDY = "name them with --x_column/--y_column"


def positions_of(columns: CatalogColumns, found: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Return the positions of a catalog's rows.

    Parameters
    ----------
    columns : CatalogColumns
        The catalog, of n rows.
    found : mapping of str
        The columns that the user named, by axis: ra, dec, x, y.

    Returns
    -------
    dict of ndarray of float64, shape (n,)
        ``ra`` and ``dec`` in degrees, ICRS, or ``x`` and ``y`` in pixels; NaN where there is none.

    Raises
    ------
    CatalogError
        There are no positions, or half of one, or something else than numbers, or they are in a
        coordinate system that cannot be transformed to ICRS.
    """
    sky = sky_columns(columns, found)
    named = found.get("ra") in columns.skycoords()
    coordinates = _coordinate_column(columns, found) if named or len(sky) < 2 else None
    if len(sky) == 2 or coordinates:
        if "x" in found or "y" in found:
            log.warning(
                "x_column and y_column are not used: %s has sky positions, which win",
                columns.shown,
            )
        used = [coordinates] if coordinates else sky
        ra, dec = _placed(*_degrees(columns, used), columns.shown)
        values = dict(zip(("ra", "dec"), _in_icrs(columns, used, ra, dec), strict=True))
    else:
        used = _pair(columns, found, ("x", "y"), PIXEL_PAIRS)
        _check_pixel_pair(columns, found, sky, used)
        values = dict(zip("xy", (to_pixels(*columns.get(name)) for name in used), strict=True))
    log.info("Positions come from %s of %s", " and ".join(map(repr, used)), columns.shown)
    return values


def sky_columns(columns: CatalogColumns, found: Mapping[str, str]) -> list[str]:
    """Return the columns of right ascension and declination.

    Parameters
    ----------
    columns : CatalogColumns
        The catalog.
    found : mapping of str
        The columns that the user named, by axis.

    Returns
    -------
    list of str
        Two names; one where its partner is missing, none where there are no such columns.

    Raises
    ------
    CatalogError
        Several columns have the name of one of them.
    """
    own = columns.sky_columns
    return _pair(columns, found, ("ra", "dec"), (own, *SKY_PAIRS) if own else SKY_PAIRS)


def _pair(
    columns: CatalogColumns,
    found: Mapping[str, str],
    axes: tuple[str, str],
    usual: Sequence[Sequence[str]],
) -> list[str]:
    """Return the two columns of a position, one where its partner is missing, or none."""
    named = [found.get(axis) for axis in axes]
    if any(named):
        both = [name or columns.first([pair[i] for pair in usual]) for i, name in enumerate(named)]
        return [name for name in both if name]
    halves: list[str] = []
    for pair in usual:
        present = [name for name in (columns.first([name]) for name in pair) if name]
        if len(present) == 2:
            return present
        halves += present
    return halves[:1]


def _coordinate_column(columns: CatalogColumns, found: Mapping[str, str]) -> str | None:
    """Return the column of coordinate objects to use, if there is one."""
    available = columns.skycoords()
    if "ra" in found or "dec" in found:
        return found["ra"] if found.get("ra") in available else None
    usual = (columns.first([name]) for name in SKYCOORD_COLUMNS) if available else ()
    preferred = [name for name in usual if name in available]
    if len(available) > 1 and not preferred:
        raise CatalogError(
            f"{columns.shown} has several columns of coordinates, {', '.join(available)}: "
            "expected one; name it with --ra_column"
        )
    return next(iter(preferred or available), None)


def _check_pixel_pair(
    columns: CatalogColumns, found: Mapping[str, str], sky: list[str], pixel: list[str]
) -> None:
    """Raise unless the two pixel columns are there, and no half of a sky position is."""
    chosen = "x" in found or "y" in found
    if sky and not (chosen and len(pixel) == 2):
        raise CatalogError(
            f"{columns.shown} has only one of the two sky columns, {sky[0]!r}: expected ra and "
            f"dec; its columns are {columns.listed}; {_SKY_REMEDY}"
        )
    if len(pixel) == 1:
        raise CatalogError(
            f"{columns.shown} has only one of the two pixel columns, {pixel[0]!r}: expected x and "
            f"y; its columns are {columns.listed}; {_PIXEL_REMEDY}"
        )
    if not pixel:
        raise CatalogError(
            f"{columns.shown} has no sky or pixel positions: looked for ra/dec, x/y and other "
            f"usual names among its columns, {columns.listed}; {_SKY_REMEDY} (or "
            "--x_column/--y_column)"
        )


def _degrees(columns: CatalogColumns, used: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return degrees of one column of coordinate objects (ICRS) or of two columns of angles."""
    if len(used) == 1:
        return coordinates_to_degrees(*columns.get(used[0]))
    ra, dec = (to_degrees(*columns.get(name)) for name in used)
    return ra, dec


def _placed(ra: np.ndarray, dec: np.ndarray, shown: str) -> tuple[np.ndarray, np.ndarray]:
    """Bring right ascensions into 0 to 360 degrees, and make impossible declinations NaN."""
    outside = np.abs(dec) > 90
    if outside.any():
        what = "declinations beyond 90 degrees"
        _warn(dec, outside, what, "their rows stay, without a position", shown)
        dec = np.where(outside, np.nan, dec)
    outside = np.abs(ra - 180) > 540  # such as -999, which often means that there is none
    if outside.any():
        what = "right ascensions below -360 or above 720 degrees"
        _warn(ra, outside, what, "they are taken modulo 360 degrees", shown)
    if np.any((ra < 0) | (ra >= 360)):
        ra = np.mod(ra, 360)
        ra[ra == 360] = 0  # a tiny negative number
    return ra, dec


def _warn(angles: np.ndarray, rows: np.ndarray, what: str, then: str, shown: str) -> None:
    """Log how many angles (degrees) are odd, the first of them, and what becomes of them."""
    row = int(np.flatnonzero(rows)[0])
    log.warning(
        "%s: %d %s, the first %g in row %d; %s",
        shown,
        np.count_nonzero(rows),
        what,
        angles[row],
        row + 1,
        then,
    )


def _in_icrs(
    columns: CatalogColumns, used: list[str], ra: np.ndarray, dec: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Transform the positions of two columns to ICRS where the file declares another system."""
    systems = [columns.system(name) for name in used]
    first, last = systems[0], systems[-1]
    if not same_system(first, last):
        raise CatalogError(
            f"{columns.shown}: columns {used[0]!r} and {used[1]!r} are in different coordinate "
            f"systems, {first or 'ICRS'} and {last or 'ICRS'}: expected one; correct the file's "
            "COOSYS"
        )
    if first is None or first.is_icrs or len(used) == 1:
        return ra, dec
    what = f"{columns.shown}: columns {used[0]!r} and {used[1]!r}"
    log.info("%s are transformed from %s to ICRS, as the file's COOSYS says", what, first)
    return positions_to_icrs(ra, dec, first, what)
