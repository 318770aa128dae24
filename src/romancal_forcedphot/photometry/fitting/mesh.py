"""A mesh of cells over an image: robust levels in cells, and surfaces through them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from ..pixels.background import MEDIAN_ERROR_FACTOR, MIN_PIXELS, clipped_statistics
from .windows import Window

__all__ = ["Mesh"]

_CLIP_SIGMA = 3.0
_CLIP_ROUNDS = 10
_ENOUGH_ROWS = 32  # of pixels of a cell; of larger ones every second row, or third, will do


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

    def medians(self, image: NDArray[np.float32]) -> tuple[NDArray, NDArray]:
        """Return sigma-clipped medians of the cells.

        Parameters
        ----------
        image : (ny, nx) ndarray of float32
            NaN at pixels that do not count.

        Returns
        -------
        median, err : (r, c) ndarray of float64
            Median of the pixels within 3 standard deviations, and its standard error. A cell with
            less than 30 such pixels has those of the nearest that has more; NaN if there is none.
        """
        moments = np.array(
            [
                clipped_statistics(self._sorted_cells(image, row), _CLIP_SIGMA, _CLIP_ROUNDS)
                for row in range(self.shape[0])
            ]
        )
        median, _, std, n = np.moveaxis(moments, 1, 0)
        err = MEDIAN_ERROR_FACTOR * std / np.sqrt(np.maximum(n, 1))
        few = n < MIN_PIXELS
        return tuple(_filled(np.where(few, np.nan, value)) for value in (median, err))

    def _sorted_cells(self, image: NDArray[np.float32], row: int) -> NDArray[np.float32]:
        """Return the pixels of a row of cells, sorted, inf and NaN last: (c, k)."""
        bottom, top = self.edges_y[row : row + 2]
        band = image[bottom : top : max((top - bottom) // _ENOUGH_ROWS, 1)]
        width = int(np.diff(self.edges_x).max())
        pixels = np.full((self.shape[1], len(band) * width + 1), np.inf, dtype=np.float32)
        pixels[:, -1] = np.nan
        for column in range(self.shape[1]):
            cell = band[:, self.edges_x[column] : self.edges_x[column + 1]]
            pixels[column, : cell.size] = cell.ravel()
        counted = pixels[:, :-1]
        counted[np.isnan(counted)] = np.inf
        pixels.sort(axis=1)
        return pixels

    def means(self, image: NDArray[np.float32]) -> NDArray:
        """Return the means (r, c) of the pixels of each cell that are not NaN.

        A cell without has that of the nearest that has some.
        """
        counted = np.isfinite(image)
        sums, n = self._sums(np.where(counted, image, np.float32(0))), self._sums(counted)
        return _filled(np.divide(sums, n, out=np.full(self.shape, np.nan), where=n > 0))

    def _sums(self, image: NDArray) -> NDArray:
        rows = np.add.reduceat(image, self.edges_y[:-1], axis=0, dtype=np.float64)
        return np.add.reduceat(rows, self.edges_x[:-1], axis=1)

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

    def on_pixels(self, cells: NDArray) -> NDArray[np.float32]:
        """Return the surface of `at` on all pixels of the image (ny, nx)."""
        low_y, up_y, share_y = self._between(self.edges_y, np.arange(self.edges_y[-1]))
        low_x, up_x, share_x = self._between(self.edges_x, np.arange(self.edges_x[-1]))
        columns = cells[:, low_x] * (1 - share_x) + cells[:, up_x] * share_x
        columns, share_y = columns.astype(np.float32), share_y[:, None].astype(np.float32)
        return columns[low_y] * (1 - share_y) + columns[up_y] * share_y

    @staticmethod
    def _between(edges: NDArray, position: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """Return the cells to both sides of positions along an axis, and the upper one's share."""
        centers = (edges[:-1] + edges[1:] - 1) / 2
        place = np.interp(position, centers, np.arange(centers.size))
        low = np.minimum(place.astype(np.intp), max(centers.size - 2, 0))
        return low, np.minimum(low + 1, centers.size - 1), place - low


def _filled(cells: NDArray) -> NDArray:
    """Return cells with those that are NaN replaced by the nearest that is not."""
    missing = np.isnan(cells)
    if not missing.any() or missing.all():
        return cells
    nearest = distance_transform_edt(missing, return_distances=False, return_indices=True)
    return cells[tuple(nearest)]
