"""Bit identity: the same products, column by column, from two source trees of this package.

    python benchmarks/identity.py /path/to/old/src /path/to/new/src [--only epsf] [--scene small]

Each configuration runs with both trees in processes of one interpreter, so that the dependencies
are the same, on the small test scene and on the embedded example (below `FORCED_PHOT_EXAMPLE_DIR`,
made if missing). Names, dtypes, units and every bit of all columns are compared; NaN equals NaN.
The exit status is the number of configurations that differ or fail, at most 99.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import pickle
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

__all__ = ["compare", "main"]

ROOT = Path(__file__).resolve().parents[1]
NAME = "r0003201001001001004_0001_{detector}_{band}"
SCENES = {"small": ("small", "wfi09", "f158"), "example": ("", "wfi01", "f106")}

#: Parameters of the step by the name of a configuration.
SMALL: dict[str, dict[str, Any]] = {
    "apcorr": {},
    "three-radii": {"aperture_radii": [1.5, 3.0, 8.25]},
    "arcsec": {"radius_unit": "arcsec"},
    "arcsec-radii": {
        **{"radius_unit": "arcsec", "annulus_radii": [1.5, 2.5]},
        "aperture_radii": [0.2, 0.33, 0.4],
    },
    "mask-radius": {"bkg_mask_radius": 6.0},
    "mean": {"bkg_estimator": "mean", "bkg_sigma": 2.5},
    "no-background": {"bkg_estimator": "none"},
    "clip-to-convergence": {"bkg_maxiters": 0},
    "wcs-area": {"pixel_area": "wcs"},
    "no-area-no-correction": {"pixel_area": "none", "aperture_correction": "none"},
    "curve-with-pixel": {"apcorr_psf": "pixel"},
    "curve-in-arcsec": {"apcorr_radius_unit": "arcsec"},
    "epsf": {"aperture_correction": "epsf"},
    "epsf-radii": {"aperture_correction": "epsf", "aperture_radii": [1.0, 2.0, 5.0]},
    "epsf-arcsec": {"aperture_correction": "epsf", "radius_unit": "arcsec"},
    "any-dq": {"dq_mask": "ANY"},
    "no-dq": {"dq_mask": "NONE"},
    "on-image": {"on_image_only": True},
    "microjansky": {"output_units": "uJy"},
    "one-thread": {"n_threads": 1, "bkg_mask_radius": 4.0},
    "select": {"select": "ra > 0"},
}
EXAMPLE: dict[str, dict[str, Any]] = {
    "apcorr": {},
    "mask-radius-radii": {"bkg_mask_radius": 12.0, "aperture_radii": [2.0, 3.0, 5.0]},
    "arcsec-scaled": {"radius_unit": "arcsec", "error_calibration": "empty_scale"},
    "epsf": {"aperture_correction": "epsf"},
    "stpsf": {"aperture_correction": "stpsf", "stpsf_n_psfs": 4},
}
Columns = dict[str, tuple[str, str, np.ndarray]]


def measure(scene: str, directory: Path, output: Path, only: str) -> None:
    """Run all configurations of a scene, and pickle the columns of each product."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    folder, detector, band = SCENES[scene]
    stem = directory / folder / NAME.format(detector=detector, band=band)
    image = Path(f"{stem}_cal.asdf")
    catalog = Path(f"{stem}_catalog.ecsv")
    catalog = catalog if catalog.exists() else image.with_name("catalog.ecsv")
    found = {}
    for name, run in runs(scene, image, catalog):
        if only in name:
            try:
                found[name] = run()
            except Exception as error:
                found[name] = f"{type(error).__name__}: {error}"
    output.write_bytes(pickle.dumps(found))


