"""Apertures on the image without neighbours: what the neighbours' flux errors add.

An aperture sum on the image less all other fitted sources is ``T = Σ w (d - Σ_l f_l P_l)`` over its
pixels and the other sources l. The fluxes f come from the same pixels, so their errors are not
independent of the sum's. With the covariance S of all fluxes, the light ``c_l = Σ w P_l`` of unit
fluxes in the aperture, and c' = c but 0 for the source k itself, least squares make it ::

    var(T) = Σ w² σ² - c' S c' - 2 c_k (S c')_k

The second term is the noise that the neighbours' fluxes take away with them, the third what they
confuse with the source's own light: it is negative covariances that it counts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from .block_inverse import inverse_by_blocks
from .equations import TileEquations
from .fluxes import FluxFit
from .windows import Window

__all__ = ["variance_by_neighbors"]

_HALO_PIX = 12.0


def variance_by_neighbors(fit: FluxFit, rows: NDArray[np.intp], weights: NDArray) -> NDArray:
    """Return what subtracting its neighbours adds to the variance of each aperture sum.

    Parameters
    ----------
    fit : FluxFit
        All fluxes of an image.
    rows : (k,) ndarray of intp
        Sources; neighbours of each other if many.
    weights : (k, s, s) ndarray
        Weight of each pixel in a source's sum of light, 0 where a pixel is not used, on stamps of
        odd side s that are centred on pixel (rint(y), rint(x)).

    Returns
    -------
    (k,) ndarray of float64
        In (units of the image times pixels)²; it can be negative. 0 for sources that are not
        measured.
    """
    variance = np.zeros(rows.size)
    measured = np.flatnonzero(fit.is_measured[rows])
    if not measured.size:
        return variance
    own = fit.unknowns.of_source[rows[measured]]
    near = _near(fit, own, weights.shape[-1])
    half_size = fit.estimate.half_size[near]
    profiles = fit.of_unknowns
    reach = np.full(own.size, weights.shape[-1] // 2)
    window = Window.around(
        np.append(profiles.x[near], profiles.x[own]),
        np.append(profiles.y[near], profiles.y[own]),
        np.append(half_size, reach + 1),
    )
    weight, _, _ = fit.image.pixels(window, fit.estimate)
    equations = TileEquations.of(profiles, near, half_size, window, weight)
    covariance = inverse_by_blocks(equations.approximate_matrix(), equations.x, equations.y)
    sums = _weight_matrix(fit, rows[measured], weights[measured], window)
    caught = (sums @ equations.stamps.T).tocsr()
    place = np.argsort(near)[np.searchsorted(np.sort(near), own)]
    by_source = csr_array(
        (np.ones(own.size, np.float32), place, np.arange(own.size + 1)), shape=caught.shape
    )
    of_own = np.asarray(caught.multiply(by_source).sum(axis=1)).ravel()
    of_others = (caught - caught.multiply(by_source)).tocsr()
    spread = (of_others @ covariance).tocsr()
    taken = np.asarray(spread.multiply(of_others).sum(axis=1)).ravel()
    confused = np.asarray(spread.multiply(by_source).sum(axis=1)).ravel()
    variance[measured] = -taken - 2 * of_own * confused
    return fit.scale**2 * variance


def _near(fit: FluxFit, own: NDArray[np.intp], side: int) -> NDArray[np.intp]:
    """Return the unknowns whose fluxes matter to apertures of some, sorted for the equations."""
    x, y = fit.of_unknowns.x, fit.of_unknowns.y
    margin = side / 2 + _HALO_PIX
    inside = fit.estimate.is_fitted.copy()
    for at in (x, y):
        inside &= (at > at[own].min() - margin) & (at < at[own].max() + margin)
    near = np.flatnonzero(inside)
    half_size = fit.estimate.half_size[near]
    core = np.minimum(half_size, fit.of_unknowns.core_half_size[near])
    return near[np.lexsort((core, half_size))]


def _weight_matrix(
    fit: FluxFit, rows: NDArray[np.intp], weights: NDArray, window: Window
) -> csr_array:
    """Return the weights of sums (k, p) on the pixels of a window."""
    side = weights.shape[-1]
    offset = np.arange(side) - side // 2
    row = np.rint(fit.profiles.y[rows]).astype(np.intp)[:, None, None] + offset[:, None]
    column = np.rint(fit.profiles.x[rows]).astype(np.intp)[:, None, None] + offset
    pixel = window.index(row, column).reshape(-1)
    indptr = np.arange(rows.size + 1) * side * side
    data = weights.reshape(-1).astype(np.float32)
    return csr_array((data, pixel, indptr), shape=(rows.size, window.n_pixels))
