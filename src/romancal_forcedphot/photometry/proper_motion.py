"""Sources are brought to where they were when the exposure was taken.

A catalog's positions hold at its reference epoch (2016.0 for Gaia DR3); a star of 100 mas/yr is a
Roman pixel further 11 years later. astropy's `SkyCoord.apply_space_motion` moves the stars along
straight lines in space, which is more than proper motion times years where a nearby star's parallax
and radial velocity are known. The positions remain those seen from the barycentre of the solar
system: the yearly circle of the parallax itself is not applied.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import Distance, SkyCoord
from astropy.time import Time

from .sources import Motion, Sources

__all__ = ["GAIA_DR3_EPOCH", "at_time"]

log = logging.getLogger(f"romancal.{__name__}")

GAIA_DR3_EPOCH = 2016.0
_MIN_PARALLAX_MAS = 1e-2
_MAX_SPEED_KM_S = 2000.0
_KM_S_PER_MAS_YR_OVER_MAS = 4.740470  # one astronomical unit a year


def at_time(
    sources: Sources, time: Time, *, ref_epoch: float | None = None
) -> tuple[Sources, dict[str, Any]]:
    """Return the sources at their places at a time.

    Parameters
    ----------
    sources : Sources
        n sources. Those without a position or without a proper motion stay where they are; a
        parallax that is missing, not above 0 or too small for the motion (more than 2000 km/s)
        counts as that of a far star, and then the radial velocity does not count.
    time : astropy.time.Time
        When, usually the middle of the exposure.
    ref_epoch : float, optional
        Julian year at which all positions of the catalog hold. If not given, the catalog's
        ``ref_epoch`` counts, and where it has none, Gaia DR3's 2016.0 with a warning.

    Returns
    -------
    sources : Sources
        The very same object where nothing moves, else a copy with other ``ra`` and ``dec``.
    provenance : dict
        What was done, for the product's metadata.

    Raises
    ------
    ValueError
        ``ref_epoch`` is not a year.
    """
    if ref_epoch is not None and not 1800 <= ref_epoch <= 2200:
        raise ValueError(
            f"ref_epoch is {ref_epoch:g}: expected the Julian year at which the catalog's "
            "positions hold, such as 2016.0; change it, or set proper_motion to False"
        )
    if sources.motion is None:
        return sources, {"applied": False}
    motion = sources.motion
    moving = _moving_rows(sources, motion)
    epoch, n_assumed = _epochs(motion, moving, ref_epoch)
    provenance = {"applied": True, "time": time.isot, "n_moved": len(moving)}
    provenance |= {"ref_epoch": _summary(epoch), "n_ref_epoch_assumed": n_assumed}
    if n_assumed:
        log.warning(
            "Catalog %s has proper motions without an epoch for %d sources: their positions are "
            "taken to hold at J%.1f, as in Gaia DR3; if not so, set ref_epoch, or leave "
            "the sources where they are by proper_motion=False",
            sources.name,
            n_assumed,
            GAIA_DR3_EPOCH,
        )
    if not len(moving):
        return sources, provenance
    ra, dec = sources.ra.copy(), sources.dec.copy()
    ra[moving], dec[moving] = _move(ra[moving], dec[moving], motion[moving], epoch, time)
    log.info(
        "Moved %d of %d sources by their proper motion to the time of the exposure, %s",
        len(moving),
        len(sources),
        time.isot,
    )
    return replace(sources, ra=ra, dec=dec), provenance


def _moving_rows(sources: Sources, motion: Motion) -> np.ndarray:
    """Rows with a position and a proper motion other than 0."""
    known = np.isfinite(sources.ra) & np.isfinite(sources.dec)
    known &= np.isfinite(motion.pm_ra_cosdec) & np.isfinite(motion.pm_dec)
    return np.flatnonzero(known & ((motion.pm_ra_cosdec != 0) | (motion.pm_dec != 0)))


def _epochs(motion: Motion, rows: np.ndarray, ref_epoch: float | None) -> tuple[np.ndarray, int]:
    """Julian year of each of the rows' positions, and for how many it had to be assumed."""
    if ref_epoch is not None:
        return np.full(len(rows), float(ref_epoch)), 0
    epoch = np.full(len(rows), np.nan) if motion.ref_epoch is None else motion.ref_epoch[rows]
    unknown = ~np.isfinite(epoch)
    return np.where(unknown, GAIA_DR3_EPOCH, epoch), int(unknown.sum())


def _summary(epoch: np.ndarray) -> float | list[float] | None:
    """Return the one epoch of all rows, or the first and the last."""
    if not len(epoch):
        return None
    first, last = float(epoch.min()), float(epoch.max())
    return first if first == last else [first, last]


def _move(
    ra: np.ndarray, dec: np.ndarray, motion: Motion, epoch: np.ndarray, time: Time
) -> tuple[np.ndarray, np.ndarray]:
    """Right ascension and declination (deg) at a time of sources that all move."""
    parallax, velocity = _depth(motion)
    # TDB for both ends: the minute between the time scales moves no star, and needs no leap second
    start, end = (Time(year, format="jyear", scale="tdb") for year in (epoch, time.jyear))
    stars = SkyCoord(
        ra=ra * u.deg,
        dec=dec * u.deg,
        pm_ra_cosdec=motion.pm_ra_cosdec * u.mas / u.yr,
        pm_dec=motion.pm_dec * u.mas / u.yr,
        distance=Distance(parallax=parallax * u.mas),
        radial_velocity=velocity * u.km / u.s,
        obstime=start,
    )
    moved = stars.apply_space_motion(new_obstime=end)
    arrived = np.isfinite(moved.ra.deg) & np.isfinite(moved.dec.deg)  # not so at the very pole
    return np.where(arrived, moved.ra.deg, ra), np.where(arrived, moved.dec.deg, dec)


def _depth(motion: Motion) -> tuple[np.ndarray, np.ndarray]:
    """Parallax (mas) and radial velocity (km/s) where they can be believed, else a far star's.

    A star without a parallax must be somewhere: at the distance where it crosses the sky at
    2000 km/s, or at 100 kpc if that is nearer. It then moves on a great circle, as it should;
    ERFA itself would take any speed of more than 1 % of the speed of light for an error.
    """
    n = len(motion.pm_dec)
    parallax = np.full(n, np.nan) if motion.parallax is None else motion.parallax
    velocity = np.zeros(n) if motion.radial_velocity is None else motion.radial_velocity
    crossing = _KM_S_PER_MAS_YR_OVER_MAS * np.hypot(motion.pm_ra_cosdec, motion.pm_dec)
    smallest = np.maximum(crossing / _MAX_SPEED_KM_S, _MIN_PARALLAX_MAS)
    known = parallax > smallest
    known_velocity = known & (np.abs(velocity) < _MAX_SPEED_KM_S)
    return np.where(known, parallax, smallest), np.where(known_velocity, velocity, 0.0)
