"""When light was caught: the middle of an exposure, here and at the barycentre.

A barycentric time needs to know where the telescope was. Roman's images tell it in
``meta.ephemeris``: barycentric position (km) and velocity (km/s) at a time of their own. It is
carried on to the middle of the exposure along the Earth's path, about which Roman's motion is slow
(a straight line relative to the Earth is good to a kilometre over an hour). Simulated images have
placeholders there, and a vector in another frame would be wrong in silence; so a vector counts
only if it is where Roman can be, near the Earth, else the Earth's centre stands in for it (up to
5 s off) and the metadata say so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy import constants
from astropy.coordinates import get_body_barycentric_posvel
from astropy.time import Time
from astropy.units import Unit

__all__ = [
    "EphemerisError",
    "ObserverPosition",
    "barycentric_times",
    "mid_exposure",
    "observer_position",
]

_KM, _KM_S = Unit("km"), Unit("km / s")
_SPEED_OF_LIGHT = constants.c.to_value(_KM_S)
_SECONDS_PER_DAY = 86400.0
_PLACEHOLDER = -999999.0
#: Names of axes that are those of ICRS, to 0.03 arcsec (60 microseconds of light's way).
_FRAMES = {"", "?", "ICRS", "ICRF", "GCRF", "GCRS", "BCRS", "J2000", "EME2000", "FK5", "MEAN_J2000"}
#: Roman's orbit about L2 stays within 2 million km of the Earth.
_FARTHEST_KM = 3.0e6
_FASTEST_KM_S = 5.0
_OLDEST_DAYS = 10.0


class EphemerisError(ValueError):
    """An ephemeris does not tell where the telescope was; the message says why."""


@dataclass(frozen=True)
class ObserverPosition:
    """Where the telescope was at one moment.

    Attributes
    ----------
    position : tuple of float
        Barycentric position along the axes of ICRS in km.
    source : str
        Where that is known from: ``'spacecraft'``, or ``'Earth'`` and why.
    """

    position: tuple[float, float, float]
    source: str


def mid_exposure(start: Time, end: Time) -> Time:
    """Return the middle of an exposure, TAI.

    Parameters
    ----------
    start, end : astropy.time.Time
        Start and end in any scale.

    Returns
    -------
    astropy.time.Time
        In TAI, where a leap second in between counts.

    Raises
    ------
    ValueError
        The end is before the start, or one of them is not known.
    """
    start, end = start.tai, end.tai
    length = (end - start).sec
    if not (math.isfinite(length) and length >= 0):
        raise ValueError(
            f"the exposure starts at {start.isot} and ends at {end.isot} (TAI): expected an end "
            "after the start; mend meta.exposure.start_time and end_time"
        )
    middle = start + 0.5 * (end - start)
    middle.format = "mjd"
    return middle


def observer_position(ephemeris: Mapping[str, Any] | None, time: Time) -> ObserverPosition:
    """Return where the telescope was, the Earth's centre where its ephemeris does not tell.

    Parameters
    ----------
    ephemeris : mapping or None
        As RAD's ``meta.ephemeris``: ``time`` (MJD, UTC), ``spatial_x`` to ``_z`` (km),
        ``velocity_x`` to ``_z`` (km/s), ``ephemeris_reference_frame``.
    time : astropy.time.Time
        The moment that is asked for.

    Returns
    -------
    ObserverPosition
    """
    earth, velocity = _earth(time)
    try:
        position = _carried_on(ephemeris, time, earth, velocity)
    except EphemerisError as error:
        return ObserverPosition(tuple(earth.tolist()), f"Earth: {error}")
    return ObserverPosition(tuple(position.tolist()), "spacecraft")


def barycentric_times(
    time: Time, observer: ObserverPosition, ra: np.ndarray, dec: np.ndarray
) -> np.ndarray:
    """Return when light from each source would have met the solar-system barycentre.

    BJD = t(TDB) + r·n/c, with r the telescope's barycentric position and n the direction to the
    source, which is taken to be at infinity (Eastman, Siverd & Gaudi 2010, PASP 122, 935).

    Parameters
    ----------
    time : astropy.time.Time
        The moment at the telescope.
    observer : ObserverPosition
        Where it was.
    ra, dec : (n,) ndarray
        ICRS in degrees.

    Returns
    -------
    (n,) ndarray of float64
        Julian dates, TDB.
    """
    ra, dec = np.radians(ra), np.radians(dec)
    x, y, z = observer.position
    along = np.cos(dec) * (x * np.cos(ra) + y * np.sin(ra)) + z * np.sin(dec)
    tdb = time.tdb
    return tdb.jd1 + (tdb.jd2 + along / (_SPEED_OF_LIGHT * _SECONDS_PER_DAY))


def _earth(time: Time) -> tuple[np.ndarray, np.ndarray]:
    """Barycentric position (km) and velocity (km/s) of the Earth's centre, (3,) each."""
    position, velocity = get_body_barycentric_posvel("earth", time, ephemeris="builtin")
    return position.xyz.to_value(_KM), velocity.xyz.to_value(_KM_S)


def _carried_on(
    ephemeris: Mapping[str, Any] | None, time: Time, earth: np.ndarray, earth_velocity: np.ndarray
) -> np.ndarray:
    """Position of the spacecraft, carried on from its ephemeris' time; (3,) km."""
    if not ephemeris:
        raise EphemerisError("the image has no meta.ephemeris")
    frame = str(ephemeris.get("ephemeris_reference_frame") or "").strip().upper()
    if frame not in _FRAMES:
        raise EphemerisError(f"ephemeris_reference_frame {frame!r} is none with the axes of ICRS")
    position, velocity = (_vector(ephemeris, name) for name in ("spatial", "velocity"))
    then = Time(_number(ephemeris, "time"), format="mjd", scale="utc")
    seconds = (time - then).sec
    if abs(seconds) > _OLDEST_DAYS * _SECONDS_PER_DAY:
        raise EphemerisError(
            f"meta.ephemeris is of MJD {then.mjd:.3f}, {seconds / _SECONDS_PER_DAY:.0f} days from "
            "the exposure"
        )
    earth_then, earth_velocity_then = _earth(then)
    away, moving = position - earth_then, velocity - earth_velocity_then
    distance, speed = np.linalg.norm(away), np.linalg.norm(moving)
    if distance > _FARTHEST_KM or speed > _FASTEST_KM_S:
        raise EphemerisError(
            f"meta.ephemeris puts the telescope {distance:.3g} km from the Earth at {speed:.3g} "
            "km/s: expected a barycentric position and velocity near it"
        )
    return earth + away + moving * seconds


def _vector(ephemeris: Mapping[str, Any], name: str) -> np.ndarray:
    """Three components; all of them zero means that nobody filled them."""
    vector = np.array([_number(ephemeris, f"{name}_{axis}") for axis in "xyz"])
    if not vector.any():
        raise EphemerisError(f"meta.ephemeris.{name}_x, _y, _z are zero")
    return vector


def _number(ephemeris: Mapping[str, Any], key: str) -> float:
    value = ephemeris.get(key)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or number == _PLACEHOLDER:
        raise EphemerisError(f"meta.ephemeris.{key} is {value}")
    return number
