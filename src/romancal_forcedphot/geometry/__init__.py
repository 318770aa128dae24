"""Sky and pixel coordinates.

Conversion of positions (`positions`) and of directions and ellipses (`orientation`), pixel areas
and scales (`area`), exact overlaps of circles and ellipses with pixels (`overlap`,
`ellipse_overlap`), and the dimensions of the detector (`detector`).
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
from .ellipse_overlap import ellipse_overlap, ellipse_reach
from .orientation import (
    ellipse_on_pixels,
    ellipse_on_sky,
    local_jacobian,
    pixel_angle,
    position_angle,
)
from .overlap import circle_overlap, stamp_reach
from .positions import pixel_to_sky, sky_to_pixel

__all__ = [
    "N_SCIENCE_PIXELS",
    "REFERENCE_BORDER",
    "AreaComparison",
    "PixelAreas",
    "circle_overlap",
    "compare_areas",
    "ellipse_on_pixels",
    "ellipse_on_sky",
    "ellipse_overlap",
    "ellipse_reach",
    "local_jacobian",
    "pixel_angle",
    "pixel_to_sky",
    "position_angle",
    "relative_area_from_reference",
    "sky_to_pixel",
    "solid_angle",
    "stamp_reach",
    "trim_border",
]
