"""Cutouts: the pixels around many sources at once.

A neighbourhood is a list of pixel offsets (dy, dx), the same for all sources. Adding the flat
index of a source's central pixel to the flat offsets gives all its pixels, and one `numpy.take`
fetches them for many sources. Sources so close to the edge that the neighbourhood leaves the
image are put right afterwards, so that the image never needs a padded copy.
"""

from __future__ import annotations

import numpy as np

MAX_INDICES = 100_000
"""Pixels fetched by one `numpy.take`: their table of indices stays in the cache."""


def split_position(position, size: int, reach: int):
    """Split pixel coordinates into the nearest pixel and the rest.

    Parameters
    ----------
    position : float64 array (n,)
        Finite 0-indexed coordinates along one axis; the pixel k reaches from k-0.5 to k+0.5.
    size : int
        Length of the image along that axis.
    reach : int
        Half width of the neighbourhood. Positions so far off the image that no neighbour is on
        it are brought to just there, which keeps the indices small.

    Returns
    -------
    pixel : intp array (n,)
    fraction : float64 array (n,), from -0.5 to 0.5
    """
    position = np.asarray(position, dtype=np.float64)
    pixel = np.rint(position)
    return np.clip(pixel, -reach - 1, size + reach).astype(np.intp), position - pixel


def neighbor_values(image, y_pixel, x_pixel, dy, dx, fill) -> np.ndarray:
    """Values of the pixels around each source.

    Parameters
    ----------
    image : array (ny, nx)
        C-contiguous: it is copied otherwise.
    y_pixel, x_pixel : intp array (n,)
        Central pixels, on the image or not.
    dy, dx : intp array (k,)
        Offsets of the neighbours.
    fill
        Value of pixels off the image.

    Returns
    -------
    array (n, k) of the image's type
    """
    n_columns = image.shape[1]
    flat, center = image.reshape(-1), y_pixel * n_columns + x_pixel
    offsets = dy * n_columns + dx
    values = np.empty((center.size, offsets.size), dtype=image.dtype)
    chunk_size = max(MAX_INDICES // offsets.size, 1)
    for start in range(0, center.size, chunk_size):
        chunk = slice(start, start + chunk_size)
        # Of numpy's ways to treat an index out of bounds, 'clip' is the one that writes to `out`
        # directly. What it fetches for sources at the edge is replaced below.
        np.take(flat, center[chunk, None] + offsets, out=values[chunk], mode="clip")
    cut = _leaves_image(image.shape, y_pixel, x_pixel, dy, dx)
    if cut.any():
        rows, columns = y_pixel[cut, None] + dy, x_pixel[cut, None] + dx
        nearest = image[np.clip(rows, 0, len(image) - 1), np.clip(columns, 0, n_columns - 1)]
        values[cut] = np.where(_on_image(image.shape, rows, columns), nearest, fill)
    return values


def neighbors_on_image(shape, y_pixel, x_pixel, dy, dx) -> np.ndarray:
    """Which of the pixels around each source are on the image: bool (n, k)."""
    cut = _leaves_image(shape, y_pixel, x_pixel, dy, dx)
    on_image = np.ones((cut.size, dy.size), dtype=bool)
    on_image[cut] = _on_image(shape, y_pixel[cut, None] + dy, x_pixel[cut, None] + dx)
    return on_image


def _leaves_image(shape, y_pixel, x_pixel, dy, dx):
    """Which sources have neighbours off the image."""
    return ~(
        _on_image(shape, y_pixel + dy.min(), x_pixel + dx.min())
        & _on_image(shape, y_pixel + dy.max(), x_pixel + dx.max())
    )


def _on_image(shape, rows, columns):
    """Which pixels are on the image."""
    return (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
