"""Light curves: many exposures, one catalog, one data set.

`run` measures the sources of a catalog on many exposures and makes light curves, which `open`
opens::

    from romancal_forcedphot import lightcurves

    lightcurves.run("cal/*_cal.asdf", "catalog.parquet", output_dir="series")
    curves = lightcurves.open("series")
    curves.source(17)["flux"]

On the way: `measuring` turns one image into rows, `jobs` carries that to workers (`pools`),
`engine` sees that what happens to one exposure stays with it, `dataset` keeps what is done,
`collating` turns rows by exposure into light curves by source, `reading` opens them and `exports`
hands them on.
"""

from __future__ import annotations

from .collating import Collated, collate
from .dataset import Dataset, DatasetError, State
from .options import CurveOptions, MeasureOptions
from .pools import PoolError
from .reading import LightCurves
from .reading import open_light_curves as open
from .running import Run, run

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
