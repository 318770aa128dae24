"""The CRDS ``gain`` reference, for images whose flat field does not include the gain.

romancal's flat field is area · QE / gain, normalised: an image divided by it has no gain variations
left, and a gain correction would introduce them again, inverted. An image without a flat field, or
with one in units of electrons, has the gain variations of its pixels in DN; only such an image is
to be multiplied by gain / median(gain).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from roman_datamodels import datamodels as rdm

from ..geometry import trim_border
from .errors import ReferenceFileError
from .files import check_instrument, open_reference
from .finder import Reference, remedy_for

__all__ = ["read_relative_gain", "relative_gain"]


def read_relative_gain(
    reference: Reference, *, detector: str, shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Read a gain reference as a relative map.

    Parameters
    ----------
    reference : Reference
        Result of a finder.
    detector : str
        Detector of the image, which must be that of the file.
    shape : (int, int)
        Shape (ny, nx) of the image.

    Returns
    -------
    (ny, nx) ndarray of float32
        See `relative_gain`.

    Raises
    ------
    ReferenceFileError
        The file is not a gain reference, is for another detector, or its map is invalid.
    """
    with open_reference(reference, rdm.GainRefModel) as model:
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
    gain : (my, mx) ndarray
        Gain in e/DN, with or without the border of reference pixels.
    shape : (int, int)
        Shape (ny, nx) of the image.

    Returns
    -------
    (ny, nx) ndarray of float32
        Gain / median(gain); NaN where the gain is not finite and positive.

    Raises
    ------
    ValueError
        The map has another shape, or no valid pixel.
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
