"""The light of sources on pixels, as the fit asks for it.

The fit is linear in the fluxes whatever the sources look like. It knows them through `Profiles`
alone: point sources are `PointSources`; galaxies, or stars and galaxies mixed, are another class
with the same few questions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...psfs import PSF
from ...psfs.errors import PSFError

__all__ = ["PointSources", "Profiles"]

_LONGEST_HALF_SIZE = 64  # pixels; the wings of an image's brightest stars
_CORE_HALF_SIZE = 6  # pixels; 0.91 of a star's light in F106


class Profiles(Protocol):
    """The profiles of n sources: the fraction of its flux that each leaves on each pixel."""

    @property
    def x(self) -> NDArray:
        """(n,) float64, 0-indexed pixel positions."""
        ...

    @property
    def y(self) -> NDArray:
        """(n,) float64."""
        ...

    @property
    def shape_id(self) -> NDArray:
        """(n,) integers: sources in one place with one id can not be told apart."""
        ...

    @property
    def core_half_size(self) -> NDArray:
        """(n,) intp, half the side in pixels of the stamp that decides how neighbours correlate.

        Stamps of side 2 h + 1 are centred on pixel (rint(y), rint(x)). This one holds most of the
        light of a source; only the convergence of the fit and the third digit of errors depend on
        it.
        """
        ...

    @property
    def largest_half_size(self) -> int:
        """Half the side of the largest stamps that there are."""
        ...

    def half_sizes(self, light_per_pixel: NDArray) -> NDArray[np.intp]:
        """Return the half sizes (n,) of stamps that hold all pixels brighter than a limit.

        Parameters
        ----------
        light_per_pixel : (n,) ndarray
            For each source, the fraction of its flux on one pixel that does not matter any more.
        """
        ...

    def stamps(self, rows: NDArray[np.intp], side: int) -> NDArray:
        """Return the profiles (m, side, side) of some sources on the pixels around them.

        Indexed [source, y, x], float; the sum over all pixels out to infinity is 1.
        """
        ...

    def typical_stamp(self, x: float, y: float) -> NDArray:
        """Return how light falls off around a source about there, (s, s) of the largest side.

        The source is in the middle of the middle pixel.
        """
        ...

    def for_rows(self, rows: NDArray[np.intp]) -> Profiles:
        """Return the profiles of some of the sources."""
        ...


@dataclass(frozen=True, eq=False)
class PointSources:
    """Point sources: each is the PSF at its own place.

    Attributes
    ----------
    psf : PSF
        The PSF on pixels.
    x, y : (n,) ndarray of float64
        Pixel positions, finite.
    rim : (h + 1,) ndarray of float64
        Mean light of the pixels on the rim of a stamp of each half size, not rising; see `of`.
    """

    psf: PSF
    x: NDArray
    y: NDArray
    rim: NDArray

    @classmethod
    def of(cls, psf: PSF, x: NDArray, y: NDArray) -> PointSources:
        """Make the profiles of sources at (n,) positions; stamps go as far as the PSF does."""
        x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        if not x.size:
            return cls(psf, x, y, np.ones(1))
        return cls(psf, x, y, _mean_rim(psf, x, y))

    @property
    def shape_id(self) -> NDArray[np.intp]:
        """All alike."""
        return np.zeros(self.x.size, dtype=np.intp)

    @cached_property
    def core_half_size(self) -> NDArray[np.intp]:
        """The same for all."""
        return np.full(self.x.size, min(_CORE_HALF_SIZE, self.largest_half_size), dtype=np.intp)

    @property
    def largest_half_size(self) -> int:
        """As far as the PSF goes."""
        return self.rim.size - 1

    def half_sizes(self, light_per_pixel: NDArray) -> NDArray[np.intp]:
        """Return where the mean of the rim falls below a limit; at most what the PSF has."""
        return np.minimum(np.searchsorted(-self.rim, -light_per_pixel), self.largest_half_size)

    def stamps(self, rows: NDArray[np.intp], side: int) -> NDArray:
        """Return the PSF around some sources."""
        return self.psf.for_rows(rows).on_pixels(self.x[rows], self.y[rows], side)

    def typical_stamp(self, x: float, y: float) -> NDArray:
        """Return the PSF of the nearest source, moved to the middle of a pixel."""
        nearest = np.argmin(np.hypot(self.x - x, self.y - y), keepdims=True)
        place = np.rint(self.x[nearest]), np.rint(self.y[nearest])
        return self.psf.for_rows(nearest).on_pixels(*place, 2 * self.largest_half_size + 1)[0]

    def for_rows(self, rows: NDArray[np.intp]) -> PointSources:
        """Return some of the sources."""
        return PointSources(self.psf.for_rows(rows), self.x[rows], self.y[rows], self.rim)


def _mean_rim(psf: PSF, x: NDArray, y: NDArray) -> NDArray:
    """Return the mean light on the rims of stamps of half size 0, 1, ..., the PSF's largest."""
    middle = np.argsort(x)[[x.size // 4, x.size // 2, (3 * x.size) // 4]]
    own = psf.for_rows(middle)
    half = _longest_half_size(psf.for_rows(middle[:1]), x[middle[:1]], y[middle[:1]])
    light = own.on_pixels(x[middle], y[middle], 2 * half + 1).mean(axis=0)
    offset = abs(np.arange(-half, half + 1))
    ring = np.maximum(offset[:, None], offset)
    mean = np.bincount(ring.ravel(), light.ravel()) / np.bincount(ring.ravel())
    return np.minimum.accumulate(np.maximum(mean, 0.0))


def _longest_half_size(psf: PSF, x: NDArray, y: NDArray) -> int:
    """Return half the side of the largest stamp that the PSF has, by bisection."""
    has, lacks = 0, _LONGEST_HALF_SIZE + 1
    while lacks - has > 1:
        half = (has + lacks) // 2
        try:
            psf.on_pixels(x, y, 2 * half + 1)
        except PSFError:
            lacks = half
        else:
            has = half
    return has
