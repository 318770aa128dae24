"""Kron photometry at given positions: ellipses of 2.5 Kron radii.

The Kron radius counts half axes of the source's second moments. It is the catalog's, or it is
measured on the image within 6 half axes, where the pixels of other sources are left out. Columns
have RAD's names, units and meanings: the flux is that in the aperture. They tell the whole ellipse,
so that the table of one image, taken as catalog, forces its apertures on all others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import ClassVar

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ...psfs import PSF, Correction, PSFMatching
from ...table import Column, background_columns, kron_columns
from ..exposure import Exposure
from ..pixels.aperture_sums import ApertureSums
from ..pixels.background import Background
from ..pixels.ellipses import owners
from ..pixels.kron import KRON_SCALE, LARGEST_RADIUS, SMALLEST_RADIUS, kron_radius
from ..pixels.neighbors import has_neighbor
from ..sources import Sources
from .annulus import OwnLight
from .ellipse import BoundEllipses, EllipticalApertures
from .subtraction import SubtractedSources

__all__ = ["BoundKron", "KronApertures"]

NOMINAL_SCALE_ARCSEC = 0.11  # of RAD's kron_radius, which is a number times the pixel scale
OWNED = 3.0  # half axes of moments to which pixels are a source's own
PSF_SIGMA_PIX = 1.0  # what Sersic profiles are wider on the image than before the PSF


@dataclass(frozen=True)
class KronApertures(EllipticalApertures):
    """Kron ellipses, of 2.5 Kron radii: the catalog's, or measured on the image."""

    name: ClassVar[str] = "kron"
    uses: ClassVar[frozenset[str]] = frozenset({"matching"})

    def columns(self) -> Sequence[Column]:
        """Return RAD's columns of Kron photometry and those of the background."""
        return [*kron_columns(), *background_columns()]

    def bind(
        self,
        exposure: Exposure,
        sources: Sources,
        x: NDArray,
        y: NDArray,
        *,
        area: NDArray | None = None,
        psf: PSF | None = None,
        correction: Correction | None = None,
        matching: PSFMatching | None = None,
        n_threads: int = 1,
    ) -> BoundKron:
        """Prepare the measurement; see `Method.bind` and `EllipticalApertures.bind`."""
        del correction
        least = KRON_SCALE * SMALLEST_RADIUS
        shapes = sources.shapes if sources.kron is None else sources.kron
        ellipses = self.ellipses(exposure, replace(sources, shapes=shapes), x, y, least)
        if shapes.sersic_index is not None:
            ellipses = ellipses.widened(PSF_SIGMA_PIX)
        given = {"area": area, "psf": psf, "n_threads": n_threads}
        subtracted = SubtractedSources.of(self.neighbors, exposure, sources, x, y, **given)
        sky = self.circles.background.masked_image(subtracted.image, x, y)
        crowded = has_neighbor(x, y, np.nan_to_num(least * ellipses.semimajor), n_threads=n_threads)
        known = shapes.kron_radius
        owner = None
        if known is None:
            owner = owners(exposure.shape, x, y, *ellipses.axes, size=OWNED)
        bound = self, exposure, x, y, area, None, sky, crowded, subtracted, ellipses, matching
        return BoundKron(*bound, known=known, owner=owner)


@dataclass(frozen=True, eq=False)
class BoundKron(BoundEllipses):
    """Kron apertures on an exposure.

    Attributes
    ----------
    method, exposure, x, y, area, correction, sky, crowded, subtracted, ellipses, matching
        As of `BoundEllipses`.
    known : (n,) ndarray or None
        Kron radii of the catalog in half axes.
    owner : (ny, nx) ndarray of int32 or None
        Whose pixels those of the image are, where radii are to be measured.
    """

    known: NDArray | None = None
    owner: NDArray | None = None

    @property
    def _widest(self) -> float:
        """Half axes in which the radius is measured: apertures are seldom larger."""
        return LARGEST_RADIUS

    def _on_sky(self, table: Table) -> Iterator[NDArray]:
        """Half axes in arcsec and position angles of the apertures in a table."""
        scale = KRON_SCALE * table["kron_radius"] / NOMINAL_SCALE_ARCSEC
        axes = (scale * table[name] for name in ("semimajor", "semiminor"))
        return chain(axes, [table["orientation_sky"]])

    def _scales(
        self, rows: NDArray, background: Background | None
    ) -> tuple[NDArray, dict[str, NDArray]]:
        """Half axes of the apertures in those of the shapes (m,), and columns that tell them."""
        is_round = self.ellipses.is_round[rows]
        if self.known is not None:
            radius = np.maximum(self.known[rows], SMALLEST_RADIUS)
        else:
            radius = kron_radius(
                self.exposure.data,
                self.x[rows],
                self.y[rows],
                *(axis[rows] for axis in self.ellipses.axes),
                background=0.0 if background is None else np.nan_to_num(background.value),
                owner=self.owner,
                label=rows + 1,
            )
        radius = np.where(is_round, SMALLEST_RADIUS, radius)
        semimajor, semiminor, angle = self.ellipses.on_sky(rows)
        columns = {
            "kron_radius": radius * NOMINAL_SCALE_ARCSEC,
            "semimajor": semimajor,
            "semiminor": semiminor,
            "orientation_sky": angle,
        }
        return KRON_SCALE * radius, columns

    def _fraction(
        self, rows: NDArray, sums: ApertureSums, own_light: OwnLight, ellipses: tuple
    ) -> NDArray:
        """No correction: the Kron flux is that in the aperture."""
        del sums, own_light, ellipses
        return np.ones(rows.size)
