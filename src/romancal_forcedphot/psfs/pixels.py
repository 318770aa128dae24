"""What laying a circle on pixels does to the light of a point source.

A photon that lands at distance r' from the source is counted with a weight f(r, r') that falls
from 1 to 0 around the aperture's radius r, averaged over angle and sub-pixel phase: the circle
blurred by a pixel once for its fractional weights, and once more where the PSF does not yet
include the integration over a pixel.

f needs no two-dimensional integral.  One blur moves the photon from the centre of a unit square
to a random point of it, two blurs by the difference of two random points of it; the density of
the length of either move is known.  For a move of length s in random direction, the chance of
landing inside the circle is an arc cosine, and f is its mean over the density of s.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["fall_of_weight", "kept_share", "random_moves", "stamp_distances"]

N_MOVES = 100  # Gauss-Legendre points over the length of the move, per smooth piece
N_RADII = 400  # steps in r' over which f falls from 1 to 0


@lru_cache(maxsize=256)
def fall_of_weight(radius: float, n_blurs: int) -> tuple[NDArray, NDArray]:
    """Return distances r' in pixels and the fall of f(radius, r') about each of them.

    The caught light, the integral of dEE(r') f, is then the sum of fall times EE(r').
    """
    move, chance = random_moves(n_blurs)
    reach = np.sqrt(2.0) * n_blurs / 2
    edges = np.linspace(max(radius - reach, 0.0), radius + reach, N_RADII + 1)
    start = np.maximum(edges, 1e-9)[:, None]
    cosine = (start**2 + move**2 - radius**2) / (2 * start * move)
    inside = np.arccos(np.clip(cosine, -1.0, 1.0)) / np.pi @ chance
    return 0.5 * (edges[1:] + edges[:-1]), -np.diff(inside)


@lru_cache(maxsize=4)
def random_moves(n_blurs: int) -> tuple[NDArray, NDArray]:
    """Return lengths of a photon's random move in pixels and their probabilities.

    One blur: from the centre of a unit square to a random point of it.  Two: between two random
    points of it, whose density is known as square line picking.  Gauss-Legendre nodes on the two
    smooth pieces of each.
    """
    corner = np.sqrt(2.0) * n_blurs / 2
    node, weight = np.polynomial.legendre.leggauss(N_MOVES)
    inner, outer = (
        n_blurs / 2 * (node + 1) / 2,
        n_blurs / 2 + (corner - n_blurs / 2) * (node + 1) / 2,
    )
    if n_blurs == 1:
        inner_density = 2 * np.pi * inner
        outer_density = outer * (2 * np.pi - 8 * np.arccos(0.5 / outer))
    else:
        inner_density = 2 * inner * (np.pi - 4 * inner + inner**2)
        side = np.sqrt(outer**2 - 1)
        outer_density = 2 * outer * (4 * side - (outer**2 + 2 - np.pi) - 4 * np.arctan(side))
    length = np.concatenate([inner, outer])
    chance = np.concatenate([inner_density * weight, outer_density * weight * (np.sqrt(2) - 1)])
    return length, chance / chance.sum()


def stamp_distances(x: NDArray, y: NDArray, side: int) -> NDArray:
    """Return the distance (n, side, side) of each stamp pixel's centre from its source."""
    offset = np.arange(side) - side // 2
    from_x = offset - (x - np.rint(x))[:, None]
    from_y = offset - (y - np.rint(y))[:, None]
    return np.hypot(from_y[:, :, None], from_x[:, None, :])


def kept_share(light: NDArray, weights: NDArray, full_weights: NDArray) -> NDArray:
    """Return which share of the light under the full weights the usable weights keep."""
    full = (light * full_weights).sum(axis=(1, 2))
    kept = (light * weights).sum(axis=(1, 2))
    return np.divide(kept, full, out=np.zeros_like(full), where=full > 0)
