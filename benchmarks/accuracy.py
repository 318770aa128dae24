"""How accurate is it? The step on simulated exposures whose true fluxes are known.

    python benchmarks/accuracy.py DIRECTORY

simulates the exposures in DIRECTORY, or finds them there (five, 0.15 GB and one to two minutes of
one core each), runs ``strun forced_phot`` on each as a user does, with every aperture correction
that a CRDS reference serves, and prints how the fluxes compare with the truth: beside the Roman
notebook's own recipe and a slow oracle, both written with photutils. The reference files derive
from the very PSF and distortion that made the scenes, so what remains is the measurement's.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
import roman_datamodels as rdm
from accuracy_galaxies import galaxy_scene
from accuracy_oracles import Fluxes, Pixels, notebook_recipe, read_curve, read_epsf, slow_oracle
from accuracy_scenes import (
    EMPTY_DISTANCE,
    RADII,
    SCENES,
    Case,
    empty_places,
    make_case,
    strun,
    with_masked_pixels,
    with_row_noise,
)
from accuracy_statistics import AB_ZERO_NJY, Truth, figures, isolated, trends
from astropy.table import Table

CORRECTIONS = ("apcorr", "epsf")
CROWDED = {"wfi09_f106_20000"}
GALAXIES = {"wfi09_f106_galaxies"}
BINS = ((18, 20), (20, 22), (22, 24), (20, 24))
TREND_BIN = (18, 20)
FAINTER = 3.5
NEIGHBOR = 128


def fluxes_of(table: Table, rows: np.ndarray | None = None) -> Fluxes:
    """Total fluxes and errors by radius, NaN where `rows` (bool) is False."""
    result = {}
    for radius in RADII:
        columns = (f"aper{radius:g}pix_total_{kind}" for kind in ("flux", "flux_err"))
        values = [np.asarray(table[name], dtype=float) for name in columns]
        result[radius] = tuple(v if rows is None else np.where(rows, v, np.nan) for v in values)
    return result


def truth_of(case: Case, table: Table) -> Truth:
    """The scene's stars; positions are the product's, areas the reference's."""
    catalog = Table.read(case.scene.catalog)
    maggies = np.asarray(catalog[case.scene.recipe.band], dtype=float)
    x, y = (np.asarray(table[axis], dtype=float) for axis in "xy")
    magnitude = -2.5 * np.log10(maggies)
    with rdm.open(case.reference("area")) as reference:
        area = np.array(reference.data)
    column, row = (np.clip(np.rint(at), 0, len(area) - 1).astype(int) for at in (x, y))
    alone = isolated(x, y, magnitude, fainter=FAINTER)
    return Truth(maggies * AB_ZERO_NJY, magnitude, x, y, area[row, column], alone)


def photutils_fluxes(case: Case, truth: Truth, rows: np.ndarray) -> dict[str, Fluxes]:
    """Fluxes by the notebook's recipe and by the oracle for some rows, NaN for the others."""
    catalog = Table.read(case.scene.catalog)[rows]
    ra, dec = (np.asarray(catalog[axis], dtype=float) for axis in ("ra", "dec"))
    with rdm.open(case.scene.image) as model:
        pixels = Pixels.read(model)
        curve = read_curve(case.reference("apcorr"), case.scene.recipe.band)
        recipe = notebook_recipe(pixels, curve, ra, dec, RADII)
        oracle, x, y = slow_oracle(pixels, read_epsf(case.reference("epsf")), ra, dec, RADII)
    apart = np.nanmax(np.hypot(x - truth.x[rows], y - truth.y[rows]))
    print(f"  positions agree with Newton's method within {apart:.1e} pixel")
    return {"notebook": spread(recipe, rows), "oracle": spread(oracle, rows)}


def spread(fluxes: Fluxes, rows: np.ndarray) -> Fluxes:
    """Put fluxes of some rows in their places among all."""
    result = {}
    for radius, values in fluxes.items():
        full = [np.full(len(rows), np.nan) for _ in values]
        for array, value in zip(full, values, strict=True):
            array[rows] = value
        result[radius] = tuple(full)
    return result


HEADER = (
    f"  {'radius':>6} {'method':9} {'mag':>6} {'n':>6} {'offset [mmag]':>15} "
    f"{'scatter/err':>11} {'pull mean':>14} {'pull width':>14}"
)


