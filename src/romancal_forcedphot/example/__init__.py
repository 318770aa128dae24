"""An example to run: a simulated exposure of known stars and the CRDS cache that belongs to it.

`make_scene` simulates any exposure with romanisim, `make_crds_cache` makes the reference files that
belong to one or several of them, and `main` is the command `forced_phot_example`. Nothing heavy is
imported before it is needed.
"""

from __future__ import annotations

from .cli import main, make_example
from .crds_cache import crds_environment, make_crds_cache
from .scene import Scene, make_scene
from .summary import compare, summarize

__all__ = [
    "Scene",
    "compare",
    "crds_environment",
    "main",
    "make_crds_cache",
    "make_example",
    "make_scene",
    "summarize",
]
