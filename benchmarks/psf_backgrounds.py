"""Which sky for the joint PSF fit? Offsets and pulls with each `psf_background` in five fields.

    python benchmarks/psf_backgrounds.py EPSF_FILE [--squares 4] [--fields nebula ...]

Simulates squares of 700 pixels with the ePSF of a CRDS reference, noise of their own and stars of
16 to 26 mag: sparse, crowded, on a nebula whose sky changes by 20 % over 100 pixels, among galaxies
of 19 mag that the catalog lacks, and with a catalog that lacks the faintest 30 %. Fits each with
the sky of a mesh of 64 pixels, of one of 32, of annuli, and with none, where the mean sky is
subtracted from the image before.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from psf_bulge import (
    GAIN_SECONDS,
    READ_VARIANCE,
    SKY,
    ZERO_POINT,
    random_stars,
    read_epsf,
    starlight,
)
from scipy.spatial import cKDTree

from romancal_forcedphot.photometry.fitting import (
    AnnulusSky,
    MeshSky,
    NoSky,
    PointSources,
    Sky,
    fit_fluxes,
)
from romancal_forcedphot.psfs import GriddedEPSF

SIDE = 700
SKIES: dict[str, Sky] = {
    **{"mesh": MeshSky(), "mesh of 32": MeshSky(32.0)},
    **{"annulus": AnnulusSky(), "none": NoSky()},
}
MAGNITUDES = ((16.0, 20.0), (20.0, 22.0), (22.0, 24.0))
GALAXY_MAGNITUDE, GALAXY_HALF_LIGHT_PIX, N_GALAXIES = 19.0, 4.5, 6
NEAR_GALAXY_PIX = (30.0, 100.0)  # where the galaxy itself is no longer seen
GALAXY_HALF_SIZE = 200
FARTHEST_PULL = 5.0
DENSE = 0.005  # stars per pixel
# Of stamps, by magnitude: without a known sky the wings of all stars together would be one.
HALF_SIZES = ((44, 16.0, 22.0), (24, 22.0, 30.0))


def even(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the same sky everywhere."""
    return np.full(np.broadcast_shapes(x.shape, y.shape), SKY)


