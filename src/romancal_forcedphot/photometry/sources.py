"""The sources of a catalog as arrays: ids, positions and proper motions."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from astropy.table import Table

from .shapes import Shapes

__all__ = ["Motion", "Sources"]


@dataclass(frozen=True, eq=False)
class Motion:
    """Space motions of n sources; every array is float64 of shape (n,), NaN where unknown.

    Attributes
    ----------
    pm_ra_cosdec, pm_dec : ndarray
        Proper motion in right ascension, including the factor cos(dec) (as Gaia's ``pmra``), and
        in declination, in mas/yr.
    parallax : ndarray or None
        Measured parallax in mas: may be 0 or negative.
    radial_velocity : ndarray or None
        In km/s, positive for receding sources.
    ref_epoch : ndarray or None
        Reference epoch of the catalog's positions as Julian year, such as 2016.0.
    """

    pm_ra_cosdec: np.ndarray
    pm_dec: np.ndarray
    parallax: np.ndarray | None = None
    radial_velocity: np.ndarray | None = None
    ref_epoch: np.ndarray | None = None

    def __getitem__(self, rows: Any) -> Motion:
        """Return the motions of rows, given by index, mask or slice."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return Motion(**{k: v[rows] for k, v in values.items() if v is not None})


@dataclass(frozen=True, eq=False)
class Sources:
    """Sources to be measured, n rows in the order of the catalog.

    Attributes
    ----------
    label : (n,) ndarray of int64
        The catalog's integer ids if it has any, else 1 to n. Not necessarily unique.
    ra, dec : (n,) ndarray of float64 or None
        ICRS positions in degrees; NaN where missing. None if `x` and `y` are given.
    x, y : (n,) ndarray of float64 or None
        0-indexed pixel positions. None if `ra` and `dec` are given.
    source_name : (n,) ndarray of str or None
        Ids that are not integers, '' where missing.
    name : str
        Name of the catalog, for the log and the metadata.
    columns : astropy.table.Table or None
        Columns of the catalog that the output table includes: numbers, text or booleans.
    motion : Motion or None
        Proper motions, if the catalog has any; see `photometry.proper_motion`.
    n_read : int or None
        Number of rows of the catalog before the selection.
    spectral_type : (n,) ndarray of str or None
        Spectral types, '' where missing. None if not requested.
    shapes : Shapes or None
        Ellipses or Sérsic profiles. None if not requested.
    kron : Shapes or None
        Kron apertures of a reference image, to be used instead of those of `shapes`.
    """

    label: np.ndarray
    ra: np.ndarray | None = None
    dec: np.ndarray | None = None
    x: np.ndarray | None = None
    y: np.ndarray | None = None
    source_name: np.ndarray | None = None
    name: str = ""
    columns: Table | None = None
    motion: Motion | None = None
    n_read: int | None = None
    spectral_type: np.ndarray | None = None
    shapes: Shapes | None = None
    kron: Shapes | None = None

    def __len__(self) -> int:
        return len(self.label)

    def take(self, rows: np.ndarray | slice) -> Sources:
        """Return the sources of some rows.

        Parameters
        ----------
        rows : ndarray or slice
            Indices or mask of the rows.

        Returns
        -------
        Sources
        """
        of_rows = [field.name for field in fields(self) if field.name not in ("name", "n_read")]
        values = {name: getattr(self, name) for name in of_rows}
        return replace(self, **{k: v[rows] for k, v in values.items() if v is not None})
