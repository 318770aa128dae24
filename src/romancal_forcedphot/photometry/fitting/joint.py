"""All fluxes of an image and its sky at once, by linear least squares.

The model of the image is ``d_i = Σ_k f_k P_ki / a_i + sky_i`` with fluxes f, profiles P on pixels
(see `profiles`), relative pixel areas a and the sky (see `sky`). Fluxes, sky, weights and the sizes
of stamps depend on each other and are improved in turns:

1. small stamps, a sky from the image as it is, weights of the sky's noise: rough fluxes;
2. stamps of the size that these fluxes ask for, weights from the model: better fluxes; twice;
3. with stamps and weights as they are now, until fluxes and sky rest.
"""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .far_wings import BLOCK_PIX, far_wings
from .image import Estimate, FitImage
from .kept_stamps import KeptStamps
from .mesh import Mesh
from .participants import Participants, find_participants, invited
from .profiles import Profiles
from .rounds import improved, roughly_improved, with_model
from .sky import Sky, followed
from .stamp_sizes import stamp_half_sizes
from .tiles import tiles_of

__all__ = ["solve_jointly"]

log = logging.getLogger(f"romancal.{__name__}")

_ROUGH_ITERATIONS = 25
_FIRST_TOLERANCES = (0.1, 0.001)  # of the equations, in standard errors; in the rounds of step 2
_TOLERANCE = 0.001
_FAR_WINGS_ROUNDS = 2  # later the fluxes that they follow hardly change
_AT_REST = 0.015  # change of the thousandth flux that changes most, in standard errors
_MOST_ROUNDS = 10


def solve_jointly(
    image: FitImage, profiles: Profiles, sky: Sky, *, n_threads: int = 1
) -> tuple[Estimate, Profiles]:
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
    Profiles
        Those given, with stamps that need not be evaluated again.
    """
    estimate = Estimate.nothing(profiles.x.size, image.shape)
    participants = find_participants(image, profiles, n_threads)
    blocks = Mesh.over(image.shape, BLOCK_PIX)
    if not participants.own_half_size.any():
        return sky.corrected(image, profiles, estimate, n_threads), profiles
    estimate = replace(estimate, is_guest=participants.is_guest)
    kept = KeptStamps.of(profiles).with_sizes(participants.own_half_size, n_threads)
    solved = estimate = _rough_start(image, kept, estimate, participants, sky, n_threads)
    for n_round in range(_MOST_ROUNDS):
        if n_round < len(_FIRST_TOLERANCES):
            if n_round == 1:
                estimate = followed(estimate, solved, n_threads)
                estimate = invited(image, kept, estimate, participants, n_threads)
            estimate, is_crowded = _with_half_sizes(
                image, kept, estimate, participants, blocks, n_threads
            )
            kept = kept.with_sizes(estimate.half_size, n_threads)
            tiles, inverses = tiles_of(kept, estimate.half_size), None
            estimate = with_model(kept, estimate, tiles, n_threads)
            estimate = image.weighted(estimate, n_threads)
            tolerance, start = _FIRST_TOLERANCES[n_round], estimate
        solved, inverses = improved(
            image, kept, start, tiles, inverses, tolerance=tolerance, n_threads=n_threads
        )
        change = ((solved.flux - estimate.flux) / solved.err)[solved.is_fitted]
        if n_round < _FAR_WINGS_ROUNDS:
            solved = _with_far_wings(image, kept, solved, blocks, is_crowded, n_threads)
        estimate = sky.corrected(image, kept, solved, n_threads)
        # Fluxes follow the sky by an estimate; what is solved next begins where they were solved.
        tolerance, start = _TOLERANCE, replace(estimate, flux=solved.flux)
        changes = np.quantile(abs(change), [0.5, 0.999, 1.0])
        log.debug("Round %d: fluxes change by %.2g, %.2g, %.2g sigma", n_round + 1, *changes)
        if n_round >= len(_FIRST_TOLERANCES) and changes[1] < _AT_REST:
            break
    else:
        log.warning("A thousandth of the fluxes still changes by %.2g sigma", changes[1])
    return followed(estimate, solved, n_threads), kept


def _rough_start(
    image: FitImage,
    profiles: Profiles,
    estimate: Estimate,
    participants: Participants,
    sky: Sky,
    n_threads: int,
) -> Estimate:
    """Return an estimate good enough for the sizes of stamps."""
    half_size = participants.own_half_size
    estimate = replace(estimate, half_size=half_size)
    estimate = sky.corrected(image, profiles, estimate, n_threads)
    estimate = image.weighted(estimate, n_threads)
    tiles = tiles_of(profiles, half_size)
    estimate = roughly_improved(
        image, profiles, estimate, tiles, n_iterations=_ROUGH_ITERATIONS, n_threads=n_threads
    )
    return sky.corrected(image, profiles, estimate, n_threads)


def _with_half_sizes(
    image: FitImage,
    profiles: Profiles,
    estimate: Estimate,
    participants: Participants,
    blocks: Mesh,
    n_threads: int,
) -> tuple[Estimate, NDArray[np.bool_]]:
    """Return an estimate with half sizes that its fluxes ask for, and the crowded blocks.

    Its model is still that of the stamps before.
    """
    half_size, is_crowded = stamp_half_sizes(
        image, profiles, estimate, participants, blocks, n_threads
    )
    flux = np.where(half_size > 0, estimate.flux, 0.0)
    response = np.where(half_size > 0, estimate.response, 0.0)
    estimate = replace(estimate, half_size=half_size, flux=flux, response=response)
    if is_crowded.any():
        beyond = far_wings(
            profiles, estimate.flux, half_size, blocks, is_crowded, n_threads=n_threads
        )
        estimate = replace(estimate, far_wings=beyond)
    return estimate, is_crowded


def _with_far_wings(
    image: FitImage,
    profiles: Profiles,
    estimate: Estimate,
    blocks: Mesh,
    is_crowded: NDArray[np.bool_],
    n_threads: int,
) -> Estimate:
    """Return an estimate with the far wings of its fluxes, and fluxes that make room for them."""
    if not is_crowded.any():
        return estimate
    beyond = far_wings(
        profiles, estimate.flux, estimate.half_size, blocks, is_crowded, n_threads=n_threads
    )
    more = beyond - estimate.far_wings
    pixel = tuple(
        np.clip(np.rint(at).astype(np.intp), 0, n - 1)
        for at, n in zip((profiles.y, profiles.x), image.shape, strict=True)
    )
    flux = estimate.flux - estimate.response * image.surface(more)[pixel]
    model = estimate.model + more - estimate.absorbed * image.surface(more)
    return replace(estimate, flux=flux, model=model, far_wings=beyond)
