"""Bright isolated stars of an image, from which its own PSF can be measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from .batches import rows_near
from .exposure import Exposure
from .pixels.aperture_sums import cut_stamps, sum_in_circle
from .pixels.background import local_background

__all__ = ["StarSample", "find_stars"]

_CORE_PIX, _INNER_PIX, _OUTER_PIX = 3.0, 2.0, 6.0  # radii of fluxes, and of the concentration
_LEAST_SIGNAL_TO_NOISE = 50.0  # within the largest radius
_FAINTER = 0.01  # a neighbour with less than this fraction of the flux does no harm
_MOST = 200
_TRIED = 4000
_CONCENTRATION_QUANTILE = 0.75  # galaxies are less concentrated than stars
_LEAST_SPREAD = 0.01
_ROUNDS = 5


@dataclass(frozen=True, eq=False)
class StarSample:
    """Stars of an image, brightest first.

    Attributes
    ----------
    x, y : (n,) ndarray of float64
        0-indexed pixel positions.
    flux : (n,) ndarray of float64
        Flux within the largest radius, in units of the image times pixels.
    sky : (n,) ndarray of float64
        Background per pixel in units of the image.
    radii : (r,) ndarray of float64
        Radii of circles in pixels, increasing.
    growth : (n, r) ndarray of float64
        Flux within these, divided by that within the last one.
    growth_err : (n, r) ndarray of float64
        Standard error of `growth` by the noise of pixels.
    annulus : (float, float)
        Radii in pixels of the annulus that `sky` is from.
    """

    x: NDArray
    y: NDArray
    flux: NDArray
    sky: NDArray
    radii: NDArray
    growth: NDArray
    growth_err: NDArray
    annulus: tuple[float, float]

    def __len__(self) -> int:
        return len(self.x)


def find_stars(exposure: Exposure, x: NDArray, y: NDArray, *, radius: float) -> StarSample:
    """Find bright isolated stars without unusable pixels among the sources of a catalog.

    Parameters
    ----------
    exposure : Exposure
        The image.
    x, y : (n,) ndarray of float64
        0-indexed pixel positions of all sources of the catalog; NaN where there is none.
    radius : float
        Radius in pixels up to which the stars are measured. Twice as far no other source has more
        than 1 % of a star's flux.

    Returns
    -------
    StarSample
        At most 200 stars with a signal-to-noise ratio above 50 within `radius`; sources that are
        less concentrated than most bright ones, such as galaxies, are left out.
    """
    annulus = 1.5 * radius, 2.5 * radius
    rows = _candidates(exposure, x, y, radius)
    x, y = x[rows], y[rows]
    radii = _radii(radius)
    sky = local_background(exposure.data, x, y, *annulus, estimator="median")
    stamps = cut_stamps(exposure.data, exposure.err, exposure.saturated, None, x, y, radius)
    sums = [sum_in_circle(stamps, each) for each in radii]
    flux = np.column_stack([each.flux - sky.value * each.area for each in sums])
    variance = np.column_stack([each.variance for each in sums])
    whole = ~(sums[-1].masked | sums[-1].saturated | sums[-1].cut_by_edge)
    with np.errstate(invalid="ignore", divide="ignore"):
        good = whole & (flux[:, -1] > _LEAST_SIGNAL_TO_NOISE * np.sqrt(variance[:, -1]))
        growth = flux / flux[:, -1:]
        # errors of a circle and of the largest, which includes it
        outside = (1 - growth) ** 2 * variance + growth**2 * (variance[:, -1:] - variance)
        growth_err = np.sqrt(np.maximum(outside, 0.0)) / flux[:, -1:]
        concentration = np.array([np.interp(_INNER_PIX, radii, g) for g in growth])
        concentration /= np.array([np.interp(_OUTER_PIX, radii, g) for g in growth])
    stars = np.flatnonzero(good)
    stars = stars[_is_starlike(concentration[stars])]
    stars = stars[np.argsort(-flux[stars, -1], kind="stable")][:_MOST]
    return StarSample(
        x=x[stars],
        y=y[stars],
        flux=flux[stars, -1],
        sky=sky.value[stars],
        radii=radii,
        growth=growth[stars],
        growth_err=growth_err[stars],
        annulus=annulus,
    )


def _radii(largest: float) -> NDArray:
    """Radii of the circles: dense where the flux grows fast."""
    inner = np.arange(0.5, min(4.0, largest), 0.25)
    return np.append(inner, np.linspace(4.0, largest, max(int(2 * (largest - 4.0)), 2)))


def _candidates(exposure: Exposure, x: NDArray, y: NDArray, radius: float) -> NDArray[np.intp]:
    """Rows of isolated sources, the brightest in a circle of 3 pixels, well on the image."""
    ny, nx = exposure.shape
    known = rows_near(x, y, exposure.shape, 2 * radius)
    flux, level = np.zeros(known.size), np.nanmedian(exposure.data[::8, ::8])
    for first in range(0, known.size, _TRIED):
        some = slice(first, first + _TRIED)
        at = x[known[some]], y[known[some]]
        planes = exposure.data, exposure.err, exposure.saturated, None
        sums = sum_in_circle(cut_stamps(*planes, *at, _CORE_PIX), _CORE_PIX)
        flux[some] = sums.flux - level * sums.area
    is_alone = np.ones(known.size, dtype=bool)
    pairs = cKDTree(np.column_stack([x[known], y[known]])).query_pairs(
        2 * radius, output_type="ndarray"
    )
    for one, other in (pairs.T, pairs.T[::-1]):
        is_alone[one[flux[other] > _FAINTER * flux[one]]] = False
    margin = radius + 3.0
    inside = (x[known] > margin) & (x[known] < nx - 1 - margin)
    inside &= (y[known] > margin) & (y[known] < ny - 1 - margin)
    kept = np.flatnonzero(is_alone & inside & (flux > 0))
    return known[kept[np.argsort(-flux[kept], kind="stable")][:_TRIED]]


def _is_starlike(concentration: NDArray) -> NDArray[np.bool_]:
    """Whether sources are as concentrated as stars, the most concentrated of all."""
    starlike = np.isfinite(concentration)
    if not starlike.any():
        return starlike
    middle = np.quantile(concentration[starlike], _CONCENTRATION_QUANTILE)
    spread = 0.05
    for _ in range(_ROUNDS):
        starlike = np.abs(concentration - middle) < max(4 * spread, _LEAST_SPREAD)
        if not starlike.any():
            break
        middle = np.median(concentration[starlike])
        spread = 1.4826 * np.median(np.abs(concentration[starlike] - middle))
    return starlike
