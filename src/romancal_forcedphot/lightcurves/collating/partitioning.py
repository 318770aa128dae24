"""Sources in the order of their place on the sky, cut into partitions of about one size.

HATS (https://hats.readthedocs.io) keeps a catalog in files by HEALPix pixel, as small as it takes
for a file to hold no more than so many rows. Within a file the rows follow the nested HEALPix index
of order 29, so that a range of places is a range of rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy import units as u
from astropy_healpix import HEALPix

__all__ = ["INDEX_ORDER", "Partition", "partitions", "spatial_index"]

#: Order of the index, the deepest that an int64 holds.
INDEX_ORDER = 29
_DEEPEST_PARTITION = 15
#: What a source weighs beside its points.
_POINTS_OF_A_SOURCE = 10


@dataclass(frozen=True)
class Partition:
    """A HEALPix pixel (nested) and the sources in it.

    Attributes
    ----------
    order, pixel : int
        The pixel.
    start, stop : int
        Its sources, as a range of those in the order of their place.
    """

    order: int
    pixel: int
    start: int
    stop: int


def spatial_index(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """Return the nested HEALPix index of order 29 of positions.

    Parameters
    ----------
    ra, dec : (n,) ndarray
        ICRS in degrees.

    Returns
    -------
    (n,) ndarray of int64
        −1 where a position is not finite.
    """
    index = np.full(len(ra), -1, dtype=np.int64)
    known = np.isfinite(ra) & np.isfinite(dec)
    grid = HEALPix(nside=2**INDEX_ORDER, order="nested")
    index[known] = grid.lonlat_to_healpix(ra[known] * u.deg, dec[known] * u.deg)
    return index


def partitions(index: np.ndarray, n_points: np.ndarray, max_points: int) -> list[Partition]:
    """Cut the sky until no pixel holds more than so many points.

    Parameters
    ----------
    index : (n,) ndarray of int64
        `spatial_index` of sources, rising.
    n_points : (n,) ndarray of int
        Points of each source's light curve.
    max_points : int
        Most points of a partition; one of the deepest order may hold more.

    Returns
    -------
    list of Partition
        Those that hold sources, in the order of their place.
    """
    weight = np.concatenate([[0], np.cumsum(n_points + _POINTS_OF_A_SOURCE, dtype=np.int64)])
    pending = [(0, pixel) for pixel in range(11, -1, -1)]
    found = []
    while pending:
        order, pixel = pending.pop()
        shift = 2 * (INDEX_ORDER - order)
        start, stop = np.searchsorted(index, [pixel << shift, (pixel + 1) << shift]).tolist()
        if start == stop:
            continue
        if weight[stop] - weight[start] > max_points and order < _DEEPEST_PARTITION:
            pending += [(order + 1, 4 * pixel + quarter) for quarter in (3, 2, 1, 0)]
        else:
            found.append(Partition(order, pixel, start, stop))
    return found
