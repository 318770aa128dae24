"""The aperture correction that settings ask for, put together from reference files or STPSF.

The science of each correction is in `romancal_forcedphot.psfs`. Reference files are looked for only
when they are needed.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..photometry import Exposure, Settings, Sources
from ..psfs import (
    Correction,
    CorrectionUnavailable,
    CurveOfGrowth,
    EPSFBySpectralType,
    GriddedEPSF,
    PSFError,
    default_type,
    integrate_over_pixels,
    normalize_epsf,
    normalize_extended_psf,
)
from ..psfs.jitter import Jitter
from ..psfs.stpsf import GridRequest
from ..references import (
    EPSFReference,
    Finder,
    Reference,
    ReferenceFileError,
    optical_grid,
    read_apcorr,
    read_epsf,
    require,
)

__all__ = ["aperture_correction", "with_remedy"]

log = logging.getLogger(f"romancal.{__name__}")

_STPSF_SIDE = 91  # pixels; as the stamps of the epsf references
_REMEDIES = {
    "apcorr": "choose another reference with --override_apcorr=FILE, or set "
    "--aperture_correction=none",
    "epsf": "choose another reference with --override_epsf=FILE, or set another "
    "--aperture_correction",
    "stpsf": "or set --aperture_correction=apcorr",
}


def aperture_correction(
    exposure: Exposure,
    sources: Sources,
    settings: Settings,
    finder: Finder,
    *,
    largest_aperture: float,
) -> tuple[Correction | None, dict[str, Any]]:
    """Make the encircled-energy fractions of point sources.

    Parameters
    ----------
    exposure : Exposure
        The image.
    sources : Sources
        What will be measured, with spectral types if there are any.
    settings : Settings
        Whose ``aperture_correction`` chooses.
    finder : Finder
        Finds the reference files.
    largest_aperture : float
        Radius in pixels of the largest aperture, which the PSF must hold.

    Returns
    -------
    correction : Correction or None
    provenance : dict
        What it was made from and what it assumes.

    Raises
    ------
    ReferenceFileError, PSFError
        There is no reference, or none for the filter, or STPSF lacks its data.
    """
    kind = settings.aperture_correction
    if kind == "none":
        return None, {"source": "none"}
    name = "N/A"
    with with_remedy(settings):
        if kind == "stpsf":
            correction = _stpsf_epsf(exposure, settings, finder, largest_aperture)
        elif kind in ("apcorr", "epsf"):
            what = f"{exposure.band} on {exposure.detector}"
            reference = require(finder, kind, exposure.reference_parameters, what=what)
            name = reference.name
            if kind == "epsf":
                correction = _gridded_epsf(reference, exposure, sources, settings, finder)
            else:
                correction = _curve_of_growth(reference, exposure, settings)
        else:
            raise ValueError(
                f"aperture_correction is {kind!r}: expected apcorr, epsf, stpsf or none"
            )
    return correction, {"source": kind, "reference": name} | correction.description


@contextlib.contextmanager
def with_remedy(settings: Settings) -> Iterator[None]:
    """Add to an error of the PSF which options would help."""
    try:
        yield
    except PSFError as error:
        remedy = _REMEDIES.get(settings.aperture_correction)
        if remedy is None:
            raise
        raise type(error)(f"{error}; {remedy}") from error


def _curve_of_growth(reference: Reference, exposure: Exposure, settings: Settings) -> CurveOfGrowth:
    """Correction from an ``apcorr`` reference."""
    return CurveOfGrowth.from_reference(
        read_apcorr(reference, band=exposure.band),
        radius_unit=settings.apcorr_radius_unit,
        psf=settings.apcorr_psf,
        pixel_scale=exposure.pixel_areas.scale,
    )


def _optional_curve(exposure: Exposure, settings: Settings, finder: Finder) -> CurveOfGrowth | None:
    """Correction from the ``apcorr`` reference, None with a line in the log without one.

    It continues an ePSF beyond its stamps, which can be done without.
    """
    try:
        reference = finder.find("apcorr", exposure.reference_parameters)
        if reference is not None:
            return _curve_of_growth(reference, exposure, settings)
    except (ReferenceFileError, CorrectionUnavailable):
        pass
    log.info(
        "There is no curve of growth for %s on %s to continue the ePSF beyond its stamps",
        exposure.band,
        exposure.detector,
    )
    return None


def _gridded_epsf(
    reference: Reference,
    exposure: Exposure,
    sources: Sources,
    settings: Settings,
    finder: Finder,
) -> GriddedEPSF | EPSFBySpectralType:
    """EPSF of an ``epsf`` reference, of one spectral type or of that of each source."""
    by_type = sources.spectral_type is not None

    def choose(names: tuple[str, ...]) -> list[int]:
        return list(range(len(names))) if by_type else [_chosen_type(settings, names)]

    content = read_epsf(
        reference,
        detector=exposure.detector,
        band=exposure.band,
        guide_star=exposure.guide_star,
        defocus=settings.defocus,
        choose=choose,
    )
    curve = None if content.extended is not None else _optional_curve(exposure, settings, finder)
    epsfs = tuple(
        _normalized_epsf(content, stamps, spectral_type, curve)
        for stamps, spectral_type in zip(content.stamps, content.spectral_types, strict=True)
    )
    if not by_type:
        return epsfs[0]
    default = content.spectral_types[_chosen_type(settings, content.spectral_types)]
    return EPSFBySpectralType.of_sources(
        epsfs, content.spectral_types, sources.spectral_type, default=default
    )


def _chosen_type(settings: Settings, names: tuple[str, ...]) -> int:
    """Index of the spectral type that settings ask for among a reference's."""
    if not settings.spectral_type:
        return names.index(default_type(names))
    wanted = settings.spectral_type.strip().casefold()
    folded = [name.casefold() for name in names]
    if wanted not in folded:
        raise ReferenceFileError(
            f"spectral_type is {settings.spectral_type!r}: expected one of the epsf reference's, "
            f"{', '.join(names)}; change --spectral_type, or leave it out for "
            f"{default_type(names)}"
        )
    return folded.index(wanted)


