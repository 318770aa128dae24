"""Relative gain, for the rare image whose flat field does not contain it.

romancal's flat is area · QE / gain, normalised: dividing by it leaves no variation of the gain,
and multiplying by a gain map would put it back in, upside down. An image that was flattened by
something without the gain (a flat in electrons, or none) still counts in each pixel's own DN. Only
such an image is put right by gain / median(gain).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .exposure import Exposure

__all__ = ["relative_gain", "with_gain"]

REFERENCE_BORDER = 4  # reference pixels around the 4088 science pixels of a 4096 frame


def relative_gain(gain: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the gain of each pixel relative to the median.

    Parameters
    ----------
    gain : ndarray
        (ny, nx) e/DN of the science pixels, or of all with the border of 4 reference pixels.
    shape : (int, int)
        Shape (ny, nx) of the image.

    Returns
    -------
    ndarray
        (ny, nx) float32, median 1; NaN where the gain is not finite and positive.

    Raises
    ------
    ValueError
        The map has another shape, or no usable pixel.
    """
    border = slice(REFERENCE_BORDER, -REFERENCE_BORDER)
    if gain.shape == tuple(n + 2 * REFERENCE_BORDER for n in shape):
        gain = gain[border, border]
    if gain.shape != tuple(shape):
        raise ValueError(
            f"gain reference has shape {gain.shape}, the image has {tuple(shape)}: give the gain "
            "of this detector with --override_gain, or set --gain_correction=False"
        )
    relative = np.array(gain, dtype=np.float32)
    good = np.isfinite(relative) & (relative > 0)
    if not good.any():
        raise ValueError(
            "gain reference has no pixel that is finite and positive: give another with "
            "--override_gain, or set --gain_correction=False"
        )
    relative[~good] = np.nan
    relative /= np.nanmedian(relative)
    return relative


def with_gain(exposure: Exposure, relative: np.ndarray) -> Exposure:
    """Return the exposure with data and errors multiplied by a relative gain.

    Pixels without a gain become unusable.
    """
    err = np.multiply(exposure.err, np.nan_to_num(relative), dtype=np.float32)
    return replace(exposure, data=exposure.data * relative, err=err)
