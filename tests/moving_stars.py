"""A catalog of stars that move, and where they are later."""

from __future__ import annotations

import numpy as np
from astropy.table import Table
from astropy.time import Time

from romancal_forcedphot import read_sources
from romancal_forcedphot.photometry.proper_motion import apply_proper_motion

LATER = Time(2026.0, format="jyear", scale="tdb")


def gaia(**changes):
    """Catalog of five stars; the last two do not move."""
    columns = {
        "source_id": np.arange(5) + 10,
        "ra": np.array([10.0, 359.99999, 200.0, 120.0, 33.0]),
        "dec": np.array([60.0, -30.0, 85.0, 5.0, -70.0]),
        "pmra": np.array([500.0, 80.0, -1200.0, 0.0, np.nan]),
        "pmdec": np.array([-300.0, 0.0, 10.0, 0.0, 5.0]),
        "ref_epoch": np.array([2016.0, 2015.5, 2016.0, 2016.0, 2016.0]),
    }
    return Table({k: v for k, v in (columns | changes).items() if v is not None})


def moved(table, time=LATER, **options):
    return apply_proper_motion(read_sources(table, proper_motion=True), time, **options)
