"""Points in the order of exposures become points in the order of sources, in bounded memory.

Exposures are read one after the other, each with points of all sources; light curves want all
points of one source. Points are gathered to runs of a million, each sorted by source and written
to a file; a bucket of sources is then one slice of each run. What is in memory is one run, then
one bucket, however many exposures there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["RUN_POINTS", "Runs", "buckets_of", "point_dtype"]

#: Points of a run.
RUN_POINTS = 1_000_000


def buckets_of(n_points: NDArray, start: int, stop: int, max_points: int) -> list[tuple[int, int]]:
    """Cut a range of sources into ranges of no more than so many points, or of one source.

    Parameters
    ----------
    n_points : (n,) ndarray of int
        Points of each source.
    start, stop : int
        The range.
    max_points : int
        Most points of a range of several sources.

    Returns
    -------
    list of (int, int)
        Ranges that follow one another.
    """
    ends = np.cumsum(n_points[start:stop])
    found, first, before = [], start, 0
    while first < stop:
        last = start + int(np.searchsorted(ends, before + max_points, side="right"))
        last = min(max(last, first + 1), stop)
        found.append((first, last))
        first, before = last, int(ends[last - 1 - start])
    return found


@dataclass
class Runs:
    """Points on their way from exposures to sources.

    Attributes
    ----------
    directory : pathlib.Path
        Where runs are kept.
    dtype : numpy.dtype
        Of a point: ``source`` (int32) and any other fields.
    edges : (n + 1,) ndarray of int
        Where each bucket of sources begins, and where the last one ends.
    n_points : int
        Points of a run.
    """

    directory: Path
    dtype: np.dtype
    edges: NDArray
    n_points: int = RUN_POINTS
    _gathered: list[NDArray] = field(default_factory=list)
    _n_gathered: int = 0
    _runs: list[tuple[Path, NDArray]] = field(default_factory=list)

    def add(self, columns: Mapping[str, NDArray | float]) -> None:
        """Add points in the order in which those of a source shall stay.

        Parameters
        ----------
        columns : mapping of str to (k,) ndarray or number
            Every field of the points.
        """
        points = np.empty(len(columns["source"]), dtype=self.dtype)
        for name in self.dtype.names:
            points[name] = columns[name]
        self._gathered.append(points)
        self._n_gathered += len(points)
        if self._n_gathered >= self.n_points:
            self.flush()

    def flush(self) -> None:
        """Write what is gathered as a run."""
        if not self._gathered:
            return
        points = np.concatenate(self._gathered)
        self._gathered, self._n_gathered = [], 0
        points = points[np.argsort(points["source"], kind="stable")]
        path = self.directory / f"run_{len(self._runs):06d}"
        points.tofile(path)
        self._runs.append((path, np.searchsorted(points["source"], self.edges)))

    def take(self, bucket: int) -> NDArray:
        """Return the points of a bucket's sources, those of a source in their order.

        Parameters
        ----------
        bucket : int
            Number of the bucket, from 0.

        Returns
        -------
        (k,) ndarray of `dtype`
        """
        self.flush()
        parts = [self._slice(path, *places[bucket : bucket + 2]) for path, places in self._runs]
        points = np.concatenate([np.empty(0, self.dtype), *parts])
        return points[np.argsort(points["source"], kind="stable")]

    def _slice(self, path: Path, first: int, last: int) -> NDArray:
        """Points of a run."""
        with path.open("rb") as file:
            file.seek(int(first) * self.dtype.itemsize)
            return np.fromfile(file, dtype=self.dtype, count=last - first)


def point_dtype(names: Sequence[tuple[str, str]]) -> np.dtype:
    """Return the type of a point with these fields besides its source and exposure."""
    return np.dtype([("source", "int32"), ("exposure", "int32"), *names])
