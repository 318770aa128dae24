"""Sérsic galaxies on pixels: profiles that are convolved with the ePSF where they stand.

`round` has the profile itself and `transform` its Fourier transform as a table, `profiles` makes
ellipses of it, `spectrum` transforms the ePSF, `galaxies` multiplies the two, and `correction`
tells what apertures hold of the product.
"""

from __future__ import annotations

from .correction import CorrectionOfProfiles
from .galaxies import SersicGalaxies
from .profiles import SersicProfiles
from .round import INDEX_RANGE, light_within, radius_of_light

__all__ = [
    "INDEX_RANGE",
    "CorrectionOfProfiles",
    "SersicGalaxies",
    "SersicProfiles",
    "light_within",
    "radius_of_light",
]
