"""Finding and reading reference files.

`finder` finds a file by its kind; one module per kind reads it (`area`, `apcorr`, `epsf`, `gain`),
and `stpsf` caches the grids that STPSF computes. Nothing here depends on the photometry.
"""

from __future__ import annotations

from .apcorr import read_apcorr
from .area import AreaReference, read_area
from .epsf import EPSFReference, read_epsf
from .errors import ReferenceFileError
from .finder import (
    CRDS_OUT_OF_REACH,
    OBSERVATORY,
    REFERENCE_KINDS,
    CRDSFinder,
    Finder,
    Reference,
    crds_context,
    query_reference,
    quiet_crds,
    remedy_for,
    require,
)
from .gain import read_relative_gain
from .kept import KeepingFinder
from .stpsf import optical_grid

__all__ = [
    "CRDS_OUT_OF_REACH",
    "OBSERVATORY",
    "REFERENCE_KINDS",
    "AreaReference",
    "CRDSFinder",
    "EPSFReference",
    "Finder",
    "KeepingFinder",
    "Reference",
    "ReferenceFileError",
    "crds_context",
    "optical_grid",
    "query_reference",
    "quiet_crds",
    "read_apcorr",
    "read_area",
    "read_epsf",
    "read_relative_gain",
    "remedy_for",
    "require",
]
