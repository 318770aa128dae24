"""One exposure, or a mosaic of exposures, as arrays, with a WCS and a zero point.

It is made by the readers of Roman models (`romancal_forcedphot.exposures`), or by hand. The readers
apply the data-quality mask: an unusable pixel is NaN from then on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from astropy.time import Time

from ..geometry import PixelAreas

__all__ = ["Coverage", "Exposure", "Resampling"]


@dataclass(frozen=True)
class Resampling:
    """How the exposures of a mosaic were resampled (drizzled) to its pixels.

    Attributes
    ----------
    pixel_scale_ratio : float
        Pixel scale of the mosaic divided by that of the exposures.
    pixfrac : float
        Side of the square over which the flux of each detector pixel was spread, in detector
        pixels.
    weight_type : str
        Weights of the exposures: ``'exptime'``, ``'ivm'``, ``'ivm-sky'``, ...
    n_exposures : int
        Number of exposures; 0 if unknown.
    exposure_pixel_area : float or None
        Median of the nominal pixel areas of the exposures in sr; not used by measurements.
    span_years : float
        Time from the start of the first exposure to the end of the last, in Julian years; 0 if
        unknown.
    """

    pixel_scale_ratio: float
    pixfrac: float = 1.0
    weight_type: str = ""
    n_exposures: int = 0
    exposure_pixel_area: float | None = None
    span_years: float = 0.0


@dataclass(frozen=True, eq=False)
class Coverage:
    """Which exposures made each pixel of a mosaic, and with what weight.

    Attributes
    ----------
    weight : (ny, nx) ndarray of float
        Sum of the weights of the exposures; for ``'exptime'`` weights in seconds.
    context : (n, ny, nx) ndarray of unsigned integers or None
        One bit for each exposure; None if it is not recorded.
    """

    weight: np.ndarray
    context: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Exposure:
    """One calibrated image.

    Attributes
    ----------
    data : (ny, nx) ndarray of float32
        Surface brightness in image units (DN/s, or MJy/sr after ``FluxStep``); NaN at unusable
        pixels.
    err : (ny, nx) ndarray of float
        Standard deviation of `data` in image units.
    saturated : (ny, nx) ndarray of bool or None
        Pixels that saturated during the exposure; None if unknown.
    wcs : gwcs.wcs.WCS
        From 0-indexed pixels to ICRS degrees.
    conversion : float
        Conversion factor C, MJy/sr per image unit: 1 after ``FluxStep``.
    pixel_area : float
        Nominal pixel area Ω₀ in sr.
    detector, band : str
        Detector and filter, such as ``'WFI01'`` and ``'F106'``; may be empty.
    mid_time : astropy.time.Time
        Middle of the exposure; the mean of those of a mosaic.
    name : str
        File name of the image, for messages.
    guide_star : mapping
        The image's ``meta.guide_star``, with the pointing jitter; may be empty.
    is_flat_fielded : bool
        Whether romancal's flat field was applied.
    reference_parameters : mapping of str to str, int, float or bool
        Parameters by which CRDS selects reference files; empty if unknown.
    metadata : mapping
        Metadata of the image for its product; not used by measurements.
    resampling : Resampling or None
        How exposures were combined to a mosaic; None for a single exposure as it was taken.
    coverage : Coverage or None
        Weights and exposures of a mosaic's pixels; None if unknown.
    """

    data: np.ndarray
    err: np.ndarray
    saturated: np.ndarray | None
    wcs: Any
    conversion: float
    pixel_area: float
    detector: str
    band: str
    mid_time: Time
    name: str = ""
    guide_star: Mapping[str, Any] = field(default_factory=dict)
    is_flat_fielded: bool = False
    reference_parameters: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    resampling: Resampling | None = None
    coverage: Coverage | None = None

    @property
    def is_mosaic(self) -> bool:
        """Whether the image is a mosaic of resampled exposures."""
        return self.resampling is not None

    @property
    def shape(self) -> tuple[int, int]:
        """Shape (ny, nx) of the image."""
        return self.data.shape

    @cached_property
    def pixel_areas(self) -> PixelAreas:
        """Solid angles and scales of the pixels from the WCS, evaluated once."""
        return PixelAreas.of(self.wcs, self.shape)
