"""Whole processes: `strun forced_phot`, the floor under it, and romancal's SourceCatalogStep.

The floor is a process that imports stpipe, romancal.stpipe, roman_datamodels and astropy.table,
opens the same image, reads its three arrays and that of the pixel areas, and saves a table of the
same size. It imports nothing of this package and measures nothing.

As a program it is one of the children, which do all the work: a child's peak memory counts from
that of its parent, which is kept small.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Run:
    """What a child process took."""

    wall_s: float
    processor_s: float
    peak_gb: float
    output: str


def run_child(command: list[str], *, cwd: Path, environment: dict[str, str]) -> Run:
    """Run a command to its end; RuntimeError with the end of what it said if it fails."""
    log = cwd / "child.log"
    start = time.perf_counter()
    with log.open("w") as output:
        child = subprocess.Popen(
            command, cwd=cwd, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {log.read_text()[-600:]}")
    unit = 1e9 if sys.platform == "darwin" else 1e6  # of ru_maxrss: bytes there, kB here
    processor = usage.ru_utime + usage.ru_stime
    return Run(wall, processor, usage.ru_maxrss / unit, log.read_text())


def strun(image: Path, catalog: Path) -> list[str]:
    """The command as users type it."""
    beside = os.fspath(Path(sys.executable).with_name("strun"))
    return [beside, "forced_phot", os.fspath(image), f"--catalog={catalog}", "--output_dir=."]


def ourselves(*arguments: object) -> list[str]:
    """The command that runs one of the children below."""
    return [sys.executable, os.fspath(Path(__file__).resolve()), *map(str, arguments)]


def catalog(image: str, path: str, n_sources: str) -> None:
    """Write positions all over an image as Parquet."""
    import pyarrow
    import pyarrow.parquet
    from roman_datamodels import datamodels

    from romancal_forcedphot.geometry import pixel_to_sky

    with datamodels.open(image) as model:
        ny, nx = model.data.shape
        x, y = np.random.default_rng(1).uniform(0, 1, (2, int(n_sources)))
        ra, dec = pixel_to_sky(model.meta.wcs, x * (nx - 1), y * (ny - 1))
    columns = {"id": np.arange(ra.size), "ra": ra, "dec": dec}
    pyarrow.parquet.write_table(pyarrow.table(columns), path)


def floor(image: str, area: str, product: str, copy: str) -> None:
    """Do what cannot be avoided; the table is made of plain arrays like the product's."""
    import asdf
    import romancal.stpipe  # noqa: F401
    import stpipe._cli.strun  # noqa: F401
    from astropy.table import Table
    from roman_datamodels import datamodels

    with datamodels.open(area) as model:
        np.asarray(model.data).max()
    with datamodels.open(image) as model:
        for name in ("data", "err", "dq"):
            np.asarray(model[name]).max()
        with np.load(product) as arrays:
            table = Table({name: arrays[name] for name in arrays.files}, copy=False)
        asdf.AsdfFile({"roman": {"source_catalog": table}}).write_to(
            copy, all_array_compression="lz4"
        )


def columns(product: str, path: str) -> None:
    """Write the columns of a product as plain arrays, for the floor to save."""
    from roman_datamodels import datamodels

    with datamodels.open(product) as model:
        table = model.source_catalog
        np.savez(path, **{name: np.asarray(table[name]) for name in table.colnames})


def further(image: str, catalog_path: str) -> None:
    """Measure an exposure again and again, as a worker of light curves does; say what one takes."""
    from romancal_forcedphot.catalogs import read_sources
    from romancal_forcedphot.lightcurves.measuring.exposure_files import to_parquet
    from romancal_forcedphot.lightcurves.measuring.measurement import measure_image
    from romancal_forcedphot.photometry import Settings
    from romancal_forcedphot.references import CRDSFinder, KeepingFinder

    sources, finder, seconds = read_sources(catalog_path), KeepingFinder(CRDSFinder()), []
    for _ in range(6):
        start = time.process_time()
        to_parquet(measure_image(image, Settings(), sources, finder), sources.label)
        seconds.append(time.process_time() - start)
    print(f"processor_s {np.median(seconds[1:])}")


def romancal(image: str) -> None:
    """Run romancal's own photometry, which finds its sources itself, and say how many."""
    from romancal.source_catalog.source_catalog_step import SourceCatalogStep

    catalog, _ = SourceCatalogStep.call(image, fit_psf=False, save_results=False)
    print(f"n_sources {len(catalog.source_catalog)}")


if __name__ == "__main__":
    children = {each.__name__: each for each in (catalog, columns, floor, further, romancal)}
    children[sys.argv[1]](*sys.argv[2:])
