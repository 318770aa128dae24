"""Fluxes of the sources of an image, fitted all at once: arrays in, arrays out.

`fit_fluxes` is the door to this package. What it returns, a `FluxFit`, holds a row for each source,
the model of the image, and what it takes to look at one source without the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .image import Estimate, FitImage
from .joint import solve_jointly
from .profiles import Profiles
from .quality import Quality, quality_of
from .sky import MeshSky, Sky
from .unknowns import Unknowns
from .variance import VarianceCurve

__all__ = ["FluxFit", "fit_fluxes"]

_LEAST_USABLE_LIGHT = 0.5
_LARGEST_INFLATION = 25.0  # of the variance by neighbours: sources 0.17 pixel apart
_POOR_CHI2 = 1.8
_POOR_SIGMA = 6.0


def fit_fluxes(
    data: NDArray[np.float32],
    err: NDArray,
    profiles: Profiles,
    *,
    area: NDArray | None = None,
    sky: Sky | None = None,
    n_threads: int = 1,
) -> FluxFit:
    """Fit the fluxes of all sources and the sky of an image.

    Parameters
    ----------
    data : (ny, nx) ndarray of float32
        Surface brightness; NaN where a pixel may not be used.
    err : (ny, nx) ndarray
        Standard deviation; only how it depends on the light is taken from it.
    profiles : Profiles
        Of n sources. Positions that are not finite or far off the image are allowed.
    area : (ny, nx) ndarray, optional
        Relative pixel area; 1 everywhere if not given.
    sky : Sky, optional
        How the sky is estimated; `MeshSky` if not given.
    n_threads : int
        Threads over parts of the image. The numbers are the same for any.

    Returns
    -------
    FluxFit
    """
    data = np.ascontiguousarray(data, dtype=np.float32)
    usable = np.isfinite(data) & np.isfinite(err) & (err > 0)
    scale = float(np.median(err[usable][:: max(usable.size // 1_000_000, 1)])) if usable.any() else 1.0
    scaled = np.where(usable, data / np.float32(scale), np.float32(np.nan))
    variance = VarianceCurve.of_image(scaled, np.asarray(err) / scale)
    image = FitImage(scaled, area, variance)
    placed = np.flatnonzero(np.isfinite(profiles.x) & np.isfinite(profiles.y))
    unknowns = Unknowns.of(
        profiles.x[placed], profiles.y[placed], profiles.shape_id[placed]
    )
    fitted = profiles.for_rows(placed[unknowns.row])
    estimate = solve_jointly(image, fitted, sky or MeshSky(), n_threads=n_threads)
    quality = quality_of(image, fitted, estimate, n_threads)
    of_source = np.full(profiles.x.size, -1, dtype=np.intp)
    of_source[placed] = unknowns.of_source
    return FluxFit(image, fitted, estimate, quality, unknowns, of_source, scale)
