"""Curve of growth and ePSF of an image from its own stars.

Stars tell how their flux grows up to a radius R; beyond it noise hides their light. Without a
reference the wings are taken to fall with r**-3, as those of a diffraction pattern do: as much
light is outside of R as between R/2 and R.

Far from its core the light of a star depends on its sky, which neighbours raise: where there is a
source in 2000 pixels, by 1e-5 of the flux of a star of 19 mag, which is 0.3 % of it in 314 pixels.
A reference is therefore used from 0.6 R on, where the area is a third of that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from .contract import Correction
from .curve import CurveOfGrowth
from .epsf import GriddedEPSF
from .errors import PSFError
from .profile import flux_per_pixel, interpolate_curve
from .samples import flux_in_circle

__all__ = ["build_epsf", "curve_from_stars", "mean_growth", "total_fluxes"]

_INTRINSIC = 0.01  # scatter of the growth of bright stars, by their sub-pixel phase
_CLIP = 3.0
_ROUNDS = 5
_FARTHEST_PIX = 60.0
_OVERSAMPLE = 4
_TIED_AT = 0.6  # of the largest radius
_STAMP_HALF_PIX = 45
_EPSF_ROUNDS = 12
_SMOOTHING = 0.8  # samples
_LEAST_WEIGHT = 1e-6


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
        spread = np.sqrt(
            (used * (np.nan_to_num(growth) - mean) ** 2).sum(axis=0) / used.sum(axis=0)
        )
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
    tied = _tie(radii, reference)
    largest, last = radii[tied], tied + 1
    inside = float(np.interp(largest / 2, radii, growth / growth[tied]))

    def wings(radius: NDArray) -> NDArray:
        return 1 - (1 - 1 / (2 - inside)) * largest / radius

    def of_reference(radius: NDArray) -> NDArray:
        at = np.array([place[0]]), np.array([place[1]])
        return np.array([reference.in_aperture(*at, float(each))[0] for each in radius])

    beyond_stars = wings if reference is None else of_reference
    far = np.concatenate([radii[last:], np.arange(radii[-1] + 2.0, _FARTHEST_PIX, 2.0)])
    if reference is not None:
        far = far[far <= reference.reach(np.array([place[0]]), np.array([place[1]]))]
    beyond = beyond_stars(np.array([largest, *annulus, *far]))
    per_pixel = _per_pixel(annulus, beyond[1:3])
    fraction = growth[:last] / growth[tied] * (beyond[0] - per_pixel * np.pi * largest**2)
    fraction = fraction + per_pixel * np.pi * radii[:last] ** 2
    provenance: dict[str, Any] = {
        "normalized_at_radius_pix": float(largest),
        "normalized_by": "wings that fall with r**-3" if reference is None else "apcorr",
        "fraction_at_normalization": float(beyond[0]),
        "fraction_per_pixel_of_annulus": float(per_pixel),
    }
    if reference is not None:
        compared = radii[:last][(radii[:last] >= 1) & (radii[:last] == np.rint(radii[:last]))]
        of_stars = fraction[np.isin(radii[:last], compared)]
        provenance["radii_compared_pix"] = compared.tolist()
        provenance["over_apcorr"] = (of_stars / of_reference(compared)).tolist()
    fraction = np.maximum.accumulate(np.concatenate([fraction, beyond[3:]]))
    curve = CurveOfGrowth(
        radii=np.concatenate([radii[:last], far]),
        fractions=fraction,
        radius_unit="pixel",
        psf="aperture",
        pixel_scale=None,
        fractions_from="stars of the image",
        unit_decision="measured in pixels",
    )
    return curve, provenance


def total_fluxes(flux: NDArray, growth: NDArray, radii: NDArray, made: dict[str, Any]) -> NDArray:
    """Return the total fluxes (n,) of stars by the curve that `curve_from_stars` made of them.

    Parameters
    ----------
    flux : (n,) ndarray of float64
        Fluxes within the last radius, less the background.
    growth : (n, r) ndarray of float64
        Fluxes within each radius by that within the last.
    radii : (r,) ndarray of float64
        The radii in pixels.
    made : dict
        The provenance of the curve.
    """
    radius = made["normalized_at_radius_pix"]
    inside = growth[:, np.searchsorted(radii, radius)]
    lost = made["fraction_per_pixel_of_annulus"] * np.pi * radius**2
    return flux * inside / (made["fraction_at_normalization"] - lost)


def _tie(radii: NDArray, reference: Correction | None) -> int:
    """Index of the radius from which on a curve is that of the reference, or wings."""
    if reference is None:
        return len(radii) - 1
    return int(np.argmin(np.abs(radii - _TIED_AT * radii[-1])))


def _per_pixel(annulus: tuple[float, float], fractions: NDArray) -> float:
    """Fraction of the total flux in a pixel of an annulus, from those within its two radii."""
    return (fractions[1] - fractions[0]) / (np.pi * (annulus[1] ** 2 - annulus[0] ** 2))


def build_epsf(
    data: NDArray,
    variance: Callable[[NDArray], NDArray],
    x: NDArray,
    y: NDArray,
    sky: NDArray,
    total: NDArray,
    curve: CurveOfGrowth,
    *,
    radius: float,
    in_sky: float,
    provenance: dict[str, Any],
) -> GriddedEPSF:
    """Build the ePSF of stars at known positions.

    As Anderson & King (2000, PASP 112, 1360) do: each pixel of each star samples the ePSF at its
    own offset; what the samples differ by from the ePSF is averaged on its grid and added, and so
    on. It begins with the radial profile of the curve of growth, and positions are the catalog's,
    as in the photometry. At the end it is scaled such that a fit of it gives these stars, in the
    median, the fluxes of their curve of growth. (photutils' ``EPSFBuilder`` fits the positions,
    which left 6 % in the flux of faint stars on images as undersampled as these.)

    Parameters
    ----------
    data : (ny, nx) ndarray
        The image; no pixel within `radius` of a star is unusable.
    variance : callable
        Variance of pixels by their light, both in units of the image. (The error of a pixel itself
        follows its noise: weights by it prefer those that are low, and made fluxes 0.3 % larger.)
    x, y, sky, total : (n,) ndarray of float64
        Positions of the stars, background per pixel, and total flux.
    curve : CurveOfGrowth
        Of these stars; normalises the ePSF, and has its profile beyond `radius`.
    radius : float
        Radius in pixels up to which the stars are used.
    in_sky : float
        Fraction of the total flux of a star that is in each pixel of its background.
    provenance : dict
        For the description.

    Returns
    -------
    GriddedEPSF
        With one position.
    """
    half = int(np.floor(radius))
    inside = float(np.interp(radius, curve.radii, curve.fractions))
    sky, total = sky[:, None, None], total[:, None, None]
    images = (_cut(data, x, y, half) - sky) / total + in_sky
    stamp = _radial_stamp(curve)
    near = _distance_on_stamp() <= radius
    place = [float(np.median(x))], [float(np.median(y))]
    radial = GriddedEPSF(stamp[None], *place, _OVERSAMPLE).on_pixels(x, y, 2 * half + 1)
    weight = total**2 / variance(sky + total * (radial - in_sky))
    weight = np.where(np.isfinite(images), weight, 0.0)
    for _ in range(_EPSF_ROUNDS):
        epsf = GriddedEPSF(stamp[None], *place, _OVERSAMPLE)
        residual = np.nan_to_num(images) - epsf.on_pixels(x, y, 2 * half + 1)
        stamp[near] += _mean_on_grid(residual, weight, x, y, stamp.shape)[near]
    light = flux_in_circle(stamp[None], radius, _OVERSAMPLE)[0]
    if not light > 0:
        raise PSFError("the stars have no common ePSF: expected more or brighter ones")
    stamp[near] *= inside / light
    scale = _fitted_flux(GriddedEPSF(stamp[None], *place, _OVERSAMPLE), x, y, images, weight)
    stamp *= scale
    more = {"n_stars": len(x), "stars_up_to_pix": float(radius), "scaled_by": scale}
    return GriddedEPSF(stamp[None], *place, _OVERSAMPLE, provenance=provenance | more)


def _mean_on_grid(
    values: NDArray, weight: NDArray, x: NDArray, y: NDArray, shape: tuple[int, int]
) -> NDArray:
    """Weighted mean, a little smoothed, of values on pixels around stars on the grid of a stamp."""
    samples = _sample_indices(x, y, values.shape[-1] // 2).ravel()
    total, weights = (
        scipy.ndimage.gaussian_filter(
            np.bincount(samples, each.ravel(), minlength=shape[0] * shape[1]).reshape(shape),
            _SMOOTHING,
        )
        for each in (weight * values, weight)
    )
    known = weights > _LEAST_WEIGHT * weights.max()
    return np.divide(total, weights, out=np.zeros(shape), where=known)


def _fitted_flux(
    epsf: GriddedEPSF, x: NDArray, y: NDArray, images: NDArray, weight: NDArray
) -> float:
    """Median of the fluxes that a fit of an ePSF gives for stars whose total flux is 1."""
    light = epsf.on_pixels(x, y, images.shape[-1])
    of_star = (weight * light * np.nan_to_num(images)).sum(axis=(1, 2))
    return float(np.median(of_star / (weight * light**2).sum(axis=(1, 2))))


def _cut(plane: NDArray, x: NDArray, y: NDArray, half: int) -> NDArray:
    """Cutouts (n, s, s) of an image around the pixels nearest to positions."""
    offset = np.arange(-half, half + 1)
    rows, columns = (np.rint(at).astype(int)[:, None] + offset for at in (y, x))
    return np.asarray(plane[rows[:, :, None], columns[:, None, :]], dtype=np.float64)


def _sample_indices(x: NDArray, y: NDArray, half: int) -> NDArray[np.intp]:
    """Flat indices (n, s, s) of the samples of a stamp nearest to the pixels around stars."""
    offset = np.arange(-half, half + 1)
    middle = _STAMP_HALF_PIX * _OVERSAMPLE
    row, column = (
        middle + np.rint((offset - (at - np.rint(at))[:, None]) * _OVERSAMPLE).astype(int)
        for at in (y, x)
    )
    return row[:, :, None] * (2 * middle + 1) + column[:, None, :]


def _distance_on_stamp() -> NDArray:
    """Distance in pixels of the samples of a stamp from its middle."""
    offset = np.arange(-_STAMP_HALF_PIX * _OVERSAMPLE, _STAMP_HALF_PIX * _OVERSAMPLE + 1)
    return np.hypot(offset, offset[:, None]) / _OVERSAMPLE


def _radial_stamp(curve: CurveOfGrowth) -> NDArray:
    """Stamp of the radial profile of a curve of growth."""
    distance = _distance_on_stamp()
    grid = np.linspace(0, distance.max(), 4 * len(distance))
    interpolant = interpolate_curve(curve.radii, curve.fractions)
    limits = float(curve.radii[0]), float(curve.radii[-1])
    return np.interp(distance, grid, flux_per_pixel(interpolant, limits, grid, 1.0, widths=()))
