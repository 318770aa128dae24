"""An approximate inverse of the normal matrix, from blocks of sources that lie together.

The inverse of the sparse matrix of overlapping sources is not sparse, but it falls off fast with
distance: beyond some pixels one flux no longer depends on the other. So its rows can be taken from
the inverses of blocks of the matrix: a block has the sources in a square of pixels and in a halo
around it, and the rows of those in the square are kept. The result is at once the covariance of
the fluxes and a preconditioner for the equations.

Sources that hang together with few others need no blocks, see `group_inverse`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from .dense_inverse import last_rows_of_inverse
from .group_inverse import inverses_of_groups, small_groups

__all__ = ["inverse_by_blocks"]

_HALO_PIX = 8.0
_CELLS_OF_SQUARE = 3  # along each side
_NEGLIGIBLE = 0.002  # correlation of two fluxes
_SMALL_GROUP = 24  # sources; where all overlap, squares and halos have more

Runs = list[slice]


def inverse_by_blocks(
    matrix: csr_array, x: NDArray, y: NDArray, *, halo: float = _HALO_PIX
) -> csr_array:
    """Return the rows of the inverses of the blocks of a symmetric positive matrix.

    Parameters
    ----------
    matrix : (n, n) csr_array of float
        Normal matrix of n sources.
    x, y : (n,) ndarray of float64
        Their pixel positions.
    halo : float
        Width of the halo in pixels. The squares within are three such widths wide.

    Returns
    -------
    (n, n) csr_array of float32
        Row k is the row of source k in the inverse of the block that has it in its square, less
        what is below a correlation of 0.002.
    """
    groups = small_groups(matrix, _SMALL_GROUP)
    n_each = np.zeros(x.size, dtype=np.intp)
    for same in groups:
        n_each[same] = same.shape[1]
    is_left = n_each == 0
    left = np.flatnonzero(is_left)
    by_blocks = _by_blocks(matrix[left][:, left], x[left], y[left], halo)
    n_each[left] = np.diff(by_blocks.indptr)
    indptr = np.concatenate([[0], np.cumsum(n_each)]).astype(np.int32)
    data, indices = np.empty(indptr[-1], np.float32), np.empty(indptr[-1], np.int32)
    of_left = np.repeat(is_left, n_each)
    data[of_left], indices[of_left] = by_blocks.data, left[by_blocks.indices]
    for members, inverse in inverses_of_groups(matrix, groups):
        filled = indptr[members][:, :, None] + np.arange(members.shape[1])
        data[filled], indices[filled] = inverse, members[:, None]
    return csr_array((data, indices, indptr), shape=matrix.shape)


def _by_blocks(matrix: csr_array, x: NDArray, y: NDArray, halo: float) -> csr_array:
    """Return what `inverse_by_blocks` does, from blocks alone."""
    if not x.size:
        return csr_array(matrix.shape, dtype=np.float32)
    cells = _Cells.of(x, y, halo)
    by_cell = matrix[cells.order]
    err = 1 / np.sqrt(matrix.diagonal())
    place = np.full(x.size, -1, dtype=np.int32)
    rows, columns, values = [], [], []
    for square, block in cells.blocks():
        inner, members = cells.sources(square), cells.sources(block)
        place[members] = 0
        place[inner] = -1
        outer = members[place[members] == 0]
        place[outer], place[inner] = np.arange(outer.size), outer.size + np.arange(inner.size)
        inverse = last_rows_of_inverse(_dense(by_cell, block, place, members), inner.size)
        place[members] = -1
        members = np.append(outer, inner)
        limit = _NEGLIGIBLE * np.sqrt(np.diagonal(inverse[:, outer.size :]))
        row, column = np.nonzero(abs(inverse) > limit[:, None] * err[members])
        rows.append(inner[row].astype(np.int32))
        columns.append(members[column].astype(np.int32))
        values.append(inverse[row, column].astype(np.float32))
    return coo_array(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))),
        shape=matrix.shape,
    ).tocsr()


@dataclass(frozen=True, eq=False)
class _Cells:
    """Sources sorted by square cells of pixels, row after row of cells.

    Attributes
    ----------
    order : (n,) ndarray of intp
        The sources in that order.
    start : (r * c + 1,) ndarray of intp
        Where those of each cell begin.
    shape : (int, int)
        Rows r and columns c of cells.
    """

    order: NDArray[np.intp]
    start: NDArray[np.intp]
    shape: tuple[int, int]

    @classmethod
    def of(cls, x: NDArray, y: NDArray, width: float) -> _Cells:
        column, row = ((at - at.min()) // width for at in (x, y))
        shape = int(row.max()) + 1, int(column.max()) + 1
        cell = (row * shape[1] + column).astype(np.intp)
        counts = np.bincount(cell, minlength=shape[0] * shape[1])
        start = np.concatenate([[0], np.cumsum(counts)])
        return cls(np.argsort(cell, kind="stable"), start, shape)

    def sources(self, runs: Runs) -> NDArray[np.intp]:
        """Return the sources of runs of the sorted ones."""
        return np.concatenate([self.order[run] for run in runs])

    def blocks(self) -> Iterator[tuple[Runs, Runs]]:
        """Yield squares of several cells that are not empty, and each with its halo."""
        n = _CELLS_OF_SQUARE
        cell = np.column_stack(np.divmod(np.flatnonzero(np.diff(self.start)), self.shape[1]))
        for row, column in (n * np.unique(cell // n, axis=0)).tolist():
            square = self._runs(row, row + n, column, column + n)
            yield square, self._runs(row - 1, row + n + 1, column - 1, column + n + 1)

    def _runs(self, bottom: int, top: int, left: int, right: int) -> Runs:
        """Return the sources of a rectangle of cells, a run for each row of it."""
        n_rows, n_columns = self.shape
        left, right = max(left, 0), min(right, n_columns)
        rows = range(max(bottom, 0), min(top, n_rows))
        ends = [(row * n_columns + left, row * n_columns + right) for row in rows]
        return [slice(int(self.start[first]), int(self.start[last])) for first, last in ends]


def _dense(
    by_cell: csr_array, block: Runs, place: NDArray[np.int32], members: NDArray[np.intp]
) -> NDArray:
    """Return the block's part of a matrix whose rows are sorted by cell.

    `place` tells the row and column in the block for each source, -1 for those of other blocks;
    `members` are the sources of the block in the order of the matrix's rows.
    """
    indptr = by_cell.indptr
    entries = [slice(indptr[run.start], indptr[run.stop]) for run in block]
    column = place[np.concatenate([by_cell.indices[entry] for entry in entries])]
    value = np.concatenate([by_cell.data[entry] for entry in entries])
    n_in_row = np.concatenate([np.diff(indptr[run.start : run.stop + 1]) for run in block])
    row = np.repeat(place[members], n_in_row)
    inside = column >= 0
    dense = np.zeros((members.size, members.size))
    dense[row[inside], column[inside]] = value[inside]
    return dense
