"""The matching of an exposure's PSF to another filter, from ePSFs or curves of growth."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from ..photometry import Exposure, Settings, Sources
from ..psfs import CurveOfGrowth, GriddedEPSF, PSFError, PSFMatching, curve_of_epsf
from ..references import Finder, ReferenceFileError, require
from .corrections import aperture_correction, curve_of_growth

__all__ = ["psf_matching"]

log = logging.getLogger(f"romancal.{__name__}")

_BAND = "roman.meta.instrument.optical_element"  # by which CRDS selects


def psf_matching(
    exposure: Exposure, sources: Sources, settings: Settings, finder: Finder
) -> tuple[PSFMatching | None, dict[str, Any]]:
    """Make the matching of the PSF of an exposure to that of another filter.

    Parameters
    ----------
    exposure : Exposure
        The image.
    sources : Sources
        The sources.
    settings : Settings
        ``match_psf_to`` names the filter. With ``aperture_correction`` epsf the curves of both
        filters are those of ``epsf`` references, of one spectral type, if there is one of the other
        filter; else of ``apcorr`` references.
    finder : Finder
        Finder of reference files.

    Returns
    -------
    matching : PSFMatching or None
        None on an image of that filter.
    provenance : dict
        Filter and references, for the product's metadata.

    Raises
    ------
    ReferenceFileError
        There is no reference file, or it is invalid.
    PSFError
        A reference has no curve for a filter, or the filter's PSF is sharper than the image's.
    """
    band = settings.match_psf_to.strip().upper()
    provenance = {"filter": band, "filter_of_image": exposure.band}
    if band == exposure.band:
        return None, provenance | {"weights": "the apertures themselves"}
    parameters = {**exposure.reference_parameters, _BAND: band}
    images = replace(exposure, band=band, reference_parameters=parameters), exposure
    try:
        (other, of_other), (own, of_own) = _curves(images, sources, settings, finder)
        matching = PSFMatching.of_curves(own, other)
    except PSFError as error:
        raise type(error)(f"match_psf_to={band} on an image in {exposure.band}: {error}") from error
    except ReferenceFileError as error:
        raise ReferenceFileError(f"{error}; or leave out --match_psf_to={band}") from error
    provenance |= {"weights": "of the apertures, through the ratio of the transfer functions"}
    return matching, provenance | {"reference": of_other, "reference_of_image": of_own}


_Curves = list[tuple[CurveOfGrowth, str]]


def _curves(
    images: tuple[Exposure, ...], sources: Sources, settings: Settings, finder: Finder
) -> _Curves:
    """Return the curves of growth of images in two filters, of one kind, and their files' names."""
    if settings.aperture_correction == "epsf":
        try:
            return [_of_epsf(image, sources, settings, finder) for image in images]
        except ReferenceFileError as error:
            log.info("Curves of growth match the PSF, as no ePSF does: %s", error)
    return [_of_apcorr(image, settings, finder) for image in images]


def _of_epsf(
    image: Exposure, sources: Sources, settings: Settings, finder: Finder
) -> tuple[CurveOfGrowth, str]:
    """Return the curve of growth of the ePSF of an image's filter, and its file's name."""
    of_one_type = replace(sources, spectral_type=None)
    epsf, provenance = aperture_correction(
        image, of_one_type, settings, finder, largest_aperture=0.0
    )
    if not isinstance(epsf, GriddedEPSF):
        raise TypeError(f"the ePSF is a {type(epsf).__name__}: expected a GriddedEPSF")
    return curve_of_epsf(epsf), provenance["reference"]


def _of_apcorr(image: Exposure, settings: Settings, finder: Finder) -> tuple[CurveOfGrowth, str]:
    """Return the curve of growth of an image's filter, and its file's name."""
    what = f"{image.band} on {image.detector}, which match_psf_to needs"
    reference = require(finder, "apcorr", image.reference_parameters, what=what)
    return curve_of_growth(reference, image, settings, band=image.band), reference.name
