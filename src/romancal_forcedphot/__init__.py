"""Calibrated forced photometry on images of the Roman Wide Field Instrument.

The names below load what they need when they are first used: importing the package alone,
as stpipe's and ASDF's entry points do, costs next to nothing.
"""

from __future__ import annotations

import importlib
import importlib.metadata

__version__ = importlib.metadata.version("romancal_forcedphot")

_HOMES = {
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
    "read_sources": "catalogs",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__():
    return sorted(__all__)
