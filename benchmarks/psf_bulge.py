"""Time and accuracy of the joint PSF fit at the density of the bulge, on simulated squares.

    python benchmarks/psf_bulge.py EPSF_FILE [--sides 333 1054 4082]

Simulates squares of 0.09 stars per pixel, 16 to 26 mag, with the ePSF of a CRDS reference and noise
of its own, fits them on one thread, and prints the time per star and the pulls by magnitude.
Simulation and fit are processes of their own, so that the memory is that of the fit alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import roman_datamodels as rdm
from speed_processes import Run, run_child

from romancal_forcedphot.photometry.fitting import MeshSky, PointSources, fit_fluxes
from romancal_forcedphot.psfs import GriddedEPSF

DENSITY = 0.09  # stars per pixel
SLOPE = 0.3  # of the logarithm of the number per magnitude
BRIGHT, FAINT = 16.0, 26.0
ZERO_POINT = 26.3 - 2.5 * np.log10(2)  # DN/s
SKY, GAIN_SECONDS, READ_VARIANCE = 0.5, 2.0 * 76.0, 1.3e-2
HALF_SIZES = ((44, 16.0, 19.0), (20, 19.0, 21.5), (9, 21.5, 30.0))  # of stamps, by magnitude


def read_epsf(path: Path) -> GriddedEPSF:
    """Read the first ePSF of a reference."""
    with rdm.open(path) as model:
        stamps = np.array(model.psf[0, 0], dtype=np.float64)
        x, y = (np.array(model.meta[name], dtype=float) for name in ("pixel_x", "pixel_y"))
        return GriddedEPSF(stamps, x, y, int(model.meta.oversample))


def random_stars(rng: np.random.Generator, side: int, density: float) -> tuple[np.ndarray, ...]:
    """Return positions, magnitudes and fluxes of stars on a square."""
    n_stars = int(density * side**2)
    x, y = rng.uniform(-0.5, side - 0.5, (2, n_stars))
    ends = 10 ** (SLOPE * np.array([BRIGHT, FAINT]))
    magnitude = np.log10(rng.uniform(*ends, n_stars)) / SLOPE
    return x, y, magnitude, 10 ** (-0.4 * (magnitude - ZERO_POINT))


def starlight(
    epsf: GriddedEPSF,
    x: np.ndarray,
    y: np.ndarray,
    magnitude: np.ndarray,
    flux: np.ndarray,
    side: int,
    half_sizes: tuple[tuple[int, float, float], ...] = HALF_SIZES,
) -> np.ndarray:
    """Return the light of stars on the pixels of a square."""
    image = np.zeros(side * side)
    for half, low, high in half_sizes:
        rows = np.flatnonzero((magnitude >= low) & (magnitude < high))
        offset = np.arange(-half, half + 1)
        for some in np.array_split(rows, rows.size * offset.size**2 // 4_000_000 + 1):
            row = np.rint(y[some]).astype(int)[:, None, None] + offset[:, None]
            column = np.rint(x[some]).astype(int)[:, None, None] + offset
            on = (row >= 0) & (row < side) & (column >= 0) & (column < side)
            light = epsf.on_pixels(x[some], y[some], offset.size) * flux[some, None, None]
            image += np.bincount((row * side + column)[on], light[on], minlength=image.size)
    return image.reshape(side, side)


def simulate(epsf: GriddedEPSF, side: int, density: float = DENSITY) -> tuple[np.ndarray, ...]:
    """Return an image, its errors, and positions, magnitudes and fluxes of its stars."""
    rng = np.random.default_rng(1)
    stars = random_stars(rng, side, density)
    x, y, magnitude, flux = stars
    image = SKY + starlight(epsf, x, y, magnitude, flux, side)
    variance = image / GAIN_SECONDS + READ_VARIANCE
    data = image + rng.standard_normal(image.shape) * np.sqrt(variance)
    return data.astype(np.float32), np.sqrt(variance).astype(np.float32), *stars


def fit(epsf: GriddedEPSF, scene: Path, product: Path) -> None:
    """Fit a scene on one thread, write the fluxes and say what it took."""
    with np.load(scene) as arrays:
        data, err, x, y = (arrays[name] for name in ("data", "err", "x", "y"))
    start = time.process_time()
    result = fit_fluxes(data, err, PointSources.of(epsf, x, y), sky=MeshSky(64.0))
    microseconds = 1e6 * (time.process_time() - start) / x.size
    print(f"{x.size} stars: {microseconds:.0f} us of processor each")
    np.savez(product, flux=result.flux, err=result.flux_err)


def child(*arguments: object, room: Path) -> Run:
    """Run one of the two parts as a process."""
    command = [sys.executable, os.fspath(Path(__file__).resolve()), *map(str, arguments)]
    return run_child(command, cwd=room, environment=dict(os.environ))


def print_side(epsf: Path, side: int, room: Path) -> None:
    """Simulate and fit a square, and print time, memory and pulls."""
    scene, product = room / "scene.npz", room / "fluxes.npz"
    simulated = child(epsf, "--simulate", side, scene, room=room)
    fitted = child(epsf, "--fit", scene, product, room=room)
    print(
        f"{fitted.output.strip()}, {fitted.peak_gb:.2f} GB "
        f"({simulated.peak_gb:.2f} GB for the simulation)"
    )
    with np.load(scene) as truth, np.load(product) as found:
        magnitude, flux = truth["magnitude"], truth["flux"]
        pull, signal = (found["flux"] - flux) / found["err"], flux / found["err"]
    print(f"  S/N below 3: {np.mean(signal < 3):.3f}, below 5: {np.mean(signal < 5):.3f}")
    for bright in range(int(BRIGHT), int(FAINT)):
        p = pull[(magnitude >= bright) & (magnitude < bright + 1) & np.isfinite(pull)]
        low, high = np.percentile(p, [15.865, 84.135])
        width = (high - low) / 2
        print(
            f"  {bright} mag {p.size:7d} mean {p.mean():+.3f} width {width:.3f} ± "
            f"{width * np.sqrt(0.925 / p.size):.3f} beyond 5 sigma {np.mean(abs(p) > 5):.5f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("epsf", type=Path, help="a CRDS epsf reference")
    parser.add_argument("--sides", nargs="*", type=int, default=[333, 1054, 4082])
    parser.add_argument("--simulate", nargs=2, metavar=("SIDE", "SCENE"), help="and nothing else")
    parser.add_argument("--fit", nargs=2, type=Path, metavar=("SCENE", "FLUXES"), help="likewise")
    options = parser.parse_args()
    if options.simulate:
        side, scene = options.simulate
        names = "data", "err", "x", "y", "magnitude", "flux"
        arrays = simulate(read_epsf(options.epsf), int(side))
        np.savez(scene, **dict(zip(names, arrays, strict=True)))
    elif options.fit:
        fit(read_epsf(options.epsf), *options.fit)
    else:
        with tempfile.TemporaryDirectory() as name:
            for side in options.sides:
                print_side(options.epsf.resolve(), side, Path(name))


if __name__ == "__main__":
    main()
