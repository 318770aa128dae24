"""The rectangular grid of detector positions at which an ePSF is tabulated."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .errors import PSFError
from .samples import bilinear_nodes

__all__ = ["PositionGrid"]


@dataclass(frozen=True, eq=False)
class PositionGrid:
    """Positions in any order that together form a rectangular grid.

    Attributes
    ----------
    x, y : (k,) ndarray of float64
        0-indexed positions on the image.

    Raises
    ------
    PSFError
        The positions do not form a grid.
    """

    x: NDArray
    y: NDArray

    def __post_init__(self) -> None:
        positions = set(zip(self.x.tolist(), self.y.tolist(), strict=True))
        n_nodes = self._x_nodes.size * self._y_nodes.size
        if len(positions) != self.x.size or self.x.size != n_nodes:
            raise PSFError(
                f"ePSF positions x {self.x.tolist()}, y {self.y.tolist()} are no rectangular "
                "grid: expected each of a number of x with each of a number of y"
            )

    def corners(self, x: NDArray, y: NDArray) -> list[tuple[NDArray[np.intp], NDArray]]:
        """Return the grid positions around each place, for bilinear interpolation.

        Parameters
        ----------
        x, y : (n,) ndarray
            Pixel positions. Those outside the grid have the nearest position on its boundary.

        Returns
        -------
        list of (index, weight)
            Four pairs of arrays (n,): rows of the grid's positions, and their bilinear weights.
        """
        left, right, right_weight = bilinear_nodes(self._x_nodes, x)
        lower, upper, upper_weight = bilinear_nodes(self._y_nodes, y)
        return [
            (self._node_at[row, column], y_weight * x_weight)
            for row, y_weight in ((lower, 1 - upper_weight), (upper, upper_weight))
            for column, x_weight in ((left, 1 - right_weight), (right, right_weight))
        ]

    @cached_property
    def _x_nodes(self) -> NDArray:
        """Coordinates x of the nodes of the grid, increasing."""
        return np.unique(self.x)

    @cached_property
    def _y_nodes(self) -> NDArray:
        """Coordinates y of the nodes of the grid, increasing."""
        return np.unique(self.y)

    @cached_property
    def _node_at(self) -> NDArray[np.intp]:
        """Row of the position at each node of the grid, (n_y, n_x)."""
        node = np.empty((self._y_nodes.size, self._x_nodes.size), dtype=np.intp)
        row, column = np.searchsorted(self._y_nodes, self.y), np.searchsorted(self._x_nodes, self.x)
        node[row, column] = np.arange(self.x.size)
        return node
