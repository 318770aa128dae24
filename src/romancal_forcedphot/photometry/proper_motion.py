"""Propagation of positions from the catalog's reference epoch to the time of the exposure.

The positions of a catalog refer to its reference epoch (2016.0 for Gaia DR3); a star of 100 mas/yr
moves by one WFI pixel in 11 years. Stars are propagated along straight lines in space by astropy's
`~astropy.coordinates.SkyCoord.apply_space_motion`, which takes parallax and radial velocity into
account where they are known. Positions remain barycentric: the annual parallax is not applied.
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

__all__ = ["GAIA_DR3_EPOCH", "apply_proper_motion", "warn_of_smearing"]

log = logging.getLogger(f"romancal.{__name__}")

GAIA_DR3_EPOCH = 2016.0
_SMEARED_PIX = 0.05
_MIN_PARALLAX_MAS = 1e-2
_MAX_SPEED_KM_S = 2000.0
_KM_S_PER_AU_YR = 4.740470  # tangential velocity = 4.74 km/s * proper motion / parallax


def apply_proper_motion(
    sources: Sources, time: Time, *, ref_epoch: float | None = None
) -> tuple[Sources, dict[str, Any]]:
    """Propagate the positions of sources to a time.

    Parameters
    ----------
    sources : Sources
        n sources. Those without a position or a proper motion are not changed. A parallax that is
        missing, not positive, or so small that the tangential velocity exceeds 2000 km/s is
        replaced by that of a distant star, and the radial velocity then ignored.
    time : astropy.time.Time
        Time of the positions, usually the middle of the exposure.
    ref_epoch : float, optional
        Reference epoch of all positions of the catalog as Julian year. By default that of each row
        of the catalog, and for rows without one Gaia DR3's 2016.0, with a warning.

    Returns
    -------
    sources : Sources
        The same object where nothing moves, else a copy with other ``ra`` and ``dec``.
    provenance : dict
        Epochs and counts, for the product's metadata.

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


def warn_of_smearing(sources: Sources, span_years: float, pixel_arcsec: float) -> int:
    """Warn of sources that move by more than 0.05 pixel between the exposures of a mosaic.

    Parameters
    ----------
    sources : Sources
        The sources.
    span_years : float
        Time between the first and the last exposure.
    pixel_arcsec : float
        Side of a pixel.

    Returns
    -------
    int
        Number of these sources.
    """
    if sources.motion is None or not span_years > 0:
        return 0
    motion = np.hypot(sources.motion.pm_ra_cosdec, sources.motion.pm_dec)
    moved = motion / 1000 * span_years / pixel_arcsec
    n_smeared = int(np.count_nonzero(moved > _SMEARED_PIX))
    if n_smeared:
        log.warning(
            "%d sources of catalog %s move by more than %.2f pixel in the %.2f years between the "
            "exposures of this mosaic (up to %.2f): it shows them smeared, and their fluxes are "
            "too low; measure them on its exposures",
            n_smeared,
            sources.name,
            _SMEARED_PIX,
            span_years,
            np.nanmax(moved),
        )
    return n_smeared


def _moving_rows(sources: Sources, motion: Motion) -> np.ndarray:
    """Rows with a position and a proper motion other than 0, (m,) intp."""
    known = np.isfinite(sources.ra) & np.isfinite(sources.dec)
    known &= np.isfinite(motion.pm_ra_cosdec) & np.isfinite(motion.pm_dec)
    return np.flatnonzero(known & ((motion.pm_ra_cosdec != 0) | (motion.pm_dec != 0)))


def _epochs(motion: Motion, rows: np.ndarray, ref_epoch: float | None) -> tuple[np.ndarray, int]:
    """Reference epochs (Julian years) of rows, and the number of those that were assumed."""
    if ref_epoch is not None:
        return np.full(len(rows), float(ref_epoch)), 0
    epoch = np.full(len(rows), np.nan) if motion.ref_epoch is None else motion.ref_epoch[rows]
    unknown = ~np.isfinite(epoch)
    return np.where(unknown, GAIA_DR3_EPOCH, epoch), int(unknown.sum())


def _summary(epoch: np.ndarray) -> float | list[float] | None:
    """Return the common epoch of all rows, or the first and the last."""
    if not len(epoch):
        return None
    first, last = float(epoch.min()), float(epoch.max())
    return first if first == last else [first, last]


def _move(
    ra: np.ndarray, dec: np.ndarray, motion: Motion, epoch: np.ndarray, time: Time
) -> tuple[np.ndarray, np.ndarray]:
    """Right ascension and declination (deg) at a time of sources that all move."""
    parallax, velocity = _parallax_and_velocity(motion)
    # TDB for both times: the minute between the time scales is negligible, and TDB needs no leap
    # seconds.
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
    finite = np.isfinite(moved.ra.deg) & np.isfinite(moved.dec.deg)  # not exactly at a pole
    return np.where(finite, moved.ra.deg, ra), np.where(finite, moved.dec.deg, dec)


def _parallax_and_velocity(motion: Motion) -> tuple[np.ndarray, np.ndarray]:
    """Parallax (mas) and radial velocity (km/s), replaced where missing or implausible.

    A star without a valid parallax is put at the distance at which its tangential velocity is
    2000 km/s, or at 100 kpc if that is nearer: it then moves on a great circle. (ERFA rejects
    velocities of more than 1 % of the speed of light.)
    """
    n = len(motion.pm_dec)
    parallax = np.full(n, np.nan) if motion.parallax is None else motion.parallax
    velocity = np.zeros(n) if motion.radial_velocity is None else motion.radial_velocity
    velocity_times_parallax = _KM_S_PER_AU_YR * np.hypot(motion.pm_ra_cosdec, motion.pm_dec)
    smallest = np.maximum(velocity_times_parallax / _MAX_SPEED_KM_S, _MIN_PARALLAX_MAS)
    known = parallax > smallest
    known_velocity = known & (np.abs(velocity) < _MAX_SPEED_KM_S)
    return np.where(known, parallax, smallest), np.where(known_velocity, velocity, 0.0)
