"""Apertures on the image without neighbours: what the neighbours' flux errors add.

An aperture sum on the image less all other fitted sources is ``T = Σ w (d - Σ_l f_l P_l)`` over its
pixels and the other sources l. The fluxes f come from the same pixels, so their errors are not
independent of the sum's. With the covariance S of all fluxes, the light ``c_l = Σ w P_l`` of unit
fluxes in the aperture, and c' = c but 0 for the source k itself, least squares make it ::

    var(T) = Σ w² σ² - c' S c' - 2 c_k (S c')_k

The second term is the noise that the neighbours' fluxes take away with them, the third what they
confuse with the source's own light: it is negative covariances that it counts. No such sum knows
the flux better than the fit does: var(T) is at least ``c_k² S_kk``.

The fit has a smooth σ², the sum of an aperture the errors of its pixels. So it is the ratio of
var(T) to the first term that is taken from the fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from .block_inverse import inverse_by_blocks
from .equations import TileEquations
from .fluxes import FluxFit
from .windows import Window

__all__ = ["NeighborErrors"]

_HALO_PIX = 12.0


@dataclass(frozen=True, eq=False)
class NeighborErrors:
    """The errors of all fluxes that matter to apertures around k sources.

    Attributes
    ----------
    fit : FluxFit
        All fluxes of an image.
    rows : (k,) ndarray of intp
        The sources.
    measured : (j,) ndarray of intp
        Which of the k have a flux.
    place : (j,) ndarray of intp
        Where each of these is among the sources of the equations.
    equations : TileEquations
        Of the m sources that matter.
    covariance : (m, m) csr_array
        Of their fluxes, in the units of the fit.
    """

    fit: FluxFit
    rows: NDArray[np.intp]
    measured: NDArray[np.intp]
    place: NDArray[np.intp]
    equations: TileEquations
    covariance: csr_array

    @classmethod
    def around(cls, fit: FluxFit, rows: NDArray[np.intp], reach: int) -> NeighborErrors | None:
        """Find them for apertures that reach some pixels far, None where no source has a flux.

        Sources that lie together, and many of them at once, save time.
        """
        measured = np.flatnonzero(fit.is_measured[rows])
        if not measured.size:
            return None
        own = fit.unknowns.of_source[rows[measured]]
        near = _near(fit, own, reach)
        half_size = fit.estimate.half_size[near]
        profiles = fit.of_unknowns
        window = Window.around(
            np.append(profiles.x[near], fit.profiles.x[rows]),
            np.append(profiles.y[near], fit.profiles.y[rows]),
            np.append(half_size, np.full(rows.size, reach)),
        )
        weight, _, _ = fit.image.pixels(window, fit.estimate)
        equations = TileEquations.of(profiles, near, half_size, window, weight)
        covariance = inverse_by_blocks(equations.approximate_matrix(), equations.x, equations.y)
        order = np.argsort(near)
        place = order[np.searchsorted(near[order], own)]
        return cls(fit, rows, measured, place, equations, covariance)

    def variance(self, weights: NDArray, of_pixels: NDArray) -> NDArray:
        """Return the variance of aperture sums from which other sources were subtracted.

        Parameters
        ----------
        weights : (k, s, s) ndarray
            Weight of each pixel in a source's sum of light, 0 where a pixel is not used, on stamps
            of odd side s that are centred on pixel (rint(y), rint(x)).
        of_pixels : (k,) ndarray of float64
            Variance of the sums if nothing is subtracted, in (units of the image times pixels)².

        Returns
        -------
        (k,) ndarray of float64
            That of sources without a flux as it was.
        """
        sums = self._sums(weights[self.measured])
        caught = (sums @ self.equations.stamps.T).tocsr()
        n_own = self.place.size
        by_source = csr_array(
            (np.ones(n_own, np.float32), self.place, np.arange(n_own + 1)), shape=caught.shape
        )
        of_own = _row_sums(caught.multiply(by_source))
        of_others = (caught - caught.multiply(by_source)).tocsr()
        spread = (of_others @ self.covariance).tocsr()
        taken = _row_sums(spread.multiply(of_others))
        confused = _row_sums(spread.multiply(by_source))
        first_term = self._of_pixels(sums)
        least = of_own**2 * self.covariance.diagonal()[self.place]
        ratio = np.maximum(first_term - taken - 2 * of_own * confused, least) / first_term
        variance = np.array(of_pixels, dtype=np.float64)
        variance[self.measured] *= ratio
        variance[self.measured] += (of_own * self._unknown_share) ** 2
        return variance

    @property
    def _unknown_share(self) -> NDArray:
        """(j,) fluxes that sources share, which may be those of others."""
        of_source = self.fit.unknowns.of_source[self.rows[self.measured]]
        is_shared = self.fit.unknowns.n_sources[of_source] > 1
        return np.where(is_shared, self.fit.scale * self.fit.estimate.flux[of_source], 0.0)

    def _of_pixels(self, sums: csr_array) -> NDArray:
        """Return the variance (j,) of sums as the fit knows that of pixels, never 0."""
        weight = self.equations.weight
        variance = np.divide(1, weight, out=np.zeros_like(weight), where=weight > 0)
        squares = csr_array((sums.data**2, sums.indices, sums.indptr), shape=sums.shape)
        return np.maximum((squares @ variance).astype(np.float64), np.finfo(np.float32).tiny)

    def _sums(self, weights: NDArray) -> csr_array:
        """Return the weights (j, p) on the pixels of the window."""
        rows, side = self.rows[self.measured], weights.shape[-1]
        offset = np.arange(side) - side // 2
        row, column = (
            np.rint(at[rows]).astype(np.intp)[:, None, None]
            for at in (self.fit.profiles.y, self.fit.profiles.x)
        )
        window = self.equations.window
        pixel = window.index(row + offset[:, None], column + offset).reshape(-1)
        indptr = np.arange(rows.size + 1) * side * side
        data = weights.reshape(-1).astype(np.float32)
        return csr_array((data, pixel, indptr), shape=(rows.size, window.n_pixels))


def _row_sums(matrix: csr_array) -> NDArray[np.float64]:
    return np.asarray(matrix.sum(axis=1), dtype=np.float64).ravel()


def _near(fit: FluxFit, own: NDArray[np.intp], reach: int) -> NDArray[np.intp]:
    """Return the unknowns whose fluxes matter to apertures of some, sorted for the equations."""
    x, y = fit.of_unknowns.x, fit.of_unknowns.y
    margin = reach + _HALO_PIX
    inside = fit.estimate.is_fitted.copy()
    for at in (x, y):
        inside &= (at > at[own].min() - margin) & (at < at[own].max() + margin)
    near = np.flatnonzero(inside)
    half_size = fit.estimate.half_size[near]
    core = np.minimum(half_size, fit.of_unknowns.core_half_size[near])
    return near[np.lexsort((core, half_size))]
