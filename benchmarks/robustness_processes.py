"""Whole runs in hostile surroundings: names, kills, full disks, damaged caches, and by `strun`.

    python benchmarks/robustness.py --only kill-save --only disk-full --seconds 300

A run that is killed must leave the directory as it was, or the whole product, and nothing that the
next run does not remove. The children are forked from a server that has imported everything, but
for those of `strun`.
"""

from __future__ import annotations

import functools
import json
import logging
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from robustness_catalog_truth import draw_name
from robustness_common import Outcome, Trial, defect, judge_error, right
from robustness_images import DAMAGES, IMAGE, World, damage_file, make_world, same_table

from romancal_forcedphot import ForcedPhotometryStep
from romancal_forcedphot.product.model import ForcedPhotometryModel
from romancal_forcedphot.psfs.stpsf import GridRequest, OpticalGrid
from romancal_forcedphot.references import stpsf as stpsf_cache
from romancal_forcedphot.storage import check_output_directory

__all__ = ["parts"]

PLAIN = {"pixel_area": "wcs", "aperture_correction": "none"}
OPTIONS = [f"--{name}={value}" for name, value in PLAIN.items()]
PRODUCT = IMAGE.replace("_cal", "_forcedphot")
N_SAVED = 20_000  # rows of a product whose save takes a while
_EXPECTED_LEFT = {IMAGE, "catalog.ecsv"}


def parts(directory: Path) -> dict[str, Trial]:
    """Trials by name; the quick ones come first."""
    world = make_world(directory)
    catalog = directory / "catalog.ecsv"
    Table({"x": world.sources.x, "y": world.sources.y}).write(catalog, overwrite=True)
    base = directory / IMAGE
    product = _measured(base, catalog)
    return {
        "cache-stpsf": _damaged_cache,
        "names": partial(_any_name, world, catalog),
        "disk-full": partial(_full_disk, product),
        "kill-save": partial(_killed, partial(_save_for_ever, product), 0.3, world, catalog),
        "kill-run": partial(_killed, _run_for_ever, 1.5, world, catalog),
        "image-strun": partial(_damaged_by_strun, world, catalog),
        "kill-strun": partial(_killed_strun, world, catalog),
    }


def _measured(image: Path, catalog: Path) -> ForcedPhotometryModel:
    """The product of a run in this process, which saves nothing."""
    with _quiet():
        return ForcedPhotometryStep.call(image, catalog=str(catalog), **PLAIN)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without warnings and log lines, in any process."""
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _read(path: Path) -> Table:
    return ForcedPhotometryModel.read(path).source_catalog


def _copy_inputs(world: World, catalog: Path, directory: Path) -> None:
    (directory / IMAGE).write_bytes(world.content)
    (directory / "catalog.ecsv").write_bytes(catalog.read_bytes())


# --- names -------------------------------------------------------------------------------------


def _any_name(world: World, catalog: Path, rng: np.random.Generator, directory: Path) -> Outcome:
    """An image, a catalog and an output directory with hostile names, beside what they resemble."""
    neighbours = {name: directory / name for name in ("night", "what", "c", "d", "100", "new")}
    for path in neighbours.values():
        path.write_text("precious")
    where = [directory / f"{kind}-{draw_name(rng)}" for kind in ("in", "out")]
    for path in where:
        path.mkdir()
    image = where[0] / f"{draw_name(rng)}_cal.asdf"
    image.write_bytes(world.content)
    table = where[0] / f"{draw_name(rng)}.ecsv"
    table.write_bytes(catalog.read_bytes())
    extension = str(rng.choice(["asdf", "parquet"]))
    with _quiet():
        try:
            ForcedPhotometryStep.call(
                str(image) if rng.random() < 0.5 else image,
                catalog=str(table),
                output_dir=str(where[1]),
                output_ext=extension,
                save_results=True,
                **PLAIN,
            )
        except Exception as error:
            return judge_error(error, repr(str(image)), repr(str(table)), repr(str(where[1])))
    if any(path.read_text() != "precious" for path in neighbours.values()):
        return defect("a neighbour was overwritten")
    products = os.listdir(where[1])
    if len(products) != 1 or not products[0].endswith(f"_forcedphot.{extension}"):
        return defect(f"the output directory holds {products}")
    path = where[1] / products[0]
    if extension == "asdf" and not same_table(_read(path), world.truth):
        return defect("other fluxes")
    return right()


# --- full disks --------------------------------------------------------------------------------


def _full_disk(product: Any, rng: np.random.Generator, directory: Path) -> Outcome:
    """Save with a limit on the size of files, over an earlier product or not."""
    extension = str(rng.choice([".asdf", ".parquet"]))
    path = directory / f"product{extension}"
    there_before = rng.random() < 0.5
    if there_before:
        path.write_bytes(b"of an earlier run")
    enlarged = _enlarged(product)
    enlarged.save(directory / f"whole{extension}")
    limit = int(rng.uniform(0, 1.2) * (directory / f"whole{extension}").stat().st_size) + 1
    (directory / f"whole{extension}").unlink()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        enlarged.save(path)
        outcome = right()
    except Exception as error:
        outcome = judge_error(error, repr(str(path)))
        if not str(error).endswith("(--output_dir)"):
            outcome = defect(f"no remedy: {error}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    if outcome.kind == "right":
        whole = extension == ".parquet" or len(_read(path)) == N_SAVED
        return outcome if whole else defect("a product that is not whole")
    left = {each.name: each.read_bytes() for each in directory.iterdir()}
    expected = {path.name: b"of an earlier run"} if there_before else {}
    return outcome if left == expected else defect(f"{sorted(left)} are left")


def _enlarged(product: Any) -> ForcedPhotometryModel:
    """The product with its rows repeated."""
    found = product.copy()
    table = product.source_catalog
    found.source_catalog = table[np.resize(np.arange(len(table)), N_SAVED)]
    return found


# --- kills -------------------------------------------------------------------------------------


def _run_for_ever(directory: Path, begun: Any) -> None:
    """Measure and save again and again."""
    os.chdir(directory)
    with _quiet():
        begun.set()
        while True:
            ForcedPhotometryStep.call(IMAGE, catalog="catalog.ecsv", save_results=True, **PLAIN)


def _save_for_ever(product: Any, directory: Path, begun: Any) -> None:
    """Save a large product again and again."""
    enlarged = _enlarged(product)
    with _quiet():
        begun.set()
        while True:
            enlarged.save(directory / PRODUCT)


@functools.cache
def _forkserver() -> Any:
    """A server that has imported everything and forks children within milliseconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["robustness"])
    # The server is not told sys.path.
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    return context


