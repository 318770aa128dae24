"""Interfaces of aperture corrections and PSFs.

Each implementation is one class. A `Correction` returns the encircled-energy fraction of aperture
sums, by which the measurement divides its fluxes, whatever the fraction was computed from. A `PSF`
returns the fraction of a point source's flux on each pixel around it. An ePSF is both; a curve of
growth is only a correction.
"""

from __future__ import annotations

from typing import Any, Protocol

from numpy.typing import ArrayLike, NDArray

__all__ = ["PSF", "Correction"]


class Correction(Protocol):
    """Encircled-energy fractions of aperture sums of point sources."""

    @property
    def description(self) -> dict[str, Any]:
        """Provenance and assumptions of the correction, for the product's metadata."""
        ...

    def for_rows(self, rows: ArrayLike) -> Correction:
        """Return the correction for some rows of a catalog.

        Most corrections are the same for all rows and return themselves.

        Parameters
        ----------
        rows : (m,) array_like of int
            Indices of rows of the catalog.

        Returns
        -------
        Correction
            To be evaluated for these m sources only, in this order; the correction itself may be
            evaluated at any positions.
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
        """Return the encircled-energy fraction of each source's aperture sum.

        Parameters
        ----------
        x, y : (n,) ndarray of float64
            0-indexed pixel positions of the sources.
        radius : float, (n,) ndarray or None
            Radius of the circular apertures in pixels, common to all sources or one per source.
            None for apertures of another shape, which the weights describe.
        weights, full_weights : (n, s, s) ndarray or None
            Weight of each pixel in the aperture sum, on stamps of odd side s centred on pixel
            (rint(y), rint(x)): with masked and missing pixels at 0, and without a mask (the
            fraction of each pixel inside the aperture). None stands for complete circles.

        Returns
        -------
        (n,) ndarray of float64
            Fraction of the total flux (1 at infinity); NaN where it is unknown.

        Raises
        ------
        PSFError
            The aperture extends beyond the PSF.
        """
        ...

    def in_annulus(
        self, x: NDArray, y: NDArray, r_in: float | NDArray, r_out: float | NDArray
    ) -> NDArray:
        """Return the fraction of each source's flux in the pixels of an annulus.

        Parameters
        ----------
        x, y : (n,) ndarray of float64
            0-indexed pixel positions of the sources.
        r_in, r_out : float or (n,) ndarray
            Inner and outer radius in pixels, common to all sources or one per source.

        Returns
        -------
        (n,) ndarray of float64
            Fraction of the total flux.
        """
        ...


class PSF(Protocol):
    """Point-spread function: the flux of point sources on the pixels around them."""

    @property
    def description(self) -> dict[str, Any]:
        """Provenance and assumptions of the PSF, for the product's metadata."""
        ...

    def for_rows(self, rows: ArrayLike) -> PSF:
        """Return the PSF for some rows of a catalog; see `Correction.for_rows`."""
        ...

    def on_pixels(self, x: NDArray, y: NDArray, side: int) -> NDArray:
        """Return the fraction of each source's flux on each of the pixels around it.

        Parameters
        ----------
        x, y : (n,) ndarray of float64
            0-indexed pixel positions of the sources.
        side : int
            Odd side s of the stamps in pixels, which are centred on pixel (rint(y), rint(x)).

        Returns
        -------
        (n, s, s) ndarray of float32 or float64, indexed [source, y, x]
            Fraction of the total flux (1 at infinity), integrated over each pixel.

        Raises
        ------
        PSFError
            The pixels extend beyond the PSF.
        """
        ...