def _normalized_epsf(
    content: EPSFReference, stamps: np.ndarray, spectral_type: str, curve: CurveOfGrowth | None
) -> GriddedEPSF:
    """Return the ePSF of one spectral type as fractions of all light."""
    stamps, was_per_sample = integrate_over_pixels(stamps, content.oversample)
    provenance = {
        **content.provenance,
        "spectral_type": spectral_type,
        "integrated_here": was_per_sample,
    }
    epsf = GriddedEPSF(stamps, content.x, content.y, content.oversample, provenance=provenance)
    if content.extended is not None:
        return normalize_epsf(epsf, normalize_extended_psf(content.extended, epsf), "extended_psf")
    return normalize_epsf(epsf, curve, "apcorr")


def _stpsf_epsf(
    exposure: Exposure, settings: Settings, finder: Finder, largest_aperture: float
) -> GriddedEPSF:
    """EPSF that STPSF computes, or has computed before."""
    request = GridRequest(
        exposure.detector,
        exposure.band,
        n_psfs=settings.stpsf_n_psfs,
        sed=settings.stpsf_sed,
        fov_pixels=max(_STPSF_SIDE, 2 * math.ceil(largest_aperture) + 7),
    )
    grid, made_from = optical_grid(request)
    jitter = Jitter.of_image(exposure.guide_star)
    shown = jitter or Jitter(grid.jitter_mas, grid.jitter_mas)
    diffusion = settings.stpsf_charge_diffusion
    provenance = {
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
    epsf = GriddedEPSF(stamps, grid.x, grid.y, grid.oversample, provenance=provenance)
    return normalize_epsf(epsf, _optional_curve(exposure, settings, finder), "apcorr")
