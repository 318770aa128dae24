"""Colours of simulated stars and galaxies in F106 and F213, with and without matched PSFs.

    python benchmarks/galaxy_colours.py DIRECTORY

simulates one field in both filters in DIRECTORY, or finds it there (four minutes of one core), runs
``strun forced_phot`` on both, and prints the colours of isolated sources less the true ones, with
the widths of their pulls.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from astropy.table import Table
from scipy.spatial import cKDTree

from romancal_forcedphot.example import Scene, crds_environment, make_crds_cache, make_scene
from romancal_forcedphot.example.summary import read_source_catalog

FIELD = {"n_stars": 500, "n_galaxies": 700, "magnitudes": (18.0, 21.0), "seed": 94}
CIRCLES = ("aper2pix_flux", "aper3pix_flux", "aper5pix_flux", "aper10pix_flux")
MATCHED = "--match_psf_to=F213"
RUNS = (
    ((), (*CIRCLES, "aper3pix_total_flux")),
    ((MATCHED,), (*CIRCLES, "aper3pix_total_flux")),
    ((MATCHED, "--aperture_shape=ellipse"), ("ellipse_flux",)),
)
ISOLATED_PIX = 25.0


def measured(scene: Scene, cache: Path, options: tuple[str, ...]) -> Table:
    """Run the step as a user does, and return its table."""
    output = scene.directory / "products"
    output.mkdir(exist_ok=True)
    command = [os.fspath(Path(sys.executable).with_name("strun")), "forced_phot"]
    command += [os.fspath(scene.image), f"--catalog={scene.catalog}", f"--output_dir={output}"]
    command += ["--aperture_radii=2,3,5,10", *options]
    environment = os.environ | crds_environment(cache)
    subprocess.run(command, env=environment, capture_output=True, check=True)
    (product,) = output.glob(scene.image.name.replace("_cal", "_forcedphot"))
    return read_source_catalog(product)


def isolated(table: Table) -> np.ndarray:
    """Which sources (bool) are on the image with no other source near, and without a flag."""
    places = np.column_stack([np.asarray(table[axis]) for axis in ("x", "y")])
    good = np.isfinite(places).all(axis=1)
    distance, _ = cKDTree(places[good]).query(places[good], k=2)
    good[good] = distance[:, 1] > ISOLATED_PIX
    return good & (np.asarray(table["warning_flags"]) == 0)


def figures(colour: np.ndarray, err: np.ndarray) -> str:
    """Median of colours with its error, and half width of the central 68 % of the pulls."""
    low, high = np.percentile(colour / err, [15.865, 84.135])
    error = 1.2533 * colour.std() / np.sqrt(colour.size)
    return f"{np.median(colour):+.4f} ± {error:.4f}, {(high - low) / 2:.2f}"


def main(directory: Path) -> None:
    """Print a table."""
    bands = ("F106", "F213")
    common = {"detector": "WFI09", "n_pixels": 2000, **FIELD}
    scenes = [make_scene(directory, band=band, **common) for band in bands]
    cache = make_crds_cache(directory / "crds", scenes)
    truth = [Table.read(scene.catalog) for scene in scenes]
    true = -2.5 * np.log10(truth[0]["F106"] / truth[1]["F213"])
    galaxy, steep = (np.asarray(each) for each in (truth[0]["type"] == "SER", truth[0]["n"] > 2))
    groups = {"stars": ~galaxy, "galaxies, n < 2": galaxy & ~steep, "n = 2.5": galaxy & steep}
    print("| options | flux | " + " | ".join(groups) + " |\n" + "|---" * 5 + "|")
    for options, names in RUNS:
        tables = [measured(scene, cache, options) for scene in scenes]
        good = isolated(tables[0]) & isolated(tables[1])
        for name in names:
            flux, err = (
                [np.asarray(table[column], float) for table in tables]
                for column in (name, f"{name}_err")
            )
            ratio = np.where((flux[0] > 0) & (flux[1] > 0), flux[0] / flux[1], np.nan)
            colour = -2.5 * np.log10(ratio) - np.asarray(true)
            colour_err = 1.0857 * np.hypot(err[0] / flux[0], err[1] / flux[1])
            usable = good & np.isfinite(colour)
            shown = (
                figures(*(c[usable & g] for c in (colour, colour_err))) for g in groups.values()
            )
            print(f"| {' '.join(options) or 'none'} | {name} | " + " | ".join(shown) + " |")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
