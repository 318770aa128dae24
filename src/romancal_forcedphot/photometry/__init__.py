"""Measuring light: arrays in, arrays out.

`measure` takes an `Exposure` (arrays, a WCS and a zero point) and `Sources` (positions) and returns
a table. How a flux is measured is a `Method` (see `methods.contract`); `Settings` names every
parameter that shapes a number. Nothing in this package knows files, CRDS, stpipe or a command line.
"""

from __future__ import annotations

from .exposure import Exposure
from .measuring import measure
from .methods import CircularApertures, Method, methods_for
from .settings import Settings
from .shapes import Shapes
from .sources import Motion, Sources

__all__ = [
    "CircularApertures",
    "Exposure",
    "Method",
    "Motion",
    "Settings",
    "Shapes",
    "Sources",
    "measure",
    "methods_for",
]
