"""The gain, the pixel-area map and the aperture correction that a step's parameters ask for.

Each comes with its facts, a dict for the product's metadata. Reference files are looked for only
when a parameter needs them.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from . import corrections, gain, geometry, references

if TYPE_CHECKING:
    from .catalogs import Sources
    from .exposure import Exposure
    from .psfs import Correction
    from .recipe import Recipe

__all__ = ["aperture_correction", "area_map", "gain_corrected"]

log = logging.getLogger(f"romancal.{__name__}")

_COMPARED_EVERY = 8  # pixels: areas are smooth


def gain_corrected(step: Any, model: Any, exposure: Exposure) -> tuple[Exposure, dict[str, Any]]:
    """Multiply an exposure by the relative gain, where that is asked for.

    Parameters
    ----------
    step : ForcedPhotometryStep
        Whose ``gain_correction`` decides.
    model : roman_datamodels.datamodels.ImageModel
        The image, for CRDS.
    exposure : Exposure
        The same image.

    Returns
    -------
    exposure : Exposure
        The very same if no correction is asked for.
    facts : dict
        Where the gain comes from.

    Raises
    ------
    ReferenceFileError
        There is no gain reference.
    """
    if not step.gain_correction:
        return exposure, {"applied": False}
    remedy = "--gain_correction=False"
    reference = references.find(step, model, "gain", remedy=remedy)
    if reference is None:
        raise references.ReferenceFileError(
            f"there is no gain reference for {exposure.detector}: give one with "
            f"--override_gain=FILE, or set {remedy}"
        )
    if (model.meta.get("cal_step") or {}).get("flat_field") == "COMPLETE":
        log.warning(
            "gain_correction is on for an image that romancal has flat-fielded: its flat contains "
            "the gain, so the fluxes are wrong by the gain of their pixels unless this flat did not"
        )
    relative = gain.relative_gain(
        references.read_gain(reference, detector=exposure.detector), exposure.data.shape
    )
    facts = {"applied": True, "reference": _name_of(step, "gain")}
    return gain.with_gain(exposure, relative), facts


def area_map(step: Any, model: Any, exposure: Exposure) -> tuple[np.ndarray | None, dict[str, Any]]:
    """Make the map of relative pixel area.

    Parameters
    ----------
    step : ForcedPhotometryStep
        Whose ``pixel_area`` chooses.
    model : roman_datamodels.datamodels.ImageModel
        The image, for CRDS.
    exposure : Exposure
        The same image, to be measured.

    Returns
    -------
    area : ndarray or None
        (ny, nx) float32, 1 at the nominal pixel; None for 1 everywhere.
    facts : dict
        Where it comes from.
    """
    if step.pixel_area == "none":
        return None, {"source": "none"}
    if step.pixel_area == "crds":
        reference = references.find(step, model, "area", remedy="--pixel_area=wcs")
        if reference is not None:
            area = _area_from_reference(reference, exposure)
            return area, {"source": "crds", "reference": _name_of(step, "area")}
        log.warning("There is no area reference for this image: its WCS gives the pixel areas")
    area = geometry.relative_area_from_wcs(exposure.wcs, exposure.data.shape)
    return area, {"source": "wcs"}


def _area_from_reference(reference: Any, exposure: Exposure) -> np.ndarray:
    """Relative area of a reference file, with a warning where the image disagrees with it."""
    content = references.read_area(reference, detector=exposure.detector)
    area = geometry.relative_area_from_reference(
        content.data,
        exposure.data.shape,
        nominal_steradian=content.nominal_steradian,
        nominal_arcsecsq=content.nominal_arcsecsq,
    )
    every = _COMPARED_EVERY
    from_wcs = geometry.relative_area_from_wcs(exposure.wcs, exposure.data.shape, every=every)
    _warn_of_difference("area reference and the image's WCS", area[::every, ::every], from_wcs)
    if content.nominal_steradian:
        _warn_of_difference(
            "nominal pixel areas of the area reference and of the image's meta.photometry",
            content.nominal_steradian,
            exposure.pixel_area,
        )
    return area


def _warn_of_difference(what: str, first: Any, second: Any) -> None:
    difference = geometry.compare_areas(first, second)
    if difference.exceeds(1e-3):
        log.warning(
            "The %s differ by up to %.2f %% (median %.2f %%): fluxes depend on which is right",
            what,
            100 * difference.maximum,
            100 * difference.median,
        )


def aperture_correction(
    step: Any, model: Any, exposure: Exposure, sources: Sources, recipe: Recipe
) -> tuple[Correction | None, dict[str, Any]]:
    """Make what tells the light that an aperture catches of a point source.

    Parameters
    ----------
    step : ForcedPhotometryStep
        Whose ``aperture_correction`` chooses.
    model : roman_datamodels.datamodels.ImageModel
        The image, for CRDS.
    exposure : Exposure
        The same image, to be measured.
    sources : Sources
        What will be measured, with the column of spectral types if there is one.
    recipe : Recipe
        How it will be measured.

    Returns
    -------
    correction : Correction or None
    facts : dict
        What it was made from and what it assumes.

    Raises
    ------
    ReferenceFileError, CorrectionUnavailable
        There is no reference, or none for the filter, or STPSF lacks its data.
    """
    if step.aperture_correction == "none":
        return None, {"source": "none"}
    if step.aperture_correction == "epsf":
        correction = corrections.gridded_epsf(step, model, exposure, sources)
    elif step.aperture_correction == "stpsf":
        correction = corrections.stpsf_epsf(step, model, exposure, recipe)
    else:
        correction = corrections.curve_of_growth(step, model, exposure)
    facts = {
        "source": step.aperture_correction,
        "reference": _name_of(step, step.aperture_correction),
    }
    return correction, facts | correction.description


def _name_of(step: Any, reference_type: str) -> str:
    """Name of a reference file as the step recorded it."""
    return dict(step._reference_files_used).get(reference_type, "N/A")
