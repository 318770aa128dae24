"""Plots of catalogs, images and products.

Each function takes tables or arrays and an optional matplotlib Axes, plots into it and returns it.
Without Axes it makes a new Figure that is not managed by pyplot: nothing is shown, and no global
state of matplotlib is changed. ``ax.figure.savefig('name.png')`` writes it. The pages return the
Figure.

matplotlib is the optional dependency ``plot`` of this package; only this subpackage imports it.
"""

from __future__ import annotations

try:
    import matplotlib  # noqa: F401
except ImportError as error:
    raise ImportError(
        "pictures need matplotlib, which cannot be imported here "
        f"({error}): pip install 'romancal_forcedphot[plot]'"
    ) from error

from .comparison import offset_against_magnitude, offset_map, pulls
from .curves import encircled_energy, magnitude_errors, magnitude_histogram
from .images import cutout, flagged_gallery, pixel_area_map
from .lightcurves import cutout_series, light_curve, rms_against_magnitude
from .pages import ellipse_page, fit_page, summary_page, validation_page
from .residuals import psf_residual

__all__ = [
    "cutout",
    "cutout_series",
    "ellipse_page",
    "encircled_energy",
    "fit_page",
    "flagged_gallery",
    "light_curve",
    "magnitude_errors",
    "magnitude_histogram",
    "offset_against_magnitude",
    "offset_map",
    "pixel_area_map",
    "psf_residual",
    "pulls",
    "rms_against_magnitude",
    "summary_page",
    "validation_page",
]
