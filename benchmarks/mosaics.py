"""Mosaics: accuracy by correction and method, weights that take light, and speed.

    python benchmarks/mosaics.py accuracy DIRECTORY    makes three dithered exposures and the mosaic
    python benchmarks/mosaics.py weights DIRECTORY     the same with other weights of exposures
    python benchmarks/mosaics.py average DIRECTORY     what the averaging of the PSF costs
    python benchmarks/mosaics.py speed [SIDE]          10^5 sources on a mosaic of SIDE^2 pixels

Offsets are measured minus true magnitudes: the median, and its standard error in parentheses.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from astropy.table import Table

from romancal_forcedphot.example import (
    MosaicRecipe,
    MosaicScene,
    crds_environment,
    make_crds_cache,
    make_mosaic,
)
from romancal_forcedphot.example.simulation import Recipe

RECIPE = MosaicRecipe(
    scene=Recipe(n_pixels=1000, n_stars=420, n_galaxies=90, magnitudes=(17.5, 24.5), seed=77)
)
POOR_FIT = 1024  # galaxies that are fitted as points
RADII = {"aperture_radii": "0.22,0.33,0.55,1.1", "annulus_radii": "2.2,2.75"}
RADII |= {"radius_unit": "arcsec"}


def make(directory: str, **changes) -> MosaicScene:
    """Return the mosaic, with CRDS set up for its references."""
    made = make_mosaic(directory, replace(RECIPE, **changes), report=_report)
    cache = make_crds_cache(Path(directory) / "crds", [made.scene], report=_report)
    os.environ.update(crds_environment(cache))
    return made


def _report(stage: str) -> None:
    print(f"making {stage}", file=sys.stderr, flush=True)


def measure(image: Path, catalog: Path, **options) -> Table:
    """Return the table of a run of the step."""
    from romancal_forcedphot import ForcedPhotometryStep

    options = {"pixel_area": "wcs", "configure_log": False} | options
    return ForcedPhotometryStep.call(str(image), catalog=str(catalog), **options).source_catalog


def row(table: Table, column: str, truth: Table, kind: str, bright: float, faint: float) -> str:
    """Median offset and width of pulls of good sources, as cells of a table."""
    true = -2.5 * np.log10(truth[RECIPE.scene.band])
    good = (np.asarray(table["warning_flags"]) & ~POOR_FIT) == 0
    good &= (truth["type"] == kind) & (true >= bright) & (true < faint)
    if "n_exposures" in table.colnames:
        good &= np.asarray(table["n_exposures"]) == np.max(table["n_exposures"])
    offset = np.asarray(table[column] - true, float)[good]
    pull = offset / np.asarray(table[f"{column}_err"], float)[good]
    offset, pull = offset[np.isfinite(offset)], pull[np.isfinite(pull)]
    spread = 1.4826 * np.median(np.abs(offset - np.median(offset)))
    low, high = np.percentile(pull, [15.865, 84.135])
    return (
        f"{len(offset)} | {np.median(offset):+.4f} ({1.25 * spread / np.sqrt(len(offset)):.4f}) | "
        f"{(high - low) / 2:.2f}"
    )


def accuracy(directory: str) -> None:
    """Print offsets and pulls by correction and method, on the mosaic and on an exposure."""
    made = make(directory)
    truth = Table.read(made.catalog)
    print("| image | measured by | sources | n | offset, mag | pull width |\n" + "|---" * 6 + "|")
    images = {"mosaic": made.mosaic, "exposure": made.exposures[0]}
    tables = {}
    for name, image in images.items():
        for kind in ("apcorr", "epsf", "stars"):
            options = RADII | {"aperture_correction": kind, "error_calibration": "empty_scale"}
            table = tables[name, kind] = measure(image, made.catalog, **options)
            for column in ("aper0p22arcsec", "aper0p33arcsec", "aper0p55arcsec"):
                cells = row(table, f"{column}_abmag", truth, "PSF", 18, 21)
                print(f"| {name} | `{kind}`, {column} | stars, 18 to 21 | {cells} |", flush=True)
            cells = row(table, "aper0p33arcsec_abmag", truth, "PSF", 20, 24)
            print(f"| {name} | `{kind}`, scaled | stars, 20 to 24 | {cells} |", flush=True)
        for source in ("epsf", "stars"):
            fits = {"methods": "psf,model", "psf_source": source}
            table = tables[name, f"psf {source}"] = measure(image, made.catalog, **fits)
            for column, kind, limits in (
                ("psf", "PSF", (18, 21)),
                ("psf", "PSF", (20, 24)),
                ("model", "SER", (18, 23)),
            ):
                cells = row(table, f"{column}_abmag", truth, kind, *limits)
                what = {"PSF": "stars", "SER": "galaxies"}[kind]
                limit = f"{limits[0]} to {limits[1]}"
                print(
                    f"| {name} | `{column}`, `{source}` | {what}, {limit} | {cells} |", flush=True
                )
    for kind, column in (("apcorr", "aper0p33arcsec"), ("psf epsf", "psf")):
        one, other = tables["mosaic", kind], tables["exposure", kind]
        true = -2.5 * np.log10(truth[RECIPE.scene.band])
        good = ((np.asarray(one["warning_flags"] | other["warning_flags"])) & ~POOR_FIT) == 0
        good &= (truth["type"] == "PSF") & (true < 21)
        difference = np.asarray(one[f"{column}_abmag"] - other[f"{column}_abmag"], float)[good]
        print(f"\nmosaic less exposure, {kind}, {good.sum()} stars: {np.median(difference):+.4f}")


def weights(directory: str) -> None:
    """Print by how much stars are too faint with each kind of weights."""
    print("| weights | radius | 18 to 19 mag | 20 to 21 | 22 to 23 |\n" + "|---" * 5 + "|")
    for weight_type in ("exptime", "ivm", "ivm-sky"):
        made = make(directory, weight_type=weight_type)
        truth = Table.read(made.catalog)
        table = measure(made.mosaic, made.catalog, **RADII)
        for column in ("aper0p33arcsec", "aper1p1arcsec", "aper11"):
            if f"{column}_abmag" not in table.colnames:
                continue
            cells = [
                row(table, f"{column}_abmag", truth, "PSF", low, low + 1).split(" | ")[1]
                for low in (18, 20, 22)
            ]
            print(f"| `{weight_type}` | {column} | {' | '.join(cells)} |", flush=True)


def average(directory: str) -> None:
    """Print the fit of stars by the PSF averaged over directions, and by those of the image."""
    made = make(directory)
    truth = Table.read(made.catalog)
    true = -2.5 * np.log10(truth[RECIPE.scene.band])
    print("| PSF | magnitudes | n | offset | pull width | median chi2 |\n" + "|---" * 6 + "|")
    for source in ("epsf", "stars"):
        table = measure(made.mosaic, made.catalog, methods="psf", psf_source=source)
        for low in (18, 20, 22):
            rows = (true >= low) & (true < low + 2) & (truth["type"] == "PSF")
            chi2 = np.nanmedian(np.asarray(table["psf_chi2"], float)[rows])
            cells = row(table, "psf_abmag", truth, "PSF", low, low + 2)
            print(f"| `{source}` | {low} to {low + 2} | {cells} | {chi2:.1f} |", flush=True)


def speed(side: str = "10000") -> None:
    """Print the CPU time of 10^5 sources on a large mosaic, beside that of reading it."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    import tempfile

    from roman_datamodels import datamodels as rdm

    from romancal_forcedphot.exposures import open_image, read_level3
    from small_mosaic import level3_mosaic

    n, rng = int(side), np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "speed_f106_coadd.asdf"
        mosaic = level3_mosaic((n, n))
        ra, dec = mosaic.meta.wcs(*rng.uniform(50, n - 51, (2, 100_000)))
        catalog = Path(directory) / "catalog.parquet"
        Table({"ra": ra, "dec": dec}).write(catalog)
        mosaic.save(path)
        del mosaic
        start = time.process_time()
        with rdm.open(path) as model:
            for name in ("data", "err", "weight", "context"):
                np.asarray(model[name]).max()
        plain = time.process_time() - start
        start = time.process_time()
        with open_image(path) as model:
            read_level3(model)
        reading = time.process_time() - start
        start = time.process_time()
        measure(path, catalog, aperture_correction="none")
        total = time.process_time() - start
        print(f"{n} x {n} pixels, 10^5 sources: arrays {plain:.1f} s, as exposure {reading:.1f} s,")
        print(f"measured in all {total:.1f} s of CPU")


if __name__ == "__main__":
    commands = {"accuracy": accuracy, "weights": weights, "average": average, "speed": speed}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]](*sys.argv[2:])
