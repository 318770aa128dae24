"""How accurate is the joint PSF fit in crowds? `strun` on simulated exposures with known fluxes.

    python benchmarks/psf.py DIRECTORY [--scenes wfi09_f184_20000 ...]

simulates the exposures in DIRECTORY, or finds them there (two minutes of one core each), runs
``strun forced_phot --methods=psf``, with apertures and without, and the floor under it (see
`speed_processes`) on each, and prints what these took, and magnitude differences, scatter and
pulls (`accuracy_statistics.figures`) by the distance of the nearest other star and by magnitude
(mmag, median with standard error), those of the 3-pixel aperture with ePSF correction beside them.
Then, for stars without another within 15 pixels, offsets at 18 to 20 mag, and the scatter at 22 to
24 mag beside that of apertures of several radii.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np
from accuracy_scenes import SCENES, Case, make_case
from accuracy_statistics import AB_ZERO_NJY, figures
from astropy.table import Table
from scipy.spatial import cKDTree
from speed_processes import Run, ourselves, run_child, strun

from romancal_forcedphot.example import crds_environment
from romancal_forcedphot.example.summary import read_source_catalog
from romancal_forcedphot.table import aperture_name

CROWDED = {"detector": "WFI09", "n_stars": 20000, "magnitudes": (17.0, 25.0)}
SCENES |= {
    "wfi09_f184_20000": {
        **CROWDED,
        **{"band": "F184", "seed": 94, "name": "r0003201001001001004_0003"},
    },
    "wfi09_f106_20000_psf": {
        **CROWDED,
        **{"band": "F106", "seed": 95, "name": "r0003201001001001004_0004"},
    },
}
DEFAULT = ("wfi09_f184_20000", "wfi09_f106_20000_psf", "wfi09_f106_1500")
DISTANCES = (0.0, 1.5, 3.0, 5.0, 15.0, np.inf)
MAGNITUDES = ((17, 18), (18, 20), (20, 22), (22, 24), (24, 25))
FARTHEST_PULL = 5.0
LEAST_STARS = 10
RADII = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0)
ONLY_PSF = ("--methods=psf", "--aperture_correction=epsf")
OPTIONS = (
    *("--methods=aperture,psf", "--aperture_correction=epsf", "--bkg_mask_radius=12"),
    "--aperture_radii=" + ",".join(f"{radius:g}" for radius in RADII),
)
ISOLATED_PIX, BRIGHT, FAINT = 15.0, (18.0, 20.0), (22.0, 24.0)
FLAGS_OF_APERTURE = 128  # a neighbour in the aperture: the fit does not mind


def measured(case: Case) -> Table:
    """Run the step as users do, say what it took, and return its table."""
    output = case.work / "psf"
    output.mkdir(exist_ok=True)
    command = [*strun(case.scene.image, case.scene.catalog)[:-1], f"--output_dir={output}"]
    environment = os.environ | crds_environment(case.cache)
    for options in (ONLY_PSF, OPTIONS):
        run = run_child([*command, *options], cwd=output, environment=environment)
        print(f"  strun {' '.join(options)}: {text_of_run(run)}", flush=True)
    (product,) = output.glob("*_forcedphot.asdf")
    columns = output / "columns.npz"
    run_child(ourselves("columns", product, columns), cwd=output, environment=environment)
    area, copy = case.reference("area"), output / "floor.asdf"
    command = ourselves("floor", case.scene.image, area, columns, copy)
    run = run_child(command, cwd=output, environment=environment)
    print(f"  the floor of `speed_processes`: {text_of_run(run)}", flush=True)
    return read_source_catalog(product)


def text_of_run(run: Run) -> str:
    """Return what a process took."""
    return f"{run.wall_s:.1f} s, {run.processor_s:.1f} s of processor, {run.peak_gb:.2f} GB"


def scatter_of(flux: np.ndarray, true: np.ndarray) -> float:
    """Return the robust scatter of relative fluxes in mmag."""
    return 1.4826 * np.nanmedian(abs(flux / true - np.nanmedian(flux / true))) * 1085.7


def text_of(flux: np.ndarray, err: np.ndarray, true: np.ndarray) -> str:
    """Return three cells with the figures of some stars."""
    f = figures(flux, err, true)
    offset, scatter = f"{f.offset:+.2f} ± {f.offset_err:.2f}", scatter_of(flux, true)
    return f"{offset} | {scatter:.1f} | {f.pull_width:.2f} ± {f.pull_width_err:.2f}"


def columns(table: Table, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return fluxes and their errors."""
    return tuple(np.asarray(table[name + end], dtype=float) for end in ("", "_err"))


