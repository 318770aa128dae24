"""An exposure as the measurement sees it: arrays, a WCS and a zero point.

Readers of Roman models (`romancal_forcedphot.exposures`) make one; it can as well be made by hand.
They decide once which pixels may be used: from then on an unusable pixel is simply not finite.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from astropy.time import Time

from ..geometry import PixelAreas

__all__ = ["Exposure"]


@dataclass(frozen=True, eq=False)
class Exposure:
    """One calibrated image.

    Attributes
    ----------
    data : ndarray
        (ny, nx) float32 surface brightness in image units (DN/s, or MJy/sr after ``FluxStep``);
        NaN where a pixel may not be used.
    err : ndarray
        (ny, nx) standard deviation in image units.
    saturated : ndarray or None
        (ny, nx) bool, pixels that saturated during the exposure; None if that is not known.
    wcs : gwcs.WCS
        From pixels to ICRS degrees.
    conversion : float
        C, MJy/sr per image unit: 1 after ``FluxStep``.
    pixel_area : float
        Ω₀, nominal area of a pixel in sr.
    detector, band : str
        Such as ``'WFI01'`` and ``'F106'``; may be empty.
    mid_time : astropy.time.Time
        Middle of the exposure.
    name : str
        File name of the image, for messages.
    guide_star : mapping
        The image's ``meta.guide_star``, which tells the jitter of the pointing; may be empty.
    is_flat_fielded : bool
        Whether romancal's flat field was divided out.
    reference_parameters : mapping of str to str, int, float or bool
        What CRDS selects reference files by; empty if the image cannot tell.
    metadata : mapping
        Metadata of the image that its product takes over; no measurement looks at them.
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

    @property
    def shape(self) -> tuple[int, int]:
        """Shape (ny, nx) of the image."""
        return self.data.shape

    @cached_property
    def pixel_areas(self) -> PixelAreas:
        """Solid angles and scales of the pixels by the WCS, evaluated once."""
        return PixelAreas.of(self.wcs, self.shape)
