"""The sources of a catalog as the measurement sees them: ids, positions and motions."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from astropy.table import Table

from .shapes import Shapes

__all__ = ["Motion", "Sources"]


@dataclass(frozen=True, eq=False)
class Motion:
    """Motions of n sources; every array is float64 of shape (n,), NaN where not known.

    Attributes
    ----------
    pm_ra_cosdec, pm_dec : ndarray
        Proper motion along right ascension, with the factor cos(dec) in it as in Gaia's
        ``pmra``, and along declination, mas/yr.
    parallax : ndarray or None
        In mas, as measured: it may be 0 or negative.
    radial_velocity : ndarray or None
        In km/s, away from us positive.
    ref_epoch : ndarray or None
        Julian year at which the catalog's positions hold, such as 2016.0.
    """

    pm_ra_cosdec: np.ndarray
    pm_dec: np.ndarray
    parallax: np.ndarray | None = None
    radial_velocity: np.ndarray | None = None
    ref_epoch: np.ndarray | None = None

    def __getitem__(self, rows: Any) -> Motion:
        """Return the motions of some rows, given by index, mask or slice."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return Motion(**{k: v[rows] for k, v in values.items() if v is not None})


@dataclass(frozen=True, eq=False)
class Sources:
    """Positions to measure at, in the catalog's order; n rows.

    Attributes
    ----------
    label : ndarray of int64, shape (n,)
        The catalog's own integer id where it has one, else 1 to n. May repeat.
    ra, dec : ndarray of float64, shape (n,), or None
        Sky positions in degrees, ICRS; NaN where there is none. None if `x` and `y` are given.
    x, y : ndarray of float64, shape (n,), or None
        Pixel positions, 0-indexed. None if `ra` and `dec` are given.
    source_name : ndarray of str, shape (n,), or None
        Ids that are no integers, '' where there is none.
    name : str
        The catalog's name, for the log and the metadata.
    columns : astropy.table.Table or None
        Columns of the catalog to put beside the photometry: numbers, text or truth values.
    motion : Motion or None
        How the sources move, where the catalog tells; see `photometry.proper_motion`.
    n_read : int or None
        Rows of the catalog before the selection.
    spectral_type : ndarray of str, shape (n,), or None
        Names of spectral types, '' where there is none. None if not asked for.
    shapes : Shapes or None
        Ellipses or Sérsic profiles of the sources. None if not asked for.
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

    def __len__(self) -> int:
        return len(self.label)

    def take(self, rows: np.ndarray | slice) -> Sources:
        """Return the sources of some rows, given by index, mask or slice."""
        of_rows = [field.name for field in fields(self) if field.name not in ("name", "n_read")]
        values = {name: getattr(self, name) for name in of_rows}
        return replace(self, **{k: v[rows] for k, v in values.items() if v is not None})
