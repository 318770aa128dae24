"""Interfaces of methods of measurement.

A `Method` holds parameters. Binding it to an exposure and its sources makes a `BoundMethod`, with
everything that is computed once for all sources (groups, a sky model, an image with masked
neighbours). The bound method yields batches of rows and measures each independently of the others;
`photometry.measure` runs them on threads. The background is part of the method.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from numpy.typing import NDArray

from ...psfs import PSF, Correction
from ...table import Column
from ..exposure import Exposure
from ..sources import Sources

__all__ = ["BoundMethod", "Method"]


class BoundMethod(Protocol):
    """A method on one exposure and the n sources of one catalog."""

    @property
    def unmeasured_flags(self) -> NDArray:
        """``warning_flags`` of the rows if they are in no batch, (n,) int32."""
        ...

    def batches(self) -> Iterator[NDArray]:
        """Yield batches: (m,) intp arrays of rows, each row in at most one."""
        ...

    def measure(self, rows: NDArray) -> Mapping[str, NDArray]:
        """Measure one batch.

        Parameters
        ----------
        rows : (m,) ndarray of intp
            One of the `batches`.

        Returns
        -------
        mapping of str to (m,) ndarray
            Values of the method's columns by name, and of ``warning_flags``.
        """
        ...


class Method(Protocol):
    """A method of measuring fluxes at given positions."""

    @property
    def name(self) -> str:
        """Name by which settings select it, such as ``'aperture'``."""
        ...

    @property
    def uses(self) -> frozenset[str]:
        """Optional arguments of `bind` that it uses: ``'correction'``, ``'psf'``, ``'matching'``.

        Only a method that names the last one is bound with it, a `PSFMatching` or None.
        """
        ...

    def columns(self) -> Sequence[Column]:
        """Return the definitions of the method's output columns, fluxes in nJy."""
        ...

    def reach(self, exposure: Exposure) -> float:
        """Return the largest radius at which the PSF is evaluated.

        Parameters
        ----------
        exposure : Exposure
            The image.

        Returns
        -------
        float
            Pixels.
        """
        ...

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
        n_threads: int = 1,
    ) -> BoundMethod:
        """Prepare the measurement of sources on an exposure.

        Parameters
        ----------
        exposure : Exposure
            The image.
        sources : Sources
            n sources, with the properties that the catalog has beside positions.
        x, y : (n,) ndarray of float64
            0-indexed pixel positions, NaN where a source has none.
        area : (ny, nx) ndarray, optional
            Relative pixel area; 1 everywhere if not given.
        psf : PSF, optional
            The PSF on pixels, for methods that fit it.
        correction : Correction, optional
            Encircled-energy fractions, for methods that sum pixels.
        n_threads : int
            Number of threads of the preparation.

        Returns
        -------
        BoundMethod

        Raises
        ------
        ValueError
            The parameters of the method are not valid for this image.
        """
        ...
