"""How each source of an aperture correction is found, read and put together.

A step's parameters choose; reference files are looked for only when they are needed. The science
of each correction is in `romancal_forcedphot.psfs`.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from . import epsf_reference, geometry, references, stpsf_cache
from .psfs import (
    BySpectralType,
    CorrectionUnavailable,
    CurveOfGrowth,
    GriddedEPSF,
    continued,
    default_type,
    extended_epsf,
    per_pixel,
)
from .psfs.stpsf import GridRequest, Jitter
from .recipe import Circles, Recipe

if TYPE_CHECKING:
    from .catalogs import Sources
    from .exposure import Exposure

__all__ = ["curve_of_growth", "curve_of_growth_if_any", "gridded_epsf", "stpsf_epsf"]

log = logging.getLogger(f"romancal.{__name__}")

_STPSF_SIDE = 91  # pixels; as the stamps of the epsf references


def curve_of_growth(step: Any, model: Any, exposure: Exposure) -> CurveOfGrowth:
    """Correction from the ``apcorr`` reference; parameters as `gridded_epsf`."""
    remedy = "--aperture_correction=none"
    reference = references.find(step, model, "apcorr", remedy=remedy)
    if reference is None:
        raise references.ReferenceFileError(
            f"there is no apcorr reference for {exposure.band} on {exposure.detector}: give one "
            f"with --override_apcorr=FILE, or set {remedy} for aperture fluxes alone"
        )
    return CurveOfGrowth.from_reference(
        references.read_apcorr(reference, band=exposure.band),
        radius_unit=step.apcorr_radius_unit,
        psf=step.apcorr_psf,
        pixel_scale=geometry.pixel_scale_function(exposure.wcs, exposure.data.shape),
    )


def curve_of_growth_if_any(step: Any, model: Any, exposure: Exposure) -> CurveOfGrowth | None:
    """Correction from the ``apcorr`` reference, None with a line in the log without one.

    It continues an ePSF beyond its stamps, which can be done without.
    """
    try:
        return curve_of_growth(step, model, exposure)
    except (references.ReferenceFileError, CorrectionUnavailable):
        log.info(
            "There is no curve of growth for %s on %s to continue the ePSF beyond its stamps",
            exposure.band,
            exposure.detector,
        )
        return None


def gridded_epsf(
    step: Any, model: Any, exposure: Exposure, sources: Sources
) -> GriddedEPSF | BySpectralType:
    """Correction from the ``epsf`` reference.

    Parameters
    ----------
    step : ForcedPhotometryStep
        Whose parameters choose among what references offer.
    model : roman_datamodels.datamodels.ImageModel
        The image, for CRDS and for its jitter.
    exposure : Exposure
        The same image, to be measured.
    sources : Sources
        What will be measured, with spectral types if ``spectral_type_column`` is set.

    Returns
    -------
    GriddedEPSF or BySpectralType

    Raises
    ------
    ReferenceFileError
        There is no reference, or it has not what was asked for.
    """
    remedy = "--aperture_correction=apcorr"
    reference = references.find(step, model, "epsf", remedy=remedy)
    if reference is None:
        raise references.ReferenceFileError(
            f"there is no epsf reference for {exposure.band} on {exposure.detector}: give one "
            f"with --override_epsf=FILE, or set {remedy}"
        )

    def choose(names: tuple[str, ...]) -> list[int]:
        return list(range(len(names))) if step.spectral_type_column else [_chosen_type(step, names)]

    content = epsf_reference.read_epsf(reference, model, defocus=step.defocus, choose=choose)
    curve = None
    if content.extended is None:
        curve = curve_of_growth_if_any(step, model, exposure)
    epsfs = tuple(
        _continued_epsf(content, stamps, spectral_type, curve)
        for stamps, spectral_type in zip(content.stamps, content.spectral_types, strict=True)
    )
    if not step.spectral_type_column:
        return epsfs[0]
    default = content.spectral_types[_chosen_type(step, content.spectral_types)]
    return BySpectralType.of_sources(
        epsfs, content.spectral_types, sources.spectral_type, default=default
    )


def _chosen_type(step: Any, names: tuple[str, ...]) -> int:
    """Index of the spectral type that the step asks for among a reference's."""
    if not step.spectral_type:
        return names.index(default_type(names))
    wanted = step.spectral_type.strip().casefold()
    folded = [name.casefold() for name in names]
    if wanted not in folded:
        raise references.ReferenceFileError(
            f"spectral_type is {step.spectral_type!r}: expected one of the epsf reference's, "
            f"{', '.join(names)}; change --spectral_type, or leave it out for "
            f"{default_type(names)}"
        )
    return folded.index(wanted)


def _continued_epsf(
    content: epsf_reference.EPSFReference,
    stamps: np.ndarray,
    spectral_type: str,
    curve: CurveOfGrowth | None,
) -> GriddedEPSF:
    """Return the ePSF of one spectral type as fractions of all light."""
    stamps, was_per_sample = per_pixel(stamps, content.oversample)
    facts = {**content.facts, "spectral_type": spectral_type, "integrated_here": was_per_sample}
    epsf = GriddedEPSF(stamps, content.x, content.y, content.oversample, facts=facts)
    if content.extended is not None:
        return continued(epsf, extended_epsf(content.extended, epsf), "extended_psf")
    return continued(epsf, curve, "apcorr")


def stpsf_epsf(step: Any, model: Any, exposure: Exposure, recipe: Recipe) -> GriddedEPSF:
    """Correction from ePSFs that STPSF computes, or has computed before.

    Parameters
    ----------
    step : ForcedPhotometryStep
        Whose parameters choose the places and the spectrum.
    model : roman_datamodels.datamodels.ImageModel
        The image, for its jitter, and for CRDS.
    exposure : Exposure
        The same image, to be measured.
    recipe : Recipe
        With the apertures that the stamps must hold.

    Returns
    -------
    GriddedEPSF

    Raises
    ------
    CorrectionUnavailable
        STPSF lacks its data, or does not know the filter or the spectrum.
    ValueError
        A parameter is none that STPSF can work with.
    """
    widest = math.ceil(Circles.on(exposure, recipe).largest_aperture)
    request = GridRequest(
        exposure.detector,
        exposure.band,
        n_psfs=step.stpsf_n_psfs,
        sed=step.stpsf_sed,
        fov_pixels=max(_STPSF_SIDE, 2 * widest + 7),
    )
    grid, made_from = stpsf_cache.optical_grid(request)
    jitter = Jitter.of_image(model.meta.get("guide_star"))
    shown = jitter or Jitter(grid.jitter_mas, grid.jitter_mas)
    diffusion = step.stpsf_charge_diffusion
    facts = {
        **{name: made_from[name] for name in ("sed", "stpsf_version", "stpsf_data_version")},
        "jitter": f"{shown.major:g} x {shown.minor:g} mas at {shown.position_angle:g} deg, "
        + ("of the image" if jitter else "of STPSF (the image tells none)"),
        "charge_diffusion": f"{grid.charge_diffusion_mas:g} mas, of STPSF"
        if diffusion is None
        else f"{diffusion:g} mas",
        "interpixel_capacitance": "none",
        "pixel_scale": f"{grid.pixel_arcsec:g} arcsec, of STPSF",
    }
    stamps = grid.on_pixels(jitter=jitter, charge_diffusion_mas=diffusion)
    epsf = GriddedEPSF(stamps, grid.x, grid.y, grid.oversample, facts=facts)
    return continued(epsf, curve_of_growth_if_any(step, model, exposure), "apcorr")
