"""Rounds of the fit: every tile improves its fluxes on the residuals of all.

The equations of a tile are solved with its halo; what the fluxes of other tiles do to it is in the
residuals. What a tile's solution is wrong by, because the others changed at the same time, is in
the residuals of the next round. So where the rounds come to rest does not depend on the tiles.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from .block_inverse import inverse_by_blocks
from .equations import TileEquations
from .image import Estimate, FitImage
from .parallel import in_order
from .profiles import Profiles
from .solver import solve
from .stamps import stamp_matrix
from .tiles import Tile
from .windows import Window

__all__ = ["improved", "roughly_improved", "with_model"]

_MOST_ITERATIONS = 30
_RESPONSE_TOLERANCE = 0.02
_MOST_RESPONSE_ITERATIONS = 4


@dataclass(frozen=True, eq=False)
class _TileResult:
    """What a tile's own sources come out with: arrays (k,), and light on its window."""

    rows: NDArray[np.intp]
    change: NDArray
    err: NDArray
    diagonal: NDArray
    window: Window
    model: NDArray[np.float32]
    response: NDArray | None = None
    absorbed: NDArray[np.float32] | None = None
    inverse: csr_array | None = None


def roughly_improved(
    image: FitImage,
    profiles: Profiles,
    estimate: Estimate,
    tiles: Sequence[Tile],
    *,
    n_iterations: int,
    n_threads: int,
) -> Estimate:
    """Return an estimate with better fluxes, from equations without a good inverse.

    Parameters
    ----------
    image : FitImage
        The image.
    profiles : Profiles
        Of all unknowns.
    estimate : Estimate
        With stamps, and a model of the fluxes that it has.
    tiles : sequence of Tile
        For these stamps.
    n_iterations : int
        Most iterations.
    n_threads : int
        Threads over tiles.

    Returns
    -------
    Estimate
        Fluxes some standard errors from the solution, and errors as if no source had neighbours.
    """
    result = partial(_rough_tile, image, profiles, estimate, n_iterations)
    return _collected(estimate, in_order(result, tiles, n_threads))[0]


def improved(
    image: FitImage,
    profiles: Profiles,
    estimate: Estimate,
    tiles: Sequence[Tile],
    inverses: Sequence[csr_array] | None,
    *,
    tolerance: float,
    n_threads: int,
) -> tuple[Estimate, list[csr_array]]:
    """Return a better estimate.

    Parameters
    ----------
    image, profiles, estimate, tiles, n_threads
        As for `roughly_improved`.
    inverses : sequence of csr_array or None
        The approximate inverse of each tile, from an earlier round with the same stamps and
        weights. None to find them, and with them errors and responses to the sky.
    tolerance : float
        How well the equations of a tile are solved, in standard errors of fluxes.

    Returns
    -------
    estimate : Estimate
    inverses : list of csr_array
        For the next round.
    """
    result = partial(_improved_tile, image, profiles, estimate, tolerance)
    each = [None] * len(tiles) if inverses is None else inverses
    results = in_order(result, list(zip(tiles, each, strict=True)), n_threads)
    return _collected(estimate, results)


def with_model(
    profiles: Profiles, estimate: Estimate, tiles: Sequence[Tile], n_threads: int
) -> Estimate:
    """Return an estimate whose model is that of its fluxes and stamps, and of its far wings."""
    model = estimate.far_wings.copy()
    for window, light in in_order(partial(_tile_light, profiles, estimate), tiles, n_threads):
        window.add_to(model, light)
    return replace(estimate, model=model)


