"""What a PSF and an aperture correction must offer.

Every source of a PSF (a curve of growth, an ePSF reference, STPSF) is one class. A `Correction`
tells which fraction of a point source's light an aperture sum holds; the measurement divides by it
and knows nothing of where it comes from. A `PSF` tells the light on each pixel around a source,
which makes it a `Correction` as well; a curve of growth is a correction only.
"""

from __future__ import annotations

from typing import Any, Protocol

from numpy.typing import ArrayLike, NDArray

__all__ = ["PSF", "Correction"]


class Correction(Protocol):
    """Encircled-energy fractions of aperture sums."""

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
        radius: float | NDArray | None,
        *,
        weights: NDArray | None = None,
        full_weights: NDArray | None = None,
    ) -> NDArray:
        """Return the fraction of each source's light that its aperture sum holds.

        Parameters
        ----------
        x, y : (n,) ndarray of float64
            Pixel positions of the sources.
        radius : float, (n,) ndarray or None
            Radius in pixels of circular apertures, of all sources or of each. None for apertures
            of another shape, which their weights tell.
        weights, full_weights : (n, s, s) ndarray or None
            Weight of each pixel in the sum on a stamp of odd side s centred on pixel
            (rint(y), rint(x)): with masked and missing pixels at zero, and as the bare overlap
            with the aperture.  None stands for whole circles.

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


class PSF(Protocol):
    """The light of point sources on the pixels around them."""

    @property
    def description(self) -> dict[str, Any]:
        """What the PSF was made from and what it assumes, for the product's metadata."""
        ...

    def for_rows(self, rows: ArrayLike) -> PSF:
        """Return the PSF of some rows of the catalog, given by index; see `Correction.for_rows`."""
        ...

    def on_pixels(self, x: NDArray, y: NDArray, side: int) -> NDArray:
        """Return the light of each source on the pixels around it.

        Parameters
        ----------
        x, y : (n,) ndarray of float64
            0-indexed pixel positions.
        side : int
            Odd side s of the stamps, which are centred on pixel (rint(y), rint(x)).

        Returns
        -------
        (n, s, s) ndarray of float64, indexed [source, y, x]
            Fraction of the source's light (1 at infinity) on each whole pixel.

        Raises
        ------
        PSFError
            The pixels reach beyond what the PSF knows.
        """
        ...
