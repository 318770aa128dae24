"""Pixels around many sources at once: one table of flat indices per batch.

A neighbourhood is a list of pixel offsets (dy, dx), the same for all sources. Adding the flat
index of a source's central pixel to the flat offsets gives all its pixels, and one `numpy.take`
fetches them for a whole batch. Sources so close to the edge that the neighbourhood leaves the
image are put right row by row, so that the image never needs a padded copy.
"""

from __future__ import annotations

import numpy as np


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


def neighbor_indices(shape, y_pixel, x_pixel, dy, dx, out=None):
    """Flat indices of the pixels around each source.

    Parameters
    ----------
    shape : (int, int)
        Shape of the image.
    y_pixel, x_pixel : intp array (n,)
        Central pixels, on the image or not.
    dy, dx : intp array (k,)
        Offsets of the neighbours.
    out : intp array (n, k), optional
        Where to put the indices.

    Returns
    -------
    indices : intp array (n, k)
        Always valid; pixels off the image are replaced by the nearest one on it.
    off_image : bool array (n, k) or None
        Which pixels had to be replaced; None if there is none in the whole batch.
    """
    n_rows, n_columns = shape
    center = y_pixel * n_columns + x_pixel
    indices = np.add(center[:, None], dy * n_columns + dx, out=out)
    cut = (
        (y_pixel + dy.min() < 0)
        | (y_pixel + dy.max() >= n_rows)
        | (x_pixel + dx.min() < 0)
        | (x_pixel + dx.max() >= n_columns)
    )
    if not cut.any():
        return indices, None
    rows, columns = y_pixel[cut, None] + dy, x_pixel[cut, None] + dx
    off_image = np.zeros(indices.shape, dtype=bool)
    off_image[cut] = (rows < 0) | (rows >= n_rows) | (columns < 0) | (columns >= n_columns)
    indices[cut] = np.clip(rows, 0, n_rows - 1) * n_columns + np.clip(columns, 0, n_columns - 1)
    return indices, off_image
