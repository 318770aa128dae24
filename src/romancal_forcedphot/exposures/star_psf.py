"""Aperture correction and PSF of an image from its own bright isolated stars."""

from __future__ import annotations

import logging
import math
from typing import Any

import numpy as np

from ..geometry import sky_to_pixel
from ..photometry import Exposure, Sources
from ..photometry.fitting.variance import VarianceCurve
from ..photometry.stars import StarSample, find_stars
from ..psfs import CurveOfGrowth, GriddedEPSF, PSFError
from ..psfs.from_stars import build_epsf, curve_from_stars, mean_growth, total_fluxes

__all__ = ["curve_of_stars", "epsf_of_stars"]

log = logging.getLogger(f"romancal.{__name__}")

_RADIUS_ARCSEC = 1.1  # up to which stars are measured; 10 pixels of the detector
_FEWEST_FOR_CURVE, _FEWEST_FOR_EPSF = 10, 30


def curve_of_stars(
    exposure: Exposure, sources: Sources, reference: CurveOfGrowth | None
) -> tuple[CurveOfGrowth, dict[str, Any]]:
    """Make the aperture correction of an image from its own stars.

    Parameters
    ----------
    exposure : Exposure
        The image.
    sources : Sources
        The catalog, with positions at the time of the exposure.
    reference : CurveOfGrowth or None
        The correction by the ``apcorr`` reference, if there is one.

    Returns
    -------
    curve : CurveOfGrowth
    provenance : dict
        Number of stars, and by what the curve differs from the reference.

    Raises
    ------
    PSFError
        There are fewer than 10 stars.
    """
    return _curve(exposure, _stars(exposure, sources, _FEWEST_FOR_CURVE), reference)


def epsf_of_stars(
    exposure: Exposure, sources: Sources, reference: CurveOfGrowth | None
) -> GriddedEPSF:
    """Make the ePSF of an image from its own stars.

    Parameters
    ----------
    exposure, sources, reference
        As for `curve_of_stars`.

    Returns
    -------
    GriddedEPSF

    Raises
    ------
    PSFError
        There are fewer than 30 stars.
    """
    stars = _stars(exposure, sources, _FEWEST_FOR_EPSF)
    curve, provenance = _curve(exposure, stars, reference)
    return build_epsf(
        exposure.data,
        VarianceCurve.of_image(exposure.data, exposure.err),
        stars.x,
        stars.y,
        stars.sky,
        total_fluxes(stars.flux, stars.growth, stars.radii, provenance),
        curve,
        radius=float(stars.radii[-1]),
        in_sky=provenance["fraction_per_pixel_of_annulus"],
        provenance=provenance,
    )


def _stars(exposure: Exposure, sources: Sources, fewest: int) -> StarSample:
    """Stars of the catalog; raise a PSFError for too few."""
    x, y = sources.x, sources.y
    if sources.ra is not None:
        x, y = sky_to_pixel(exposure.wcs, sources.ra, sources.dec, exposure.shape)
    radius = _RADIUS_ARCSEC / (math.degrees(math.sqrt(exposure.pixel_area)) * 3600)
    stars = find_stars(exposure, x, y, radius=float(np.rint(radius)))
    if len(stars) < fewest:
        raise PSFError(
            f"{len(stars)} of the {len(sources)} sources on {exposure.name!r} are bright isolated "
            f"stars without unusable pixels: expected at least {fewest} with a signal-to-noise "
            f'ratio above 50 in {_RADIUS_ARCSEC:g}" and no brighter neighbour in twice that; '
            "add stars to the catalog, or do without them"
        )
    return stars


def _curve(
    exposure: Exposure, stars: StarSample, reference: CurveOfGrowth | None
) -> tuple[CurveOfGrowth, dict[str, Any]]:
    """Curve of growth of stars, and its provenance; log what it differs by."""
    growth, growth_err = mean_growth(stars.growth, stars.growth_err)
    ny, nx = exposure.shape
    curve, provenance = curve_from_stars(
        stars.radii, growth, stars.annulus, reference, place=((nx - 1) / 2, (ny - 1) / 2)
    )
    provenance |= {"n_stars": len(stars), "largest_error_of_growth": float(growth_err.max())}
    if reference is None:
        log.info("Curve of growth from %d stars, without a reference to compare", len(stars))
        return curve, provenance
    compared = zip(provenance["radii_compared_pix"], provenance["over_apcorr"], strict=True)
    shown = ", ".join(f"{100 * (ratio - 1):+.2f} % ({radius:g})" for radius, ratio in compared)
    log.info(
        "Curve of growth from %d stars; its fractions differ from those of apcorr, by radius in "
        "pixels: %s",
        len(stars),
        shown,
    )
    return curve, provenance
