"""Command `forced_phot_example`: simulate an exposure, run `strun`, compare with the truth."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ..storage.progress import Progress
from .crds_cache import crds_environment, make_crds_cache
from .scene import Scene, make_scene
from .series import Series, make_series
from .series_summary import summarize_series
from .simulation import STAGES, Report
from .summary import compare, summarize

QUARTER = {"n_pixels": 2044, "n_stars": 650, "n_galaxies": 45}

NEXT_STEPS = """
What next?
  measure again     the commands above, with other parameters: strun forced_phot --help
  see it            --save_plots=true, after pip install '.[plot]'
  crowded stars     --methods=aperture,psf --aperture_correction=epsf
  galaxies          --methods=aperture,model --aperture_correction=epsf
  light curves      forced_phot_example {directory} --series
  your own data     CRDS_SERVER_URL=https://roman-crds.stsci.edu, a CRDS_PATH of your own and no
                    CRDS_CONTEXT; then strun forced_phot IMAGE_cal.asdf --catalog=CATALOG
  read              docs/start.md, docs/tutorial/index.md"""


def make_example(
    directory: str | Path, *, is_quick: bool = False, report: Report = lambda stage: None
) -> tuple[Scene, Path]:
    """Make the example exposure and its CRDS cache, unless they exist already.

    Parameters
    ----------
    directory : str or path-like
        Directory of the files, created if necessary.
    is_quick : bool
        A quarter of a detector in ``quick/`` below it, instead of a whole one.
    report : callable
        Called with the name of each stage as it begins.

    Returns
    -------
    scene : Scene
        The exposure and its catalog.
    cache : pathlib.Path
        Directory of the CRDS cache.
    """
    if is_quick:
        scene = make_scene(Path(directory) / "quick", **QUARTER, report=report)
    else:
        scene = make_scene(directory, report=report)
    return scene, make_crds_cache(scene.directory / "crds", [scene], report=report)


def strun_command(scene: Scene) -> list[str]:
    """Return the command line that measures the example's catalog on its image.

    Parameters
    ----------
    scene : Scene
        The example.

    Returns
    -------
    list of str
        With the ``strun`` of this Python environment.
    """
    own = Path(sys.executable).with_name("strun")
    found = shutil.which("strun")
    same = found is not None and own.exists() and Path(found).samefile(own)
    return [
        "strun" if same or not own.exists() else os.fspath(own),
        "forced_phot",
        os.fspath(scene.image),
        f"--catalog={scene.catalog}",
        f"--output_dir={scene.directory}",
    ]


def product_path(scene: Scene) -> Path:
    """Return the path of the product of `strun_command`.

    Parameters
    ----------
    scene : Scene
        The example.

    Returns
    -------
    pathlib.Path
    """
    return scene.image.with_name(scene.image.name.replace("_cal.asdf", "_forcedphot.asdf"))


def run_strun(scene: Scene, cache: Path) -> int:
    """Print the shell commands of a measurement, and run it.

    Parameters
    ----------
    scene : Scene
        The example.
    cache : pathlib.Path
        Directory of its CRDS cache.

    Returns
    -------
    int
        Exit status of ``strun``.
    """
    environment = crds_environment(cache)
    command = strun_command(scene)
    for name, value in environment.items():
        print(f"export {name}={shlex.quote(value)}")
    print(shlex.join(command), flush=True)
    product_path(scene).unlink(missing_ok=True)
    return subprocess.run(command, env={**os.environ, **environment}, check=False).returncode


def main(arguments: list[str] | None = None) -> int:
    """Run the command `forced_phot_example`.

    Parameters
    ----------
    arguments : list of str, optional
        Command-line arguments; those of the process by default.

    Returns
    -------
    int
        Exit status: 0 if the photometry agrees with the truth, 1 if not, that of ``strun`` if it
        failed.
    """
    parser = argparse.ArgumentParser(
        prog="forced_phot_example",
        description="Simulate a full Roman exposure of known stars, once; measure it with strun "
        "forced_phot; compare the fluxes with the truth. The exit status is 1 if they disagree.",
    )
    parser.add_argument("directory", metavar="DIR", help="directory of the files (0.2 GB)")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--quick", action="store_true", help="instead, a quarter of a detector, in about a minute"
    )
    instead.add_argument(
        "--series",
        action="store_true",
        help="instead, 40 small exposures of stars some of which vary, and their light curves",
    )
    options = parser.parse_args(arguments)
    directory = options.directory
    start = time.monotonic()

    def write_line(line: str) -> None:
        print(f"{time.monotonic() - start:6.1f} s  {line}", file=sys.stderr, flush=True)

    if options.series:
        return _run_series(directory, write_line)
    with Progress("making", len(STAGES) + 1, write=write_line) as progress:
        scene, cache = make_example(directory, is_quick=options.quick, report=progress.stage)
    status = run_strun(scene, cache)
    if status != 0:
        print(f"strun failed with exit status {status}", file=sys.stderr)
        return status
    summary = summarize(compare(product_path(scene), scene))
    print(f"product                     {product_path(scene)}\n{summary}")
    for problem in summary.problems:
        print(f"out of bounds: {problem}", file=sys.stderr)
    print(NEXT_STEPS.format(directory=shlex.quote(directory)))
    return 1 if summary.problems else 0


def _run_series(directory: str, write_line: Callable[[str], None]) -> int:
    """Make the series, its light curves, and compare them with the truth."""
    with Progress("making", len(STAGES) + 2, write=write_line) as progress:
        series = make_series(directory, report=progress.stage)
    output = series.directory / "lightcurves"
    command = lightcurves_command(series, output)
    environment = crds_environment(series.crds)
    for name, value in environment.items():
        print(f"export {name}={shlex.quote(value)}")
    print(shlex.join(command), flush=True)
    status = subprocess.run(command, env={**os.environ, **environment}, check=False).returncode
    if status != 0:
        print(f"{command[0]} failed with exit status {status}", file=sys.stderr)
        return status
    summary = summarize_series(output, series)
    print(summary)
    for problem in summary.problems:
        print(f"out of bounds: {problem}", file=sys.stderr)
    return 1 if summary.problems else 0


def lightcurves_command(series: Series, output: Path) -> list[str]:
    """Return the command that makes light curves of a series, calibrated to one another."""
    beside = Path(sys.executable).with_name("forced_phot_lightcurves")
    return [
        os.fspath(beside) if beside.exists() else "forced_phot_lightcurves",
        "run",
        os.fspath(series.directory / "*_cal.asdf"),
        f"--catalog={series.catalog}",
        f"--output_dir={output}",
        "--aperture_correction=epsf",
        "--align=true",
        "--relative_calibration=true",
    ]
