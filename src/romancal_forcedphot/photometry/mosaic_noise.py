"""The correlated noise of a mosaic: blank sky against errors for a range of radii.

Drizzling shares the noise of a detector pixel among neighbours: summed errors are too large in
small apertures. In large ones they are too small, as the scatter of single pixels, which the error
of the background comes from, is less than their share of the noise.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .blank_sky import BlankSky, measure_blank_sky
from .exposure import Exposure
from .methods import CircularApertures

__all__ = ["noise_against_radius"]

log = logging.getLogger(f"romancal.{__name__}")

_RADII_ARCSEC = (0.165, 0.33, 0.55, 1.1)
_N_APERTURES = 2000
_FAIR = (0.9, 1.1)  # ratios of scatter to errors for which errors may be left as they are


def noise_against_radius(
    exposure: Exposure,
    x: NDArray,
    y: NDArray,
    *,
    method: CircularApertures,
    area: NDArray | None = None,
    n_threads: int = 0,
    advise: bool = True,
) -> dict[str, Any]:
    """Return the ratio of scatter to errors on blank sky for apertures of several radii.

    Parameters
    ----------
    exposure, x, y, area, n_threads
        As for `blank_sky.measure_blank_sky`.
    method : CircularApertures
        Its background, its radii and 0.165, 0.33, 0.55 and 1.1 arcsec where these are within the
        annulus.
    advise : bool
        Whether to advise in the log to scale the errors, where a ratio for a radius of the method
        is outside 0.9 to 1.1.

    Returns
    -------
    dict
        ``radii_arcsec``, ``ratios``, ``ratio_errs``, ``n_apertures``, for the product's metadata;
        empty where blank sky is too small for statistics.
    """
    unit = 1.0
    if method.radius_unit == "pixel":
        unit = float(np.rad2deg(np.sqrt(exposure.pixel_area)) * 3600)
    largest = min(method.annulus_radii[0], max((*method.aperture_radii, _RADII_ARCSEC[-1] / unit)))
    given = {round(radius / unit, 5) for radius in _RADII_ARCSEC}
    radii = sorted({r for r in given | set(method.aperture_radii) if r <= largest})
    sky = measure_blank_sky(
        exposure,
        x,
        y,
        method=replace(method, aperture_radii=tuple(radii), neighbors=None),
        area=area,
        n_apertures=_N_APERTURES,
        n_threads=n_threads,
        quiet=True,
    )
    if not sky.is_known:
        return {}
    if advise:
        _advise(sky, radii, method, exposure.name)
    return {
        "radii_arcsec": [radius * unit for radius in radii],
        "ratios": list(sky.ratios),
        "ratio_errs": list(sky.ratio_errs),
        "n_apertures": sky.n_apertures,
    }


def _advise(sky: BlankSky, radii: list[float], method: CircularApertures, name: str) -> None:
    """Advise to scale the errors in the log, where they are not right."""
    ratio_of = dict(zip(radii, sky.ratios, strict=True))
    ratios = {
        aperture: ratio_of[radius]
        for aperture, radius in zip(method.names, method.aperture_radii, strict=True)
    }
    unfair = [f"{r:.2f} ({a})" for a, r in ratios.items() if not _FAIR[0] <= r <= _FAIR[1]]
    if unfair:
        log.warning(
            "Blank sky on mosaic %s scatters by these multiples of the errors: %s, as drizzling "
            "correlates the noise of pixels and sources lie in the sky; set error_calibration to "
            "empty_scale to scale errors by them",
            name,
            ", ".join(unfair),
        )
