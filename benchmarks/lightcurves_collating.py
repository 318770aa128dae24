"""Collating of made-up exposures: time, memory, and how fast one light curve is read.

python benchmarks/lightcurves_collating.py [--exposures 1000] [--sources 10000] [--directory DIR]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from romancal_forcedphot.lightcurves.checkpoints import to_parquet
from romancal_forcedphot.lightcurves.collating import collate
from romancal_forcedphot.lightcurves.dataset import Dataset, Requested
from romancal_forcedphot.lightcurves.identity import Identity
from romancal_forcedphot.lightcurves.records import ExposureRecord, MeasuredExposure
from romancal_forcedphot.photometry import Sources


def make(directory: Path, n_exposures: int, n_sources: int) -> Dataset:
    """Make a data set of exposures that were never taken."""
    rng = np.random.default_rng(1)
    side = 0.13
    sources = Sources(
        label=np.arange(1, n_sources + 1),
        ra=270 + side / np.cos(np.radians(66)) * rng.uniform(size=n_sources),
        dec=66 + side * rng.uniform(size=n_sources),
        name="made",
    )
    dataset = Dataset.at(directory)
    identity = Identity.of({"limit_sigma": 3.0}, sources)
    dataset.claim(identity, sources, "0")
    if len(dataset.state().done) == n_exposures:
        return dataset
    truth = 10 ** rng.uniform(2, 5, n_sources)
    requested = []
    for number in range(n_exposures):
        name = f"r0003201001001001004_{number:04d}_wfi01_f106"
        record = ExposureRecord(
            name,
            f"/{name}_cal.asdf",
            ("F106", "F158")[number % 2],
            "WFI01",
            61000 + number / 7,
            107.0,
            "spacecraft",
            70.0,
            0.1,
            0.11,
        )
        err = np.sqrt(15.0**2 + 5 * truth)
        columns = {
            "bjd_tdb": 2461000.5 + number / 7 + 1e-5 * rng.uniform(size=n_sources),
            "x": rng.uniform(0, 4088, n_sources),
            "y": rng.uniform(0, 4088, n_sources),
            "flux": truth + err * rng.normal(size=n_sources),
            "flux_err": err,
            "bkg_flux": rng.normal(100, 1, n_sources),
            "bkg_flux_err": np.full(n_sources, 1.0),
            "nea": rng.uniform(8, 9, n_sources),
            "warning_flags": np.where(rng.uniform(size=n_sources) < 0.02, 8, 0).astype(np.int32),
        }
        measured = MeasuredExposure(record, np.arange(n_sources), columns)
        dataset.save(name, to_parquet(measured, sources.label, made_from=identity.digests))
        requested.append(Requested(name, record.location))
    dataset.request(requested)
    return dataset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--exposures", type=int, default=1000)
    parser.add_argument("--sources", type=int, default=10_000)
    parser.add_argument("--directory", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        start = time.monotonic()
        dataset = make(options.directory or Path(name), options.exposures, options.sources)
        print(f"made in {time.monotonic() - start:.1f} s", flush=True)
        wall, cpu = time.monotonic(), time.process_time()
        collated = collate(dataset)
        wall, cpu = time.monotonic() - wall, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        size = sum(p.stat().st_size for p in dataset.light_curves.rglob("*") if p.is_file()) / 1e9
        print(
            f"{collated.n_points} points: {wall:.1f} s ({cpu:.1f} s CPU), peak {peak:.2f} GB, "
            f"{size:.2f} GB"
        )


if __name__ == "__main__":
    main()