def print_classes(table: Table, good: np.ndarray, distance: np.ndarray, true: np.ndarray) -> None:
    """Print the figures of good stars by the distance of the nearest other one and by magnitude."""
    magnitude = -2.5 * np.log10(true / AB_ZERO_NJY)
    psf, aperture = (columns(table, name) for name in ("psf_flux", "aper3pix_total_flux"))
    what = "offset | scatter | pull width"
    print(f"| nearest neighbour (pixels) | mag | stars | PSF: {what} | aperture: {what} |")
    print("|---|---|---|---|---|---|---|---|---|")
    for near, far in zip(DISTANCES[-2::-1], DISTANCES[:0:-1], strict=True):
        for bright, faint in MAGNITUDES:
            rows = good & (distance >= near) & (distance < far)
            rows &= (magnitude >= bright) & (magnitude < faint)
            if np.count_nonzero(rows) < LEAST_STARS:
                continue
            texts = (text_of(*(v[rows] for v in each), true[rows]) for each in (psf, aperture))
            label = f"{near:g}–{far:g}".replace("–inf", "+")
            print(f"| {label} | {bright}–{faint} | {rows.sum()} | {' | '.join(texts)} |")
    pull = abs((psf[0] - true) / psf[1])[good]
    print(f"  all: {good.sum()} stars, {100 * np.mean(pull > FARTHEST_PULL):.3f} % beyond 5 sigma")


def print_isolated(table: Table, isolated: np.ndarray, true: np.ndarray) -> None:
    """Print offsets of bright isolated stars, and scatters of faint ones beside apertures."""
    magnitude = -2.5 * np.log10(true / AB_ZERO_NJY)
    bright, faint = (
        isolated & (magnitude >= low) & (magnitude < high) for low, high in (BRIGHT, FAINT)
    )
    f = figures(*(each[bright] for each in columns(table, "psf_flux")), true[bright])
    print(f"  isolated, 18-20 mag: offset {f.offset:+.2f} ± {f.offset_err:.2f} mmag, {f.n} stars")
    names = {"PSF": "psf_flux"}
    names |= {f"{r:g} pixels": f"{aperture_name(r)}_total_flux" for r in RADII}
    scatters, errors = {}, {}
    for label, name in names.items():
        flux, err = (each[faint] / true[faint] for each in columns(table, name))
        scatters[label], errors[label] = scatter_of(flux, np.ones(flux.size)), np.nanmedian(err)
        errors[label] *= 1085.7
    told = ", ".join(f"{label} {scatters[label]:.1f} ({errors[label]:.1f})" for label in names)
    print(f"  isolated, 22-24 mag: {faint.sum()} stars, scatter (median error) in mmag: {told}")
    for what, each in (("scatters", scatters), ("median errors", errors)):
        best, usual = (
            each["PSF"] / value for value in (min(list(each.values())[1:]), each["3 pixels"])
        )
        print(f"  {what}: PSF by the best aperture {best:.2f}, by 3 pixels {usual:.2f}")


def print_scene(case: Case) -> None:
    """Print the figures of one scene."""
    table, catalog = measured(case), Table.read(case.scene.catalog)
    true = np.asarray(catalog[case.scene.recipe.band], dtype=float) * AB_ZERO_NJY
    places = np.column_stack([np.asarray(table[axis], dtype=float) for axis in "xy"])
    placed = np.flatnonzero(np.isfinite(places).all(axis=1))
    distance = np.full(len(table), np.nan)
    distance[placed] = cKDTree(places[placed]).query(places[placed], k=2)[0][:, 1]
    good = np.asarray(table["warning_flags"]) & ~FLAGS_OF_APERTURE == 0
    print_classes(table, good, distance, true)
    print_isolated(table, good & (distance >= ISOLATED_PIX), true)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path, help="where the scenes are or will be")
    parser.add_argument("--scenes", nargs="*", default=list(DEFAULT))
    options = parser.parse_args()
    print("python " + " ".join(sys.argv))
    for name in options.scenes:
        print(f"\n{name}", flush=True)
        print_scene(make_case(options.directory, name))


if __name__ == "__main__":
    main()
