"""Which exposures of a mosaic made the pixels of each source, and with what weight."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .exposure import Coverage
from .pixels.cutouts import cutout_on_image, cutout_values, split_position

__all__ = ["coverage_at"]

_HALF_SIZE = 2  # pixels around the central one


def coverage_at(coverage: Coverage, x: NDArray, y: NDArray) -> dict[str, NDArray]:
    """Return the columns of `table.coverage_columns` for some positions.

    Parameters
    ----------
    coverage : Coverage
        Of the mosaic.
    x, y : (n,) ndarray of float64
        0-indexed pixel positions; NaN where there is none.

    Returns
    -------
    dict of str to (n,) ndarray
        ``n_exposures`` (int32), the number of exposures with a share in any of the 5 x 5 pixels
        around each position, -1 where the mosaic does not tell; ``weight`` (float32), the median
        of the weights of these pixels, NaN off the mosaic.
    """
    dy, dx = np.mgrid[-_HALF_SIZE : _HALF_SIZE + 1, -_HALF_SIZE : _HALF_SIZE + 1].reshape(2, -1)
    known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    ny, nx = coverage.weight.shape
    y_pixel, x_pixel = (
        split_position(at[known], size, _HALF_SIZE)[0] for at, size in ((y, ny), (x, nx))
    )
    pixels = y_pixel, x_pixel, dy, dx
    weight = np.full(len(x), np.nan, dtype=np.float32)
    values = cutout_values(coverage.weight, *pixels, fill=0).astype(np.float32)
    values[~cutout_on_image((ny, nx), *pixels)] = np.nan
    on_mosaic = np.isfinite(values).any(axis=1)
    weight[known[on_mosaic]] = np.nanmedian(values[on_mosaic], axis=1)
    n_exposures = np.full(len(x), -1, dtype=np.int32)
    if coverage.context is not None:
        n_exposures[:] = 0
        for plane in coverage.context:  # 32 exposures each
            bits = np.bitwise_or.reduce(cutout_values(plane, *pixels, fill=0), axis=1)
            n_exposures[known] += np.bitwise_count(bits).astype(np.int32)
    return {"n_exposures": n_exposures, "weight": weight}