def runs(scene: str, image: Path, catalog: Path) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield the configurations of a scene, each with a function that runs it."""
    from romancal_forcedphot import ForcedPhotometryStep

    def run(**parameters: Any) -> Columns:
        given = {"catalog": str(catalog)} | parameters
        return columns(ForcedPhotometryStep.call(str(image), **given).source_catalog)

    for name, parameters in (SMALL if scene == "small" else EXAMPLE).items():
        yield name, lambda parameters=parameters: run(**parameters)
    if scene == "small":
        for form in ("fits", "csv", "votable", "parquet"):
            yield f"catalog-{form}", lambda form=form: run(catalog=rewritten(catalog, form))
        yield "gain", lambda: run(gain_correction=True, override_gain=gain())
        yield "table-that-moves", lambda: run(catalog=moving(Table.read(catalog)))
        yield "many-inputs", lambda: many(image, catalog, save_results=False)
        yield "many-saved", lambda: many(image, catalog, save_results=True)
        yield "parquet", lambda: parquet(image, catalog)
        yield "hook", lambda: hook(image, catalog)


def columns(table: Table) -> Columns:
    """Dtype, unit and values of each column."""
    return {
        name: (str(table[name].dtype), str(table[name].unit), np.asarray(table[name]))
        for name in table.colnames
    }


def rewritten(catalog: Path, form: str) -> str:
    """Path of the catalog in another format."""
    path = f"catalog.{form}"
    Table.read(catalog).write(path, format="ascii.csv" if form == "csv" else form, overwrite=True)
    return path


def gain() -> str:
    """Path of a gain reference for the small scene."""
    from roman_datamodels import datamodels as rdm

    data = np.random.default_rng(6).uniform(1.6, 2.4, (256, 256)).astype(np.float32)
    meta = {"instrument": {"detector": "WFI09"}}
    rdm.GainRefModel.create_fake_data({"data": data, "meta": meta}).save("gain.asdf")
    return "gain.asdf"


def moving(table: Table) -> Table:
    """The catalog with proper motions."""
    rng = np.random.default_rng(3)
    table["pmra"], table["pmdec"] = rng.normal(0, 50, (2, len(table)))
    table["ref_epoch"] = 2016.0
    return table


def many(image: Path, catalog: Path, *, save_results: bool) -> Columns:
    """The image and a copy of it, as one run."""
    from romancal_forcedphot import ForcedPhotometryStep

    copy = Path(image.name.replace("_0001_", "_0002_"))
    copy.write_bytes(image.read_bytes())
    images = [str(image), str(copy)]
    products = ForcedPhotometryStep.call(images, catalog=str(catalog), save_results=save_results)
    return {
        f"{number} {name}": column
        for number, product in enumerate(products)
        for name, column in columns(product.source_catalog).items()
    }


def parquet(image: Path, catalog: Path) -> Columns:
    """The product as a Parquet file, read by astropy."""
    from romancal_forcedphot import ForcedPhotometryStep

    options = {"catalog": str(catalog), "save_results": True, "output_ext": ".parquet"}
    ForcedPhotometryStep.call(str(image), **options)
    return columns(Table.read(next(Path().glob("*_forcedphot.parquet"))))


def hook(image: Path, catalog: Path) -> Columns:
    """The step as a hook after romancal's flux step, which saves its product."""
    from roman_datamodels import datamodels as rdm
    from romancal.flux import FluxStep

    for old in Path().glob("*_forcedphot.asdf"):
        old.unlink()
    Path("hooked.py").write_text(
        "from romancal_forcedphot import ForcedPhotometryStep\n"
        "class Hooked(ForcedPhotometryStep):\n"
        f"    spec = \"catalog = string(default='{catalog}')\"\n"
    )
    sys.path.insert(0, str(Path.cwd()))
    FluxStep.call(str(image), post_hooks=["hooked.Hooked"], save_results=True)
    with rdm.open(next(Path().glob("*_forcedphot.asdf"))) as product:
        return columns(product.source_catalog.copy())


def compare(old: Columns | str, new: Columns | str) -> str:
    """Say how the columns of two products differ; empty if they do not."""
    if isinstance(old, str) or isinstance(new, str):
        return f"old: {str(old)[:150]!r}, new: {str(new)[:150]!r}"
    if list(old) != list(new):
        return f"other columns: {sorted(set(old) ^ set(new)) or 'in another order'}"
    found = []
    for name, (dtype, unit, values) in old.items():
        new_dtype, new_unit, new_values = new[name]
        is_float = values.dtype.kind == "f"
        if (dtype, unit) != (new_dtype, new_unit) or values.shape != new_values.shape:
            found.append(f"{name} {dtype} {unit} {values.shape}")
        elif not np.array_equal(values, new_values, equal_nan=is_float):
            change = np.nanmax(np.abs(new_values / values - 1)) if is_float else np.nan
            found.append(f"{name} by {change:.1e}")
    return ", ".join(found)


def measured(tree: str, scene: str, directory: Path, only: str) -> dict[str, Any]:
    """Products of a tree, measured in a process of its own."""
    from romancal_forcedphot.example import crds_environment

    cache = crds_environment(directory / SCENES[scene][0] / "crds")
    stpsf = next(directory.glob("stpsf-*"), Path("none"))
    with tempfile.TemporaryDirectory() as work:
        env = os.environ | cache | {"PYTHONPATH": tree, "STPSF_PATH": str(stpsf)}
        env |= {"XDG_CACHE_HOME": work, "STPIPE_DISABLE_CRDS_STEPPARS": "true"}
        output = Path(work) / "columns.pickle"
        job = json.dumps([scene, str(directory), str(output), only])
        command = [sys.executable, __file__, tree, tree, "--job", job]
        subprocess.run(command, cwd=work, env=env, check=True)
        return pickle.loads(output.read_bytes())


def main() -> int:
    """Compare two trees; the exit status is the number of configurations that differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", help="source tree, the directory above romancal_forcedphot")
    parser.add_argument("new")
    parser.add_argument("--only", default="", help="part of the names of configurations")
    parser.add_argument("--scene", choices=SCENES, action="append")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        scene, directory, output, only = json.loads(options.job)
        measure(scene, Path(directory), Path(output), only)
        return 0
    directory = Path(os.environ.get("FORCED_PHOT_EXAMPLE_DIR", "")).resolve()
    n_different = n_same = 0
    for scene in options.scene or SCENES:
        old, new = (
            measured(tree, scene, directory, options.only) for tree in (options.old, options.new)
        )
        for name in old:
            difference = compare(old[name], new[name])
            n_different, n_same = n_different + bool(difference), n_same + (not difference)
            print(f"{scene} {name}: {difference or 'identical'}")
    print(f"{n_same} configurations are identical, {n_different} are not")
    return min(n_different, 99)


if __name__ == "__main__":
    sys.exit(main())
