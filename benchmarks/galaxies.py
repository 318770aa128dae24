"""Galaxies: how fast and how exact their models are, and what apertures hold of them.

    python benchmarks/galaxies.py speed     models beside GalSim, ellipses beside circles
    python benchmarks/galaxies.py exact     every pixel of models against GalSim
    python benchmarks/galaxies.py shares    share of the total light by aperture, size and index

Times are of one core, in CPU seconds.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable

import galsim
import numpy as np

from romancal_forcedphot.geometry import circle_overlap, ellipse_overlap, ellipse_reach
from romancal_forcedphot.photometry.pixels.kron import KRON_SCALE, kron_radius
from romancal_forcedphot.psfs import GriddedEPSF
from romancal_forcedphot.psfs.sersic import SersicGalaxies, SersicProfiles

SCALE, OVERSAMPLE = 0.11, 4
ACCURATE = galsim.GSParams(
    folding_threshold=1e-3, maxk_threshold=2e-4, kvalue_accuracy=1e-6, maximum_fft_size=16384
)


def make_epsf(wavelength_nm: float = 1060.0) -> GriddedEPSF:
    """Return the ePSF of a telescope like Roman, stamps of 45 pixels around the star."""
    optical = galsim.OpticalPSF(
        lam=wavelength_nm, diam=2.36, obscuration=0.32, scale_unit=galsim.arcsec
    )
    star = galsim.Convolve(optical, galsim.Pixel(SCALE), galsim.Gaussian(sigma=0.015))
    drawn = star.drawImage(nx=361, ny=361, scale=SCALE / OVERSAMPLE, method="no_pixel")
    grid = np.array([[0.0, 0.0], [4087.0, 0.0], [0.0, 4087.0], [4087.0, 4087.0]])
    stamp = drawn.array.astype(float) * OVERSAMPLE**2
    return GriddedEPSF(np.repeat(stamp[None], 4, axis=0), *grid.T, OVERSAMPLE)


def make_profiles(n, radius_arcsec, ratio, theta) -> SersicProfiles:
    """Return profiles of circularised half-light radii."""
    n, radius, ratio, theta = np.broadcast_arrays(n, radius_arcsec, ratio, theta)
    root = np.sqrt(ratio)
    return SersicProfiles(n, radius / SCALE / root, radius / SCALE * root, theta)


def drawn_by_galsim(epsf, x, y, side, n, radius, ratio, theta, params) -> np.ndarray:
    """Return the stamp that GalSim draws of a galaxy with this ePSF."""
    seen = galsim.InterpolatedImage(
        galsim.Image(epsf.stamps[0] / OVERSAMPLE**2, scale=SCALE / OVERSAMPLE),
        x_interpolant=galsim.Lanczos(31),
        gsparams=params,
        _force_maxk=np.pi * OVERSAMPLE / SCALE,
        _force_stepk=2 * np.pi / (200 * SCALE),
    )
    profile = galsim.Sersic(n, half_light_radius=radius, gsparams=params)
    profile = profile.shear(q=ratio, beta=theta * galsim.radians)
    offset = (x - np.rint(x), y - np.rint(y))
    return (
        galsim.Convolve(profile, seen, gsparams=params)
        .drawImage(nx=side, ny=side, scale=SCALE, method="no_pixel", offset=offset, dtype=float)
        .array
    )


def cpu_seconds(function: Callable[[], object], n_times: int = 5) -> float:
    """Return the least CPU time of some calls after a first one."""
    function()
    times = []
    for _ in range(n_times):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def speed() -> None:
    """Print the time of models and of overlaps."""
    epsf, rng, n = make_epsf(), np.random.default_rng(0), 100
    x, y = rng.uniform(500, 3500, (2, n))
    print("| n | half-light radius | stamp | ours, ms per galaxy | GalSim, ms |")
    print("|---|---|---|---|---|")
    for index, radius in itertools.product((1.0, 4.0), (0.1, 0.3, 1.0)):
        profiles = make_profiles(
            np.full(n, index), radius, rng.uniform(0.2, 1, n), rng.uniform(0, np.pi, n)
        )
        galaxies = SersicGalaxies(epsf, profiles)
        for side in (31, 61):
            ours = cpu_seconds(lambda g=galaxies, s=side: g.on_pixels(x, y, s)) / n
            shape = (index, radius, 0.6, 0.5)
            theirs = cpu_seconds(
                lambda s=side, shape=shape: drawn_by_galsim(
                    epsf, x[0], y[0], s, *shape, galsim.GSParams()
                ),
                2,
            )
            print(f'| {index:g} | {radius:g}" | {side} | {1e3 * ours:.2f} | {1e3 * theirs:.0f} |')
    print("\n| half axis | circle, µs | ellipse, µs | ratio |\n|---|---|---|---|")
    n = 2000
    fraction = rng.uniform(-0.5, 0.5, (2, n))
    for radius in (3.0, 6.0, 12.0):
        minor, theta = radius * rng.uniform(0.2, 1, n), rng.uniform(0, np.pi, n)
        reach = int(np.ceil(radius))
        circle = cpu_seconds(lambda r=radius: circle_overlap(*fraction, r)) / n
        axes = (np.full(n, radius), minor, theta, reach)
        ellipse = cpu_seconds(lambda axes=axes: ellipse_overlap(*fraction, *axes)) / n
        ratio = ellipse / circle
        print(f"| {radius:g} | {1e6 * circle:.1f} | {1e6 * ellipse:.1f} | {ratio:.1f} |")


def exact() -> None:
    """Print the largest differences of models from GalSim's, of the total flux."""
    epsf, rng, side = make_epsf(), np.random.default_rng(0), 61
    print("| n | half-light radius | axis ratio | largest pixel | sum |")
    print("|---|---|---|---|---|")
    for n, radius, ratio in itertools.product(
        (0.5, 1.0, 2.5, 4.0, 6.0), (0.01, 0.1, 0.3, 1.0, 3.0), (0.1, 0.5, 1.0)
    ):
        if n > 2 and radius > 0.3 and ratio < 0.3:
            continue  # GalSim needs more memory than there is
        if n > 4 and radius > 1:
            continue
        x, y, theta = rng.uniform([2000, 2000, 0], [2001, 2001, np.pi])
        galaxy = SersicGalaxies(epsf, make_profiles([n], radius, ratio, theta))
        (ours,) = galaxy.on_pixels([x], [y], side)
        theirs = drawn_by_galsim(epsf, x, y, side, n, radius, ratio, theta, ACCURATE)
        pixel, total = np.abs(ours - theirs).max(), ours.sum() / theirs.sum() - 1
        print(f'| {n:g} | {radius:g}" | {ratio:g} | {pixel:.1e} | {total:+.1e} |', flush=True)


