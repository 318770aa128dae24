"""A mesh of cells over an image: robust levels in cells, and surfaces through them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy
from numpy.typing import NDArray

from ..pixels.background import MEDIAN_ERROR_FACTOR, MIN_PIXELS
from ..pixels.clipping import clipped_statistics
from .parallel import in_order
from .windows import Window

__all__ = ["Mesh", "Strip"]

_CLIP_SIGMA = 3.0
_CLIP_ROUNDS = 10
_ENOUGH_ROWS = 32  # of pixels of a cell; of larger ones every second row, or third, will do
_ENOUGH_OF_MODEL = 16  # rows and columns, where pixels have no noise
_STRIP_PIXELS = 500_000


@dataclass(frozen=True, eq=False)
class Mesh:
    """A grid of r by c nearly square cells that cover an image.

    Attributes
    ----------
    edges_y, edges_x : (r + 1,), (c + 1,) ndarray of intp
        Where rows and columns of cells begin and end, in pixels.
    """

    edges_y: NDArray[np.intp]
    edges_x: NDArray[np.intp]

    @classmethod
    def over(cls, shape: tuple[int, int], size: float) -> Mesh:
        """Divide an image of some shape into cells of about `size` pixels."""
        return cls(*(np.linspace(0, n, max(round(n / size), 1) + 1).astype(np.intp) for n in shape))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        return self.edges_y.size - 1, self.edges_x.size - 1

    @property
    def n_pixels(self) -> NDArray[np.intp]:
        """Pixels of each cell (r, c)."""
        return np.multiply.outer(np.diff(self.edges_y), np.diff(self.edges_x))

    def window(self, row: int, column: int) -> Window:
        """Return the pixels of a cell."""
        top, left = int(self.edges_y[row]), int(self.edges_x[column])
        shape = int(self.edges_y[row + 1]) - top, int(self.edges_x[column + 1]) - left
        return Window(top, left, shape)

    def cell_of(self, x: NDArray, y: NDArray) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return row and column of the cells of positions (n,), the nearest of those outside."""
        rows = np.searchsorted(self.edges_y[1:-1], np.rint(y), side="right")
        return rows, np.searchsorted(self.edges_x[1:-1], np.rint(x), side="right")

    # --- from pixels to cells --------------------------------------------------------------------

    def strips(self, *, all_rows: bool = False) -> Iterator[Strip]:
        """Yield strips of whole cells, with every second row of pixels, or third, if these do."""
        height = np.diff(self.edges_y)
        steps = np.ones_like(height) if all_rows else _steps(height, _ENOUGH_ROWS)
        n_rows = -(-height // steps)
        at_once = max(_STRIP_PIXELS // int(n_rows.max() * self.edges_x[-1]), 1)
        for first in range(0, height.size, at_once):
            cells = slice(first, min(first + at_once, height.size))
            of_each = zip(self.edges_y[cells], height[cells], steps[cells], strict=True)
            rows = np.concatenate([start + np.arange(0, n, step) for start, n, step in of_each])
            edges_y = np.concatenate([[0], np.cumsum(n_rows[cells])])
            yield Strip(cells, rows, Mesh(edges_y, self.edges_x))

    def medians(self, image: NDArray[np.float32], n_threads: int = 1) -> tuple[NDArray, NDArray]:
        """Return sigma-clipped medians of the cells.

        Parameters
        ----------
        image : (ny, nx) ndarray of float32
            NaN at pixels that do not count.
        n_threads : int
            Threads over strips.

        Returns
        -------
        median, err : (r, c) ndarray of float64
            Median of the pixels within 3 standard deviations, and its standard error. A cell with
            less than 30 such pixels has those of the nearest that has more; NaN if there is none.
        """

        def of_strip(strip: Strip) -> NDArray:
            return strip.mesh.own_medians(image[strip.rows])

        return self.filled(in_order(of_strip, self.strips(), n_threads))

    def own_medians(self, image: NDArray[np.float32], *, sparse: bool = False) -> NDArray:
        """Return what `medians` does, (2, r, c), of all rows; NaN for cells with too few pixels.

        Fewer rows and columns count if `sparse`, as will do where pixels have no noise.
        """
        sides = np.diff(self.edges_y).max(), np.diff(self.edges_x).max()
        step_y, step_x = _steps(np.array(sides), _ENOUGH_OF_MODEL if sparse else max(sides))
        most = -(-sides[0] // step_y) * -(-sides[1] // step_x)
        pixels = np.full((*self.shape, most + 1), np.inf, dtype=np.float32)
        for row, column in np.ndindex(self.shape):
            (top, bottom), (left, right) = (
                edges[k : k + 2] for edges, k in ((self.edges_y, row), (self.edges_x, column))
            )
            cell = image[top:bottom:step_y, left:right:step_x]
            pixels[row, column, : cell.size] = cell.ravel()
        pixels[np.isnan(pixels)] = np.inf
        pixels[..., -1] = np.nan  # sorted to the end, after inf
        pixels.sort(axis=2)
        flat = pixels.reshape(-1, pixels.shape[2])
        median, _, std, n = clipped_statistics(flat, _CLIP_SIGMA, _CLIP_ROUNDS)
        err = MEDIAN_ERROR_FACTOR * std / np.sqrt(np.maximum(n, 1))
        few = n < MIN_PIXELS
        return np.where(few, np.nan, [median, err]).reshape(2, *self.shape)

    def means(self, image: NDArray[np.float32]) -> NDArray:
        """Return the means (r, c) of the pixels of each cell that are not NaN.

        A cell without has that of the nearest that has some.
        """
        (means,) = self.filled([self.own_means(image)[None]])
        return means

    def own_means(self, image: NDArray[np.float32]) -> NDArray:
        """Return what `means` does, NaN for cells without a pixel."""
        counted = np.isfinite(image)
        sums, n = self._sums(np.where(counted, image, np.float32(0))), self._sums(counted)
        return np.divide(sums, n, out=np.full(self.shape, np.nan), where=n > 0)

    def _sums(self, image: NDArray) -> NDArray:
        of_rows = [
            np.sum(image[top:bottom], axis=0, dtype=np.float32)
            for top, bottom in pairwise(self.edges_y)
        ]
        return np.add.reduceat(of_rows, self.edges_x[:-1], axis=1, dtype=np.float64)

    @staticmethod
    def filled(of_strips: Iterable[NDArray]) -> NDArray:
        """Join values (..., r, c) of strips; those that are NaN become the nearest that is not."""
        return np.array([_filled(each) for each in np.concatenate(list(of_strips), axis=1)])

    # --- from positions to cells -----------------------------------------------------------------

    def means_of_positions(self, x: NDArray, y: NDArray) -> tuple[NDArray, NDArray]:
        """Return the mean of the positions (n,) of each cell that has some: x and y, (k,) each."""
        cell = np.ravel_multi_index(self.cell_of(x, y), self.shape)
        n_cells = self.shape[0] * self.shape[1]
        n = np.bincount(cell, minlength=n_cells)
        has_some = n > 0
        sums = (np.bincount(cell, at, minlength=n_cells)[has_some] for at in (x, y))
        return tuple(each / n[has_some] for each in sums)

    def of_positions(self, x: NDArray, y: NDArray, values: NDArray) -> NDArray:
        """Return cells (r, c) with values (k,) at positions, of which a cell has one at most.

        A cell without, or with NaN, has the value of the nearest that has one.
        """
        cells = np.full(self.shape, np.nan)
        cells[self.cell_of(x, y)] = values
        return _filled(cells)

    # --- from cells to pixels --------------------------------------------------------------------

    def repeated(self, cells: NDArray) -> NDArray[np.float32]:
        """Return values (r, c) of the cells on all of their pixels (ny, nx)."""
        rows = np.repeat(cells.astype(np.float32), np.diff(self.edges_y), axis=0)
        return np.repeat(rows, np.diff(self.edges_x), axis=1)

    def at(self, cells: NDArray, x: NDArray, y: NDArray) -> NDArray:
        """Return the surface through values (r, c) at the cells' centres, at positions (n,).

        It is bilinear, and goes on level beyond the outermost centres.
        """
        low_y, up_y, share_y = self._between(self.edges_y, y)
        low_x, up_x, share_x = self._between(self.edges_x, x)
        low = cells[low_y, low_x] * (1 - share_x) + cells[low_y, up_x] * share_x
        up = cells[up_y, low_x] * (1 - share_x) + cells[up_y, up_x] * share_x
        return low * (1 - share_y) + up * share_y

    def on_pixels(self, cells: NDArray, rows: NDArray[np.intp] | None = None) -> NDArray:
        """Return the surface of `at` on all pixels (ny, nx), or on those of some rising rows."""
        rows = np.arange(self.edges_y[-1]) if rows is None else rows
        low_y, up_y, share_y = self._between(self.edges_y, rows)
        low_x, up_x, share_x = self._between(self.edges_x, np.arange(self.edges_x[-1]))
        columns = (cells[:, low_x] * (1 - share_x) + cells[:, up_x] * share_x).astype(np.float32)
        surface = np.empty((rows.size, share_x.size), dtype=np.float32)
        share_y = share_y[:, None].astype(np.float32)
        for low in np.unique(low_y):
            some = slice(*np.searchsorted(low_y, [low, low + 1]))
            up = up_y[some.start]
            np.multiply(columns[up] - columns[low], share_y[some], out=surface[some])
            surface[some] += columns[low]
        return surface

    def with_means(self, means: NDArray) -> NDArray:
        """Return the values at the cells' centres whose surface has means (r, c) on the cells."""
        of_rows, of_columns = self._means_along(self.edges_y), self._means_along(self.edges_x)
        return np.linalg.solve(of_columns, np.linalg.solve(of_rows, means).T).T

    def _means_along(self, edges: NDArray) -> NDArray:
        """Return the matrix that makes means on cells from values at their centres, on an axis."""
        low, up, share = self._between(edges, np.arange(edges[-1]))
        cell = np.repeat(np.arange(edges.size - 1), np.diff(edges))
        weight = np.zeros((edges.size - 1, edges.size - 1))
        np.add.at(weight, (cell, low), 1 - share)
        np.add.at(weight, (cell, up), share)
        return weight / np.diff(edges)[:, None]

    @staticmethod
    def _between(edges: NDArray, position: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """Return the cells to both sides of positions along an axis, and the upper one's share."""
        centers = (edges[:-1] + edges[1:] - 1) / 2
        place = np.interp(position, centers, np.arange(centers.size))
        low = np.minimum(place.astype(np.intp), max(centers.size - 2, 0))
        return low, np.minimum(low + 1, centers.size - 1), place - low


@dataclass(frozen=True, eq=False)
class Strip:
    """Some rows of cells of a mesh, with some rows of their pixels.

    Attributes
    ----------
    cells : slice
        Rows of cells.
    rows : (k,) ndarray of intp
        Rows of pixels of the image.
    mesh : Mesh
        The cells on an image of these rows alone.
    """

    cells: slice
    rows: NDArray[np.intp]
    mesh: Mesh


def _steps(length: NDArray[np.intp], enough: int) -> NDArray[np.intp]:
    """Return the steps in which to go so as to make about so many of a length, 1 at least."""
    return np.maximum((length // enough).astype(np.intp), 1)


def _filled(cells: NDArray) -> NDArray:
    """Return cells with those that are NaN replaced by the nearest that is not."""
    missing = np.isnan(cells)
    if not missing.any() or missing.all():
        return cells
    nearest = scipy.ndimage.distance_transform_edt(
        missing, return_distances=False, return_indices=True
    )
    return cells[tuple(nearest)]
