"""Sérsic galaxies on pixels: profiles that are convolved with the ePSF where they stand.

`round` has the profile itself and `transform` its Fourier transform as a table, `profiles` makes
ellipses of it, `spectrum` transforms the ePSF, and `galaxies` multiplies the two.
"""

from __future__ import annotations

from .galaxies import SersicGalaxies
from .profiles import SersicProfiles
from .round import INDEX_RANGE

__all__ = [
    "INDEX_RANGE",
    "SersicGalaxies",
    "SersicProfiles",
]