def _collected(
    estimate: Estimate, results: Iterable[_TileResult]
) -> tuple[Estimate, list[csr_array | None]]:
    """Return the estimate that the results of all tiles make, and their inverses."""
    model, absorbed = estimate.far_wings.copy(), np.zeros(estimate.absorbed.shape, np.float32)
    flux, err, diagonal, response = (
        getattr(estimate, name).copy() for name in ("flux", "err", "diagonal", "response")
    )
    inverses = []
    for tile in results:
        tile.window.add_to(model, tile.model)
        flux[tile.rows] += tile.change
        err[tile.rows], diagonal[tile.rows] = tile.err, tile.diagonal
        if tile.response is None:
            absorbed = estimate.absorbed
        else:
            response[tile.rows] = tile.response
            tile.window.add_to(absorbed, tile.absorbed)
        inverses.append(tile.inverse)
    better = {"flux": flux, "err": err, "diagonal": diagonal, "response": response}
    return replace(estimate, model=model, absorbed=absorbed, **better), inverses


def _rough_tile(
    image: FitImage, profiles: Profiles, estimate: Estimate, n_iterations: int, tile: Tile
) -> _TileResult:
    rows = tile.rows
    equations, residual, _ = _equations(image, profiles, estimate, rows)
    diagonal = equations.diagonal
    err = 1 / np.sqrt(diagonal)
    flux = estimate.flux[rows]
    right_side = equations.right_side(residual, flux)
    step = solve(
        equations.product,
        lambda vector: vector / diagonal,
        right_side,
        err,
        tolerance=0.0,
        max_iterations=n_iterations,
    )
    return _result(tile, equations, flux, step, err)


def _improved_tile(
    image: FitImage,
    profiles: Profiles,
    estimate: Estimate,
    tolerance: float,
    tile_and_inverse: tuple[Tile, csr_array | None],
) -> _TileResult:
    tile, inverse = tile_and_inverse
    rows = tile.rows
    equations, residual, area = _equations(image, profiles, estimate, rows)
    is_new = inverse is None
    if is_new:
        inverse = inverse_by_blocks(equations.approximate_matrix(), equations.x, equations.y)

    def approximate(vector: NDArray) -> NDArray:
        return (inverse @ vector.astype(np.float32)).astype(np.float64)

    err = np.sqrt(inverse.diagonal().astype(np.float64))
    flux = estimate.flux[rows]
    right_side = equations.right_side(residual, flux)
    step = solve(
        equations.product,
        approximate,
        right_side,
        err,
        tolerance=tolerance,
        max_iterations=_MOST_ITERATIONS,
    )
    result = replace(_result(tile, equations, flux, step, err), inverse=inverse)
    if not is_new:
        return result
    sky_light = equations.sums(area)
    response = solve(
        equations.product,
        approximate,
        sky_light,
        abs(approximate(sky_light)),
        tolerance=_RESPONSE_TOLERANCE,
        max_iterations=_MOST_RESPONSE_ITERATIONS,
    )
    own = tile.is_own
    return replace(result, response=response[own], absorbed=equations.light(response * own))


def _equations(
    image: FitImage, profiles: Profiles, estimate: Estimate, rows: NDArray[np.intp]
) -> tuple[TileEquations, NDArray[np.float32], NDArray[np.float32]]:
    """Return the equations of some sources, and weighted residuals and areas of their pixels."""
    half_size = estimate.half_size[rows]
    window = Window.around(profiles.x[rows], profiles.y[rows], half_size)
    weight, residual, area = image.pixels(window, estimate)
    equations = TileEquations.of(profiles, rows, half_size, window, weight)
    return equations, weight * residual, weight * area


def _result(
    tile: Tile, equations: TileEquations, flux: NDArray, change: NDArray, err: NDArray
) -> _TileResult:
    own = tile.is_own
    return _TileResult(
        rows=tile.rows[own],
        change=change[own],
        err=err[own],
        diagonal=equations.diagonal[own],
        window=equations.window,
        model=equations.light((flux + change) * own),
    )


def _tile_light(
    profiles: Profiles, estimate: Estimate, tile: Tile
) -> tuple[Window, NDArray[np.float32]]:
    """Return the light of a tile's own sources."""
    rows = tile.rows[tile.is_own]
    half_size = estimate.half_size[rows]
    window = Window.around(profiles.x[rows], profiles.y[rows], half_size)
    stamps = stamp_matrix(profiles, rows, half_size, window)
    return window, stamps.T @ estimate.flux[rows].astype(np.float32)
