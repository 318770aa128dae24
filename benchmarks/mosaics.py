"""Mosaics: accuracy by correction and method, errors, weights that take light, and speed.

    python benchmarks/mosaics.py accuracy DIRECTORY [SCENE]   by correction, mosaic and exposure
    python benchmarks/mosaics.py errors DIRECTORY [SCENE]     pulls after empty_scale
    python benchmarks/mosaics.py weights DIRECTORY            other weights of exposures
    python benchmarks/mosaics.py average DIRECTORY            what the averaging of the PSF costs
    python benchmarks/mosaics.py single DIRECTORY             one full exposure, resampled
    python benchmarks/mosaics.py centroids DIRECTORY [SCENE]  where the light of stars is
    python benchmarks/mosaics.py speed [SIDE]                 10^5 sources on SIDE^2 pixels

SCENE is dense (F106, the default), other (F158, another detector and seed), sparse or full (4088^2
pixels). Offsets are measured minus true magnitudes: the median, and its standard error in
parentheses.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from astropy.table import Table
from scipy.spatial import cKDTree

from romancal_forcedphot.example import (
    MosaicRecipe,
    MosaicScene,
    crds_environment,
    make_crds_cache,
    make_mosaic,
    make_scene,
)
from romancal_forcedphot.example.mosaic import resample
from romancal_forcedphot.example.scene import Recipe
from romancal_forcedphot.table.statistics import pull_width

_DENSE = Recipe(n_pixels=1000, n_stars=420, n_galaxies=90, magnitudes=(17.5, 24.5), seed=77)
_SPARSE = replace(
    _DENSE, n_pixels=2000, n_stars=900, n_galaxies=60, magnitudes=(18.0, 24.5), seed=15
)
_WIDE_DITHERS = ((0.0, 0.0), (13.38, -22.71), (-25.17, 11.64))
RECIPES = {
    "dense": MosaicRecipe(scene=_DENSE),
    "other": MosaicRecipe(scene=replace(_DENSE, band="F158", detector="WFI07", seed=4242)),
    "sparse": MosaicRecipe(scene=_SPARSE, dithers=_WIDE_DITHERS),
    "full": MosaicRecipe(
        scene=replace(_SPARSE, n_pixels=4088, n_stars=4000, n_galaxies=300, seed=16),
        dithers=_WIDE_DITHERS,
    ),
}
POOR_FIT, NEIGHBOR = 1024, 128  # galaxies that are fitted as points; sources within an aperture
RADII = {"aperture_radii": "0.22,0.33,0.55,1.1", "annulus_radii": "2.2,2.75"}
RADII |= {"radius_unit": "arcsec"}


def make(directory: str, scene: str = "dense", **changes) -> tuple[MosaicScene, Table]:
    """Return a mosaic, with CRDS set up for its references, and its true sources with ``mag``."""
    made = make_mosaic(directory, replace(RECIPES[scene], **changes), report=_report)
    cache = make_crds_cache(Path(directory) / "crds", [made.scene], report=_report)
    os.environ.update(crds_environment(cache))
    return made, _truth(made.catalog, made.recipe.scene.band)


def _report(stage: str) -> None:
    print(f"making {stage}", file=sys.stderr, flush=True)


def _truth(catalog: Path, band: str) -> Table:
    truth = Table.read(catalog)
    truth["mag"] = -2.5 * np.log10(truth[band])
    truth["isolated"] = _is_isolated(truth)
    return truth


def _is_isolated(truth: Table) -> np.ndarray:
    """Whether no other source has 2 % of the flux within 2", or 20 % of it within 3.85"."""
    x = truth["ra"] * np.cos(np.deg2rad(np.mean(truth["dec"])))
    places = 3600 * np.column_stack([x, truth["dec"]])
    pairs = cKDTree(places).query_pairs(3.85, output_type="ndarray")
    pairs = np.concatenate([pairs, pairs[:, ::-1]])
    distance = np.hypot(*(places[pairs[:, 0]] - places[pairs[:, 1]]).T)
    share = 10 ** (0.4 * np.asarray(truth["mag"][pairs[:, 0]] - truth["mag"][pairs[:, 1]]))
    isolated = np.ones(len(truth), dtype=bool)
    isolated[pairs[share > np.where(distance < 2, 0.02, 0.2), 0]] = False
    return isolated


def measure(image: Path, catalog: Path, **options) -> Table:
    """Return the table of a run of the step."""
    from romancal_forcedphot import ForcedPhotometryStep

    options = {"pixel_area": "wcs", "configure_log": False} | options
    return ForcedPhotometryStep.call(str(image), catalog=str(catalog), **options).source_catalog


def good_rows(
    table: Table, truth: Table, kind: str, *limits: float, ignored: int = POOR_FIT
) -> np.ndarray:
    """Which sources of a kind have no flag, all exposures, and a magnitude between limits."""
    good = (np.asarray(table["warning_flags"]) & ~ignored) == 0
    good &= (truth["type"] == kind) & (truth["mag"] >= limits[0]) & (truth["mag"] < limits[1])
    if "n_exposures" in table.colnames:
        good &= np.asarray(table["n_exposures"]) == np.max(table["n_exposures"])
    return good


def row(table: Table, column: str, truth: Table, good: np.ndarray) -> str:
    """Median offset and width of pulls of some sources, as cells of a table."""
    offset = np.asarray(table[column] - truth["mag"], float)[good]
    pull = offset / np.asarray(table[f"{column}_err"], float)[good]
    offset, pull = offset[np.isfinite(offset)], pull[np.isfinite(pull)]
    spread = 1.4826 * np.median(np.abs(offset - np.median(offset)))
    width, n = pull_width(pull), len(pull)
    return (
        f"{n} | {np.median(offset):+.4f} ({1.25 * spread / np.sqrt(n):.4f}) | "
        f"{width:.2f} ({width * np.sqrt(0.925 / n):.2f})"
    )


def accuracy(directory: str, scene: str = "dense") -> None:
    """Print offsets and pulls by correction and method, on the mosaic and on an exposure."""
    made, truth = make(directory, scene)
    print("| image | measured by | sources | n | offset, mag | pull width |\n" + "|---" * 6 + "|")
    tables = {}
    for name, image in {"mosaic": made.mosaic, "exposure": made.exposures[0]}.items():
        for kind in ("apcorr", "epsf", "stars"):
            options = RADII | {"aperture_correction": kind}
            table = tables[name, kind] = measure(image, made.catalog, **options)
            good = good_rows(table, truth, "PSF", 18, 21)
            for column in ("aper0p22arcsec", "aper0p33arcsec", "aper0p55arcsec"):
                cells = row(table, f"{column}_abmag", truth, good)
                print(f"| {name} | `{kind}`, {column} | stars, 18 to 21 | {cells} |", flush=True)
        for source in ("epsf", "stars"):
            fits = {"methods": "psf,model", "psf_source": source}
            table = tables[name, f"psf {source}"] = measure(image, made.catalog, **fits)
            for column, kind, what, limits in (
                ("psf", "PSF", "stars", (18, 21)),
                ("model", "SER", "galaxies", (18, 23)),
            ):
                cells = row(table, f"{column}_abmag", truth, good_rows(table, truth, kind, *limits))
                limit = f"{limits[0]} to {limits[1]}"
                print(
                    f"| {name} | `{column}`, `{source}` | {what}, {limit} | {cells} |", flush=True
                )
    for kind, column in (("apcorr", "aper0p33arcsec"), ("psf epsf", "psf")):
        _compare(tables["mosaic", kind], tables["exposure", kind], column, truth)


def _compare(one: Table, other: Table, column: str, truth: Table) -> None:
    """Print by how much stars are fainter on a mosaic than on an exposure."""
    good = good_rows(one, truth, "PSF", 0, 21) & good_rows(other, truth, "PSF", 0, 21)
    difference = np.asarray(one[f"{column}_abmag"] - other[f"{column}_abmag"], float)[good]
    spread = 1.4826 * np.median(np.abs(difference - np.median(difference)))
    print(
        f"\nmosaic less exposure, {column}, {good.sum()} stars: {np.median(difference):+.4f} "
        f"({1.25 * spread / np.sqrt(good.sum()):.4f})"
    )


def errors(directory: str, scene: str = "sparse") -> None:
    """Print widths of pulls after empty_scale of all, isolated, and stars without neighbours."""
    made, truth = make(directory, scene)
    titles = "image | measured by | mag | n | offset | pull width | isolated | offset | pull width"
    print(f"| {titles} |\n" + "|---" * 9 + "|")
    subtracted = {"subtract_neighbors": True, "methods": "aperture,psf,model"}
    scaled = {"aperture_correction": "epsf", "error_calibration": "empty_scale"}
    for name, image in {"mosaic": made.mosaic, "exposure": made.exposures[0]}.items():
        for how, options in {"": {}, ", neighbours subtracted": subtracted}.items():
            table = measure(image, made.catalog, **RADII, **scaled, **options)
            columns = ["aper0p22arcsec", "aper0p33arcsec", "aper0p55arcsec"]
            for column in columns + ["psf"] * bool(options):
                limits = ((20, 24),) if column != "psf" else ((20, 24), (20, 22), (22, 24))
                for low, high in limits:
                    ignored = POOR_FIT | NEIGHBOR if options else POOR_FIT
                    good = good_rows(table, truth, "PSF", low, high, ignored=ignored)
                    cells = row(table, f"{column}_abmag", truth, good)
                    alone = row(table, f"{column}_abmag", truth, good & truth["isolated"])
                    print(
                        f"| {name} | {column}{how} | {low}-{high} | {cells} | {alone} |", flush=True
                    )


def weights(directory: str) -> None:
    """Print by how much stars are too faint with each kind of weights."""
    print("| weights | radius | 18 to 19 mag | 20 to 21 | 22 to 23 |\n" + "|---" * 5 + "|")
    for weight_type in ("exptime", "ivm", "ivm-sky"):
        made, truth = make(directory, weight_type=weight_type)
        table = measure(made.mosaic, made.catalog, **RADII)
        for column in ("aper0p33arcsec", "aper11"):
            rows = [good_rows(table, truth, "PSF", low, low + 1) for low in (18, 20, 22)]
            cells = [row(table, f"{column}_abmag", truth, each).split(" | ")[1] for each in rows]
            print(f"| `{weight_type}` | {column} | {' | '.join(cells)} |", flush=True)


def average(directory: str) -> None:
    """Print the fit of stars by the PSF averaged over directions, and by those of the image."""
    made, truth = make(directory)
    print("| PSF | magnitudes | n | offset | pull width | median chi2 |\n" + "|---" * 6 + "|")
    for source in ("epsf", "stars"):
        table = measure(made.mosaic, made.catalog, methods="psf", psf_source=source)
        for low in (18, 20, 22):
            rows = (truth["mag"] >= low) & (truth["mag"] < low + 2) & (truth["type"] == "PSF")
            chi2 = np.nanmedian(np.asarray(table["psf_chi2"], float)[rows])
            cells = row(table, "psf_abmag", truth, good_rows(table, truth, "PSF", low, low + 2))
            print(f"| `{source}` | {low} to {low + 2} | {cells} | {chi2:.1f} |", flush=True)


def single(directory: str) -> None:
    """Resample the full exposure of the example alone, and compare its stars."""
    scene = make_scene(directory, report=_report)
    cache = make_crds_cache(Path(directory) / "crds", [scene], report=_report)
    os.environ.update(crds_environment(cache))
    truth = _truth(scene.catalog, scene.recipe.band)
    mosaic = Path(directory) / "single_coadd.asdf"
    start = time.process_time()
    resample([scene.image], MosaicRecipe()).save(mosaic)
    print(f"resampled in {time.process_time() - start:.1f} s of CPU")
    options = RADII | {"aperture_correction": "epsf", "methods": "aperture,psf,model"}
    tables = []
    for image in (mosaic, scene.image):
        start = time.process_time()
        table = measure(image, scene.catalog, **options)
        print(f"\n{image.name}, measured in {time.process_time() - start:.1f} s of CPU")
        good = good_rows(table, truth, "PSF", 18, 21)
        for column in ("aper0p33arcsec", "aper0p55arcsec", "psf"):
            print(f"| {column} | {row(table, f'{column}_abmag', truth, good)} |")
        galaxies = good_rows(table, truth, "SER", 18, 23)
        print(f"| model | {row(table, 'model_abmag', truth, galaxies)} |")
        tables.append(table)
    for column in ("aper0p33arcsec", "psf"):
        _compare(*tables, column, truth)


def centroids(directory: str, scene: str = "sparse") -> None:
    """Print where photutils finds the light of bright isolated stars, beside their WCS."""
    from photutils.centroids import centroid_2dg, centroid_com
    from roman_datamodels import datamodels as rdm

    made, truth = make(directory, scene)
    stars = truth[(truth["type"] == "PSF") & (truth["mag"] < 20) & truth["isolated"]]
    for image in (made.mosaic, *made.exposures):
        with rdm.open(image) as model:
            data, wcs = np.asarray(model.data, float), model.meta.wcs
            x, y = wcs.invert(stars["ra"], stars["dec"], with_bounding_box=False)
        found = []
        for column, line in zip(np.asarray(x), np.asarray(y), strict=True):
            if not np.isfinite(column + line):
                continue
            left, low = round(column) - 6, round(line) - 6
            cut = data[max(low, 0) : low + 13, max(left, 0) : left + 13]
            if cut.shape == (13, 13) and np.isfinite(cut).all():
                light = cut - np.median(np.r_[cut[0], cut[-1], cut[:, 0], cut[:, -1]])
                at = [left - column, low - line]
                found.append([centroid_com(light) + at, centroid_2dg(light) + at])
        (com_x, com_y), (fit_x, fit_y) = np.median(found, axis=0)
        print(
            f"{image.name}, {len(found)} stars: light {com_x:+.3f}, {com_y:+.3f} pixel off, "
            f"Gaussian {fit_x:+.3f}, {fit_y:+.3f}",
            flush=True,
        )


def speed(side: str = "10000") -> None:
    """Print the CPU time of 10^5 sources on a large mosaic, beside that of reading it."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    import tempfile

    from romancal_forcedphot.exposures import open_image, read_level3
    from small_mosaic import level3_mosaic

    n, rng = int(side), np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "speed_f106_coadd.asdf"
        catalog = Path(directory) / "catalog.parquet"
        mosaic = level3_mosaic((n, n))
        for name in ("err", "weight"):  # of a mosaic by romancal they differ in each pixel, too
            mosaic[name] *= rng.uniform(0.95, 1.05, (n, n)).astype(np.float32)
        ra, dec = mosaic.meta.wcs(*rng.uniform(50, n - 51, (2, 100_000)))
        Table({"ra": ra, "dec": dec}).write(catalog)
        mosaic.save(path)
        del mosaic
        print(
            "| array by array | as exposure | measured, in all | by reading |\n" + "|---" * 4 + "|"
        )
        for _ in range(4):  # the first imports modules
            times = [time.process_time()]
            with open_image(path, verify_checksums=False) as model:
                for name in ("data", "err", "weight", "context"):
                    np.asarray(model[name])
            times.append(time.process_time())
            with open_image(path) as model:
                read_level3(model)
            times.append(time.process_time())
            measure(path, catalog, aperture_correction="none")
            times.append(time.process_time())
            arrays, reading, total = np.diff(times)
            print(
                f"| {arrays:.1f} | {reading:.1f} | {total:.1f} | {total / reading:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    functions = (accuracy, errors, weights, average, single, centroids, speed)
    commands = {function.__name__: function for function in functions}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]](*sys.argv[2:])
