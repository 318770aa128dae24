"""The normal equations of the sources of one tile.

With the profiles P of the sources (rows) on pixels (columns), weights w = 1/σ² of the pixels and
fluxes f, least squares ask for ::

    N f = P w d,    N = P w Pᵀ

N itself, with the far wings of all bright stars, is never formed: its product with a vector needs P
alone. What is formed is the part of it that decides how the fluxes of neighbours depend on each
other: the overlaps of the stamps' cores, and all of the overlap where two sources nearly coincide.
The approximate inverse of that (see `block_inverse`) is the covariance of the fluxes, and brings
conjugate gradients on the whole of N to rest in a few steps.

A ridge of 10⁻⁶ of the diagonal keeps N from being singular. It changes no flux by more than that
part of itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, diags_array
from scipy.spatial import cKDTree

from .profiles import Profiles
from .stamps import inner_stamps, scaled_columns, stamp_matrix
from .windows import Window

__all__ = ["CLOSE_PIX", "TileEquations"]

CLOSE_PIX = 1.0
"""Sources closer than this nearly coincide."""

_RIDGE = 1e-6


@dataclass(frozen=True, eq=False)
class TileEquations:
    """The normal equations of m sources.

    Attributes
    ----------
    x, y : (m,) ndarray of float64
        Pixel positions.
    half_size, core_half_size : (m,) ndarray of intp
        Half sizes of the stamps and of their cores.
    window : Window
        The p pixels that the stamps lie on.
    stamps : (m, p) csr_array of float32
        The profiles P.
    weight : (p,) ndarray of float32
        The weights w, 0 for pixels that may not be used.
    diagonal : (m,) ndarray of float64
        Of N, without the ridge.
    """

    x: NDArray
    y: NDArray
    half_size: NDArray[np.intp]
    core_half_size: NDArray[np.intp]
    window: Window
    stamps: csr_array
    weight: NDArray[np.float32]
    diagonal: NDArray

    @classmethod
    def of(
        cls,
        profiles: Profiles,
        rows: NDArray[np.intp],
        half_size: NDArray[np.intp],
        window: Window,
        weight: NDArray[np.float32],
    ) -> TileEquations:
        """Set up the equations of some sources, sorted by the half sizes of stamps and cores."""
        stamps = stamp_matrix(profiles, rows, half_size, window)
        squares = csr_array((stamps.data**2, stamps.indices, stamps.indptr), shape=stamps.shape)
        return cls(
            x=profiles.x[rows],
            y=profiles.y[rows],
            half_size=half_size,
            core_half_size=np.minimum(half_size, profiles.core_half_size[rows]),
            window=window,
            stamps=stamps,
            weight=weight,
            diagonal=(squares @ weight).astype(np.float64),
        )

    def sums(self, image: NDArray[np.float32]) -> NDArray:
        """Return the sums (m,) over the pixels (p,) of an image under each profile."""
        return (self.stamps @ image).astype(np.float64)

    def light(self, flux: NDArray) -> NDArray[np.float32]:
        """Return the light (p,) that sources of some fluxes leave on the pixels."""
        return self.stamps.T @ flux.astype(np.float32)

    def right_side(self, weighted: NDArray[np.float32], flux: NDArray) -> NDArray:
        """Return the right side for the step from fluxes that left weighted residuals (p,)."""
        return self.sums(weighted) - _RIDGE * self.diagonal * flux

    def product(self, flux: NDArray) -> NDArray:
        """Return the product of N with a vector."""
        return self.sums(self.weight * self.light(flux)) + _RIDGE * self.diagonal * flux

    def approximate_matrix(self) -> csr_array:
        """Return N (m, m) with what cores and nearly coincident sources have in common."""
        cores = inner_stamps(self.stamps, self.half_size, self.core_half_size)
        normal = scaled_columns(cores, self.weight) @ cores.T
        diagonal = diags_array((1 + _RIDGE) * self.diagonal - normal.diagonal())
        return (normal + diagonal + self._beyond_cores(cores)).tocsr()

    def _beyond_cores(self, cores: csr_array) -> coo_array:
        """Return what the overlaps of nearly coincident sources have beyond their cores."""
        pairs = cKDTree(np.column_stack([self.x, self.y])).query_pairs(
            CLOSE_PIX, output_type="ndarray"
        )
        pairs = pairs[(self.half_size > self.core_half_size)[pairs].any(axis=1)]
        first, second = pairs.T
        more = self._overlaps(self.stamps, first, second) - self._overlaps(cores, first, second)
        places = np.append(first, second), np.append(second, first)
        return coo_array((np.tile(more, 2), places), shape=2 * self.x.shape)

    def _overlaps(self, stamps: csr_array, first: NDArray, second: NDArray) -> NDArray:
        return scaled_columns(stamps[first], self.weight).multiply(stamps[second]).sum(axis=1)
