"""What is told of a mosaic beside its photometry, and what its grid of pixels calls for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..photometry import CircularApertures, Exposure, Method, Settings, Sources
from ..photometry.mosaic_noise import noise_against_radius
from ..photometry.proper_motion import warn_of_smearing
from .errors import ExposureError

__all__ = ["check_pixel_positions", "mosaic_provenance"]

_MOST_OFF_GRID = 0.1  # share of positions; more are of another grid


def check_pixel_positions(exposure: Exposure, sources: Sources) -> None:
    """Check that the pixel positions of a catalog may be those of a mosaic.

    Parameters
    ----------
    exposure : Exposure
        The mosaic.
    sources : Sources
        The sources; nothing is checked if they have sky positions.

    Raises
    ------
    ExposureError
        More than a tenth of the positions are off the mosaic.
    """
    if sources.ra is not None or not len(sources):
        return
    ny, nx = exposure.shape
    with np.errstate(invalid="ignore"):
        inside = (np.abs(2 * sources.x - nx + 1) <= nx) & (np.abs(2 * sources.y - ny + 1) <= ny)
    n_off = int(np.count_nonzero(~inside & np.isfinite(sources.x) & np.isfinite(sources.y)))
    if n_off > _MOST_OFF_GRID * len(sources):
        raise ExposureError(
            f"catalog {sources.name} has pixel positions of which {n_off} of {len(sources)} are "
            f"not on mosaic {exposure.name!r} of {nx} x {ny} pixels: expected positions on its "
            "grid, not on that of an exposure; give a catalog with ra and dec"
        )


def mosaic_provenance(
    exposure: Exposure,
    sources: Sources,
    table: Table,
    methods: Sequence[Method],
    settings: Settings,
    *,
    area: NDArray | None,
    n_threads: int,
) -> dict[str, Any]:
    """Return how a mosaic was made and what that does to its noise, for the product's metadata.

    Warns of sources that move between its exposures, and of errors that its noise does not have.

    Parameters
    ----------
    exposure : Exposure
        The mosaic.
    sources : Sources
        The sources.
    table : astropy.table.Table
        What was measured.
    methods : sequence of Method
        What it was measured with.
    settings : Settings
        ``proper_motion`` and ``error_calibration`` count.
    area : (ny, nx) ndarray or None
        Relative pixel area.
    n_threads : int
        As for `photometry.measure`.

    Returns
    -------
    dict
        The entries of `Resampling`, ``n_smeared``, and ``noise`` where there are apertures.
    """
    pixel_arcsec = math.degrees(math.sqrt(exposure.pixel_area)) * 3600
    found: dict[str, Any] = asdict(exposure.resampling)
    found["n_smeared"] = warn_of_smearing(sources, exposure.resampling.span_years, pixel_arcsec)
    for method in methods:
        if isinstance(method, CircularApertures):
            found["noise"] = noise_against_radius(
                exposure,
                *(np.asarray(table[axis], dtype=float) for axis in "xy"),
                method=method,
                area=area,
                n_threads=n_threads,
                advise=settings.error_calibration != "empty_scale",
            )
    return found
