"""Apertures on the image less all other fitted sources.

All fitted sources are subtracted from the image once. Each gets its own light back on the pixels of
its aperture, and the errors of its neighbours' fluxes are in its own (`fitting.NeighborErrors`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...psfs import PSF
from ..batches import divided_batches
from ..exposure import Exposure
from ..fitting import NeighborErrors
from ..pixels.aperture_sums import ApertureSums, Stamps
from ..sources import Sources
from .joint_fit import FittedPhotometry, FittedSources

__all__ = ["Neighborhood", "SubtractedSources"]

_SIDE_PIX = 512.0


@dataclass(frozen=True, eq=False)
class SubtractedSources:
    """An image from which all fitted sources were subtracted, or none.

    Attributes
    ----------
    image : (ny, nx) ndarray of float32
        With its sky; NaN at unusable pixels.
    fitted : FittedSources or None
        What was subtracted.
    """

    image: NDArray[np.float32]
    fitted: FittedSources | None = None

    @classmethod
    def of(
        cls,
        method: FittedPhotometry | None,
        exposure: Exposure,
        sources: Sources,
        x: NDArray,
        y: NDArray,
        *,
        area: NDArray | None,
        psf: PSF | None,
        n_threads: int,
    ) -> SubtractedSources:
        """Subtract the sources that a method fits, none without one.

        Parameters
        ----------
        method : FittedPhotometry or None
            The method.
        exposure, sources, x, y, area, psf, n_threads
            See `Method.bind`.

        Raises
        ------
        PSFError, ValueError
            See `FittedPhotometry.bind`.
        """
        if method is None:
            return cls(exposure.data)
        fitted = method.fit(exposure, sources, x, y, area=area, psf=psf, n_threads=n_threads)
        return cls(fitted.fit.image_without_sources(), fitted)

    def batches(
        self, batches: Iterator[NDArray[np.intp]], x: NDArray, y: NDArray
    ) -> Iterator[NDArray[np.intp]]:
        """Return batches of sources at (n,) positions, in parts if there are errors to be found.

        The errors ask for all fluxes of the rectangle around a batch.
        """
        return batches if self.fitted is None else divided_batches(batches, x, y, _SIDE_PIX)

    def around(self, rows: NDArray[np.intp], stamps: Stamps) -> Neighborhood:
        """Return some sources with what was subtracted around them.

        Parameters
        ----------
        rows : (m,) ndarray of intp
            The sources, at finite positions.
        stamps : Stamps
            Cutouts of `image` around them.
        """
        if self.fitted is None:
            return Neighborhood(stamps)
        fit, of_fit = self.fitted.fit, self.fitted.row[rows]
        light = fit.own_light(of_fit, 2 * stamps.reach + 1).reshape(stamps.data.shape)
        stamps = replace(stamps, data=stamps.data + np.where(stamps.usable, light, 0.0))
        return Neighborhood(stamps, NeighborErrors.around(fit, of_fit, stamps.reach))

    def light_left(
        self, rows: NDArray[np.intp], r_in: float | NDArray, r_out: float | NDArray
    ) -> NDArray:
        """Return which share (m,) of a source's own light in its annulus was not subtracted."""
        if self.fitted is None:
            return np.ones(rows.size)
        half_size = self.fitted.fit.modelled_half_size[self.fitted.row[rows]]
        return np.clip((r_out - half_size) / (r_out - r_in), 0.0, 1.0)


@dataclass(frozen=True, eq=False)
class Neighborhood:
    """Stamps around some sources without the light of others.

    Attributes
    ----------
    stamps : Stamps
        With the sources' own light.
    errors : NeighborErrors or None
        Of what was subtracted; None if nothing was.
    """

    stamps: Stamps
    errors: NeighborErrors | None = None

    def with_errors(self, sums: ApertureSums) -> ApertureSums:
        """Return sums over the stamps with the flux errors of neighbours in their variance."""
        if self.errors is None:
            return sums
        return replace(sums, variance=self.errors.variance(sums.weights, sums.variance))
