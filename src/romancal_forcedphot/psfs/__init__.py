"""What a measured aperture catches of a point source.

Every source of a PSF (a curve of growth, an ePSF reference, STPSF) is one class that answers two
questions, `Correction.in_aperture` and `Correction.in_annulus`; the measurement divides by the
answers and knows nothing of where they come from.
"""

from __future__ import annotations

from typing import Any, Protocol

from numpy.typing import ArrayLike, NDArray

from .apcorr import CorrectionUnavailable
from .curve import CurveOfGrowth
from .epsf import GriddedEPSF
from .scale import continued, extended_epsf, per_pixel
from .spectra import BySpectralType, default_type, nearest_types

__all__ = [
    "BySpectralType",
    "Correction",
    "CorrectionUnavailable",
    "CurveOfGrowth",
    "GriddedEPSF",
    "continued",
    "default_type",
    "extended_epsf",
    "nearest_types",
    "per_pixel",
]


class Correction(Protocol):
    """The fractions of a point source's light that a measurement catches."""

    @property
    def description(self) -> dict[str, Any]:
        """What the correction was made from and what it assumes, for the product's metadata."""
        ...

    def for_rows(self, rows: ArrayLike) -> Correction:
        """Return the correction of some rows of the catalog, given by index.

        It is asked about those sources alone, in that order; most corrections are one for all.
        The correction itself is asked about any positions.
        """
        ...

    def in_aperture(
        self,
        x: NDArray,
        y: NDArray,
        radius: float | NDArray,
        *,
        weights: NDArray | None = None,
        full_weights: NDArray | None = None,
    ) -> NDArray:
        """Return the fraction of each source's light that its aperture sum holds.

        Parameters
        ----------
        x, y : (n,) ndarray of float64
            Pixel positions of the sources.
        radius : float or (n,) ndarray
            Aperture radius in pixels, of all sources or of each.
        weights, full_weights : (n, s, s) ndarray or None
            Weight of each pixel in the sum on a stamp of odd side s centred on pixel
            (rint(y), rint(x)): with masked and missing pixels at zero, and as the bare overlap
            with the circle.  None stands for whole apertures.

        Returns
        -------
        fraction : (n,) ndarray of float64
            NaN where it is not known.
        """
        ...

    def in_annulus(
        self, x: NDArray, y: NDArray, r_in: float | NDArray, r_out: float | NDArray
    ) -> NDArray:
        """Return the fraction of each source's light between two radii in pixels.

        The radii are those of all sources, or (n,) those of each.
        """
        ...
