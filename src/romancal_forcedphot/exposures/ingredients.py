"""Gain correction and pixel-area map of an exposure, according to settings.

Each function also returns provenance, a dict for the product's metadata. Reference files are
requested only where a setting needs them.
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
from .errors import ExposureError

__all__ = ["area_map", "gain_corrected"]

log = logging.getLogger(f"romancal.{__name__}")

_COMPARISON_STEP_PIX = 16  # the maps are smooth
_CONSTANT = 5e-5  # relative: pixels of a mosaic that differ by less are taken to be equal
_N_COMPARED = 64  # along each axis of a mosaic


def gain_corrected(
    exposure: Exposure, settings: Settings, finder: Finder
) -> tuple[Exposure, dict[str, Any]]:
    """Multiply the data and errors of an exposure by the relative gain, if requested.

    Pixels without a valid gain become unusable.

    Parameters
    ----------
    exposure : Exposure
        The image.
    settings : Settings
        ``gain_correction`` requests the correction.
    finder : Finder
        Finder of reference files.

    Returns
    -------
    exposure : Exposure
        The same object without a correction.
    provenance : dict
        Source of the gain, for the product's metadata.

    Raises
    ------
    ReferenceFileError
        There is no gain reference, or it is invalid.
    ExposureError
        It is a mosaic.
    """
    if not settings.gain_correction:
        return exposure, {"applied": False}
    if exposure.is_mosaic:
        raise ExposureError(
            f"{exposure.name!r} is a mosaic: expected an image for gain_correction, as its pixels "
            "are of several detector pixels; set --gain_correction=False"
        )
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
    """Return the map of relative pixel area of an exposure.

    Parameters
    ----------
    exposure : Exposure
        The image.
    settings : Settings
        ``pixel_area`` selects the source of the map.
    finder : Finder
        Finder of reference files.

    Returns
    -------
    area : (ny, nx) ndarray of float32, or None
        Pixel area relative to the nominal pixel; None for 1 everywhere. That of a mosaic is always
        from its WCS, and None if all pixels are equal to 5e-5.
    provenance : dict
        Source of the map, for the product's metadata.

    Raises
    ------
    ReferenceFileError
        The area reference is invalid, or CRDS is unreachable.
    """
    if settings.pixel_area == "none":
        return None, {"source": "none"}
    if exposure.is_mosaic:
        return _area_of_mosaic(exposure)
    if settings.pixel_area == "crds":
        reference = finder.find("area", exposure.reference_parameters)
        if reference is not None:
            area = _area_from_reference(reference, exposure)
            return area, {"source": "crds", "reference": reference.name}
        log.warning("There is no area reference for this image: its WCS gives the pixel areas")
    return exposure.pixel_areas.relative(), {"source": "wcs"}


def _area_of_mosaic(exposure: Exposure) -> tuple[NDArray | None, dict[str, Any]]:
    """Relative area by the WCS of a mosaic, and which solid angle fluxes are computed with."""
    provenance = {
        "source": "wcs",
        "zero_point_steradian": exposure.pixel_area,
        "zero_point_from": "the mosaic's WCS, at its centre",
        "nominal_steradian_of_exposures": exposure.resampling.exposure_pixel_area,
    }
    coarse = exposure.pixel_areas.relative(every=max(max(exposure.shape) // _N_COMPARED, 1))
    is_constant = np.abs(coarse - 1).max() <= _CONSTANT
    return None if is_constant else exposure.pixel_areas.relative(), provenance


def _area_from_reference(reference: Reference, exposure: Exposure) -> NDArray:
    """Relative area of a reference file, with warnings where it differs from the image's."""
    content = read_area(reference, detector=exposure.detector, shape=exposure.shape)
    every = _COMPARISON_STEP_PIX
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
    """Warn where two areas differ by more than the tolerance of `AreaComparison.exceeds`."""
    difference = compare_areas(first, second)
    if difference.exceeds():
        log.warning(
            "The %s differ by up to %.2f %% (median %.2f %%): fluxes depend on which is right",
            what,
            100 * difference.maximum,
            100 * difference.median,
        )
