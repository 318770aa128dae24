"""Read a data set of light curves by others: LSDB, DuckDB, pandas and snappl, beside plain pyarrow.

    python -m venv readers && readers/bin/pip install lsdb duckdb
    readers/bin/python benchmarks/lightcurves_readers.py DIR

snappl needs an environment of its own (pandas 2: pip install roman-snpit-snappl) and reads what
`forced_phot_lightcurves export DIR --format=snappl` wrote.

It needs nothing of this package, whose dependencies LSDB's need not fit. Each reader that is
installed must find the same light curves; the exit status is 1 if one does not, 2 if none is there.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq


def by_pyarrow(directory: Path) -> dict[int, np.ndarray]:
    """Fluxes by label."""
    found = {}
    for path in sorted(directory.glob("dataset/**/*.parquet")):
        table = pq.read_table(path, columns=["label", "lightcurve"])
        fluxes = table["lightcurve"].combine_chunks().field("flux")
        pairs = zip(table["label"].to_pylist(), fluxes, strict=True)
        found |= {label: np.asarray(flux.values) for label, flux in pairs}
    return found


def by_pandas(directory: Path) -> dict[int, np.ndarray]:
    import pandas as pd

    frames = [pd.read_parquet(path) for path in sorted(directory.glob("dataset/**/*.parquet"))]
    frame = pd.concat(frames)
    pairs = zip(frame["label"], frame["lightcurve"], strict=True)
    return {int(label): np.asarray(curve["flux"]) for label, curve in pairs}


def by_duckdb(directory: Path) -> dict[int, np.ndarray]:
    import duckdb

    files = f"read_parquet('{directory}/dataset/**/*.parquet')"
    rows = duckdb.sql(f"select label, lightcurve.flux from {files}").fetchall()
    return {label: np.array(flux, dtype=np.float32) for label, flux in rows}


def by_lsdb(directory: Path) -> dict[int, np.ndarray]:
    import lsdb

    catalog = lsdb.open_catalog(str(directory))
    if not str(catalog.dtypes["lightcurve"]).startswith("nested"):
        raise TypeError("LSDB does not take the light curves as nested")
    frame = catalog.compute()
    ra, dec = frame["ra"].iloc[0], frame["dec"].iloc[0]
    if len(catalog.cone_search(ra, dec, 0.5).compute()) < 1:
        raise LookupError("LSDB finds no source in a cone around one")
    pairs = zip(frame["label"], frame["lightcurve"], strict=True)
    return {int(label): np.asarray(curve["flux"]) for label, curve in pairs}


def by_snappl(directory: Path) -> dict[int, np.ndarray]:
    """Fluxes in nJy by each file's own zero points; snappl checks columns, types and units."""
    from snappl.lightcurve import Lightcurve

    points: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}
    for path in sorted((directory.parent / "snappl").glob("*.ltcv.parquet")):
        read = Lightcurve(full_filepath=path, no_base_path=True).lightcurve
        curve = Lightcurve(data=read, meta=dict(read.meta), no_base_path=True).lightcurve
        flux = curve["flux"].value * 10 ** ((31.4 - curve["zpt"].value) / 2.5)
        points.setdefault(int(curve.meta["label"]), []).append((curve["mjd"].value, flux))
    found = {}
    for label, bands in points.items():
        mjd, flux = (np.concatenate(each) for each in zip(*bands, strict=True))
        found[label] = flux[np.argsort(mjd, kind="stable")].astype(np.float32)
    return found


READERS = {"pandas": by_pandas, "duckdb": by_duckdb, "lsdb": by_lsdb, "snappl": by_snappl}


def main() -> int:
    """Read by all that are installed."""
    directory = Path(sys.argv[1]).resolve() / "lightcurves"
    expected = by_pyarrow(directory)
    print(f"pyarrow   {len(expected)} light curves")
    status = 2
    for name, read in READERS.items():
        if importlib.util.find_spec(name) is None:
            print(f"{name:10s}is not installed")
            continue
        start = time.monotonic()
        found, wanted = read(directory), expected
        if name == "snappl":  # it is given the points that have a flux
            wanted = {label: flux[np.isfinite(flux)] for label, flux in expected.items()}
        same = found.keys() == wanted.keys() and all(
            np.array_equal(found[label], flux, equal_nan=True) for label, flux in wanted.items()
        )
        status = 1 if not same or status == 1 else 0
        print(f"{name:10s}{'the same' if same else 'DIFFERENT'}, {time.monotonic() - start:.1f} s")
    return status


if __name__ == "__main__":
    sys.exit(main())
