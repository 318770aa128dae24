"""The gain correction and the pixel-area map that settings ask for.

Each comes with its provenance, a dict for the product's metadata. Reference files are looked for
only when a setting needs them.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import compare_areas
from ..photometry import Exposure, Settings
from ..references import Finder, Reference, read_area, read_relative_gain, require

__all__ = ["area_map", "gain_corrected"]

log = logging.getLogger(f"romancal.{__name__}")

_COMPARED_EVERY = 8  # pixels: areas are smooth


def gain_corrected(
    exposure: Exposure, settings: Settings, finder: Finder
) -> tuple[Exposure, dict[str, Any]]:
    """Multiply an exposure by the relative gain, where that is asked for.

    Pixels without a gain become unusable.

    Parameters
    ----------
    exposure : Exposure
        The image.
    settings : Settings
        Whose ``gain_correction`` decides.
    finder : Finder
        Finds the reference file.

    Returns
    -------
    exposure : Exposure
        The very same if no correction is asked for.
    provenance : dict
        Where the gain comes from.

    Raises
    ------
    ReferenceFileError
        There is no gain reference, or it does not fit.
    """
    if not settings.gain_correction:
        return exposure, {"applied": False}
    what = f"{exposure.band} on {exposure.detector}"
    reference = require(finder, "gain", exposure.reference_parameters, what=what)
    if exposure.is_flat_fielded:
        log.warning(
            "gain_correction is on for an image that romancal has flat-fielded: its flat contains "
            "the gain, so the fluxes are wrong by the gain of their pixels unless this flat did not"
        )
    relative = read_relative_gain(reference, detector=exposure.detector, shape=exposure.shape)
    err = np.multiply(exposure.err, np.nan_to_num(relative), dtype=np.float32)
    exposure = replace(exposure, data=exposure.data * relative, err=err)
    return exposure, {"applied": True, "reference": reference.name}


def area_map(
    exposure: Exposure, settings: Settings, finder: Finder
) -> tuple[NDArray | None, dict[str, Any]]:
    """Make the map of relative pixel area.

    Parameters
    ----------
    exposure : Exposure
        The image.
    settings : Settings
        Whose ``pixel_area`` chooses.
    finder : Finder
        Finds the reference file.

    Returns
    -------
    area : (ny, nx) ndarray of float32, or None
        1 at the nominal pixel; None for 1 everywhere.
    provenance : dict
        Where it comes from.
    """
    if settings.pixel_area == "none":
        return None, {"source": "none"}
    if settings.pixel_area == "crds":
        reference = finder.find("area", exposure.reference_parameters)
        if reference is not None:
            area = _area_from_reference(reference, exposure)
            return area, {"source": "crds", "reference": reference.name}
        log.warning("There is no area reference for this image: its WCS gives the pixel areas")
    return exposure.pixel_areas.relative(), {"source": "wcs"}


def _area_from_reference(reference: Reference, exposure: Exposure) -> NDArray:
    """Relative area of a reference file, with a warning where the image disagrees with it."""
    content = read_area(reference, detector=exposure.detector, shape=exposure.shape)
    every = _COMPARED_EVERY
    from_wcs = exposure.pixel_areas.relative(every=every)
    _warn_of_difference(
        "area reference and the image's WCS", content.relative[::every, ::every], from_wcs
    )
    if content.nominal_steradian:
        _warn_of_difference(
            "nominal pixel areas of the area reference and of the image's meta.photometry",
            content.nominal_steradian,
            exposure.pixel_area,
        )
    return content.relative


def _warn_of_difference(what: str, first: Any, second: Any) -> None:
    difference = compare_areas(first, second)
    if difference.exceeds(1e-3):
        log.warning(
            "The %s differ by up to %.2f %% (median %.2f %%): fluxes depend on which is right",
            what,
            100 * difference.maximum,
            100 * difference.median,
        )
