"""The aperture correction of an exposure, from reference files or STPSF according to settings.

How each correction is computed is in `romancal_forcedphot.psfs`. Reference files are requested only
where they are needed.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ..photometry import Exposure, Resampling, Settings, Sources
from ..psfs import (
    PSF,
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
from ..psfs.drizzled import drizzled_epsf
from ..psfs.jitter import Jitter
from ..psfs.stpsf import GridRequest
from ..references import (
    REFERENCE_KINDS,
    EPSFReference,
    Finder,
    Reference,
    ReferenceFileError,
    optical_grid,
    read_apcorr,
    read_epsf,
    remedy_for,
    require,
)
from .star_psf import curve_of_stars, epsf_of_stars

__all__ = ["aperture_correction", "curve_of_growth", "psf_on_pixels", "with_remedy"]

log = logging.getLogger(f"romancal.{__name__}")

_PSF_SOURCES = ("epsf", "stpsf", "stars")
_STPSF_SIDE = 91  # pixels, as for the stamps of the epsf references


def aperture_correction(
    exposure: Exposure,
    sources: Sources,
    settings: Settings,
    finder: Finder,
    *,
    largest_aperture: float,
) -> tuple[Correction | None, dict[str, Any]]:
    """Make the aperture correction of point sources on an exposure.

    Parameters
    ----------
    exposure : Exposure
        The image.
    sources : Sources
        The sources, with their spectral types if known.
    settings : Settings
        ``aperture_correction`` selects the kind of correction.
    finder : Finder
        Finder of reference files.
    largest_aperture : float
        Radius of the largest aperture in pixels, which the stamps of STPSF must include.

    Returns
    -------
    correction : Correction or None
        None if none is requested.
    provenance : dict
        Source and assumptions, for the product's metadata.

    Raises
    ------
    ReferenceFileError
        There is no reference file, or it is invalid.
    PSFError
        The reference has no data for the filter, or STPSF lacks its data.
    ValueError
        The kind of correction is unknown.
    """
    kind = settings.aperture_correction
    if kind == "none":
        return None, {"source": "none"}
    name, more = "N/A", {}
    with with_remedy(settings):
        if kind == "stars":
            reference = _optional_curve(exposure, settings, finder)
            correction, more = curve_of_stars(exposure, sources, reference)
        elif kind == "stpsf":
            correction = _stpsf_epsf(exposure, settings, finder, largest_aperture)
        elif kind in ("apcorr", "epsf"):
            what = f"{exposure.band} on {exposure.detector}"
            reference = require(finder, kind, exposure.reference_parameters, what=what)
            name = reference.name
            if kind == "epsf":
                correction = _gridded_epsf(reference, exposure, sources, settings, finder)
            else:
                correction = curve_of_growth(reference, exposure, settings, band=exposure.band)
        else:
            raise ValueError(
                f"aperture_correction is {kind!r}: expected apcorr, epsf, stpsf, stars or none"
            )
    return correction, {"source": kind, "reference": name} | correction.description | more


def psf_on_pixels(
    exposure: Exposure,
    sources: Sources,
    settings: Settings,
    finder: Finder,
    *,
    correction: Correction | None = None,
) -> tuple[PSF, dict[str, Any]]:
    """Make the PSF of PSF photometry on an exposure.

    Parameters
    ----------
    exposure, sources, finder
        As for `aperture_correction`.
    settings : Settings
        ``psf_source`` selects the kind of PSF.
    correction : Correction or None
        The aperture correction, which is used again where it is that PSF.

    Returns
    -------
    psf : PSF
    provenance : dict
        Source and assumptions, for the product's metadata.

    Raises
    ------
    ReferenceFileError, PSFError
        There is no PSF for the exposure.
    ValueError
        The kind of PSF is unknown.
    """
    kind = settings.psf_source
    if kind == "auto":
        has_pixels = settings.aperture_correction in _PSF_SOURCES
        kind = settings.aperture_correction if has_pixels else "epsf"
    if kind not in _PSF_SOURCES:
        raise ValueError(
            f"psf_source is {kind!r}: expected auto, epsf, stpsf or stars; a curve of growth is no "
            "PSF"
        )
    if kind == "stars":
        with with_remedy(replace(settings, aperture_correction=kind)):
            curve = _optional_curve(exposure, settings, finder)
            epsf = epsf_of_stars(exposure, sources, curve)
        return epsf, {"source": kind} | epsf.description
    if correction is not None and kind == settings.aperture_correction:
        return correction, {"source": kind} | correction.description
    settings = replace(settings, aperture_correction=kind)
    return aperture_correction(exposure, sources, settings, finder, largest_aperture=0.0)


@contextlib.contextmanager
def with_remedy(settings: Settings) -> Iterator[None]:
    """Context that adds helpful options to the message of a PSFError.

    Parameters
    ----------
    settings : Settings
        ``aperture_correction`` determines the options.

    Raises
    ------
    PSFError
        Of the same class as the one that was raised in the context.
    """
    try:
        yield
    except PSFError as error:
        kind = settings.aperture_correction
        if kind == "none":
            raise
        remedy = "or set --aperture_correction=apcorr"
        if kind in REFERENCE_KINDS:
            remedy = f"choose another reference with --override_{kind}=FILE, or set "
            remedy += remedy_for(kind)
        raise type(error)(f"{error}; {remedy}") from error


def curve_of_growth(
    reference: Reference, exposure: Exposure, settings: Settings, *, band: str
) -> CurveOfGrowth:
    """Make the correction of a filter from an ``apcorr`` reference, on an exposure's pixels."""
    return CurveOfGrowth.from_reference(
        read_apcorr(reference, band=band),
        radius_unit=settings.apcorr_radius_unit,
        psf=settings.apcorr_psf,
        pixel_scale=exposure.pixel_areas.scale,
        drizzle=None if exposure.resampling is None else _drizzle(exposure.resampling),
    )


