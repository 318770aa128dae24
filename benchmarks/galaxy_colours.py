"""Colours of simulated stars and galaxies in F106 and F213, with and without matched PSFs.

    python benchmarks/galaxy_colours.py DIRECTORY

simulates one field in both filters in DIRECTORY, or finds it there (four minutes of one core), runs
``strun forced_phot`` on both, and prints the colours of isolated sources less the true ones, with
the widths of their pulls. Then it tells, from the curves of growth alone and so without noise, what
colours a star has by the mean over places on its pixel, and what two parts of the matching do.
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
from romancal_forcedphot.geometry import circle_overlap
from romancal_forcedphot.psfs import CurveOfGrowth, PSFMatching
from romancal_forcedphot.psfs.matching import MARGIN_PIX
from romancal_forcedphot.references import Reference, read_apcorr

FIELD = {"n_stars": 500, "n_galaxies": 700, "magnitudes": (18.0, 21.0), "seed": 94}
CIRCLES = ("aper2pix_flux", "aper3pix_flux", "aper5pix_flux", "aper10pix_flux")
MATCHED = "--match_psf_to=F213"
RUNS = (
    ((), (*CIRCLES, "aper3pix_total_flux")),
    ((MATCHED,), (*CIRCLES, "aper3pix_total_flux")),
    ((MATCHED, "--aperture_shape=ellipse"), ("ellipse_flux",)),
)
ISOLATED_PIX = 25.0
ANNULUS, PIXEL_ARCSEC, SHORT_MARGIN = (20.0, 25.0), 0.11, 4.0


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


def star_colour(
    matching: PSFMatching, radius: float, *, margin: float = MARGIN_PIX, matched: bool = True
) -> float:
    """Colour of stars without noise, which is 0 by the truth.

    Weights end at a margin beyond the circle; ``matched`` says whether the annulus is, too.
    """
    phases = (np.arange(16) + 0.5) / 16 - 0.5
    x, y = (each.ravel() for each in np.meshgrid(phases, phases))
    reach = int(np.ceil(radius + margin))
    axes = (np.full(x.size, value) for value in (radius, radius, 0.0))
    own = matching.aperture_weights(x, y, *axes, reach)
    nominal = circle_overlap(x - np.rint(x), y - np.rint(y), radius, reach)
    area = np.pi * (ANNULUS[1] ** 2 - ANNULUS[0] ** 2)
    flux = []
    for curve, weights in ((matching.own, own), (matching.other, nominal)):
        lost = weights.sum(axis=(1, 2)) * curve.in_annulus(x, y, *ANNULUS) / area
        flux.append(curve.in_aperture(x, y, None, weights=weights) - lost)
    if matched:
        flux[0] *= matching.annulus_factor(x, y, *ANNULUS, own, own.sum(axis=(1, 2)))
    return float(-2.5 * np.log10(flux[0].mean() / flux[1].mean()))


def print_star_colours(cache: Path, bands: tuple[str, ...]) -> None:
    """Print colours of stars without noise, by radius."""
    (path,) = cache.glob("references/roman/*_apcorr_*.asdf")
    reference = Reference("apcorr", str(path), path.name)
    options = {"pixel_scale": PIXEL_ARCSEC}
    curves = [
        CurveOfGrowth.from_reference(read_apcorr(reference, band=band), **options) for band in bands
    ]
    matching = PSFMatching.of_curves(*curves)
    short = f"weights to {SHORT_MARGIN:g} pixels"
    print(f"\n| radius | as measured | annulus not matched | {short} | both |\n" + "|---" * 5 + "|")
    for radius in (2.0, 3.0, 5.0, 10.0):
        kinds = ({}, {"matched": False}, {"margin": SHORT_MARGIN})
        kinds += ({"matched": False, "margin": SHORT_MARGIN},)
        colours = (f"{star_colour(matching, radius, **kind):+.4f}" for kind in kinds)
        print(f"| {radius:g} | " + " | ".join(colours) + " |")


def main(directory: Path) -> None:
    """Print both tables."""
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
            chosen = f"`{' '.join(options)}`" if options else "none"
            print(f"| {chosen} | {name} | " + " | ".join(shown) + " |")
    print_star_colours(cache, bands)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
