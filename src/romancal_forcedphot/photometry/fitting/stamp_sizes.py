"""Which sources are fitted, and how far their stamps reach.

A stamp ends where the light of its source falls below a tenth of the noise of a pixel (a fifth
where many stamps overlap and `far_wings` has what lies beyond): wings are most of what a bright
star does to its neighbours.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from .far_wings import crowded_blocks
from .image import Estimate, FitImage
from .mesh import Mesh
from .parallel import in_order
from .profiles import Profiles
from .stamps import rounded_up, stamp_matrix
from .tiles import Tile, tiles_of
from .windows import Window

__all__ = ["first_half_sizes", "stamp_half_sizes"]

_FAINT_HALF_SIZE = 5
_WIDER_HALF_SIZES = (5, 12, 24)  # tried where pixels may not be used
_LEAST_LIGHT = 0.1  # of a source, on pixels that may be used
_BEYOND_EDGE_PIX = 3.0

_LIGHT_IN_NOISE = 0.1
_LIGHT_IN_NOISE_CROWDED = 0.2
_NOISE_CELL_PIX = 64.0
_SAME_STAMP_PIX = 0.3


def first_half_sizes(image: FitImage, profiles: Profiles, n_threads: int) -> NDArray[np.intp]:
    """Return the half sizes (m,) of stamps for faint sources, 0 for those that are not fitted.

    A source is fitted if a tenth of its light falls on pixels that may be used. Where its core is
    masked (the star is saturated, say) its stamp is as large as that takes.
    """
    half_size = np.zeros(profiles.x.size, dtype=np.intp)
    pending = _near(image.shape, profiles)
    whole = _is_whole(image, profiles, pending)
    half_size[pending[whole]] = min(_FAINT_HALF_SIZE, profiles.largest_half_size)
    pending = pending[~whole]
    usable = np.isfinite(image.data).astype(np.float32)
    for wider in _WIDER_HALF_SIZES:
        trial = np.zeros_like(half_size)
        trial[pending] = min(wider, profiles.largest_half_size)
        light = partial(_usable_light, profiles, trial, usable)
        for rows, caught in in_order(light, tiles_of(profiles, trial), n_threads):
            enough = rows[caught >= _LEAST_LIGHT]
            half_size[enough] = trial[enough]
        pending = pending[half_size[pending] == 0]
    return half_size


def _near(shape: tuple[int, int], profiles: Profiles) -> NDArray[np.intp]:
    """Return the sources on the image or just beyond its edge."""
    ny, nx = shape
    margin = _BEYOND_EDGE_PIX
    near_x = (profiles.x > -margin) & (profiles.x < nx - 1 + margin)
    return np.flatnonzero(near_x & (profiles.y > -margin) & (profiles.y < ny - 1 + margin))


def _is_whole(image: FitImage, profiles: Profiles, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return of which sources all pixels of the smallest stamp may be used."""
    counts = np.cumsum(np.cumsum(np.isfinite(image.data), axis=0, dtype=np.int32), axis=1)
    counts = np.pad(counts, ((1, 0), (1, 0)))
    half = _FAINT_HALF_SIZE
    row, column = (np.rint(at[rows]).astype(np.intp) for at in (profiles.y, profiles.x))
    bottom, top = (np.clip(row + k, 0, image.shape[0]) for k in (-half, half + 1))
    left, right = (np.clip(column + k, 0, image.shape[1]) for k in (-half, half + 1))
    inside = counts[top, right] - counts[bottom, right] - counts[top, left] + counts[bottom, left]
    return inside == (2 * half + 1) ** 2


def _usable_light(
    profiles: Profiles, half_size: NDArray[np.intp], usable: NDArray[np.float32], tile: Tile
) -> tuple[NDArray[np.intp], NDArray]:
    """Return a tile's own sources and their light in the stamp on usable pixels."""
    rows = tile.rows[tile.is_own]
    window = Window.around(profiles.x[rows], profiles.y[rows], half_size[rows])
    stamps = stamp_matrix(profiles, rows, half_size[rows], window)
    return rows, stamps @ window.cut(usable).ravel()


def stamp_half_sizes(
    image: FitImage,
    profiles: Profiles,
    estimate: Estimate,
    first: NDArray[np.intp],
    blocks: Mesh,
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return the half sizes of stamps for sources of about known fluxes.

    Parameters
    ----------
    image : FitImage
        The image.
    profiles : Profiles
        Of m unknowns.
    estimate : Estimate
        Their fluxes.
    first : (m,) ndarray of intp
        Their `first_half_sizes`, below which none goes.
    blocks : Mesh
        Blocks of the image for `far_wings`.

    Returns
    -------
    half_size : (m,) ndarray of intp
        0 for those that are not fitted. Sources that nearly coincide have the same.
    is_crowded : (r, c) ndarray of bool
        Blocks in which stamps are smaller, because `far_wings` are to have the rest.
    """
    noise = _noise_at(image, profiles, estimate)
    half_size = _half_sizes(profiles, estimate.flux, noise * _LIGHT_IN_NOISE, first)
    is_crowded = crowded_blocks(blocks, profiles.x, profiles.y, half_size)
    smaller = is_crowded[blocks.cell_of(profiles.x, profiles.y)]
    if smaller.any():
        limit = np.where(smaller, _LIGHT_IN_NOISE_CROWDED, _LIGHT_IN_NOISE)
        half_size = _half_sizes(profiles, estimate.flux, noise * limit, first)
    return half_size, is_crowded


def _noise_at(image: FitImage, profiles: Profiles, estimate: Estimate) -> NDArray:
    """Return the standard deviation of light on the typical pixel around each source."""
    mesh = Mesh.over(image.shape, _NOISE_CELL_PIX)
    level = image.level(estimate)
    level[np.isnan(image.data)] = np.nan
    variance = image.variance(np.nan_to_num(mesh.medians(level)[0]))
    return np.sqrt(mesh.at(variance, profiles.x, profiles.y))


def _half_sizes(
    profiles: Profiles, flux: NDArray, light: NDArray, first: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Return where sources fall below some light on a pixel."""
    fraction = np.divide(light, flux, out=np.full(flux.shape, np.inf), where=flux > 0)
    half_size = np.maximum(profiles.half_sizes(fraction), first)
    half_size = np.where(first > 0, rounded_up(half_size, profiles.largest_half_size), 0)
    fitted = np.flatnonzero(first > 0)
    if fitted.size:
        places = np.column_stack([profiles.x[fitted], profiles.y[fitted]])
        pairs = fitted[cKDTree(places).query_pairs(_SAME_STAMP_PIX, output_type="ndarray")]
        larger = half_size[pairs].max(axis=1)
        for of_pair in pairs.T:
            np.maximum.at(half_size, of_pair, larger)
    return half_size
