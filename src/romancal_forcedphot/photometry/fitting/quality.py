"""How well each source is fitted, and by how much its surroundings matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from .image import Estimate, FitImage
from .parallel import in_order
from .profiles import Profiles
from .stamps import inner_stamps, stamp_matrix
from .tiles import Tile, tiles_of
from .windows import Window

__all__ = ["Quality", "quality_of"]

_BLEND_HALF_SIZE = 1  # pixels: the core is 3 by 3


@dataclass(frozen=True, eq=False)
class Quality:
    """Measures of m unknowns, NaN for those that are not fitted.

    The fitted pixels are those of a source's core (`Profiles.core_half_size`, or the whole stamp
    where that is smaller): what lies farther out belongs to other sources as much.

    Attributes
    ----------
    chi2 : (m,) ndarray of float64
        Reduced χ² of the fitted pixels: the sum of squared residuals over their variances, by what
        it would be in the mean if model and variances were right. Each fitted flux takes 1 from
        the number of pixels, spread over them as its information is.
    gof : (m,) ndarray of float64
        The same with each pixel weighted by the source's profile.
    blend : (m,) ndarray of float64
        Share of the fitted light in the middle 3 by 3 pixels that is others', 0 to 1.
    nea : (m,) ndarray of float64
        Noise-equivalent area 1/ΣP² in pixels, all pixels counted.
    usable_light : (m,) ndarray of float64
        Share of the core's light that falls on usable pixels.
    n_pixels : (m,) ndarray of float64
        Usable pixels of the core.
    """

    chi2: NDArray
    gof: NDArray
    blend: NDArray
    nea: NDArray
    usable_light: NDArray
    n_pixels: NDArray


def quality_of(
    image: FitImage, profiles: Profiles, estimate: Estimate, n_threads: int = 1
) -> Quality:
    """Return the quality of a finished fit."""
    columns = np.full((6, profiles.x.size), np.nan)
    core = np.minimum(estimate.half_size, profiles.core_half_size)
    tiles: Sequence[Tile] = tiles_of(profiles, core)
    of_tile = partial(_tile_quality, image, profiles, estimate, core)
    for rows, values in in_order(of_tile, tiles, n_threads):
        columns[:, rows] = values
    return Quality(*columns)


def _tile_quality(
    image: FitImage,
    profiles: Profiles,
    estimate: Estimate,
    core: NDArray[np.intp],
    tile: Tile,
) -> tuple[NDArray[np.intp], NDArray]:
    rows, half_size = tile.rows, core[tile.rows]
    window = Window.around(profiles.x[rows], profiles.y[rows], half_size)
    weight, residual, _ = image.pixels(window, estimate)
    usable = (weight > 0).astype(np.float32)
    stamps = stamp_matrix(profiles, rows, half_size, window)
    squares = _with_data(stamps, stamps.data**2)
    # What each pixel loses to the fluxes that are fitted to it.
    fitted = (squares.T @ (1 / estimate.diagonal[rows]).astype(np.float32)) * weight
    free = usable * np.clip(1 - fitted, 0.0, 1.0)
    own = np.flatnonzero(tile.is_own)
    stamps, squares, rows, half_size = stamps[own], squares[own], rows[own], half_size[own]
    ones = _with_data(stamps, np.ones_like(stamps.data))
    squared = weight * residual**2
    chi2, gof = (_ratio(kind @ squared, kind @ free) for kind in (ones, stamps))
    flux = estimate.flux[rows]
    middle = np.minimum(_BLEND_HALF_SIZE, half_size)
    model = window.cut(estimate.model).ravel()
    light = stamps.sum(axis=1)
    values = chi2, gof, _blend(inner_stamps(stamps, half_size, middle), flux, model)
    more = 1 / squares.sum(axis=1), stamps @ usable / light, ones @ usable
    return rows, np.array([*values, *more])


def _with_data(matrix: csr_array, data: NDArray) -> csr_array:
    return csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def _ratio(squares: NDArray, expected: NDArray) -> NDArray:
    """Return sums of squares by their expected values; NaN where nothing is left to expect."""
    enough = expected > 1e-3
    return np.divide(squares, expected, out=np.full(squares.shape, np.nan), where=enough)


def _blend(middle: csr_array, flux: NDArray, model: NDArray) -> NDArray:
    """Return the share of others in the light of the middle pixels."""
    own = np.maximum(flux, 0.0) * middle.sum(axis=1)
    everything = _with_data(middle, np.ones_like(middle.data)) @ model
    others = np.maximum(everything - flux * middle.sum(axis=1), 0.0)
    total = own + others
    return np.divide(others, total, out=np.zeros_like(total), where=total > 0)
