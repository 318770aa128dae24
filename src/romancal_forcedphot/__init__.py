"""Calibrated forced photometry on images of the Roman Wide Field Instrument.

The public names are imported when they are first used, because stpipe and ASDF import the package
at every start for its entry points.
"""

from __future__ import annotations

import importlib
import importlib.metadata

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

__all__ = ["__version__", *_MODULES]


def __getattr__(name):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__():
    return sorted(__all__)