def print_figures(methods: dict[str, Fluxes], truth: Truth, rows: np.ndarray) -> None:
    print(HEADER)
    for radius in RADII:
        for bright, faint in BINS:
            chosen = rows & truth.between(bright, faint)
            for method, fluxes in methods.items():
                flux, err = (values[chosen] for values in fluxes[radius])
                f = figures(flux, err, truth.flux[chosen])
                print(
                    f"  {radius:6g} {method:9} {bright}-{faint:2} {f.n:6d} "
                    f"{f.offset:+7.2f} ± {f.offset_err:5.2f} {f.scatter:11.3f} "
                    f"{f.pull_mean:+6.3f} ± {f.pull_mean_err:.3f} "
                    f"{f.pull_width:6.3f} ± {f.pull_width_err:.3f}",
                    flush=True,
                )


def print_trends(methods: dict[str, Fluxes], truth: Truth, rows: np.ndarray, side: int) -> None:
    bright, faint = TREND_BIN
    print(
        f"  trends of the offset of stars of {bright} to {faint} mag, mmag: across the detector in "
        "x and y, over the range\n  of pixel area, and from a pixel's corner to its centre"
    )
    chosen = rows & truth.between(bright, faint)
    for radius in RADII:
        for method, fluxes in methods.items():
            found = trends(*fluxes[radius], truth, chosen, side)
            text = "   ".join(f"{k} {v:+6.2f} ± {e:4.2f}" for k, (v, e) in found.items())
            print(f"  {radius:6g} {method:9} {text}")


def against_oracle(step: Fluxes, oracle: Fluxes, truth: Truth, rows: np.ndarray, side: int):
    """Print what sets the step apart from the oracle, star by star."""
    chosen = rows & truth.between(*TREND_BIN)
    for radius in RADII:
        (flux, err), (other, other_err) = step[radius], oracle[radius]
        difference = -2500 * np.log10(flux[chosen] / other[chosen])
        difference = difference[np.isfinite(difference)]
        ratio = np.nanmedian(err[chosen] / other_err[chosen])
        as_truth = Truth(other, truth.magnitude, truth.x, truth.y, truth.area, truth.isolated)
        found = trends(flux, err, as_truth, chosen, side)
        text = "   ".join(f"{k} {v:+5.2f}" for k, (v, _) in found.items())
        print(
            f"  {radius:6g} epsf against oracle: median {np.median(difference):+.3f} mmag, 95 % "
            f"within {np.percentile(np.abs(difference), 95):.3f}; errors x{ratio:.4f}; {text}"
        )


def print_masked(case: Case, truth: Truth, rows: np.ndarray, corrections: Sequence[str]) -> None:
    image, chosen = with_masked_pixels(case, truth)
    print("  stars of 18 to 22 mag with one to three masked pixels within 2 pixels of the centre:")
    for correction in corrections:
        label = f"masked_{correction}"
        option = f"--aperture_correction={correction}"
        table = strun(case, image, case.scene.catalog, label, option)
        found = fluxes_of(table)
        for radius in RADII:
            f = figures(*(v[chosen & rows] for v in found[radius]), truth.flux[chosen & rows])
            print(
                f"  {radius:6g} {correction:9} {f.n:6d} {f.offset:+7.2f} ± {f.offset_err:5.2f} "
                f"mmag, pull {f.pull_mean:+.3f} ± {f.pull_mean_err:.3f}, width {f.pull_width:.3f}"
            )
    image.unlink()


def print_empty(case: Case, truth: Truth, side: int) -> None:
    """Fluxes of positions where there is nothing."""
    catalog = case.work / "empty.ecsv"
    places = empty_places(truth, side)
    Table({"x": places[:, 0], "y": places[:, 1]}).write(catalog, overwrite=True)
    print(f"  empty sky, {len(places)} positions {EMPTY_DISTANCE:g} pixels from any star:")
    for estimator in ("median", "mean"):
        options = ("--aperture_correction=none", f"--bkg_estimator={estimator}")
        table = strun(case, case.scene.image, catalog, f"empty_{estimator}", *options)
        good = np.asarray(table["warning_flags"]) & ~NEIGHBOR == 0
        for radius in RADII:
            flux, err = (
                np.asarray(table[f"aper{radius:g}pix_{kind}"], float)[good]
                for kind in ("flux", "flux_err")
            )
            mean_err = flux.std() / np.sqrt(len(flux))
            low, high = np.percentile(flux / err, [15.865, 84.135])
            width = (high - low) / 2
            print(
                f"  {radius:6g} {estimator:9} mean flux {flux.mean():+.2f} ± {mean_err:.2f} nJy "
                f"({flux.mean() / mean_err:+.1f} standard errors), pull width {width:.3f} ± "
                f"{width * np.sqrt(0.925 / len(flux)):.3f}"
            )