def _killed(
    work: Callable[[Path, Any], None],
    longest_s: float,
    world: World,
    catalog: Path,
    rng: np.random.Generator,
    directory: Path,
) -> Outcome:
    """Kill a child at a random moment of its work."""
    _copy_inputs(world, catalog, directory)
    context = _forkserver()
    begun = context.Event()
    child = context.Process(target=work, args=(directory, begun))
    child.start()
    begun.wait(60)
    number = signal.SIGKILL if rng.random() < 0.6 else signal.SIGTERM
    time.sleep(float(rng.uniform(0, longest_s)))
    if child.exitcode is not None:
        return defect(f"the child ended with {child.exitcode} by itself")
    os.kill(child.pid, number)
    child.join()
    return _judge_what_is_left(directory, number, world)


def _killed_strun(
    world: World, catalog: Path, rng: np.random.Generator, directory: Path
) -> Outcome:
    """Kill strun soon after some line of its log, the first to the last."""
    _copy_inputs(world, catalog, directory)
    number = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT][rng.integers(3)]
    n_lines = int(rng.choice([1, 2, 50, 55, 56, 57, 58, 59, 60, 61]))
    child = subprocess.Popen(
        _strun_command(IMAGE),
        cwd=directory,
        env=_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with child.stderr:
        for _, _ in zip(range(n_lines), child.stderr, strict=False):
            pass
        time.sleep(float(rng.uniform(0, 0.1)))
        child.send_signal(number)
        child.communicate()
    return _judge_what_is_left(directory, number, world)


def _judge_what_is_left(directory: Path, number: int, world: World) -> Outcome:
    """Whether a killed run has left a whole product or none, and only what will be removed."""
    left = set(os.listdir(directory)) - _EXPECTED_LEFT - {PRODUCT}
    if number != signal.SIGKILL and left:
        return defect(f"signal {number} left {sorted(left)}")
    if foreign := [name for name in left if not name.endswith(".forcedphot-part")]:
        return defect(f"{foreign} are left")
    if (directory / PRODUCT).exists():
        try:
            table = _read(directory / PRODUCT)
        except Exception as error:
            return defect(f"a product that cannot be read: {error}")
        n = len(world.truth)
        if not all(
            same_table(table[start : start + n], world.truth[: len(table[start : start + n])])
            for start in range(0, len(table), n)
        ):
            return defect("a product with other fluxes")
    check_output_directory(directory)
    left = set(os.listdir(directory)) - _EXPECTED_LEFT - {PRODUCT}
    return defect(f"{sorted(left)} are left for ever") if left else right()


# --- strun -------------------------------------------------------------------------------------


def _strun_command(image: str, *options: str) -> list[str]:
    strun = Path(sys.executable).with_name("strun")
    return [str(strun), "forced_phot", image, "--catalog=catalog.ecsv", *OPTIONS, *options]


def _environment() -> dict[str, str]:
    """Without CRDS, whose server would be waited for."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CRDS")}


def _damaged_by_strun(
    world: World, catalog: Path, rng: np.random.Generator, directory: Path
) -> Outcome:
    """Damage of any kind, by the command that a user types: exit status, last line, product."""
    _copy_inputs(world, catalog, directory)
    name = str(rng.choice(list(DAMAGES)))
    content = damage_file(rng, world, name)
    (directory / IMAGE).write_bytes(content)
    done = subprocess.run(
        _strun_command(IMAGE),
        cwd=directory,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    left = set(os.listdir(directory)) - _EXPECTED_LEFT
    if done.returncode:
        if left:
            return defect(f"exit status {done.returncode}, and {sorted(left)} are left")
        lines = [line for line in done.stderr.strip().splitlines() if line.strip()]
        return judge_error(lines[-1] if lines else "no word", IMAGE)
    if left != {PRODUCT}:
        return defect(f"exit status 0, and {sorted(left)} are left")
    changed = world.changes_tree_to(content)
    if changed or same_table(_read(directory / PRODUCT), world.truth):
        return right()
    return defect("other fluxes than those of the undamaged file")


# --- caches ------------------------------------------------------------------------------------


_REQUEST = GridRequest("WFI01", "F106", n_psfs=4, fov_pixels=11)


def _made(request: GridRequest, **_: Any) -> OpticalGrid:
    """A grid in the place of the one that STPSF would compute for minutes."""
    y, x = np.mgrid[:44, :44] - 21.5
    stamp = np.exp(-(x**2 + y**2) / 18) / (18 * np.pi)
    x, y = request.positions
    return OpticalGrid(np.stack([stamp] * 4).astype(np.float32), x, y, 4, 0.11, 30.0, 12.0)


def _damaged_cache(rng: np.random.Generator, directory: Path) -> Outcome:
    """A cached grid with bits flipped, cut, or with other numbers in a whole archive."""
    (directory / "version.txt").write_text("2.0")
    before = {name: os.environ.get(name) for name in ("STPSF_PATH", "XDG_CACHE_HOME")}
    os.environ |= {"STPSF_PATH": str(directory), "XDG_CACHE_HOME": str(directory)}
    compute, stpsf_cache.compute_grid = stpsf_cache.compute_grid, _made
    try:
        with _quiet():
            expected, _ = stpsf_cache.optical_grid(_REQUEST)
            (path,) = (directory / "romancal_forcedphot" / "stpsf").iterdir()
            _damage_archive(rng, path)
            found, _ = stpsf_cache.optical_grid(_REQUEST)
    finally:
        stpsf_cache.compute_grid = compute
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)
    same = all(
        np.array_equal(getattr(found, name), getattr(expected, name))
        for name in ("samples", "x", "y", "oversample", "jitter_mas", "pixel_arcsec")
    )
    return right() if same else defect("another grid was believed")


def _damage_archive(rng: np.random.Generator, path: Path) -> None:
    content = bytearray(path.read_bytes())
    kind = rng.random()
    if kind < 0.4:
        for place in rng.integers(0, len(content), int(rng.integers(1, 4))):
            content[place] ^= 1 << int(rng.integers(8))
    elif kind < 0.6:
        del content[int(rng.integers(0, len(content))) :]
    elif kind < 0.7:
        content = bytearray(rng.bytes(int(rng.integers(0, 1000))))
    else:
        with np.load(path) as kept:
            arrays = dict(kept)
        name = str(rng.choice(sorted(arrays)))
        arrays[name] = _other_content(rng, name, arrays[name])
        with path.open("wb") as file:
            np.savez(file, **arrays)
        return
    path.write_bytes(content)


def _other_content(rng: np.random.Generator, name: str, value: np.ndarray) -> Any:
    if name == "made_from":
        return json.dumps({"detector": "WFI02"})
    if name == "samples":
        options = (value * 2, value * np.nan, -value, value[:, :-4, :-4], value[:2], value * 0)
        return options[rng.integers(len(options))]
    if name in ("charge_diffusion_mas", "jitter_mas", "pixel_arcsec"):
        return (np.nan, -1.0, np.inf, "text")[rng.integers(4)]
    return value + 1
