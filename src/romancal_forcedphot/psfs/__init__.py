"""Point-spread functions on pixels, and the encircled-energy fractions of apertures.

`contract` has the interfaces `PSF` and `Correction`. A curve of growth (`curve`, from an entry of
an ``apcorr`` reference by `apcorr`) is a correction; an ePSF on a grid of detector positions
(`epsf`; by spectral type in `spectra`, computed by STPSF in `stpsf`) is both.
"""

from __future__ import annotations

from .contract import PSF, Correction
from .curve import CurveOfGrowth
from .epsf import GriddedEPSF
from .errors import CorrectionUnavailable, PSFError
from .matching import PSFMatching, curve_of_epsf
from .normalization import integrate_over_pixels, normalize_epsf, normalize_extended_psf
from .spectra import EPSFBySpectralType, default_type, nearest_types

__all__ = [
    "PSF",
    "Correction",
    "CorrectionUnavailable",
    "CurveOfGrowth",
    "EPSFBySpectralType",
    "GriddedEPSF",
    "PSFError",
    "PSFMatching",
    "curve_of_epsf",
    "default_type",
    "integrate_over_pixels",
    "nearest_types",
    "normalize_epsf",
    "normalize_extended_psf",
]
