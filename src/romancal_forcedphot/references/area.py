"""The CRDS ``area`` reference: pixel-area map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from roman_datamodels import datamodels as rdm

from ..geometry import relative_area_from_reference
from .errors import ReferenceFileError
from .files import check_instrument, open_reference
from .finder import Reference, remedy_for

__all__ = ["AreaReference", "read_area"]


@dataclass(frozen=True, eq=False)
class AreaReference:
    """Content of a pixel-area reference file.

    Attributes
    ----------
    relative : (ny, nx) ndarray of float32
        Area of each pixel relative to the nominal pixel.
    nominal_steradian : float or None
        Nominal pixel area in sr from the file's ``meta.photometry``.
    """

    relative: NDArray[np.float32]
    nominal_steradian: float | None


def read_area(reference: Reference, *, detector: str, shape: tuple[int, int]) -> AreaReference:
    """Read a pixel-area reference.

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
    AreaReference

    Raises
    ------
    ReferenceFileError
        The file is not an area reference, is for another detector, or its map is invalid.
    """
    key = "area", detector, shape
    if key not in reference.made:
        reference.made[key] = _read(reference, detector, shape)
    return reference.made[key]


def _read(reference: Reference, detector: str, shape: tuple[int, int]) -> AreaReference:
    with open_reference(reference, rdm.PixelareaRefModel) as model:
        check_instrument(reference, model, detector=detector)
        photometry = model.meta.get("photometry") or {}
        nominal = photometry.get("pixelarea_steradians")
        data = np.asarray(model.data)  # not memory-mapped: it outlives the file
        try:
            relative = relative_area_from_reference(
                data,
                shape,
                nominal_steradian=nominal,
                nominal_arcsecsq=photometry.get("pixelarea_arcsecsq"),
            )
        except ValueError as error:
            raise ReferenceFileError(
                f"{error}; name another with --override_area=FILE, or set {remedy_for('area')}"
            ) from error
    return AreaReference(relative, nominal)
