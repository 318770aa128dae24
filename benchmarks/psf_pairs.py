"""Do the errors of the joint PSF fit hold for close pairs? Many pairs, by their distance.

    python benchmarks/psf_pairs.py EPSF_FILE [--squares 8]

Simulates squares with 900 pairs each on a grid, 0.05 to 1.5 pixels apart, 17 to 25 mag, with the
ePSF of a CRDS reference and noise of their own, and prints pulls by distance and magnitude. The two
pulls of a pair depend on each other, so that sampling errors are those of half as many stars.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
from psf_bulge import GAIN_SECONDS, READ_VARIANCE, SKY, ZERO_POINT, read_epsf, starlight

from romancal_forcedphot.photometry.fitting import PointSources, fit_fluxes
from romancal_forcedphot.psfs import GriddedEPSF

SIDE, SPACING = 1000, 33
DISTANCES = (0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.1, 1.5)
MAGNITUDES = ((17, 20), (20, 22), (22, 24), (24, 25))
HALF_SIZES = ((44, 16.0, 20.0), (24, 20.0, 30.0))


def square(epsf: GriddedEPSF, seed: int) -> np.ndarray:
    """Return distances, magnitudes, pulls and whether stars are flagged, of a square."""
    rng = np.random.default_rng(seed)
    grid = np.arange(20, SIDE - 20, SPACING, dtype=float)
    x, y = (axis.ravel() for axis in np.meshgrid(grid, grid))
    x, y = (at + rng.uniform(-0.5, 0.5, at.size) for at in (x, y))
    n = x.size
    edges = np.array(DISTANCES)
    within = rng.integers(0, edges.size - 1, n)
    distance = rng.uniform(edges[within], edges[within + 1])
    angle = rng.uniform(0, 2 * np.pi, n)
    x = np.append(x, x + distance * np.cos(angle))
    y = np.append(y, y + distance * np.sin(angle))
    magnitude = rng.uniform(MAGNITUDES[0][0], MAGNITUDES[-1][1], 2 * n)
    flux = 10 ** (-0.4 * (magnitude - ZERO_POINT))
    expected = SKY + starlight(epsf, x, y, magnitude, flux, SIDE, HALF_SIZES)
    variance = expected / GAIN_SECONDS + READ_VARIANCE
    data = expected + rng.standard_normal(expected.shape) * np.sqrt(variance)
    images = (each.astype(np.float32) for each in (data, np.sqrt(variance)))
    fit = fit_fluxes(*images, PointSources.of(epsf, x, y))
    pull = (fit.flux - flux) / fit.flux_err
    flagged = fit.is_degenerate | fit.is_poor | fit.is_masked
    return np.array([np.tile(distance, 2), magnitude, pull, flagged])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("epsf", type=Path, help="a CRDS epsf reference")
    parser.add_argument("--squares", type=int, default=8)
    options = parser.parse_args()
    epsf = read_epsf(options.epsf)
    stars = [square(epsf, seed) for seed in range(options.squares)]
    distance, magnitude, pull, flagged = np.concatenate(stars, axis=1)
    print("| distance | mag | stars | flagged | mean pull | width | standard deviation |")
    print("|---|---|---|---|---|---|---|")
    for near, far in pairwise(DISTANCES):
        for bright, faint in MAGNITUDES:
            rows = (distance >= near) & (distance < far)
            rows &= (magnitude >= bright) & (magnitude < faint)
            p, n = pull[rows], np.count_nonzero(rows)
            low, high = np.percentile(p, [15.865, 84.135])
            width = (high - low) / 2
            print(
                f"| {near:g}–{far:g} | {bright}–{faint} | {n} | {100 * flagged[rows].mean():.0f} % "
                f"| {p.mean():+.2f} ± {p.std() / np.sqrt(n / 2):.2f} "
                f"| {width:.2f} ± {width * np.sqrt(0.925 / (n / 2)):.2f} "
                f"| {p.std():.2f} ± {p.std() / np.sqrt(n):.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
