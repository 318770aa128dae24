"""Cutouts: the pixels around many sources at once.

A cutout is a list of pixel offsets (dy, dx) from the central pixel, the same for all sources. The
flat index of a source's central pixel plus the flat offsets gives all its pixels, and one
`numpy.take` reads them for many sources. Cutouts that extend beyond the edge of the image are
corrected afterwards, so that the image needs no padded copy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Cutouts", "cutout_on_image", "cutout_values", "split_position"]

#: Pixels that `cutout_values` reads at once, such that their indices stay in the CPU cache.
MAX_INDICES = 100_000


def split_position(position, size: int, reach: int):
    """Split pixel coordinates into the nearest pixel and the sub-pixel offset.

    Parameters
    ----------
    position : (n,) ndarray of float64
        Finite 0-indexed coordinates along one axis; pixel k extends from k - 0.5 to k + 0.5.
    size : int
        Length of the image along that axis.
    reach : int
        Half width of the cutouts in pixels. Pixels of positions so far off the image that their
        cutout misses it are clipped to just there, to avoid overflow of indices.

    Returns
    -------
    pixel : (n,) ndarray of intp
        Nearest pixels.
    fraction : (n,) ndarray of float64
        Position minus nearest pixel, from -0.5 to 0.5.
    """
    position = np.asarray(position, dtype=np.float64)
    pixel = np.rint(position)
    return np.clip(pixel, -reach - 1, size + reach).astype(np.intp), position - pixel


@dataclass(frozen=True)
class Cutouts:
    """Where the k pixels around each of n sources are in the images of one shape.

    Attributes
    ----------
    indices : (n, k) ndarray of intp
        Indices into the flattened image; meaningless for pixels off the image.
    cut : (m,) ndarray of intp
        Sources whose cutouts extend beyond the image.
    on_image : (m, k) ndarray of bool
        Which of their pixels are on the image.
    """

    indices: np.ndarray
    cut: np.ndarray
    on_image: np.ndarray

    @classmethod
    def around(cls, shape, y_pixel, x_pixel, dy, dx, which=None) -> Cutouts:
        """Find the pixels around sources.

        Parameters
        ----------
        shape : (int, int)
            Shape (ny, nx) of the image.
        y_pixel, x_pixel : (n,) ndarray of intp
            Central pixels, on the image or off it.
        dy, dx : (k,) or (g, k) ndarray of intp
            Offsets of the pixels of a cutout, or of several.
        which : (n,) ndarray of intp, optional
            Which of several cutouts each source has.

        Returns
        -------
        Cutouts
        """
        offsets = dy * shape[1] + dx
        center = (y_pixel * shape[1] + x_pixel)[:, None]
        if which is None:
            indices = center + offsets
        else:
            indices = offsets[which]
            indices += center
        cut = np.flatnonzero(_is_cut(shape, y_pixel, x_pixel, dy, dx))
        dy, dx = (dy, dx) if which is None else (dy[which[cut]], dx[which[cut]])
        on_image = _on_image(shape, y_pixel[cut, None] + dy, x_pixel[cut, None] + dx)
        return cls(indices, cut, on_image)

    def values(self, image, fill) -> np.ndarray:
        """Read the pixels of an image.

        Parameters
        ----------
        image : (ny, nx) ndarray
            The image. It is copied unless C-contiguous.
        fill : scalar
            Value of pixels off the image.

        Returns
        -------
        (n, k) ndarray
            Of the image's type.
        """
        # Of numpy's modes for indices out of bounds, only 'clip' makes no copy; what it reads for
        # pixels off the image is replaced.
        values = np.take(image.reshape(-1), self.indices, mode="clip")
        if self.cut.size:
            values[self.cut] = np.where(self.on_image, values[self.cut], fill)
        return values

    @property
    def are_on_image(self) -> np.ndarray:
        """Whether the pixels are on the image, (n, k) bool."""
        on_image = np.ones(self.indices.shape, dtype=bool)
        on_image[self.cut] = self.on_image
        return on_image


def cutout_values(image, y_pixel, x_pixel, dy, dx, fill) -> np.ndarray:
    """Return the values of the pixels around each source.

    Parameters
    ----------
    image : (ny, nx) ndarray
        The image. It is copied unless C-contiguous.
    y_pixel, x_pixel, dy, dx
        As for `Cutouts.around`.
    fill : scalar
        Value of pixels off the image.

    Returns
    -------
    (n, k) ndarray
        Of the image's type.
    """
    values = np.empty((y_pixel.size, dy.size), dtype=image.dtype)
    size = max(MAX_INDICES // dy.size, 1)
    for start in range(0, y_pixel.size, size):
        some = slice(start, start + size)
        values[some] = Cutouts.around(image.shape, y_pixel[some], x_pixel[some], dy, dx).values(
            image, fill
        )
    return values


def cutout_on_image(shape, y_pixel, x_pixel, dy, dx) -> np.ndarray:
    """Return whether the pixels around each source are on the image.

    Parameters
    ----------
    shape : (int, int)
        Shape (ny, nx) of the image.
    y_pixel, x_pixel, dy, dx
        As for `Cutouts.around`.

    Returns
    -------
    (n, k) ndarray of bool
    """
    cut = _is_cut(shape, y_pixel, x_pixel, dy, dx)
    on_image = np.ones((cut.size, dy.size), dtype=bool)
    on_image[cut] = _on_image(shape, y_pixel[cut, None] + dy, x_pixel[cut, None] + dx)
    return on_image


def _is_cut(shape, y_pixel, x_pixel, dy, dx):
    """Whether the cutout of each source extends beyond the image: bool (n,)."""
    return _reaches_beyond(y_pixel, dy, shape[0]) | _reaches_beyond(x_pixel, dx, shape[1])


def _reaches_beyond(pixel, offsets, size):
    """Whether pixels at offsets from central ones lie beyond an axis, (n,) bool."""
    return (pixel < -offsets.min()) | (pixel >= size - offsets.max())


def _on_image(shape, rows, columns):
    """Whether pixels are on the image."""
    return (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