def nebula(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return a sky that rises and falls by 20 % over 100 pixels, along both axes."""
    return SKY * (1 + 0.1 * np.sin(np.pi * x / 100) * np.sin(np.pi * y / 100))


@dataclass(frozen=True)
class Field:
    """A kind of field.

    Attributes
    ----------
    density : float
        Stars per pixel.
    sky : callable
        Sky at pixels.
    n_galaxies : int
        Galaxies that the catalog lacks.
    catalogued : float
        Share of the stars in the catalog, the brightest.
    """

    density: float
    sky: Callable[[np.ndarray, np.ndarray], np.ndarray] = even
    n_galaxies: int = 0
    catalogued: float = 1.0


FIELDS = {
    "sparse": Field(0.0005),
    "crowded": Field(0.02),
    "nebula": Field(0.002, sky=nebula),
    "nebula, crowded": Field(0.02, sky=nebula),
    "galaxies": Field(0.002, n_galaxies=N_GALAXIES),
    "70 % catalogued": Field(0.02, catalogued=0.7),
}


def galaxy(n: float) -> np.ndarray:
    """Return the light of a round Sérsic galaxy of flux 1, the mean of 5 by 5 places of a pixel."""
    offset = np.arange(-GALAXY_HALF_SIZE, GALAXY_HALF_SIZE + 1)[:, None] + np.linspace(-0.4, 0.4, 5)
    r = np.hypot.outer(offset.ravel(), offset.ravel()) / GALAXY_HALF_LIGHT_PIX
    light = np.exp(-(2 * n - 1 / 3) * r ** (1 / n))
    side = 2 * GALAXY_HALF_SIZE + 1
    light = light.reshape(side, 5, side, 5).sum(axis=(1, 3))
    return light / light.sum()


def with_galaxies(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the light (SIDE, SIDE) of galaxies, and their positions (n, 2) in x and y."""
    places = rng.integers(50, SIDE - 50, (n, 2))
    half = GALAXY_HALF_SIZE
    light = np.zeros((SIDE + 2 * half, SIDE + 2 * half))
    flux = 10 ** (-0.4 * (GALAXY_MAGNITUDE - ZERO_POINT))
    for index, (x, y) in enumerate(places):
        light[y : y + 2 * half + 1, x : x + 2 * half + 1] += flux * galaxy((1.0, 4.0)[index % 2])
    return light[half:-half, half:-half], places


def pulls(epsf: GriddedEPSF, field: Field, seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return magnitudes and pulls of unflagged stars of a square, for each sky."""
    rng = np.random.default_rng(seed)
    x, y, magnitude, flux = random_stars(rng, SIDE, field.density)
    galaxies, places = with_galaxies(rng, field.n_galaxies)
    at = np.arange(SIDE, dtype=float)
    expected = starlight(epsf, x, y, magnitude, flux, SIDE, HALF_SIZES) + galaxies
    expected += field.sky(at, at[:, None])
    variance = expected / GAIN_SECONDS + READ_VARIANCE
    data = expected + rng.standard_normal(expected.shape) * np.sqrt(variance)
    known = np.flatnonzero(magnitude <= np.quantile(magnitude, field.catalogued))
    x, y, magnitude, flux = (each[known] for each in (x, y, magnitude, flux))
    chosen = np.ones(x.size, dtype=bool)
    if len(places):
        distance = cKDTree(places).query(np.column_stack([x, y]))[0]
        chosen = (distance > NEAR_GALAXY_PIX[0]) & (distance < NEAR_GALAXY_PIX[1])
    result = {}
    for name, sky in SKIES.items():
        image = (data - SKY if name == "none" else data).astype(np.float32)
        err = np.sqrt(variance).astype(np.float32)
        fit = fit_fluxes(image, err, PointSources.of(epsf, x, y), sky=sky)
        good = chosen & fit.is_measured & ~fit.is_masked & ~fit.is_degenerate & ~fit.is_poor
        result[name] = magnitude[good], ((fit.flux - flux) / fit.flux_err)[good]
    return result


def cell_of(pull: np.ndarray) -> str:
    """Return median and width of pulls with their sampling errors, and how many are far off."""
    low, middle, high = np.percentile(pull, [15.865, 50.0, 84.135])
    width, n = (high - low) / 2, pull.size
    return (
        f"{middle:+.2f} ± {1.253 * width / np.sqrt(n):.2f}, {width:.2f} ± "
        f"{width * np.sqrt(0.925 / n):.2f}, {100 * np.mean(abs(pull) > FARTHEST_PULL):.2f} %"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("epsf", type=Path, help="a CRDS epsf reference")
    parser.add_argument("--squares", type=int, default=4, help="of crowded fields; else 4 times")
    parser.add_argument("--fields", nargs="*", default=list(FIELDS), help="which of them")
    options = parser.parse_args()
    epsf = read_epsf(options.epsf)
    print("Pulls of unflagged stars: median, width, share beyond 5 sigma\n")
    print(f"| field | mag | stars | {' | '.join(SKIES)} |\n|---|---|---|{'---|' * len(SKIES)}")
    for label in options.fields:
        field = FIELDS[label]
        n_squares = options.squares * (1 if field.density > DENSE else 4)
        squares = [pulls(epsf, field, seed) for seed in range(n_squares)]
        for bright, faint in MAGNITUDES:
            cells = []
            for name in SKIES:
                magnitude, pull = np.concatenate([square[name] for square in squares], axis=1)
                cells.append(pull[(magnitude >= bright) & (magnitude < faint)])
            texts = " | ".join(cell_of(cell) for cell in cells)
            print(f"| {label} | {bright:g}–{faint:g} | {cells[0].size} | {texts} |", flush=True)


if __name__ == "__main__":
    main()
