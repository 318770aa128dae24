"""Conversion from image units to nJy and AB magnitudes.

A Level-2 image is in units of surface brightness: DN/s per pixel or, after romancal's ``FluxStep``,
MJy/sr. The conversion factor C (MJy/sr per image unit) and the nominal pixel area Ω₀ are those of
romancal's photom step, which calibrates their product C·Ω₀, the zero point of point sources, with
standard stars. The uncertainty of C is common to all sources of an exposure and not included in
their errors.
"""

from __future__ import annotations

import numpy as np
from astropy import units as u

__all__ = ["ab_magnitude", "flux_scale", "surface_brightness_scale"]

FLUX_UNIT = u.nJy
SURFACE_BRIGHTNESS_UNIT = u.nJy / u.arcsec**2

#: AB magnitude of 1 nJy: 31.4.
AB_ZERO_POINT = (1.0 * FLUX_UNIT).to_value(u.ABmag)


def flux_scale(conversion: float, pixel_area: float) -> float:
    """Return the flux of a point source whose pixel values sum to one image unit.

    Parameters
    ----------
    conversion : float
        Conversion factor C, MJy/sr per image unit.
    pixel_area : float
        Nominal pixel area Ω₀ in sr.

    Returns
    -------
    float
        C·Ω₀ in nJy per image unit.
    """
    return float((conversion * pixel_area * u.MJy).to_value(FLUX_UNIT))


def surface_brightness_scale(conversion: float) -> float:
    """Return the surface brightness of one image unit.

    Parameters
    ----------
    conversion : float
        Conversion factor C, MJy/sr per image unit.

    Returns
    -------
    float
        C in nJy/arcsec² per image unit.
    """
    return float((conversion * u.MJy / u.sr).to_value(SURFACE_BRIGHTNESS_UNIT))


def ab_magnitude(flux: np.ndarray, flux_err: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return AB magnitudes and their errors.

    m = −2.5 log₁₀(F/nJy) + 31.4 (Oke & Gunn 1983) and, to first order, σ_m = 2.5/ln 10 · σ_F/F.

    Parameters
    ----------
    flux, flux_err : (n,) ndarray
        Fluxes and their standard deviations in nJy.

    Returns
    -------
    magnitude, magnitude_err : (n,) ndarray
        In mag(AB); NaN where the flux is not positive.
    """
    positive = np.where(flux > 0, flux, np.nan)
    magnitude = AB_ZERO_POINT - 2.5 * np.log10(positive)
    return magnitude, 2.5 / np.log(10.0) * flux_err / positive
