"""What laying a circle on pixels does to the light of a point source.

A photon that lands at distance r' from the source is counted with a weight f(r, r') that falls
from 1 to 0 around the aperture's radius r, averaged over angle and sub-pixel phase: the circle
blurred by a pixel once for its fractional weights, and once more where the PSF does not yet
include the integration over a pixel.

f needs no two-dimensional integral.  One blur moves the photon from the centre of a unit square
to a random point of it, two blurs by the difference of two random points of it.  In which
direction it moves is of no matter on average, so f is the mean over direction of the chance that
the length of the move ends inside the circle, and that chance has a closed form.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["fall_of_weight", "kept_share", "longest_move", "move_within", "stamp_distances"]

N_DIRECTIONS = 180
N_RADII = 400  # steps in r' over which f falls from 1 to 0


@lru_cache(maxsize=256)
def fall_of_weight(radius: float, n_blurs: int) -> tuple[NDArray, NDArray]:
    """Return distances r' and the fall of the weight f(radius, r') about each of them.

    The caught light, the integral of dEE(r') f, is then the sum of fall times EE(r').

    Parameters
    ----------
    radius : float
        Radius of the circle in pixels.
    n_blurs : {1, 2}
        How often the circle is blurred by a pixel.

    Returns
    -------
    distance, fall : (n,) ndarray of float64
        Pixels, and the fall from the edge before each distance to the edge after it.
    """
    reach = longest_move(n_blurs)
    edges = np.linspace(max(radius - reach, 0.0), radius + reach, N_RADII + 1)
    return 0.5 * (edges[1:] + edges[:-1]), -np.diff(_weight_at(edges, radius, n_blurs))


def _weight_at(distance: NDArray, radius: float, n_blurs: int) -> NDArray:
    """Return f(radius, distance), the chance that a move from `distance` ends inside the circle.

    From inside the circle a move in direction t ends inside up to the circle's edge.  From
    outside, the directions that meet the circle enter and leave it; their sines are scaled by
    t -> sin(t) radius / distance, which keeps the integrand smooth where they graze it.
    """
    t = np.pi * (np.arange(N_DIRECTIONS) + 0.5) / N_DIRECTIONS
    weight = np.empty(distance.shape)
    is_inside = distance < radius
    start = distance[is_inside, None]
    edge = np.sqrt(radius**2 - (start * np.sin(t)) ** 2) - start * np.cos(t)
    weight[is_inside] = move_within(edge, n_blurs).mean(axis=1)
    start = distance[~is_inside, None]
    along = np.sqrt(start**2 - (radius * np.cos(t)) ** 2)  # t from -90 to 90 degrees here
    half_chord = radius * np.sin(t)
    chance = move_within(along + half_chord, n_blurs) - move_within(along - half_chord, n_blurs)
    weight[~is_inside] = 0.5 * (chance * half_chord / along).mean(axis=1)  # of a full turn
    return weight


def longest_move(n_blurs: int) -> float:
    """Return the longest move in pixels: to a corner of the pixel, or between two corners."""
    return n_blurs * np.sqrt(0.5)


def move_within(length: NDArray, n_blurs: int) -> NDArray:
    """Return the chance that a move is shorter than `length` pixels.

    One blur: the part of a unit square within `length` of its centre.  Two: the distance of two
    random points of a unit square (square line picking), integrated.
    """
    s = np.clip(length, 0.0, longest_move(n_blurs))
    beyond = np.maximum(s, n_blurs / 2)  # past the middle of the sides
    square = np.sqrt(np.maximum((2 * beyond / n_blurs) ** 2 - 1, 0.0))
    if n_blurs == 1:
        near = np.pi * s**2
        far = beyond**2 * (np.pi - 4 * np.arctan(square)) + square
    else:
        near = s**2 * (np.pi - 8 / 3 * s + s**2 / 2)
        far = (
            beyond**2 * (np.pi - 2 - 4 * np.arctan(square) - beyond**2 / 2)
            + 4 * square * (1 + 2 / 3 * square**2)
            + 1 / 3
        )
    return np.where(s <= n_blurs / 2, near, far)


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
