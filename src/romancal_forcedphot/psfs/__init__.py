"""The PSF on pixels, and the encircled-energy fractions of apertures that follow from it.

`contract` has the interfaces `PSF` and `Correction`. A curve of growth (`curve`, from the entries
of an ``apcorr`` reference by `apcorr`) is a correction; an ePSF on a grid of detector positions
(`epsf`, by spectral type in `spectra`, from STPSF in `stpsf`) is both.
"""

from __future__ import annotations

from .contract import PSF, Correction
from .curve import CurveOfGrowth
from .epsf import GriddedEPSF
from .errors import CorrectionUnavailable, PSFError
from .scale import continued, extended_epsf, per_pixel
from .spectra import BySpectralType, default_type, nearest_types

__all__ = [
    "PSF",
    "BySpectralType",
    "Correction",
    "CorrectionUnavailable",
    "CurveOfGrowth",
    "GriddedEPSF",
    "PSFError",
    "continued",
    "default_type",
    "extended_epsf",
    "nearest_types",
    "per_pixel",
]
