"""From image units to nJy and AB magnitudes.

A Level-2 image holds surface brightness, in DN/s per pixel or, after romancal's ``FluxStep``, in
MJy/sr. One number C (MJy/sr per image unit) takes it to MJy/sr, and the light of a pixel is its
surface brightness times the nominal pixel area Ω₀, whose product with C is what a standard star
fixes (romancal's photom step). The uncertainty of C is common to all sources of an exposure and
stays out of their errors.
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
    """Flux of a point source whose pixel values sum to one image unit.

    Parameters
    ----------
    conversion : float
        C, MJy/sr per image unit.
    pixel_area : float
        Ω₀, nominal area of a pixel in sr.

    Returns
    -------
    float
        C·Ω₀ in nJy per image unit.
    """
    return float((conversion * pixel_area * u.MJy).to_value(FLUX_UNIT))


def surface_brightness_scale(conversion: float) -> float:
    """Surface brightness of one image unit.

    Parameters
    ----------
    conversion : float
        C, MJy/sr per image unit.

    Returns
    -------
    float
        C in nJy/arcsec² per image unit.
    """
    return float((conversion * u.MJy / u.sr).to_value(SURFACE_BRIGHTNESS_UNIT))


def ab_magnitude(flux: np.ndarray, flux_err: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AB magnitudes and their errors; NaN where the flux is not positive.

    m = −2.5 log₁₀(F/nJy) + 31.4 (Oke & Gunn 1983) and, to first order, σ_m = 2.5/ln 10 · σ_F/F.

    Parameters
    ----------
    flux, flux_err : ndarray
        Fluxes and errors in nJy.

    Returns
    -------
    magnitude, magnitude_err : ndarray
        In mag(AB), of the shape of ``flux``.
    """
    positive = np.where(flux > 0, flux, np.nan)
    magnitude = AB_ZERO_POINT - 2.5 * np.log10(positive)
    return magnitude, 2.5 / np.log(10.0) * flux_err / positive
