"""Joint linear fits: the fluxes of all sources of an image and its sky at once.

Arrays in, arrays out. `fit_fluxes` (in `fluxes`) takes an image and the `Profiles` of its sources,
whatever they look like, and knows no PSF and no catalog.

From the bottom up: `profiles` on pixels, of points and `galaxies`; `windows` of the image and
sparse matrices of `stamps`, evaluated once (`kept_stamps`); the normal `equations` of a tile, their
approximate inverse (`block_inverse`, `group_inverse`, `dense_inverse`) and conjugate gradients
(`solver`); `rounds` over the `tiles` of an image (`parallel`); what depends on the fluxes in turn:
`stamp_sizes`, `participants`, `far_wings`, `variance`, and the `sky` of `quiet` pixels on a `mesh`;
`joint`, which brings all of it to rest; `unknowns` that can be told apart; `quality`; errors of
`apertures` without their neighbours.
"""

from __future__ import annotations

from .apertures import NeighborErrors
from .fluxes import FluxFit, fit_fluxes
from .galaxies import StarsAndGalaxies, galaxies_of
from .profiles import PointSources, Profiles
from .sky import AnnulusSky, MeshSky, NoSky, Sky

__all__ = [
    "AnnulusSky",
    "FluxFit",
    "MeshSky",
    "NeighborErrors",
    "NoSky",
    "PointSources",
    "Profiles",
    "Sky",
    "StarsAndGalaxies",
    "fit_fluxes",
    "galaxies_of",
]