def shares() -> None:
    """Print which share of the total light apertures hold, in F106, mean over the axis ratio."""
    epsf, rng, n, side = make_epsf(), np.random.default_rng(0), 60, 151
    x, y = rng.uniform(2000, 2050, (2, n))
    fraction = x - np.rint(x), y - np.rint(y)
    ratio, theta = rng.uniform(0.3, 1, n), rng.uniform(0, np.pi, n)
    columns = ["3 pixels", "5 pixels", "10 pixels", "ellipse of 2.5", "Kron"]
    print("| n | half-light radius, pixels | " + " | ".join(columns) + " |")
    print("|---" * 7 + "|")
    for index in (1.0, 4.0):
        for radius_pix in (0.5, 1.0, 2.0, 4.0, 6.0):
            profiles = make_profiles(np.full(n, index), radius_pix * SCALE, ratio, theta)
            light = SersicGalaxies(epsf, profiles).on_pixels(x, y, side)
            apertures = [circle_overlap(*fraction, r, side // 2) for r in (3.0, 5.0, 10.0)]
            axes = profiles.semimajor, profiles.semiminor
            scaled = [2.5 * axis for axis in axes]
            apertures.append(ellipse_overlap(*fraction, *scaled, theta, side // 2))
            seen = [np.hypot(axis, 1.0) for axis in axes]
            kron = KRON_SCALE * np.array(
                [
                    kron_radius(
                        stamp.astype(np.float32),
                        np.array([side // 2 + fraction[0][i]]),
                        np.array([side // 2 + fraction[1][i]]),
                        *(axis[i : i + 1] for axis in (*seen, theta)),
                    )[0]
                    for i, stamp in enumerate(light)
                ]
            )
            scaled = [kron * axis for axis in seen]
            assert ellipse_reach(*scaled, theta) <= side // 2
            apertures.append(ellipse_overlap(*fraction, *scaled, theta, side // 2))
            caught = [(light * weights).sum(axis=(1, 2)).mean() for weights in apertures]
            shown = " | ".join(f"{share:.3f}" for share in caught)
            print(f"| {index:g} | {radius_pix:g} | {shown} |", flush=True)


if __name__ == "__main__":
    commands = {"speed": speed, "exact": exact, "shares": shares}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]]()