def _drizzle(resampling: Resampling) -> tuple[float, float]:
    """Sides of a detector pixel and of its drizzled square, in pixels of the mosaic."""
    detector_pixel = 1 / resampling.pixel_scale_ratio
    return detector_pixel, resampling.pixfrac * detector_pixel


def _optional_curve(exposure: Exposure, settings: Settings, finder: Finder) -> CurveOfGrowth | None:
    """Make the correction from the ``apcorr`` reference if there is one, else return None.

    It supplies the wings of an ePSF beyond its stamps, which are approximated without it.
    """
    try:
        reference = finder.find("apcorr", exposure.reference_parameters)
        if reference is not None:
            return curve_of_growth(reference, exposure, settings, band=exposure.band)
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
    """Make the ePSF from an ``epsf`` reference, of one spectral type or of that of each source."""
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
        _normalized_epsf(content, stamps, spectral_type, curve, exposure)
        for stamps, spectral_type in zip(content.stamps, content.spectral_types, strict=True)
    )
    if not by_type:
        return epsfs[0]
    default = content.spectral_types[_chosen_type(settings, content.spectral_types)]
    return EPSFBySpectralType.of_sources(
        epsfs, content.spectral_types, sources.spectral_type, default=default
    )


def _chosen_type(settings: Settings, names: tuple[str, ...]) -> int:
    """Index of the spectral type of the settings among those of a reference."""
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
    content: EPSFReference,
    stamps: np.ndarray,
    spectral_type: str,
    curve: CurveOfGrowth | None,
    exposure: Exposure,
) -> GriddedEPSF:
    """Make the ePSF of one spectral type, normalised to the total flux."""
    stamps, was_per_sample = integrate_over_pixels(stamps, content.oversample)
    provenance = {
        **content.provenance,
        "spectral_type": spectral_type,
        "integrated_here": was_per_sample,
    }
    epsf = GriddedEPSF(stamps, content.x, content.y, content.oversample, provenance=provenance)
    if content.extended is not None:
        wings = normalize_extended_psf(content.extended, epsf)
        return _on_pixels_of(exposure, normalize_epsf(epsf, wings, "extended_psf"))
    return normalize_epsf(_on_pixels_of(exposure, epsf), curve, "apcorr")


def _on_pixels_of(exposure: Exposure, epsf: GriddedEPSF) -> GriddedEPSF:
    """Return an ePSF of a detector as it is on the pixels of an image: another on a mosaic."""
    if exposure.resampling is None:
        return epsf
    detector_pixel, droplet = _drizzle(exposure.resampling)
    return drizzled_epsf(epsf, detector_pixel=detector_pixel, droplet=droplet)


def _stpsf_epsf(
    exposure: Exposure, settings: Settings, finder: Finder, largest_aperture: float
) -> GriddedEPSF:
    """Make the ePSF that STPSF computes, or has computed before."""
    pixels = 1.0 if exposure.resampling is None else _drizzle(exposure.resampling)[0]
    request = GridRequest(
        exposure.detector,
        exposure.band,
        n_psfs=settings.stpsf_n_psfs,
        sed=settings.stpsf_sed,
        fov_pixels=max(_STPSF_SIDE, 2 * math.ceil(largest_aperture / pixels) + 7),
    )
    grid, made_from = optical_grid(request)
    jitter = Jitter.of_image(exposure.guide_star)
    used = jitter or Jitter(grid.jitter_mas, grid.jitter_mas)
    diffusion = settings.stpsf_charge_diffusion
    provenance = {
        **{name: made_from[name] for name in ("sed", "stpsf_version", "stpsf_data_version")},
        "jitter": f"{used}, " + ("of the image" if jitter else "of STPSF (the image has none)"),
        "charge_diffusion": f"{grid.charge_diffusion_mas:g} mas, of STPSF"
        if diffusion is None
        else f"{diffusion:g} mas",
        "interpixel_capacitance": "none",
        "pixel_scale": f"{grid.pixel_arcsec:g} arcsec, of STPSF",
    }
    stamps = grid.on_pixels(jitter=jitter, charge_diffusion_mas=diffusion)
    epsf = GriddedEPSF(stamps, grid.x, grid.y, grid.oversample, provenance=provenance)
    curve = _optional_curve(exposure, settings, finder)
    return normalize_epsf(_on_pixels_of(exposure, epsf), curve, "apcorr")
