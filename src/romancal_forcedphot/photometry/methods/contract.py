"""What a way to measure a flux must offer.

A `Method` holds parameters. Bound to an exposure and its sources it becomes a `BoundMethod`, which
does what all sources share once (grouping, a sky model, an image without neighbours), names batches
of rows, and measures each batch independently of the others: `photometry.measure` runs them on
threads. The background belongs to the method.
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
        """(n,) int32 ``warning_flags`` of the rows that are in no batch."""
        ...

    def batches(self) -> Iterator[NDArray]:
        """Yield arrays of row indices (intp) that are measured together; each row at most once."""
        ...

    def measure(self, rows: NDArray) -> Mapping[str, NDArray]:
        """Measure one batch.

        Parameters
        ----------
        rows : (m,) ndarray of intp
            One of `batches`.

        Returns
        -------
        mapping of str to (m,) ndarray
            Values of the method's columns, and of ``warning_flags``.
        """
        ...


class Method(Protocol):
    """A way to measure fluxes at given positions."""

    @property
    def name(self) -> str:
        """Name by which settings choose it, such as ``'aperture'``."""
        ...

    @property
    def uses(self) -> frozenset[str]:
        """What `bind` has a use for: ``'correction'``, ``'psf'``, both or neither."""
        ...

    def columns(self) -> Sequence[Column]:
        """Return the output columns of the method, fluxes in nJy."""
        ...

    def reach(self, exposure: Exposure) -> float:
        """Return how far from a source in pixels the method needs to know the PSF."""
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
            n sources, with whatever the catalog tells beside positions.
        x, y : (n,) ndarray of float64
            0-indexed pixel positions, NaN where a source cannot be placed.
        area : (ny, nx) ndarray, optional
            Relative pixel area; 1 everywhere if not given.
        psf : PSF, optional
            The PSF on pixels, for methods that fit it.
        correction : Correction, optional
            Encircled-energy fractions, for methods that sum pixels.
        n_threads : int
            Threads for the preparation.

        Returns
        -------
        BoundMethod
        """
        ...
