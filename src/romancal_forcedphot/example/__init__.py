"""A simulated example: an exposure of known stars, and a CRDS cache with its reference files.

`make_scene` simulates an exposure with romanisim, `make_crds_cache` makes the reference files of
one or several exposures, and `main` is the command `forced_phot_example`. romanisim, GalSim and
CRDS are imported only when they are needed.
"""

from __future__ import annotations

from .cli import main, make_example
from .crds_cache import crds_environment, make_crds_cache
from .mosaic import MosaicRecipe, MosaicScene, make_mosaic
from .scene import Scene, make_scene
from .summary import compare, summarize

__all__ = [
    "MosaicRecipe",
    "MosaicScene",
    "Scene",
    "compare",
    "crds_environment",
    "main",
    "make_crds_cache",
    "make_example",
    "make_mosaic",
    "make_scene",
    "summarize",
]
