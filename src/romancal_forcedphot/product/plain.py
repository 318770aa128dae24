"""Conversion of metadata to plain Python objects."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
from astropy.time import Time

from ..storage import printable

__all__ = ["plain"]


def plain(value: Any) -> Any:
    """Copy a tree of metadata as plain Python objects and times.

    Parameters
    ----------
    value : object
        Mappings, sequences, NumPy values, paths and times, with or without the tags of RAD.

    Returns
    -------
    object
        Shares nothing with the tree. Every text can be encoded as UTF-8.
    """
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, str | PurePath):
        return printable(str(value))
    if isinstance(value, Time):
        return Time(value, copy=True)
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    return copy.deepcopy(value)
