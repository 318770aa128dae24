"""Aperture corrections of galaxies: the share of their own profile that an aperture holds.

An aperture that holds the same share of a star in two filters holds different shares of a galaxy,
and the correction of a star is none for a galaxy. Where the catalog tells the profile, the share is
that of the profile convolved with the PSF, under the very weights of the measurement: total fluxes
and colours then depend on no aperture.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...geometry import circle_overlap, stamp_reach
from ..contract import Correction
from ..pixelation import stamp_distances
from .galaxies import SersicGalaxies

__all__ = ["CorrectionOfProfiles"]


@dataclass(frozen=True, eq=False)
class CorrectionOfProfiles:
    """A correction that knows which rows of a catalog are galaxies, and of which profile.

    Asked about positions rather than rows (see `for_rows`) it is the correction of points.

    Attributes
    ----------
    points : Correction
        That of point sources.
    galaxies : SersicGalaxies
        The m galaxies of the catalog.
    galaxy : (n,) ndarray of intp
        Which of the galaxies each row of the catalog is, -1 for points.
    """

    points: Correction
    galaxies: SersicGalaxies
    galaxy: NDArray[np.intp]

    @classmethod
    def of_rows(
        cls, points: Correction, galaxies: SersicGalaxies, rows: NDArray[np.intp], n_sources: int
    ) -> CorrectionOfProfiles:
        """Make the correction of a catalog of `n_sources` rows, some of which are galaxies."""
        galaxy = np.full(n_sources, -1, dtype=np.intp)
        galaxy[rows] = np.arange(len(galaxies))
        return cls(points, galaxies, galaxy)

    @property
    def description(self) -> dict[str, Any]:
        """What the correction was made from and what it assumes."""
        return {
            **self.points.description,
            "extended_sources": "of the catalog's Sersic profile, convolved with the ePSF",
            "n_extended_sources": len(self.galaxies),
        }

    def for_rows(self, rows: ArrayLike) -> CorrectionInOrder:
        """Return the correction of some rows of the catalog, given by index."""
        galaxy = self.galaxy[rows]
        extended = np.flatnonzero(galaxy >= 0)
        galaxies = self.galaxies.for_rows(galaxy[extended])
        return CorrectionInOrder(self.points.for_rows(rows), galaxies, extended, galaxy.size)

    def in_aperture(self, x: NDArray, y: NDArray, radius: ArrayLike, **weights: Any) -> NDArray:
        """Return the fraction of points in apertures; see `Correction.in_aperture`."""
        return self.points.in_aperture(x, y, radius, **weights)

    def in_annulus(self, x: NDArray, y: NDArray, r_in: ArrayLike, r_out: ArrayLike) -> NDArray:
        """Return the light of points between two radii in pixels."""
        return self.points.in_annulus(x, y, r_in, r_out)


@dataclass(frozen=True, eq=False)
class CorrectionInOrder:
    """The correction of n sources, asked about these, in their order.

    Attributes
    ----------
    points : Correction
        Of the n sources as points.
    galaxies : SersicGalaxies
        Those that are galaxies.
    extended : (m,) ndarray of intp
        Which of the sources they are.
    n_sources : int
        How many sources there are.
    """

    points: Correction
    galaxies: SersicGalaxies
    extended: NDArray[np.intp]
    n_sources: int

    @cached_property
    def _stars(self) -> NDArray[np.intp]:
        """Which of the sources are points."""
        return np.setdiff1d(np.arange(self.n_sources), self.extended)

    def in_aperture(
        self,
        x: NDArray,
        y: NDArray,
        radius: float | NDArray | None,
        *,
        weights: NDArray | None = None,
        full_weights: NDArray | None = None,
    ) -> NDArray:
        """Return the fraction of each source in its aperture; see `Correction.in_aperture`."""
        if weights is None:
            weights = circle_overlap(x - np.rint(x), y - np.rint(y), radius)
            full_weights = weights
        fraction, stars, rows = np.empty(x.shape), self._stars, self.extended
        fraction[stars] = self.points.for_rows(stars).in_aperture(
            x[stars],
            y[stars],
            radius[stars] if np.ndim(radius) else radius,
            weights=weights[stars],
            full_weights=full_weights[stars],
        )
        light = self.galaxies.on_pixels(x[rows], y[rows], weights.shape[-1])
        fraction[rows] = (light * weights[rows]).sum(axis=(1, 2))
        return fraction

    def in_annulus(
        self, x: NDArray, y: NDArray, r_in: float | NDArray, r_out: float | NDArray
    ) -> NDArray:
        """Return each source's light in the pixels with centres between two radii."""
        fraction, stars, rows = np.empty(x.shape), self._stars, self.extended
        radii = (r[stars] if np.ndim(r) else r for r in (r_in, r_out))
        fraction[stars] = self.points.for_rows(stars).in_annulus(x[stars], y[stars], *radii)
        if rows.size:
            inner, outer = (np.broadcast_to(r, x.shape)[rows, None, None] for r in (r_in, r_out))
            side = 2 * stamp_reach(float(outer.max())) + 1
            light = self.galaxies.on_pixels(x[rows], y[rows], side)
            distance = stamp_distances(x[rows], y[rows], side)
            light *= (distance >= inner) & (distance < outer)
            fraction[rows] = light.sum(axis=(1, 2))
        return fraction
