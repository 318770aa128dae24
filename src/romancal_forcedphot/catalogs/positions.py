"""Which columns of a catalog are positions, and what they say in degrees or pixels.

Sky positions win over pixel positions; coordinate objects count as sky positions.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from .errors import CatalogError
from .values import coordinates_to_degrees, to_degrees, to_pixels

__all__ = ["PIXEL_PAIRS", "SKYCOORDS", "SKY_PAIRS", "positions_of"]

# Below romancal's logger, whose handlers every romancal pipeline sets up.
log = logging.getLogger(f"romancal.{__name__}")

SKY_PAIRS = (
    ("ra", "dec"),
    ("ra_centroid", "dec_centroid"),
    ("raj2000", "dej2000"),
    ("raj2000", "decj2000"),
    ("alpha_j2000", "delta_j2000"),
    ("ra_icrs", "de_icrs"),
)
PIXEL_PAIRS = (("x", "y"), ("x_centroid", "y_centroid"), ("xcentroid", "ycentroid"))
SKYCOORDS = ("sky_centroid", "skycoord", "sky", "coord", "coords", "coordinates", "position")

_SKY_REMEDY = "name them with --ra_column/--dec_column"
_PIXEL_REMEDY = "name them with --x_column/--y_column"


def positions_of(columns: Any, found: dict[str, str]) -> dict[str, np.ndarray]:
    """Return the positions of a catalog's rows.

    Parameters
    ----------
    columns : sources._Columns
        The catalog's columns.
    found : dict of str
        The columns that the user named, by axis: ra, dec, x, y.

    Returns
    -------
    dict of (n,) ndarray of float64
        ``ra`` and ``dec`` in degrees, ICRS, or ``x`` and ``y`` in pixels; NaN where there is none.

    Raises
    ------
    CatalogError
        There are no positions, or half of one, or something else than numbers.
    """
    own = columns.table.meta.get("sky_columns")
    sky = _pair(columns, found, ("ra", "dec"), (own, *SKY_PAIRS) if own else SKY_PAIRS)
    named = found.get("ra") in columns.skycoords()
    coordinates = _coordinate_column(columns, found) if named or len(sky) < 2 else None
    if len(sky) == 2 or coordinates:
        if "x" in found or "y" in found:
            log.warning(
                "x_column and y_column are not used: %s has sky positions, which win",
                columns.shown,
            )
        used = [coordinates] if coordinates else sky
        values = _placed(*_degrees(columns, used), columns.shown)
    else:
        used = _pair(columns, found, ("x", "y"), PIXEL_PAIRS)
        _check_pixel_pair(columns, found, sky, used)
        values = dict(zip("xy", (to_pixels(*columns.get(name)) for name in used), strict=True))
    log.info("Positions come from %s of %s", " and ".join(map(repr, used)), columns.shown)
    return values


def _pair(
    columns: Any,
    found: dict[str, str],
    axes: tuple[str, str],
    usual: Sequence[tuple[str, str]],
) -> list[str]:
    """Return the two columns of a position, one where its partner is missing, or none."""
    named = [found.get(axis) for axis in axes]
    if not any(named):
        pairs = [[columns.first([name]) for name in pair] for pair in usual]
        complete = [pair for pair in pairs if all(pair)]
        halves = [name for pair in pairs for name in pair if name]
        return complete[0] if complete else halves[:1]
    both = [name or columns.first([pair[i] for pair in usual]) for i, name in enumerate(named)]
    return [name for name in both if name]


def _coordinate_column(columns: Any, found: dict[str, str]) -> str | None:
    """Return the column of coordinate objects to use, if there is one."""
    available = columns.skycoords()
    if "ra" in found or "dec" in found:
        return found["ra"] if found.get("ra") in available else None
    usual = [name for name in (columns.first([name]) for name in SKYCOORDS) if name in available]
    if len(available) > 1 and not usual:
        raise CatalogError(
            f"{columns.shown} has several columns of coordinates, {', '.join(available)}: "
            "expected one; name it with --ra_column"
        )
    return next(iter(usual or available), None)


def _check_pixel_pair(
    columns: Any, found: dict[str, str], sky: list[str], pixel: list[str]
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


def _degrees(columns: Any, used: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return ICRS degrees of one column of coordinate objects or of two columns of angles."""
    if len(used) == 1:
        return coordinates_to_degrees(*columns.get(used[0]))
    ra, dec = (to_degrees(*columns.get(name)) for name in used)
    return ra, dec


def _placed(ra: np.ndarray, dec: np.ndarray, shown: str) -> dict[str, np.ndarray]:
    """Bring right ascensions into 0 to 360 degrees, and make impossible declinations NaN."""
    outside = np.abs(dec) > 90
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        log.warning(
            "%s: %d declinations beyond 90 degrees, the first %g in row %d; their rows stay, "
            "without a position",
            shown,
            np.count_nonzero(outside),
            dec[row],
            row + 1,
        )
        dec = np.where(outside, np.nan, dec)
    if np.any((ra < 0) | (ra >= 360)):
        ra = np.mod(ra, 360)
        ra[ra == 360] = 0  # a tiny negative number
    return {"ra": ra, "dec": dec}
