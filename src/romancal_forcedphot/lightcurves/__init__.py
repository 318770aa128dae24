"""Light curves: many exposures, one catalog, one data set.

`run` measures the sources of a catalog on many exposures and makes light curves, which `open`
opens::

    from romancal_forcedphot import lightcurves

    lightcurves.run("cal/*_cal.asdf", "catalog.parquet", output_dir="series")
    curves = lightcurves.open("series")
    curves.source(17)["flux"]

measuring/    one exposure: measured, timed, compared with the catalog, kept in a file
running/      many exposures: workers, failures, and what a further run has left to do
collating/    rows by exposure become light curves by source, a HATS catalog
dataset       the directory of a run, and the state of each exposure
fingerprints  digests of settings, catalog and images, by which a further run knows them again
options       what shapes light curves beside the settings of the photometry
reading       light curves are opened: `LightCurves`
exports       light curves for other programs; `time_domain` those of RAD, both ways
cutouts       cutouts of a source over time
cli           the command `forced_phot_lightcurves`
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .collating.collation import Collated, collate
    from .dataset import Dataset, DatasetError, State
    from .options import CurveOptions, MeasureOptions
    from .reading import LightCurves
    from .reading import open_light_curves as open
    from .running.pools import PoolError
    from .running.run import Run, run

#: Modules of the public names, imported when they are first used: a worker needs few of them.
_MODULES = {
    "Collated": "collating.collation",
    "CurveOptions": "options",
    "Dataset": "dataset",
    "DatasetError": "dataset",
    "LightCurves": "reading",
    "MeasureOptions": "options",
    "PoolError": "running.pools",
    "Run": "running.run",
    "State": "dataset",
    "collate": "collating.collation",
    "open": "reading",
    "run": "running.run",
}

__all__ = [
    "Collated",
    "CurveOptions",
    "Dataset",
    "DatasetError",
    "LightCurves",
    "MeasureOptions",
    "PoolError",
    "Run",
    "State",
    "collate",
    "open",
    "run",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_MODULES[name]}")
    return getattr(module, "open_light_curves" if name == "open" else name)


def __dir__() -> list[str]:
    return sorted(__all__)
