"""Stars and galaxies for one joint fit: Sérsic profiles where the catalog has them, points else.

The answers are those of `profiles.Profiles`. A galaxy's stamp reaches as far as a star's of the
same flux, or as far as its own profile stands above the limit, whichever is farther: compact ones
have the wings of the PSF, large ones those of their own.

A fit asks for the same stamps in every round, and a galaxy takes a hundred times as long as a star:
stamps are kept, and smaller ones are cut out of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...psfs import PSF, EPSFBySpectralType, GriddedEPSF, PSFError
from ...psfs.sersic import SersicGalaxies, SersicProfiles

if TYPE_CHECKING:
    from .profiles import Profiles

__all__ = ["StarsAndGalaxies", "galaxies_of"]

LARGEST_HALF_SIZE = 256  # pixels: 0.95 of the light of 3 arcsec of half-light radius at n = 4
MOST_KEPT = 100_000_000  # pixels of stamps in single precision
CORE_RADIUS = 2.0  # half-light radii, which hold 0.85 to 0.66 of the light of n = 1 to 6


@dataclass(frozen=True, eq=False)
class StarsAndGalaxies:
    """n sources, some of them galaxies.

    Attributes
    ----------
    points : Profiles
        All n sources as points.
    galaxies : SersicGalaxies
        The m galaxies among them.
    rows : (m,) ndarray of intp
        Which sources they are, in rising order.
    """

    points: Profiles
    galaxies: SersicGalaxies
    rows: NDArray[np.intp]
    _kept: dict[int, NDArray[np.float32]] = field(default_factory=dict, repr=False)

    @property
    def x(self) -> NDArray:
        """(n,) pixel positions."""
        return self.points.x

    @property
    def y(self) -> NDArray:
        """(n,) pixel positions."""
        return self.points.y

    @cached_property
    def _galaxy(self) -> NDArray[np.intp]:
        """(n,) which of the galaxies a source is, -1 for points."""
        galaxy = np.full(self.x.size, -1, dtype=np.intp)
        galaxy[self.rows] = np.arange(self.rows.size)
        return galaxy

    @cached_property
    def shape_id(self) -> NDArray[np.intp]:
        """(n,) numbers, equal for sources of equal profiles; those of points are not changed."""
        profiles = self.galaxies.profiles
        numbers = np.column_stack(
            [profiles.index, profiles.semimajor, profiles.semiminor, np.cos(2 * profiles.theta)]
        )
        _, kind = np.unique(numbers, axis=0, return_inverse=True)
        of_points = np.asarray(self.points.shape_id)
        shape_id = of_points.copy()
        shape_id[self.rows] = 1 + np.max(of_points, initial=0) + kind.ravel()
        return shape_id

    @cached_property
    def core_half_size(self) -> NDArray[np.intp]:
        """(n,) half sizes of stamps with most of the light."""
        half = np.array(self.points.core_half_size)
        reach = self.galaxies.profiles.reach_of(CORE_RADIUS)
        half[self.rows] += np.minimum(np.ceil(reach), LARGEST_HALF_SIZE).astype(np.intp)
        return half

    @property
    def largest_half_size(self) -> int:
        """That of the galaxies, where there are any."""
        own = LARGEST_HALF_SIZE if self.rows.size else 0
        return max(own, self.points.largest_half_size)

    def half_sizes(self, light_per_pixel: NDArray) -> NDArray[np.intp]:
        """Return the half sizes (n,) of stamps that hold all pixels brighter than a limit."""
        half = np.array(self.points.half_sizes(light_per_pixel))
        reach = np.ceil(self.galaxies.profiles.reach_above(light_per_pixel[self.rows]))
        own = np.minimum(reach, LARGEST_HALF_SIZE).astype(np.intp)
        half[self.rows] = np.maximum(half[self.rows], own)
        return half

    def stamps(self, rows: NDArray[np.intp], side: int) -> NDArray:
        """Return the profiles (m, side, side) of some sources on the pixels around them."""
        galaxy = self._galaxy[rows]
        extended = np.flatnonzero(galaxy >= 0)
        if extended.size == rows.size:
            return self._of_galaxies(rows, galaxy, side)
        if extended.size == 0:
            return self._of_points(rows, side)
        light = np.empty((rows.size, side, side))
        light[extended] = self._of_galaxies(rows[extended], galaxy[extended], side)
        stars = np.flatnonzero(galaxy < 0)
        light[stars] = self._of_points(rows[stars], side)
        return light

    def typical_stamp(self, x: float, y: float) -> NDArray:
        """Return how the light of a point falls off about there, on a stamp of the largest side."""
        return _padded(self.points.typical_stamp(x, y)[None], 2 * self.largest_half_size + 1)[0]

    def _of_points(self, rows: NDArray, side: int) -> NDArray:
        """Return stamps of points, 0 beyond what the PSF has."""
        own = min(side, 2 * self.points.largest_half_size + 1)
        return _padded(self.points.stamps(rows, own), side)

    def _of_galaxies(self, rows: NDArray, galaxy: NDArray, side: int) -> NDArray:
        """Return stamps that are kept, and make and keep those that are not large enough."""
        light = np.empty((rows.size, side, side))
        missing = []
        for place, number in enumerate(galaxy.tolist()):
            kept = self._kept.get(number)
            if kept is None or kept.shape[0] < side:
                missing.append(place)
                continue
            margin = (kept.shape[0] - side) // 2
            light[place] = kept[margin : margin + side, margin : margin + side]
        if missing:
            some = self.galaxies.for_rows(galaxy[missing])
            light[missing] = some.on_pixels(self.x[rows[missing]], self.y[rows[missing]], side)
            if sum(stamp.size for stamp in list(self._kept.values())) < MOST_KEPT:
                for place in missing:
                    self._kept[int(galaxy[place])] = light[place].astype(np.float32)
        return light

    def for_rows(self, rows: NDArray[np.intp]) -> StarsAndGalaxies:
        """Return the profiles of some of the sources."""
        galaxy = self._galaxy[rows]
        extended = np.flatnonzero(galaxy >= 0)
        galaxies = self.galaxies.for_rows(galaxy[extended])
        return StarsAndGalaxies(self.points.for_rows(rows), galaxies, extended)


def _padded(stamps: NDArray, side: int) -> NDArray:
    """Return stamps (m, s, s) with zeros around them."""
    margin = (side - stamps.shape[-1]) // 2
    return np.pad(stamps, [(0, 0), (margin, margin), (margin, margin)]) if margin else stamps


def galaxies_of(
    psf: PSF, sersic_index: NDArray, semimajor: NDArray, semiminor: NDArray, theta: NDArray
) -> tuple[SersicGalaxies, NDArray[np.intp]]:
    """Make galaxies of the sources with a shape.

    Parameters
    ----------
    psf : GriddedEPSF or EPSFBySpectralType
        The PSF; of several spectral types that of sources of unknown type, as galaxies are a
        mixture.
    sersic_index : (n,) ndarray of float64
        Indices of n sources.
    semimajor, semiminor, theta : (n,) ndarray of float64
        Half axes in pixels and angles in radian of the ellipses that hold half of their light, see
        `SersicProfiles`; NaN for sources without a shape.

    Returns
    -------
    galaxies : SersicGalaxies
    rows : (m,) ndarray of intp
        Which sources they are.

    Raises
    ------
    PSFError
        The PSF is of another kind, of which no transform is known.
    """
    epsf = psf.epsfs[psf.default] if isinstance(psf, EPSFBySpectralType) else psf
    if not isinstance(epsf, GriddedEPSF):
        raise PSFError(
            f"galaxies can not be convolved with a {type(epsf).__name__}: expected a GriddedEPSF"
        )
    numbers = sersic_index, semimajor, semiminor, theta
    rows = np.flatnonzero(np.all(np.isfinite(numbers), axis=0))
    return SersicGalaxies(epsf, SersicProfiles(*(each[rows] for each in numbers))), rows
