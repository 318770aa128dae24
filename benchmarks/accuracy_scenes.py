"""The simulated exposures of the accuracy benchmark, and the step run on them as users run it.

Copies of an exposure are made worse on purpose where that is asked for.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import roman_datamodels as rdm
from accuracy_statistics import Truth
from astropy.table import Table
from scipy.spatial import cKDTree

from romancal_forcedphot.example import Scene, crds_environment, make_crds_cache, make_scene
from romancal_forcedphot.example.summary import read_source_catalog

RADII = (2.0, 3.0, 5.0)
SPARSE = {"n_stars": 1500, "n_galaxies": 0, "magnitudes": (18.0, 24.5)}
SCENES = {
    "wfi09_f106_1500": {"detector": "WFI09", "band": "F106", "seed": 91},
    "wfi09_f158_1500": {"detector": "WFI09", "band": "F158", "seed": 92},
    "wfi16_f106_1500": {"detector": "WFI16", "band": "F106", "seed": 161},
    "wfi16_f158_1500": {"detector": "WFI16", "band": "F158", "seed": 162},
    "wfi09_f106_20000": {
        **{"detector": "WFI09", "band": "F106", "seed": 90, "n_stars": 20000},
        "name": "r0003201001001001004_0002",
    },
    "wfi09_f106_galaxies": {
        **{"detector": "WFI09", "band": "F106", "seed": 93, "n_stars": 3500, "n_galaxies": 2500},
        **{"magnitudes": (19.0, 25.0), "name": "r0003201001001001004_0003"},
    },
}
DO_NOT_USE = 1
N_EMPTY = 10000
EMPTY_DISTANCE = 60.0


@dataclass(frozen=True)
class Case:
    """A scene, its CRDS cache and a place for products."""

    name: str
    scene: Scene
    cache: Path
    work: Path

    def reference(self, kind: str) -> Path:
        """Path of the cache's one reference of a type."""
        (path,) = (self.cache / "references" / "roman").glob(f"*_{kind}_*.asdf")
        return path


def make_case(directory: Path, name: str) -> Case:
    def report(stage: str) -> None:
        print(f"making {name}: {stage}", file=sys.stderr, flush=True)

    scene = make_scene(directory / name, **(SPARSE | SCENES[name]), report=report)
    cache = make_crds_cache(scene.directory / "crds", [scene], report=report)
    work = scene.directory / "work"
    work.mkdir(exist_ok=True)
    return Case(name, scene, cache, work)


def strun(case: Case, image: Path, catalog: Path, label: str, *options: str) -> Table:
    """Run the step as a user does, and return its table."""
    output = case.work / label
    output.mkdir(exist_ok=True)
    command = [sys.executable, os.fspath(Path(sys.executable).with_name("strun")), "forced_phot"]
    command += [os.fspath(image), f"--catalog={catalog}", f"--output_dir={output}", *options]
    command += [f"--aperture_radii={','.join(f'{radius:g}' for radius in RADII)}"]
    environment = os.environ | crds_environment(case.cache)
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if answer.returncode:
        last = answer.stderr.strip().splitlines()[-1:]
        raise SystemExit(f"{' '.join(command)}\nfailed: {' '.join(last)}")
    for line in answer.stderr.splitlines():
        if "Empty sky" in line:
            print("  " + line[line.index("Empty sky") :])
    (product,) = output.glob("*_forcedphot.asdf")
    return read_source_catalog(product)


def with_masked_pixels(case: Case, truth: Truth) -> tuple[Path, np.ndarray]:
    """Write an image in which isolated stars have one to three masked pixels near the centre."""
    path = case.work / "masked" / case.scene.image.name
    path.parent.mkdir(exist_ok=True)
    rng = np.random.default_rng(3)
    chosen = np.flatnonzero(truth.isolated & truth.between(18, 22))
    with rdm.open(case.scene.image) as model:
        dq, data = np.array(model.dq), np.array(model.data)
        dy, dx = np.mgrid[-2:3, -2:3].reshape(2, -1)
        for x, y in zip(truth.x[chosen], truth.y[chosen], strict=True):
            columns, rows = dx + round(x), dy + round(y)
            near = np.flatnonzero(np.hypot(columns - x, rows - y) < 2)
            hit = rng.choice(near, rng.integers(1, 4), replace=False)
            ok = np.all([(at[hit] >= 0) & (at[hit] < len(dq)) for at in (columns, rows)], axis=0)
            hit = hit[ok]
            dq[rows[hit], columns[hit]] |= DO_NOT_USE
            data[rows[hit], columns[hit]] = 1e4
        model.dq, model.data = dq, data
        model.save(path)
    rows = np.zeros(len(truth.x), dtype=bool)
    rows[chosen] = True
    return path, rows


def with_row_noise(case: Case, fraction: float) -> Path:
    """Write an image with a random level per row, a fraction of the median error: 1/f noise."""
    path = case.work / "rows" / case.scene.image.name
    path.parent.mkdir(exist_ok=True)
    with rdm.open(case.scene.image) as model:
        data, err = np.array(model.data), np.array(model.err, dtype=np.float32)
        level = fraction * np.nanmedian(err[::8, ::8])
        rows = np.random.default_rng(5).normal(0, level, (len(data), 1))
        model.data = (data + rows).astype(np.float32)
        model.save(path)
    return path


def empty_places(truth: Truth, side: int) -> np.ndarray:
    rng = np.random.default_rng(7)
    tree = cKDTree(np.column_stack([truth.x, truth.y]))
    places = rng.uniform(30, side - 31, (20 * N_EMPTY, 2))
    return places[tree.query(places)[0] > EMPTY_DISTANCE][:N_EMPTY]