Measured = tuple[dict[str, Fluxes], Truth, np.ndarray]
"""Fluxes by method, the truth, and the rows that count (bool)."""


def sparse_scene(case: Case, corrections: Sequence[str]) -> Measured:
    """Print everything about a scene of stars that stand alone."""
    tables = {
        name: strun(
            case, case.scene.image, case.scene.catalog, name, f"--aperture_correction={name}"
        )
        for name in corrections
    }
    first = next(iter(tables.values()))
    truth, side = truth_of(case, first), case.scene.recipe.n_pixels
    rows = truth.isolated & (np.asarray(first["warning_flags"]) == 0)
    methods = {name: fluxes_of(table, rows) for name, table in tables.items()}
    methods |= photutils_fluxes(case, truth, rows)
    print_figures(methods, truth, rows)
    print_trends(methods, truth, rows, side)
    if "epsf" in methods:
        against_oracle(methods["epsf"], methods["oracle"], truth, rows, side)
    inside = np.all([(at > 30) & (at < side - 31) for at in (truth.x, truth.y)], axis=0)
    print_masked(case, truth, inside, corrections)
    print_empty(case, truth, side)
    options = ("--aperture_correction=none", "--error_calibration=empty")
    strun(case, case.scene.image, case.scene.catalog, "calibrated", *options)
    image = with_row_noise(case, 0.2)
    print("  with a random level per row of 0.2 of a pixel's error (as 1/f noise leaves):")
    strun(case, image, case.scene.catalog, "rows", *options)
    image.unlink()
    return methods, truth, rows


def together(scenes: Sequence[Measured]) -> Measured:
    """Join scenes to one."""
    methods, truths, rows = zip(*scenes, strict=True)
    joined = {
        name: {
            radius: tuple(np.concatenate([m[name][radius][i] for m in methods]) for i in (0, 1))
            for radius in RADII
        }
        for name in methods[0]
    }
    arrays = {
        field.name: np.concatenate([getattr(truth, field.name) for truth in truths])
        for field in fields(Truth)
    }
    return joined, Truth(**arrays), np.concatenate(rows)


def crowded_scene(case: Case, corrections: Sequence[str], mask_radii: Sequence[str]) -> None:
    """Print what crowding does, to whom, and what masks in the annulus change."""
    correction = corrections[-1]
    option = f"--aperture_correction={correction}"
    tables = {
        f"mask {radius}": strun(
            *(case, case.scene.image, case.scene.catalog, f"mask{radius}", option),
            f"--bkg_mask_radius={radius}",
        )
        for radius in mask_radii
    }
    first = next(iter(tables.values()))
    truth = truth_of(case, first)
    nearest = isolated(truth.x, truth.y, truth.magnitude, radius=15.0, fainter=FAINTER)
    flags = np.asarray(first["warning_flags"])
    for words, rows in (
        ("with nobody within 15 pixels", nearest & (flags == 0)),
        ("all without a flag", flags == 0),
        ("all with only the flag of a neighbour in the aperture", flags == NEIGHBOR),
    ):
        print(f" stars {words}, {correction}:")
        print_figures({k: fluxes_of(t, rows) for k, t in tables.items()}, truth, rows)


def chosen_scenes(wanted: Sequence[str]) -> Iterator[str]:
    for name in wanted or SCENES:
        if name not in SCENES:
            raise SystemExit(f"{name!r} is no scene: expected some of {', '.join(SCENES)}")
        yield name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path, help="where the scenes are or will be (1 GB)")
    parser.add_argument("--scenes", nargs="*", default=[], help=", ".join(SCENES))
    parser.add_argument("--corrections", nargs="*", default=list(CORRECTIONS))
    parser.add_argument("--mask_radii", nargs="*", default=["0", "12"], help="of bkg_mask_radius")
    options = parser.parse_args()
    sparse = []
    for name in chosen_scenes(options.scenes):
        case = make_case(options.directory, name)
        print(f"\n{name}", flush=True)
        if name in CROWDED:
            crowded_scene(case, options.corrections, options.mask_radii)
        elif name in GALAXIES:
            galaxy_scene(case)
        else:
            sparse.append(sparse_scene(case, options.corrections))
    if len(sparse) > 1:
        print(f"\nall {len(sparse)} sparse scenes")
        print_figures(*together(sparse))


if __name__ == "__main__":
    main()
