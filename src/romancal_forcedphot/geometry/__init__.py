"""Where a sky position falls on the detector, and how much sky each pixel sees."""

from __future__ import annotations

from .area import (
    AreaComparison,
    compare_areas,
    pixel_scale_function,
    relative_area_from_reference,
    relative_area_from_wcs,
    solid_angle,
)
from .positions import pixel_to_sky, sky_to_pixel

__all__ = [
    "AreaComparison",
    "compare_areas",
    "pixel_scale_function",
    "pixel_to_sky",
    "relative_area_from_reference",
    "relative_area_from_wcs",
    "sky_to_pixel",
    "solid_angle",
]
