"""Forced photometry on arrays.

`measure` takes an `Exposure` (arrays, a WCS and a zero point) and `Sources` (positions) and returns
a table. How fluxes are measured is a `Method` (see `methods.contract`); `Settings` holds every
parameter that affects the results. Nothing in this package depends on files, CRDS, stpipe or the
command line.
"""

from __future__ import annotations

from .exposure import Coverage, Exposure, Resampling
from .measuring import measure
from .methods import CircularApertures, Method, ModelPhotometry, PSFPhotometry, methods_for
from .settings import Settings
from .shapes import Shapes
from .sources import Motion, Sources

__all__ = [
    "CircularApertures",
    "Coverage",
    "Exposure",
    "Method",
    "ModelPhotometry",
    "Motion",
    "PSFPhotometry",
    "Resampling",
    "Settings",
    "Shapes",
    "Sources",
    "measure",
    "methods_for",
]
