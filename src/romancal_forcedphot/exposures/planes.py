"""Arrays of Roman models, for the readers of images."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..storage import ChecksumError, StorageError
from .checks import shown_name
from .errors import ExposureError

__all__ = ["INTEGERS", "NUMBERS", "read_plane"]

#: Kinds of the types of arrays: of flags, and of measured values.
INTEGERS, NUMBERS = "ui", "fui"


def read_plane(model: Any, name: str, kinds: str) -> np.ndarray:
    """Return an array of a model, read from its file if not in memory yet.

    Parameters
    ----------
    model : roman_datamodels.datamodels.DataModel
        An image or mosaic.
    name : str
        Name of the array.
    kinds : str
        Kinds of the types that it may have, `INTEGERS` or `NUMBERS`.

    Returns
    -------
    ndarray

    Raises
    ------
    ExposureError
        It cannot be read, or is of another type.
    """
    try:
        plane = np.asarray(model[name])
    except ConnectionError:  # the file is remote, and the error says what happened
        raise
    except ChecksumError as error:
        raise ExposureError(
            f"{shown_name(model)} has a damaged {name} array: {error}, or read it as it is with "
            "--verify_checksums=False"
        ) from error
    except StorageError as error:
        raise ExposureError(
            f"{shown_name(model)} has a {name} array that cannot be read: {error}"
        ) from error
    except Exception as error:
        raise ExposureError(
            f"{shown_name(model)} has a {name} array that cannot be read ({error}): expected a "
            "whole file; it is truncated or damaged, fetch it again"
        ) from error
    if plane.dtype.kind not in kinds:
        expected = "integers" if kinds == INTEGERS else "real numbers"
        raise ExposureError(
            f"{shown_name(model)} has a {name} array of type {plane.dtype}: expected {expected}, "
            "as romancal writes them; mend it"
        )
    return plane
