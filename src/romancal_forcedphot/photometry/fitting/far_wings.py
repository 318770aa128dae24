"""The light of sources beyond their stamps, where so many overlap that it adds up.

A stamp ends where its source's light is a small part of the noise. In the bulge dozens of stamps
overlap on every pixel, and what lies beyond them is a background that changes by more than the
noise from one star to the next. All of it is a convolution for each size of stamp: the fluxes, put
on the sources' nearest pixels, with the PSF outside the stamp. That ends where stamps do to the
pixel; the sub-pixel phase, which far wings hardly show, is left out.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from .mesh import Mesh
from .parallel import in_order
from .profiles import Profiles
from .windows import Window

__all__ = ["BLOCK_PIX", "crowded_blocks", "far_wings"]

BLOCK_PIX = 512
"""Side of the squares of the image, each with the PSF of its middle."""

_MANY_STAMPS = 3.0  # on each pixel of a block, in the mean


def crowded_blocks(
    blocks: Mesh, x: NDArray, y: NDArray, half_size: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Return in which blocks (r, c) many stamps overlap.

    Parameters
    ----------
    blocks : Mesh
        The blocks of the image.
    x, y : (n,) ndarray of float64
        Pixel positions of the sources.
    half_size : (n,) ndarray of intp
        Half sizes of their stamps, 0 for sources without one.
    """
    pixels = np.where(half_size > 0, (2.0 * half_size + 1) ** 2, 0.0)
    row, column = blocks.cell_of(x, y)
    of_stamps = np.zeros(blocks.shape)
    np.add.at(of_stamps, (row, column), pixels)
    return of_stamps > _MANY_STAMPS * blocks.n_pixels


def far_wings(
    profiles: Profiles,
    flux: NDArray,
    half_size: NDArray[np.intp],
    blocks: Mesh,
    is_crowded: NDArray[np.bool_],
    *,
    n_threads: int,
) -> NDArray[np.float32]:
    """Return the light of all sources beyond their stamps, on the pixels of some blocks.

    Parameters
    ----------
    profiles : Profiles
        Of n sources; how light falls off is taken from `Profiles.typical_stamp`.
    flux : (n,) ndarray
        Their fluxes.
    half_size : (n,) ndarray of intp
        Half sizes of their stamps, 0 for sources that are left out.
    blocks : Mesh
        The blocks of the image.
    is_crowded : (r, c) ndarray of bool
        Which of them; the others get none.
    n_threads : int
        Threads over blocks.

    Returns
    -------
    (ny, nx) ndarray of float32
    """
    light = np.zeros((blocks.edges_y[-1], blocks.edges_x[-1]), dtype=np.float32)
    chosen = np.flatnonzero(half_size > 0)
    chosen = chosen[np.argsort(profiles.y[chosen], kind="stable")]
    in_block = partial(_in_block, profiles, flux, half_size, chosen)
    windows = [blocks.window(row, column) for row, column in np.argwhere(is_crowded)]
    for window, pixels in zip(windows, in_order(in_block, windows, n_threads), strict=True):
        window.add_to(light, pixels)
    return light


def _in_block(
    profiles: Profiles,
    flux: NDArray,
    half_size: NDArray[np.intp],
    by_y: NDArray[np.intp],
    window: Window,
) -> NDArray[np.float32]:
    """Return the far wings on the pixels of a window; `by_y` are the sources in rising y."""
    reach = profiles.largest_half_size
    around = window.grown(reach)
    (top, left), (height, width) = (around.top, around.left), around.shape
    rows = by_y[slice(*np.searchsorted(np.rint(profiles.y[by_y]), [top, top + height]))]
    column = np.rint(profiles.x[rows])
    rows = rows[(column >= left) & (column < left + width)]
    shape = tuple(fft.next_fast_len(n, real=True) for n in around.shape)
    stamp = profiles.typical_stamp(left + width / 2, top + height / 2)
    offset = abs(np.arange(-reach, reach + 1))
    ring = np.maximum(offset[:, None], offset)
    total = np.zeros((shape[0], shape[1] // 2 + 1), dtype=np.complex64)
    for half in np.unique(half_size[rows]):
        if half >= reach:
            continue
        same = rows[half_size[rows] == half]
        pixel = around.index(
            *(np.rint(at[same]).astype(np.intp) for at in (profiles.y, profiles.x))
        )
        points = np.bincount(pixel, flux[same], minlength=around.n_pixels).reshape(around.shape)
        beyond = np.where(ring > half, stamp, 0.0)
        total += _transform(points, shape) * _transform(beyond, shape)
    # The kernel's middle is `reach` into it, and so is the window's first pixel in the grown one.
    light = fft.irfft2(total, shape)[2 * reach :, 2 * reach :]
    return light[: window.shape[0], : window.shape[1]]


def _transform(image: NDArray, shape: tuple[int, int]) -> NDArray[np.complex64]:
    return fft.rfft2(image.astype(np.float32), shape)
