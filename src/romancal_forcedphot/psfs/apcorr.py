"""Entries of a CRDS ``apcorr`` reference, of any generation, as a curve of growth.

Radii are in arcsec (0.025 to 5.0 in steps of 0.025, the current files), in pixels (the same steps),
or the pixel radii of eleven encircled-energy fractions; RAD's schema documents pixels for all.
``ee_fractions`` may be null, and are then the reciprocals of ``ap_corrections``. All entries are
null for DARK, GRISM and PRISM.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import CorrectionUnavailable, PSFError

__all__ = ["half_light_radius", "read_entry", "resolve_radius_unit"]

# Half-light radii of a point source in all filters, F062 on the sharpest detector to F213 on the
# least sharp one, with a margin; the two ranges do not overlap.
HALF_LIGHT_RANGES = {"pixel": (0.35, 2.5), "arcsec": (0.035, 0.25)}


def read_entry(entry: Mapping[str, Any]) -> tuple[NDArray, NDArray, str]:
    """Return the curve of growth in one filter's entry of an ``apcorr`` reference.

    Parameters
    ----------
    entry : mapping
        ``data[optical_element]`` with ``ee_radii`` and ``ee_fractions`` or ``ap_corrections``.

    Returns
    -------
    radii : (n,) ndarray of float64
        Radii above 0, increasing, in the unit of the file.
    fractions : (n,) ndarray of float64
        Encircled-energy fractions.
    fractions_from : str
        The entry that the fractions were taken from.

    Raises
    ------
    CorrectionUnavailable
        The entries are null.
    PSFError
        They are not a curve of growth.
    """
    radii, fractions = entry.get("ee_radii"), entry.get("ee_fractions")
    fractions_from = "ee_fractions"
    if fractions is None and entry.get("ap_corrections") is not None:
        corrections = np.asarray(entry["ap_corrections"], dtype=float)
        with np.errstate(divide="ignore"):
            fractions = 1.0 / corrections
        fractions_from = "1 / ap_corrections"
    if radii is None or fractions is None:
        raise CorrectionUnavailable(
            "the apcorr reference holds no encircled energy for this filter: expected ee_radii "
            "with ee_fractions or ap_corrections"
        )
    radii, fractions = np.array(radii, dtype=float), np.array(fractions, dtype=float)
    if radii.ndim != 1 or radii.shape != fractions.shape:
        raise PSFError(
            f"apcorr curve has radii of shape {radii.shape} and fractions of shape "
            f"{fractions.shape}, expected two lists of one length"
        )
    order = np.argsort(radii)
    radii, fractions = radii[order], fractions[order]
    positive = radii > 0  # EE(0) = 0 is added by the interpolation
    radii, fractions = radii[positive], fractions[positive]
    _check_curve(radii, fractions)
    return radii, fractions, fractions_from


def _check_curve(radii: NDArray, fractions: NDArray) -> None:
    """Raise a PSFError for values that are not a curve of growth."""
    if radii.size < 4 or not (np.isfinite(radii).all() and (np.diff(radii) > 0).all()):
        problem = f"{radii.size} radii above 0, expected at least 4, finite and all different"
    elif not (np.isfinite(fractions).all() and fractions.min() > 0 and fractions.max() <= 1.01):
        problem = (
            f"fractions from {fractions.min():g} to {fractions.max():g}, expected between 0 and 1"
        )
    elif (np.diff(fractions) < -1e-4).any():
        problem = "fractions that fall with radius, expected them to rise"
    else:
        return
    raise PSFError(f"apcorr curve has {problem}")


def resolve_radius_unit(radii: NDArray, fractions: NDArray, requested: str) -> tuple[str, str]:
    """Return the unit of the radii of a curve of growth, inferred from the curve if not given.

    Parameters
    ----------
    radii, fractions : (n,) ndarray of float64
        The curve of growth.
    requested : {'auto', 'pixel', 'arcsec'}
        ``'auto'`` infers the unit from the half-light radius of a point source.

    Returns
    -------
    unit : {'pixel', 'arcsec'}
        Unit of the radii.
    decision : str
        How it was determined, for the log and the product's metadata.

    Raises
    ------
    PSFError
        The half-light radius fits neither unit.
    """
    if requested != "auto":
        return requested, "set by the user"
    half_light = half_light_radius(radii, fractions)
    for unit, (low, high) in HALF_LIGHT_RANGES.items():
        if low <= half_light <= high:
            return unit, f"half of the light within {half_light:.3g} {unit}"
    pixel, arcsec = HALF_LIGHT_RANGES["pixel"], HALF_LIGHT_RANGES["arcsec"]
    raise PSFError(
        f"apcorr curve has half of the light within a radius of {half_light:.4g}: a Roman star has "
        f"it within {pixel[0]} to {pixel[1]} pixels or {arcsec[0]} to {arcsec[1]} arcsec; "
        "set apcorr_radius_unit to one of the two"
    )


def half_light_radius(radii: NDArray, fractions: NDArray) -> float:
    """Return the radius at which a curve of growth reaches 0.5, by linear interpolation.

    Parameters
    ----------
    radii, fractions : (n,) ndarray of float64
        Increasing radii, and the encircled-energy fractions at them.

    Returns
    -------
    float
        In the unit of the radii; NaN if the curve ends below 0.5.
    """
    if fractions[-1] < 0.5:
        return float("nan")
    rising = np.maximum.accumulate(np.concatenate([[0.0], fractions]))
    return float(np.interp(0.5, rising, np.concatenate([[0.0], radii])))
