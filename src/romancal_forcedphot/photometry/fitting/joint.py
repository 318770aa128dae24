"""All fluxes of an image and its sky at once, by linear least squares.

The model of the image is ``d_i = Σ_k f_k P_ki / a_i + sky_i`` with fluxes f, profiles P on pixels
(see `profiles`), relative pixel areas a and the sky (see `sky`). Fluxes, sky, weights and the sizes
of stamps depend on each other and are improved in turns:

1. small stamps, a sky from the image as it is, weights of the sky's noise: rough fluxes;
2. stamps of the size that these fluxes ask for, weights from the model: good fluxes; twice;
3. with stamps and weights as they are now, until fluxes and sky rest.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .far_wings import BLOCK_PIX, far_wings
from .image import Estimate, FitImage
from .mesh import Mesh
from .profiles import Profiles
from .rounds import first_fluxes, improved, with_model
from .sky import Sky
from .stamp_sizes import first_half_sizes, stamp_half_sizes
from .tiles import tiles_of

__all__ = ["solve_jointly"]

log = logging.getLogger(f"romancal.{__name__}")

_TOLERANCES = (0.1, 0.01)  # of the rounds in which stamps and weights still change
_LAST_TOLERANCE = 0.005
_AT_REST = 0.02  # largest change in a round, in standard errors
_MOST_ROUNDS = 10


def solve_jointly(image: FitImage, profiles: Profiles, sky: Sky, *, n_threads: int = 1) -> Estimate:
    """Fit all fluxes and the sky of an image.

    Parameters
    ----------
    image : FitImage
        The image, in units in which numbers around 1 are usual.
    profiles : Profiles
        Of m unknowns that can be told apart (see `unknowns`), at finite positions.
    sky : Sky
        How the sky is estimated.
    n_threads : int
        Threads over tiles. The numbers are the same for any.

    Returns
    -------
    Estimate
        Fluxes with their errors, the sky, and the model of the image.
    """
    estimate = Estimate.nothing(profiles.x.size, image.shape)
    first = first_half_sizes(image, profiles, n_threads)
    estimate = sky.corrected(image, profiles, replace(estimate, half_size=first))
    estimate = replace(estimate, level=image.level(estimate))
    estimate = first_fluxes(image, profiles, estimate, tiles_of(profiles, first), n_threads)
    estimate = sky.corrected(image, profiles, estimate)
    blocks = Mesh.over(image.shape, BLOCK_PIX)
    inverses = []
    for n_round in range(_MOST_ROUNDS):
        if n_round < len(_TOLERANCES):
            half_size, is_crowded = stamp_half_sizes(image, profiles, estimate, first, blocks)
            estimate = replace(estimate, half_size=half_size, level=image.level(estimate))
            tiles = tiles_of(profiles, half_size)
            inverses = [None] * len(tiles)
            tolerance = _TOLERANCES[n_round]
        else:
            tolerance = _LAST_TOLERANCE
        if n_round == 0:
            estimate = with_model(profiles, estimate, tiles, n_threads)
            estimate = _with_far_wings(profiles, estimate, blocks, is_crowded, n_threads)
        estimate, inverses, largest = improved(
            image, profiles, estimate, tiles, inverses, tolerance=tolerance, n_threads=n_threads
        )
        estimate = _with_far_wings(profiles, estimate, blocks, is_crowded, n_threads)
        estimate = sky.corrected(image, profiles, estimate)
        log.debug("Round %d: largest change of a flux %.3g sigma", n_round + 1, largest)
        if n_round >= len(_TOLERANCES) and largest < _AT_REST:
            break
    else:
        log.warning("Fluxes still change by %.2g sigma after %d rounds", largest, _MOST_ROUNDS)
    return estimate


def _with_far_wings(
    profiles: Profiles,
    estimate: Estimate,
    blocks: Mesh,
    is_crowded: NDArray[np.bool_],
    n_threads: int,
) -> Estimate:
    """Return an estimate whose model has the light beyond stamps too, where it adds up."""
    if not is_crowded.any():
        return estimate
    beyond = far_wings(
        profiles, estimate.flux, estimate.half_size, blocks, is_crowded, n_threads=n_threads
    )
    return replace(estimate, model=estimate.model + beyond)
