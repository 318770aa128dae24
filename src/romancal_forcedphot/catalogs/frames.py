"""Transformation to ICRS from the coordinate systems that a catalog file declares.

VOTable declares them as ``COOSYS`` (https://www.ivoa.net/documents/VOTable/, section 3.1). ICRS,
FK5 and FK4 are understood; positions in any other system are refused, as they would be measured
somewhere else on the sky.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy import units as u
from astropy.coordinates import FK4, FK5, SkyCoord
from astropy.time import Time

from .errors import CatalogError

__all__ = ["CelestialSystem", "positions_to_icrs", "same_system"]

_SYSTEMS = {
    "icrs": "ICRS",
    "fk5": "FK5",
    "eq_fk5": "FK5",
    "fk4": "FK4",
    "eq_fk4": "FK4",
}
_DEFAULT_EQUINOX = {"FK5": "J2000", "FK4": "B1950"}


@dataclass(frozen=True)
class CelestialSystem:
    """A coordinate system as a file declares it.

    Attributes
    ----------
    system : str
        Such as ``ICRS``, ``eq_FK5`` or ``galactic``.
    equinox : str
        Such as ``J2000`` or ``B1950``; '' for the system's own.
    epoch : str
        When the positions hold, such as ``J2016.0``; '' where it is not told.
    """

    system: str
    equinox: str = ""
    epoch: str = ""

    @property
    def name(self) -> str:
        """``ICRS``, ``FK5`` or ``FK4``, or the system's own word for something else."""
        return _SYSTEMS.get(self.system.strip().lower(), self.system)

    @property
    def is_icrs(self) -> bool:
        """Whether positions are ICRS as they stand."""
        return self.name == "ICRS"

    @property
    def keeps_directions(self) -> bool:
        """Whether north is where it is in ICRS to 1e-7 rad, so that proper motions hold as well."""
        return self.is_icrs or (self.name == "FK5" and _year(self.equinox or "J2000") == 2000.0)

    def julian_epoch(self, what: str) -> float | None:
        """Return when the positions hold.

        Parameters
        ----------
        what : str
            How error messages refer to the positions.

        Returns
        -------
        float or None
            Julian year; None where it is not told.

        Raises
        ------
        CatalogError
            The file has something else there than a year.
        """
        return _time(self.epoch, "J", "epoch", what).jyear if self.epoch.strip() else None

    def __str__(self) -> str:
        return f"{self.name} {self.equinox}".strip()


def same_system(first: CelestialSystem | None, second: CelestialSystem | None) -> bool:
    """Tell whether two columns are of one system, None being ICRS.

    Parameters
    ----------
    first, second : CelestialSystem or None
        The systems of right ascension and declination.

    Returns
    -------
    bool
    """
    icrs = CelestialSystem("ICRS")
    names = [(each.name, each.equinox) for each in (first or icrs, second or icrs)]
    return names[0] == names[1] or all(name == "ICRS" for name, _ in names)


def positions_to_icrs(
    ra: np.ndarray, dec: np.ndarray, system: CelestialSystem, what: str
) -> tuple[np.ndarray, np.ndarray]:
    """Transform equatorial positions to ICRS.

    Parameters
    ----------
    ra, dec : ndarray of float64, shape (n,)
        Degrees in the system; NaN where there is no position, and there ICRS has none.
    system : CelestialSystem
        FK5 or FK4; ICRS changes nothing.
    what : str
        How error messages refer to the positions.

    Returns
    -------
    ra, dec : ndarray of float64, shape (n,)
        Degrees, ICRS.

    Raises
    ------
    CatalogError
        The system is another one, or its equinox or epoch is no year.
    """
    if system.is_icrs:
        return ra, dec
    if system.name not in _DEFAULT_EQUINOX:
        raise CatalogError(
            f"{what} are in the coordinate system {system.system!r}, as the file's COOSYS says: "
            "expected ICRS, FK5 or FK4; transform the positions to ICRS, or correct the COOSYS"
        )
    equinox = _time(system.equinox or _DEFAULT_EQUINOX[system.name], system.name, "equinox", what)
    if system.name == "FK5":
        frame = FK5(equinox=equinox)
    else:
        epoch = _time(system.epoch, "J", "epoch", what) if system.epoch.strip() else equinox
        frame = FK4(equinox=equinox, obstime=epoch)
    known = np.isfinite(ra) & (np.abs(dec) <= 90)
    icrs = SkyCoord(ra[known] * u.deg, dec[known] * u.deg, frame=frame).icrs
    moved = np.full((2, len(ra)), np.nan)
    moved[0, known], moved[1, known] = icrs.ra.deg, icrs.dec.deg
    return moved[0], moved[1]


def _year(text: str) -> float | None:
    """Return the number in a text such as J2000, None where there is none."""
    try:
        return float(text.strip().lstrip("JBjb"))
    except ValueError:
        return None


def _time(text: str, system: str, quantity: str, what: str) -> Time:
    """Return the time of a text such as J2016.0, B1950 or 2000."""
    year, letter = _year(text), text.strip()[:1].upper()
    if year is None or not 1700 <= year <= 2300:
        raise CatalogError(
            f"{what} have the {quantity} {text!r}, as the file's COOSYS says: expected a year such "
            "as J2000 or B1950; correct the COOSYS"
        )
    besselian = letter == "B" or (letter != "J" and system == "FK4")
    return Time(year, format="byear" if besselian else "jyear", scale="tt")
