"""Calibrated columns and flags from aperture sums, for apertures of any shape.

The formulas are those of `aperture`, whose sums may be over circles or any other shape.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...psfs import Correction
from ...table import WarningFlag, aperture_column_names, background_columns
from .. import calibration
from ..exposure import Exposure
from ..pixels.aperture_sums import ApertureSums
from ..pixels.background import Background

__all__ = ["aperture_flags", "background_values", "calibrated_columns", "ee_fraction"]


def ee_fraction(
    sums: ApertureSums,
    x: NDArray,
    y: NDArray,
    radius: float | NDArray | None,
    correction: Correction | None,
    in_annulus: NDArray,
) -> NDArray:
    """Return the encircled-energy fraction E of background-subtracted sums (see `aperture`).

    Parameters
    ----------
    sums : ApertureSums
        Sums over the apertures of n sources.
    x, y : (n,) ndarray of float64
        0-indexed pixel positions.
    radius : float, (n,) ndarray or None
        Radius of the circles in pixels; None for apertures of another shape.
    correction : Correction or None
        Without one, E is 1 for complete apertures and unknown for others.
    in_annulus : (n,) ndarray
        Mean fraction of the source's flux per pixel of its annulus; 0 without a background.

    Returns
    -------
    (n,) ndarray of float64
        NaN where E is unknown or not positive.
    """
    if correction is None:
        return np.where(sums.masked | sums.cut_by_edge, np.nan, 1.0)
    fraction = correction.in_aperture(
        x, y, radius, weights=sums.weights, full_weights=sums.full_weights
    )
    fraction = fraction - sums.area * in_annulus
    return np.where(fraction > 0, fraction, np.nan)


def calibrated_columns(
    exposure: Exposure,
    sums: ApertureSums,
    background: Background | None,
    fraction: NDArray,
    name: str,
    *,
    factor: NDArray | float = 1.0,
) -> dict[str, NDArray]:
    """Return the columns of one aperture for n sources (formulas in `aperture`).

    Parameters
    ----------
    exposure : Exposure
        The image, with its zero point.
    sums : ApertureSums
        Sums over the apertures of the sources.
    background : Background or None
        Local backgrounds in image units.
    fraction : (n,) ndarray
        Encircled-energy fraction E.
    name : str
        Name of the aperture.
    factor : (n,) ndarray or float
        What the background-subtracted sums are multiplied by, see `PSFMatching.annulus_factor`.

    Returns
    -------
    dict of str to (n,) ndarray
        The columns of `table.aperture_columns`: fluxes in nJy and AB magnitudes; NaN where no
        pixel was usable.
    """
    value, value_err = (0.0, 0.0) if background is None else (background.value, background.err)
    scale = calibration.flux_scale(exposure.conversion, exposure.pixel_area)
    measurable = np.where(sums.area > 0, scale, np.nan) * factor
    flux = measurable * (sums.flux - value * sums.area)
    flux_err = measurable * np.sqrt(sums.variance + (value_err * sums.area) ** 2)
    total, total_err = flux / fraction, flux_err / fraction
    magnitude, magnitude_err = calibration.ab_magnitude(total, total_err)
    values = flux, flux_err, total, total_err, magnitude, magnitude_err, fraction
    return dict(zip(aperture_column_names(name), values, strict=True))


def background_values(exposure: Exposure, background: Background) -> dict[str, NDArray]:
    """Return the columns of `table.background_columns` for n sources, in nJy/arcsec².

    Parameters
    ----------
    exposure : Exposure
        The image, with its conversion factor.
    background : Background
        Local backgrounds in image units.
    """
    scale = calibration.surface_brightness_scale(exposure.conversion)
    values = background.value * scale, background.err * scale
    return {c.name: value for c, value in zip(background_columns(), values, strict=True)}


def aperture_flags(sums: ApertureSums, fraction: NDArray) -> NDArray:
    """Return the warning flags of one aperture.

    Parameters
    ----------
    sums : ApertureSums
        Sums over the apertures of n sources.
    fraction : (n,) ndarray
        Encircled-energy fraction E; NaN where it is unknown.

    Returns
    -------
    (n,) ndarray of int32
        Bits of `WarningFlag`.
    """
    conditions = {
        WarningFlag.CENTER_UNUSABLE: sums.center_unusable,
        WarningFlag.EDGE: sums.cut_by_edge,
        WarningFlag.MASKED: sums.masked,
        WarningFlag.SATURATED: sums.saturated,
        WarningFlag.NO_CORRECTION: np.isnan(fraction),
    }
    flags = np.zeros(len(fraction), dtype=np.int32)
    for flag, condition in conditions.items():
        flags[condition] |= flag
    return flags
