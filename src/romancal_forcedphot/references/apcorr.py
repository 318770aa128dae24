"""The CRDS ``apcorr`` reference: encircled energy as a function of radius for each filter."""

from __future__ import annotations

from typing import Any

import numpy as np
from roman_datamodels import datamodels as rdm

from .files import open_reference
from .finder import Reference

__all__ = ["read_apcorr"]


def read_apcorr(reference: Reference, *, band: str) -> dict[str, Any]:
    """Read the aperture corrections of one filter.

    Parameters
    ----------
    reference : Reference
        Result of a finder.
    band : str
        Name of the optical element.

    Returns
    -------
    dict
        The entries of the filter (``ee_radii``, ``ee_fractions``, ...), each an array, a number or
        None; empty if the file has none.

    Raises
    ------
    ReferenceFileError
        The file is not an aperture-correction reference.
    """
    with open_reference(reference, rdm.ApcorrRefModel) as model:
        entry = model.data.get(band) or {}
        return {
            key: np.array(value, dtype=float) if np.ndim(value) else value
            for key, value in dict(entry).items()
        }
