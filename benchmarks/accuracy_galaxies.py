"""Fluxes of models in a scene of many galaxies and stars against the truth, by neighbour."""

from __future__ import annotations

import numpy as np
from accuracy_scenes import Case, strun
from accuracy_statistics import AB_ZERO_NJY
from astropy.table import Table
from scipy.spatial import cKDTree

__all__ = ["galaxy_scene"]

NEIGHBOR = 128
PIXEL_ARCSEC = 0.11
CLASSES = (
    ("isolated, > 1.65 arcsec", 1.65, np.inf),
    ("neighbour at 0.3 to 1 arcsec", 0.3, 1.0),
)
BINS = ((19, 22), (22, 25), (19, 25))
#: Columns of a catalog's shapes, and by what the flux is measured with a wrong one.
WRONG = (
    ("half_light_radius", lambda radius: 0.8 * radius),
    ("half_light_radius", lambda radius: 1.2 * radius),
    ("n", lambda n: np.maximum(n - 1, 0.5)),
    ("n", lambda n: n + 1),
)
WORDS = ("half-light radius 20 % too small", "20 % too large", "n 1 too small", "n 1 too large")


def galaxy_scene(case: Case) -> None:
    """Measure a scene by models, with the true shapes and with wrong ones, and print figures."""
    catalog = Table.read(case.scene.catalog)
    table = _measured(case, catalog, "true")
    distance = _distance_of_neighbors(table)
    for kind, words in (("SER", "galaxies"), ("PSF", "stars")):
        for described, near, far in CLASSES:
            rows = (catalog["type"] == kind) & (distance > near) & (distance < far)
            _print_figures(case, catalog, table, rows, f"{words}, {described}")
    rows = (catalog["type"] == "SER") & (distance > CLASSES[0][1])
    for words, (name, change) in zip(WORDS, WRONG, strict=True):
        wrong = catalog.copy()
        wrong[name] = change(catalog[name])
        label = f"{name}_{words.split()[-1]}"
        table = _measured(case, wrong, label)
        _print_figures(case, catalog, table, rows, f"isolated galaxies, {words}")


def _measured(case: Case, catalog: Table, label: str) -> Table:
    path = case.work / f"catalog_{label}.ecsv"
    catalog.write(path, overwrite=True)
    options = ("--methods=model", "--aperture_correction=epsf")
    return strun(case, case.scene.image, path, f"model_{label}", *options)


def _distance_of_neighbors(table: Table) -> np.ndarray:
    """Distance of the nearest neighbour in arcsec, NaN off the image."""
    places = np.column_stack([np.asarray(table[axis]) for axis in ("x", "y")])
    on_image = np.isfinite(places).all(axis=1)
    distance = np.full(len(table), np.nan)
    nearest, _ = cKDTree(places[on_image]).query(places[on_image], k=2)
    distance[on_image] = nearest[:, 1] * PIXEL_ARCSEC
    return distance


def _print_figures(case: Case, catalog: Table, table: Table, rows: np.ndarray, words: str) -> None:
    truth = AB_ZERO_NJY * np.asarray(catalog[case.scene.recipe.band])
    flux, err = (np.asarray(table[name], float) for name in ("model_flux", "model_flux_err"))
    magnitude = 31.4 - 2.5 * np.log10(truth)
    good = np.asarray(rows) & (np.asarray(table["warning_flags"]) & ~NEIGHBOR == 0) & (flux > 0)
    for bright, faint in BINS:
        chosen = good & (magnitude > bright) & (magnitude < faint)
        offset = -2.5 * np.log10(flux[chosen] / truth[chosen])
        low, middle, high = np.quantile(offset, [0.15865, 0.5, 0.84135])
        pull = np.quantile((flux - truth)[chosen] / err[chosen], [0.15865, 0.84135])
        error = 1.2533 * (high - low) / 2 / np.sqrt(chosen.sum())
        print(
            f" {words}, {bright} to {faint} mag: {chosen.sum():4d}"
            f"  {middle:+.4f} ± {error:.4f} mag  pull width {np.ptp(pull) / 2:.2f}",
            flush=True,
        )
