"""Sky and pixel coordinates.

Conversion of positions (`positions`), pixel areas and scales (`area`), exact overlaps of circles
with pixels (`overlap`), and the dimensions of the detector (`detector`).
"""

from __future__ import annotations

from .area import (
    AreaComparison,
    PixelAreas,
    compare_areas,
    relative_area_from_reference,
    solid_angle,
)
from .detector import N_SCIENCE_PIXELS, REFERENCE_BORDER, trim_border
from .overlap import circle_overlap, stamp_reach
from .positions import pixel_to_sky, sky_to_pixel

__all__ = [
    "N_SCIENCE_PIXELS",
    "REFERENCE_BORDER",
    "AreaComparison",
    "PixelAreas",
    "circle_overlap",
    "compare_areas",
    "pixel_to_sky",
    "relative_area_from_reference",
    "sky_to_pixel",
    "solid_angle",
    "stamp_reach",
    "trim_border",
]
