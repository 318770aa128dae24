"""The matching of an exposure's PSF to another filter, from curves of growth."""

from __future__ import annotations

from typing import Any

from ..photometry import Exposure, Settings
from ..psfs import CurveOfGrowth, PSFError, PSFMatching
from ..references import Finder, require
from .corrections import curve_of_growth

__all__ = ["psf_matching"]

_BAND = "roman.meta.instrument.optical_element"  # by which CRDS selects


def psf_matching(
    exposure: Exposure, settings: Settings, finder: Finder
) -> tuple[PSFMatching | None, dict[str, Any]]:
    """Make the matching of the PSF of an exposure to that of another filter.

    Parameters
    ----------
    exposure : Exposure
        The image.
    settings : Settings
        ``match_psf_to`` names the filter.
    finder : Finder
        Finder of reference files: the curves are those of ``apcorr`` references.

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
    try:
        (own, of_own), (other, of_other) = (
            _curve(each, exposure, settings, finder) for each in (exposure.band, band)
        )
        matching = PSFMatching.of_curves(own, other)
    except PSFError as error:
        raise type(error)(f"match_psf_to={band} on an image in {exposure.band}: {error}") from error
    provenance |= {"weights": "of the apertures, through the ratio of the transfer functions"}
    return matching, provenance | {"reference": of_other, "reference_of_image": of_own}


def _curve(
    band: str, exposure: Exposure, settings: Settings, finder: Finder
) -> tuple[CurveOfGrowth, str]:
    """Return the curve of growth of a filter on the exposure's detector, and its file's name."""
    parameters = {**exposure.reference_parameters, _BAND: band}
    what = f"{band} on {exposure.detector}, which match_psf_to needs"
    reference = require(finder, "apcorr", parameters, what=what)
    return curve_of_growth(reference, exposure, settings, band=band), reference.name
