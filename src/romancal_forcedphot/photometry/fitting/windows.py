"""Rectangles of pixels that may reach beyond the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Window"]


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels, on the image or partly beyond its edge.

    Attributes
    ----------
    top, left : int
        Its first row and column, in pixels of the image.
    shape : (int, int)
        Its rows and columns.
    """

    top: int
    left: int
    shape: tuple[int, int]

    @classmethod
    def around(cls, x: NDArray, y: NDArray, half_size: NDArray) -> Window:
        """Return the smallest that holds the stamps of sources; see `profiles.Profiles`."""
        column, row = np.rint(x).astype(np.intp), np.rint(y).astype(np.intp)
        top, left = int((row - half_size).min()), int((column - half_size).min())
        bottom, right = int((row + half_size).max()), int((column + half_size).max())
        return cls(top, left, (bottom - top + 1, right - left + 1))

    @property
    def n_pixels(self) -> int:
        """How many pixels it has."""
        return self.shape[0] * self.shape[1]

    def grown(self, margin: int) -> Window:
        """Return the window with a margin all around."""
        height, width = self.shape
        shape = height + 2 * margin, width + 2 * margin
        return Window(self.top - margin, self.left - margin, shape)

    def index(self, row: NDArray, column: NDArray) -> NDArray:
        """Return the place of pixels of the image in the flattened window."""
        return (row - self.top) * self.shape[1] + (column - self.left)

    def on(self, shape: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Return the part that lies on an image, as slices of the image and of the window."""
        of_image, of_window = [], []
        for first, length, size in zip((self.top, self.left), self.shape, shape, strict=True):
            start, stop = np.clip([first, first + length], 0, size)
            of_image.append(slice(int(start), int(stop)))
            of_window.append(slice(int(start) - first, int(stop) - first))
        return tuple(of_image), tuple(of_window)

    def cut(self, image: NDArray, fill: float = 0.0) -> NDArray:
        """Return a copy of an image's pixels in the window, `fill` beyond its edge."""
        pixels = np.full(self.shape, fill, dtype=image.dtype)
        of_image, of_window = self.on(image.shape)
        pixels[of_window] = image[of_image]
        return pixels

    def add_to(self, image: NDArray, pixels: NDArray) -> None:
        """Add the window's pixels to an image; those beyond its edge are left out."""
        of_image, of_window = self.on(image.shape)
        image[of_image] += pixels.reshape(self.shape)[of_window]
