"""Which sources take part in the fit.

Those that leave light on pixels that may be used do. Of those that leave next to nothing, beyond
the edge or under a mask, only the bright ones matter, for their wings; which these are shows when
all others have been fitted. They come in as guests: their fluxes are fitted, and not told.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..batches import rows_near
from ..pixels.cutouts import cutout_values, split_position
from .equations import TileEquations
from .image import Estimate, FitImage
from .parallel import in_order
from .profiles import Profiles
from .stamps import scaled_columns, stamp_matrix
from .tiles import Tile, tiles_of
from .windows import Window

__all__ = ["Participants", "find_participants", "invited"]

_FAINT_HALF_SIZE = 5
_WIDER_HALF_SIZES = (5, 12, 24)  # tried where pixels may not be used
_LEAST_LIGHT = 0.01  # of a source on the image, on pixels that may be used
_LEAST_LIGHT_BEYOND = 0.1  # of one beyond the edge
_LEAST_LIGHT_OF_GUEST = 0.005
_FARTHEST_PIX = 24.0  # beyond the edge
_GUEST_SIGMA = 5.0
_GUEST_DISTANCE_PIX = 6.0
_MOST_CALLS = 8
_AT_ONCE = 10_000  # sources


@dataclass(frozen=True, eq=False)
class Participants:
    """Which of m unknowns take part.

    Attributes
    ----------
    half_size : (m,) ndarray of intp
        Half sizes of the stamps that they have at least, 0 for those that do not take part.
    is_guest : (m,) ndarray of bool
        Those that may take part for the sake of others, see `invited`.
    """

    half_size: NDArray[np.intp]
    is_guest: NDArray[np.bool_]

    @property
    def own_half_size(self) -> NDArray[np.intp]:
        """The half sizes of those that are no guests."""
        return np.where(self.is_guest, 0, self.half_size)


def find_participants(image: FitImage, profiles: Profiles, n_threads: int) -> Participants:
    """Return which sources take part, and how large stamps of faint ones are.

    A source takes part if 0.01 of its light falls on usable pixels, 0.1 if it is beyond the edge,
    and may become a guest if 0.005 does. Where its middle is masked or off the image the stamp is
    as large as that needs.
    """
    half_size = np.zeros(profiles.x.size, dtype=np.intp)
    is_guest = np.zeros(profiles.x.size, dtype=bool)
    pending = rows_near(profiles.x, profiles.y, image.shape, _FARTHEST_PIX)
    usable = np.isfinite(image.data)
    whole = _is_whole(usable, profiles, pending)
    half_size[pending[whole]] = min(_FAINT_HALF_SIZE, profiles.largest_half_size)
    pending = pending[~whole]
    on_image = np.zeros_like(is_guest)
    on_image[rows_near(profiles.x, profiles.y, image.shape, -1.5)] = True
    least = np.where(on_image, _LEAST_LIGHT, _LEAST_LIGHT_BEYOND)
    for wider in _WIDER_HALF_SIZES:
        trial = np.zeros_like(half_size)
        trial[pending] = min(wider, profiles.largest_half_size)
        light = partial(_usable_light, profiles, trial, usable)
        for rows, caught in in_order(light, tiles_of(profiles, trial), n_threads):
            reached = (caught >= _LEAST_LIGHT_OF_GUEST) & (half_size[rows] == 0)
            half_size[rows[reached]] = trial[rows[reached]]
            is_guest[rows[reached]] = True
            enough = rows[caught >= least[rows]]
            half_size[enough], is_guest[enough] = trial[enough], False
        pending = pending[is_guest[pending] | (half_size[pending] == 0)]
    return Participants(half_size, is_guest)


def _is_whole(
    usable: NDArray[np.bool_], profiles: Profiles, rows: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Return of which sources all pixels of the smallest stamp may be used."""
    half = _FAINT_HALF_SIZE
    dy, dx = np.mgrid[-half : half + 1, -half : half + 1].reshape(2, -1)
    row, _ = split_position(profiles.y[rows], usable.shape[0], half)
    column, _ = split_position(profiles.x[rows], usable.shape[1], half)
    is_whole = np.zeros(rows.size, dtype=bool)
    for first in range(0, rows.size, _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        is_whole[some] = cutout_values(usable, row[some], column[some], dy, dx, fill=False).all(1)
    return is_whole


def _usable_light(
    profiles: Profiles, half_size: NDArray[np.intp], usable: NDArray[np.bool_], tile: Tile
) -> tuple[NDArray[np.intp], NDArray]:
    """Return a tile's own sources and their light in the stamp on usable pixels."""
    rows = tile.rows[tile.is_own]
    window = Window.around(profiles.x[rows], profiles.y[rows], half_size[rows])
    stamps = stamp_matrix(profiles, rows, half_size[rows], window)
    return rows, stamps @ window.cut(usable).ravel().astype(np.float32)


def invited(
    image: FitImage,
    profiles: Profiles,
    estimate: Estimate,
    participants: Participants,
    n_threads: int,
) -> Estimate:
    """Return an estimate in which guests take part that the residuals of all others call for.

    Guests are called for one after the other (orthogonal matching pursuit): those whose light
    shows in the residuals at 5 standard errors and more than that of any other within some pixels,
    for the wings of one bright star show at the places of many; then those that still do.
    """
    half_size = np.where(participants.is_guest, participants.half_size, 0)
    flux_now, half_now = estimate.flux.copy(), estimate.half_size.copy()
    called = partial(_called, image, profiles, estimate, half_size)
    for rows, flux in in_order(called, tiles_of(profiles, half_size), n_threads):
        flux_now[rows], half_now[rows] = flux, half_size[rows]
    return replace(estimate, flux=flux_now, half_size=half_now)


def _called(
    image: FitImage,
    profiles: Profiles,
    estimate: Estimate,
    half_size: NDArray[np.intp],
    tile: Tile,
) -> tuple[NDArray[np.intp], NDArray]:
    """Return the guests that a tile's residuals call for, and their fluxes."""
    rows = tile.rows[tile.is_own]
    window = Window.around(profiles.x[rows], profiles.y[rows], half_size[rows])
    weight, residual, _ = image.pixels(window, estimate)
    equations = TileEquations.of(profiles, rows, half_size[rows], window, weight)
    sums, sigma = equations.sums(weight * residual), np.sqrt(equations.diagonal)
    normal = (scaled_columns(equations.stamps, weight) @ equations.stamps.T).tocsr()
    tree = cKDTree(np.column_stack([equations.x, equations.y]))
    chosen, flux = np.zeros(0, dtype=np.intp), np.zeros(0)
    left, refused = sums, np.zeros(rows.size, dtype=bool)
    for _ in range(_MOST_CALLS):
        snr = np.where(refused, 0.0, left / sigma)
        snr[chosen] = 0.0
        new = _brightest(tree, snr)
        if not new.size:
            break
        chosen = np.append(chosen, new)
        among = normal[chosen][:, chosen].toarray().astype(np.float64)
        among += np.diag(1e-4 * np.diagonal(among))
        flux = np.linalg.solve(among, sums[chosen])
        refused[chosen[flux <= 0]] = True
        chosen, flux = chosen[flux > 0], flux[flux > 0]
        left = sums - normal[:, chosen] @ flux
    return rows[chosen], flux


def _brightest(tree: cKDTree, snr: NDArray) -> NDArray[np.intp]:
    """Return the sources above 5 sigma that have none with more within some pixels."""
    rows = np.flatnonzero(snr > _GUEST_SIGMA)
    near = tree.query_ball_point(tree.data[rows], _GUEST_DISTANCE_PIX)
    is_most = [snr[row] >= snr[others].max() for row, others in zip(rows, near, strict=True)]
    return rows[np.array(is_most, dtype=bool)]
