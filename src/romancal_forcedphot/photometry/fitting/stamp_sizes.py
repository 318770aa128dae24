"""How far the stamps of sources reach.

A stamp ends where the light of its source falls below a tenth of the noise of a pixel (a fifth
where many stamps overlap and `far_wings` has what lies beyond): wings are most of what a bright
star does to its neighbours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from .far_wings import crowded_blocks
from .image import Estimate, FitImage
from .mesh import Mesh, Strip
from .parallel import in_order
from .participants import Participants
from .profiles import Profiles
from .stamps import rounded_up

__all__ = ["stamp_half_sizes"]

_LIGHT_IN_NOISE = 0.1
_LIGHT_IN_NOISE_CROWDED = 0.2
_NOISE_CELL_PIX = 64.0
_SAME_STAMP_PIX = 0.3


def stamp_half_sizes(
    image: FitImage,
    profiles: Profiles,
    estimate: Estimate,
    participants: Participants,
    blocks: Mesh,
    n_threads: int = 1,
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
    participants : Participants
        Which of them take part.
    blocks : Mesh
        Blocks of the image for `far_wings`.
    n_threads : int
        Threads over strips of the image.

    Returns
    -------
    half_size : (m,) ndarray of intp
        0 for those that are not fitted. Sources that nearly coincide have the same.
    is_crowded : (r, c) ndarray of bool
        Blocks in which stamps are smaller, because `far_wings` are to have the rest.
    """
    noise = _noise_at(image, profiles, estimate, n_threads)
    half_size = _half_sizes(profiles, estimate, noise * _LIGHT_IN_NOISE, participants)
    is_crowded = crowded_blocks(blocks, profiles.x, profiles.y, half_size)
    smaller = is_crowded[blocks.cell_of(profiles.x, profiles.y)]
    if smaller.any():
        limit = np.where(smaller, _LIGHT_IN_NOISE_CROWDED, _LIGHT_IN_NOISE)
        half_size = _half_sizes(profiles, estimate, noise * limit, participants)
    return half_size, is_crowded


def _noise_at(image: FitImage, profiles: Profiles, estimate: Estimate, n_threads: int) -> NDArray:
    """Return the standard deviation of light on the typical pixel around each source."""
    mesh = Mesh.over(image.shape, _NOISE_CELL_PIX)

    def medians(strip: Strip) -> NDArray:
        level = image.level(estimate, strip.rows)
        level[np.isnan(image.data[strip.rows])] = np.nan
        return strip.mesh.own_medians(level, sparse=True)

    level, _ = mesh.filled(in_order(medians, mesh.strips(), n_threads))
    variance = image.variance(np.nan_to_num(level))
    return np.sqrt(mesh.at(variance, profiles.x, profiles.y))


def _half_sizes(
    profiles: Profiles, estimate: Estimate, light: NDArray, participants: Participants
) -> NDArray[np.intp]:
    """Return where sources fall below some light on a pixel."""
    flux, least = estimate.flux, participants.half_size
    fraction = np.divide(light, flux, out=np.full(flux.shape, np.inf), where=flux > 0)
    half_size = profiles.half_sizes(fraction)
    half_size = rounded_up(np.maximum(half_size, least), profiles.largest_half_size)
    half_size[~estimate.is_fitted] = 0
    fitted = np.flatnonzero(half_size > 0)
    if fitted.size:
        places = np.column_stack([profiles.x[fitted], profiles.y[fitted]])
        pairs = fitted[cKDTree(places).query_pairs(_SAME_STAMP_PIX, output_type="ndarray")]
        larger = half_size[pairs].max(axis=1)
        for of_pair in pairs.T:
            np.maximum.at(half_size, of_pair, larger)
    return half_size
