"""The CRDS ``apcorr`` reference: encircled energy against radius for each filter."""

from __future__ import annotations

from typing import Any

import numpy as np
from roman_datamodels import datamodels as rdm

from .files import opened
from .finder import Reference

__all__ = ["read_apcorr"]


def read_apcorr(reference: Reference, *, band: str) -> dict[str, Any]:
    """Read the aperture corrections of one filter.

    Parameters
    ----------
    reference : Reference
        What a finder has found.
    band : str
        Name of the optical element.

    Returns
    -------
    dict
        The file's entries for the filter (``ee_radii``, ``ee_fractions``, ...), each an array, a
        number or None; empty where the file has none for it.

    Raises
    ------
    ReferenceFileError
        The file is no aperture-correction reference.
    """
    with opened(reference, rdm.ApcorrRefModel) as model:
        entry = model.data.get(band) or {}
        return {
            key: np.array(value) if np.ndim(value) else value for key, value in dict(entry).items()
        }
