"""Cutouts: the pixels around many sources at once.

A cutout is a list of pixel offsets (dy, dx) from the central pixel, the same for all sources. The
flat index of a source's central pixel plus the flat offsets gives all its pixels, and one
`numpy.take` reads them for many sources. Cutouts that extend beyond the edge of the image are
corrected afterwards, so that the image needs no padded copy.
"""

from __future__ import annotations

import numpy as np

__all__ = ["cutout_on_image", "cutout_values", "split_position"]

#: Pixels read by one `numpy.take`, such that the array of indices stays in the CPU cache.
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


def cutout_values(image, y_pixel, x_pixel, dy, dx, fill, *, out=None) -> np.ndarray:
    """Return the values of the pixels around each source.

    Parameters
    ----------
    image : (ny, nx) ndarray
        The image. It is copied unless C-contiguous.
    y_pixel, x_pixel : (n,) ndarray of intp
        Central pixels, on the image or off it.
    dy, dx : (k,) ndarray of intp
        Offsets of the pixels of a cutout.
    fill : scalar
        Value of pixels off the image.
    out : (n, k) ndarray, optional
        Where to put the values: C-contiguous, of the image's type.

    Returns
    -------
    (n, k) ndarray
        `out`, or a new array of the image's type.
    """
    n_columns = image.shape[1]
    flat, center = image.reshape(-1), y_pixel * n_columns + x_pixel
    offsets = dy * n_columns + dx
    values = np.empty((center.size, offsets.size), dtype=image.dtype) if out is None else out
    chunk_size = max(MAX_INDICES // offsets.size, 1)
    for start in range(0, center.size, chunk_size):
        chunk = slice(start, start + chunk_size)
        # Of numpy's modes for indices out of bounds, only 'clip' writes to `out` directly. The
        # values that it reads for sources at the edge are replaced below.
        np.take(flat, center[chunk, None] + offsets, out=values[chunk], mode="clip")
    cut = _is_cut(image.shape, y_pixel, x_pixel, dy, dx)
    if cut.any():
        rows, columns = y_pixel[cut, None] + dy, x_pixel[cut, None] + dx
        nearest = image[np.clip(rows, 0, len(image) - 1), np.clip(columns, 0, n_columns - 1)]
        values[cut] = np.where(_on_image(image.shape, rows, columns), nearest, fill)
    return values


def cutout_on_image(shape, y_pixel, x_pixel, dy, dx) -> np.ndarray:
    """Return whether the pixels around each source are on the image.

    Parameters
    ----------
    shape : (int, int)
        Shape (ny, nx) of the image.
    y_pixel, x_pixel, dy, dx
        As for `cutout_values`.

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
    return ~(
        _on_image(shape, y_pixel + dy.min(), x_pixel + dx.min())
        & _on_image(shape, y_pixel + dy.max(), x_pixel + dx.max())
    )


def _on_image(shape, rows, columns):
    """Whether pixels are on the image."""
    return (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
