"""Calibrated forced photometry on images of the Roman Wide Field Instrument.

The names below load what they need when they are first used: importing the package alone,
as stpipe's and ASDF's entry points do, costs next to nothing.
"""

from __future__ import annotations

import importlib
import importlib.metadata

__version__ = importlib.metadata.version("romancal_forcedphot")

_HOMES = {
    "Exposure": "exposure",
    "ForcedPhotometryModel": "model",
    "ForcedPhotometryStep": "step",
    "Sources": "catalogs",
    "WarningFlag": "columns",
    "convert_flux": "units",
    "measure": "forced",
    "read_sources": "catalogs",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__():
    return sorted(__all__)
