"""The CRDS ``gain`` reference, for the rare image whose flat field does not contain the gain.

romancal's flat is area · QE / gain, normalised: dividing by it leaves no variation of the gain,
and multiplying by a gain map would put it back in, upside down. An image that was flattened by
something without the gain (a flat in electrons, or none) still counts in each pixel's own DN. Only
such an image is corrected by gain / median(gain).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from roman_datamodels import datamodels as rdm

from ..geometry import trim_border
from .errors import ReferenceFileError
from .files import check_instrument, opened
from .finder import Reference, remedy_for

__all__ = ["read_relative_gain", "relative_gain"]


def read_relative_gain(
    reference: Reference, *, detector: str, shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Read a gain reference as a relative map.

    Parameters
    ----------
    reference : Reference
        What a finder has found.
    detector : str
        The image's detector, which the file's must match.
    shape : (int, int)
        Shape (ny, nx) of the image.

    Returns
    -------
    (ny, nx) ndarray of float32
        See `relative_gain`.

    Raises
    ------
    ReferenceFileError
        The file is no gain reference, belongs to another detector, or its map does not fit.
    """
    with opened(reference, rdm.GainRefModel) as model:
        check_instrument(reference, model, detector=detector)
        gain = np.array(model.data)
    try:
        return relative_gain(gain, shape)
    except ValueError as error:
        raise ReferenceFileError(
            f"{error}; name another with --override_gain=FILE, or set {remedy_for('gain')}"
        ) from error


def relative_gain(gain: NDArray, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return the gain of each pixel relative to the median.

    Parameters
    ----------
    gain : ndarray
        e/DN of the (ny, nx) science pixels, or of all with the border of 4 reference pixels.
    shape : (int, int)
        Shape (ny, nx) of the image.

    Returns
    -------
    (ny, nx) ndarray of float32
        Median 1; NaN where the gain is not finite and positive.

    Raises
    ------
    ValueError
        The map has another shape, or no usable pixel.
    """
    relative = np.array(trim_border(gain, shape, "gain reference"), dtype=np.float32)
    good = np.isfinite(relative) & (relative > 0)
    if not good.any():
        raise ValueError(
            "gain reference has no pixel that is finite and positive: expected e/DN of each pixel"
        )
    relative[~good] = np.nan
    relative /= np.nanmedian(relative)
    return relative
