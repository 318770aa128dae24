"""Calibrated forced photometry on images of the Roman Wide Field Instrument.

The public names are imported when they are first used, because stpipe and ASDF import the package
at every start for its entry points.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .catalogs import read_sources
    from .exposures import measure_exposure, read_level2, read_level3
    from .photometry import CircularApertures, Exposure, Settings, Sources, measure
    from .product.model import ForcedPhotometryModel
    from .step import ForcedPhotometryStep
    from .table import WarningFlag, convert_flux

__version__ = importlib.metadata.version("romancal_forcedphot")

#: Modules of the public names.
_MODULES = {
    "CircularApertures": "photometry",
    "Exposure": "photometry",
    "ForcedPhotometryModel": "product.model",
    "ForcedPhotometryStep": "step",
    "Settings": "photometry",
    "Sources": "photometry",
    "WarningFlag": "table",
    "convert_flux": "table",
    "measure": "photometry",
    "measure_exposure": "exposures",
    "read_level2": "exposures",
    "read_level3": "exposures",
    "read_sources": "catalogs",
}

__all__ = [
    "CircularApertures",
    "Exposure",
    "ForcedPhotometryModel",
    "ForcedPhotometryStep",
    "Settings",
    "Sources",
    "WarningFlag",
    "__version__",
    "convert_flux",
    "measure",
    "measure_exposure",
    "read_level2",
    "read_level3",
    "read_sources",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
