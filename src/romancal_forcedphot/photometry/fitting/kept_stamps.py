"""Stamps that are evaluated once and kept, as long as memory allows.

The fit needs the stamp of each source in every round, and evaluating a PSF takes longer than all
that is done with it. A smaller stamp is the middle of a larger one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .parallel import in_order
from .profiles import Profiles

__all__ = ["KeptStamps"]

_MOST_PIXELS = 64_000_000  # 256 MB; beyond, nothing is kept
_PIXELS_AT_ONCE = 4_000_000  # many sources have much in common


@dataclass(frozen=True, eq=False)
class KeptStamps:
    """Profiles of n sources, and stamps of some of them.

    Attributes
    ----------
    profiles : Profiles
        The profiles.
    half_size : (n,) ndarray of intp
        Half sizes of the stamps that are kept, -1 where none is.
    kept : sequence of ndarray or None, n of them
        These stamps.
    """

    profiles: Profiles
    half_size: NDArray[np.intp]
    kept: Sequence[NDArray[np.float32] | None]

    @classmethod
    def of(cls, profiles: Profiles) -> KeptStamps:
        """Return profiles with no stamps yet."""
        n = profiles.x.size
        return cls(profiles, np.full(n, -1, dtype=np.intp), [None] * n)

    def with_sizes(self, half_size: NDArray[np.intp], n_threads: int) -> KeptStamps:
        """Return them with stamps of at least these half sizes (n,), 0 for none.

        Where so many can not be kept, none are.
        """
        if ((2.0 * half_size + 1) ** 2)[half_size > 0].sum() > _MOST_PIXELS:
            return KeptStamps.of(self.profiles)

        def evaluated(rows: NDArray[np.intp]) -> NDArray[np.float32]:
            stamps = self.profiles.stamps(rows, 2 * int(half_size[rows[0]]) + 1)
            return stamps.astype(np.float32, copy=False)

        larger = np.where(half_size > self.half_size, half_size, 0)
        batches = list(_batches(larger))
        kept = list(self.kept)
        for rows, stamps in zip(batches, in_order(evaluated, batches, n_threads), strict=True):
            for row, stamp in zip(rows.tolist(), stamps, strict=True):
                kept[row] = stamp
        size = np.where(larger > 0, larger, self.half_size)
        return replace(self, half_size=size, kept=kept)

    def stamps(self, rows: NDArray[np.intp], side: int) -> NDArray:
        """Return the profiles of some sources on pixels, those that are kept where they will do."""
        margin = self.half_size[rows] - side // 2
        missing = np.flatnonzero(margin < 0)
        if missing.size == rows.size:
            return self.profiles.stamps(rows, side)
        stamps = np.empty((rows.size, side, side), dtype=np.float32)
        for place, (row, start) in enumerate(zip(rows.tolist(), margin.tolist(), strict=True)):
            if start >= 0:
                stamps[place] = self.kept[row][start : start + side, start : start + side]
        if missing.size:
            stamps[missing] = self.profiles.stamps(rows[missing], side)
        return stamps

    # --- as the profiles have it; see `profiles.Profiles` ---------------------------------------

    @property
    def x(self) -> NDArray:
        """(n,) float64, pixel positions."""
        return self.profiles.x

    @property
    def y(self) -> NDArray:
        """(n,) float64."""
        return self.profiles.y

    @property
    def shape_id(self) -> NDArray:
        """(n,) integers, equal for sources of one shape."""
        return self.profiles.shape_id

    @property
    def core_half_size(self) -> NDArray:
        """(n,) intp, half sizes of cores."""
        return self.profiles.core_half_size

    @property
    def largest_half_size(self) -> int:
        """Half the side of the largest stamps that there are."""
        return self.profiles.largest_half_size

    def half_sizes(self, light_per_pixel: NDArray) -> NDArray[np.intp]:
        """Return the half sizes (n,) of stamps that hold all pixels brighter than a limit."""
        return self.profiles.half_sizes(light_per_pixel)

    def typical_stamp(self, x: float, y: float) -> NDArray:
        """Return how light falls off around a source about there."""
        return self.profiles.typical_stamp(x, y)

    def for_rows(self, rows: NDArray[np.intp]) -> Profiles:
        """Return the profiles of some of the sources."""
        return self.profiles.for_rows(rows)


def _batches(half_size: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    """Yield sources of one half size each, not too many at once; none of those with 0."""
    for half in np.unique(half_size[half_size > 0]):
        rows = np.flatnonzero(half_size == half)
        at_once = max(_PIXELS_AT_ONCE // (2 * int(half) + 1) ** 2, 1)
        yield from (rows[first : first + at_once] for first in range(0, rows.size, at_once))
