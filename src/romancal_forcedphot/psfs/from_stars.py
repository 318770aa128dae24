"""Curve of growth and ePSF of an image from its own stars.

Stars tell how their flux grows up to a radius R; beyond it noise hides their light. There the curve
of growth is that of the reference, or, without one, its wings fall with r**-3, as those of a
diffraction pattern do: as much light is outside of R as between R/2 and R.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .contract import Correction
from .curve import CurveOfGrowth
from .epsf import GriddedEPSF
from .errors import PSFError
from .profile import flux_per_pixel, interpolate_curve
from .samples import flux_in_circle

__all__ = ["build_epsf", "curve_from_stars", "mean_growth"]

_INTRINSIC = 0.01  # scatter of the growth of bright stars, by their sub-pixel phase
_CLIP = 3.0
_ROUNDS = 5
_FARTHEST_PIX = 60.0
_OVERSAMPLE = 4
_STAMP_HALF_PIX = 45


def mean_growth(growth: NDArray, growth_err: NDArray) -> tuple[NDArray, NDArray]:
    """Return the weighted mean of the growth of stars, without outliers, and its standard error.

    Parameters
    ----------
    growth, growth_err : (n, r) ndarray
        Flux of n stars within r radii by that within the last, and its standard error.

    Returns
    -------
    mean, err : (r,) ndarray of float64
    """
    weight = 1 / (growth_err**2 + _INTRINSIC**2)
    kept = np.isfinite(growth)
    for _ in range(_ROUNDS):
        used = np.where(kept, weight, 0.0)
        mean = (used * np.nan_to_num(growth)).sum(axis=0) / used.sum(axis=0)
        spread = np.sqrt((used * (np.nan_to_num(growth) - mean) ** 2).sum(axis=0) / used.sum(axis=0))
        pull = np.abs(growth - mean) / np.hypot(np.maximum(spread, 1e-6), growth_err)
        kept = np.isfinite(growth) & (pull < _CLIP).all(axis=1)[:, None]
    n_effective = used.sum(axis=0) ** 2 / (used**2).sum(axis=0)
    return mean, spread / np.sqrt(np.maximum(n_effective - 1, 1))


def curve_from_stars(
    radii: NDArray,
    growth: NDArray,
    annulus: tuple[float, float],
    reference: Correction | None,
    *,
    place: tuple[float, float],
) -> tuple[CurveOfGrowth, dict[str, Any]]:
    """Return the correction by the mean growth of stars, normalised to the total flux.

    Parameters
    ----------
    radii : (r,) ndarray of float64
        Radii in pixels, increasing.
    growth : (r,) ndarray of float64
        Flux within these of stars less their background, divided by that within the last.
    annulus : (float, float)
        Radii of the annulus that the background is from; its share of the stars' own flux is added.
    reference : Correction or None
        Gives the fraction of the total flux within the last radius, and the flux beyond it.
    place : (float, float)
        Pixel position x, y at which the reference is evaluated.

    Returns
    -------
    curve : CurveOfGrowth
        Of aperture sums: nothing is left to convolve.
    provenance : dict
        What it was normalised by, and by what fraction it differs from the reference.
    """
    largest = radii[-1]
    inside = float(np.interp(largest / 2, radii, growth))

    def wings(radius: NDArray) -> NDArray:
        return 1 - (1 - 1 / (2 - inside)) * largest / radius

    def of_reference(radius: NDArray) -> NDArray:
        at = np.array([place[0]]), np.array([place[1]])
        return np.array([reference.in_aperture(*at, float(each))[0] for each in radius])

    beyond_stars = wings if reference is None else of_reference
    far = np.arange(largest + 2.0, _FARTHEST_PIX, 2.0)
    if reference is not None:
        far = far[far <= reference.reach(np.array([place[0]]), np.array([place[1]]))]
    beyond = beyond_stars(np.array([largest, *annulus, *far]))
    per_pixel = (beyond[2] - beyond[1]) / (np.pi * (annulus[1] ** 2 - annulus[0] ** 2))
    fraction = growth * (beyond[0] - per_pixel * np.pi * largest**2)
    fraction = fraction + per_pixel * np.pi * radii**2
    provenance: dict[str, Any] = {
        "normalized_at_radius_pix": float(largest),
        "normalized_by": "wings that fall with r**-3" if reference is None else "apcorr",
        "fraction_at_normalization": float(beyond[0]),
    }
    if reference is not None:
        compared = radii[(radii >= 1) & (radii == np.rint(radii))]
        of_stars = fraction[np.isin(radii, compared)]
        provenance["radii_compared_pix"] = compared.tolist()
        provenance["over_apcorr"] = (of_stars / of_reference(compared)).tolist()
    fraction = np.maximum.accumulate(np.concatenate([fraction, beyond[3:]]))
    curve = CurveOfGrowth(
        radii=np.concatenate([radii, far]),
        fractions=fraction,
        radius_unit="pixel",
        psf="aperture",
        pixel_scale=None,
        fractions_from="stars of the image",
        unit_decision="measured in pixels",
    )
    return curve, provenance


def build_epsf(
    data: NDArray,
    x: NDArray,
    y: NDArray,
    sky: NDArray,
    curve: CurveOfGrowth,
    *,
    radius: float,
    provenance: dict[str, Any],
) -> GriddedEPSF:
    """Build the ePSF of stars with photutils' `~photutils.psf.EPSFBuilder`.

    Parameters
    ----------
    data : (ny, nx) ndarray
        The image; no pixel around a star is unusable.
    x, y, sky : (n,) ndarray of float64
        Positions of the stars, and the background per pixel at each.
    curve : CurveOfGrowth
        Of these stars; normalises the ePSF, and has its profile beyond `radius`.
    radius : float
        Radius in pixels up to which the stars are used.
    provenance : dict
        For the description.

    Returns
    -------
    GriddedEPSF
        With one position.

    Raises
    ------
    PSFError
        photutils is not installed, or found no ePSF.
    """
    try:
        from photutils.psf import EPSFBuilder, EPSFStar, EPSFStars
    except ImportError as error:
        raise PSFError(
            "the ePSF of an image's own stars needs photutils: expected version 3 or later; "
            "install it with pip install photutils"
        ) from error
    half = int(np.ceil(radius)) + 2
    stars = []
    for star_x, star_y, level in zip(x, y, sky, strict=True):
        column, row = round(star_x), round(star_y)
        cut = data[row - half : row + half + 1, column - half : column + half + 1]
        origin = (column - half, row - half)
        center = (star_x - origin[0], star_y - origin[1])
        stars.append(EPSFStar(np.asarray(cut, float) - level, cutout_center=center, origin=origin))
    builder = EPSFBuilder(
        oversampling=_OVERSAMPLE, maxiters=6, progress_bar=False, recentering_boxsize=(5, 5)
    )
    built, _ = builder(EPSFStars(stars))
    stamp = _with_wings(np.asarray(built.data, float), curve, radius)
    return GriddedEPSF(
        stamp[None],
        [float(np.median(x))],
        [float(np.median(y))],
        _OVERSAMPLE,
        provenance=provenance | {"n_stars": len(stars), "stars_up_to_pix": float(radius)},
    )


def _with_wings(core: NDArray, curve: CurveOfGrowth, radius: float) -> NDArray:
    """Normalise an ePSF to a curve of growth within a radius, and continue it by its profile."""
    light = flux_in_circle(core[None], radius, _OVERSAMPLE)[0]
    if not (np.isfinite(core).all() and light > 0):
        raise PSFError("photutils found no ePSF of the stars: expected more or brighter ones")
    inside = float(np.interp(radius, curve.radii, curve.fractions))
    offset = np.arange(-_STAMP_HALF_PIX * _OVERSAMPLE, _STAMP_HALF_PIX * _OVERSAMPLE + 1)
    distance = np.hypot(offset, offset[:, None]) / _OVERSAMPLE
    grid = np.linspace(0, distance.max(), 4 * offset.size)
    profile = flux_per_pixel(
        interpolate_curve(curve.radii, curve.fractions),
        (curve.radii[0], curve.radii[-1]),
        grid,
        1.0,
        widths=(),
    )
    stamp = np.interp(distance, grid, profile)
    margin = (len(offset) - len(core)) // 2
    middle = slice(margin, margin + len(core))
    near = distance[middle, middle] <= radius
    stamp[middle, middle][near] = (core * inside / light)[near]
    return stamp
