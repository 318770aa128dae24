"""Time per source of our kernel, photutils and sep, side by side in one run.

    python benchmarks/kernel.py [--sources 100000] [--stars 20000] [--repeats 5]

Each measures the same: the sum in a circle of 3 pixels with its error, and the sigma-clipped
median of an annulus of 20 to 25 pixels (sep has no clipping: its annulus is a plain mean). All
sources of a strip of the frame are given to ours; photutils takes a part of them, enough for a
steady time per source. The runs take turns, so that a busy machine is busy for all of them.
"""

from __future__ import annotations

import argparse
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

import numpy as np
import sep
from astropy.stats import SigmaClip
from photutils.aperture import ApertureStats, CircularAnnulus, CircularAperture

from romancal_forcedphot.aperture import aperture_sums, local_background

RADIUS, ANNULUS, BATCH = 3.0, (20.0, 25.0), 512


def make_scene(n_sources, n_stars, *, size=4088, seed=1):
    """Noise, stars and masked pixels on a full frame, and positions sorted along strips."""
    rng = np.random.default_rng(seed)
    data = rng.normal(0.5, 0.05, (size, size)).astype(np.float32)
    dy, dx = np.mgrid[-6:7, -6:7]
    profile = np.exp(-(dy**2 + dx**2) / 2 / 1.2**2) / (2 * np.pi * 1.2**2)
    y, x = rng.integers(6, size - 6, (2, n_stars, 1, 1))
    np.add.at(data, (y + dy, x + dx), profile * 10 ** rng.uniform(-1, 2.5, (n_stars, 1, 1)))
    data[rng.random(data.shape, dtype=np.float32) < 0.005] = np.nan
    err = np.full(data.shape, 0.05, dtype=np.float16)
    x, y = rng.uniform(0, size - 1, (2, n_sources))
    order = np.lexsort((x, y // 64))
    return data, err, x[order], y[order]


def run_ours(data, err, x, y, n_threads):
    """Sums and backgrounds in batches, over threads."""
    saturated = np.zeros(data.shape, dtype=bool)

    def measure(start):
        batch = slice(start, start + BATCH)
        aperture_sums(data, err, saturated, None, x[batch], y[batch], RADIUS)
        local_background(data, x[batch], y[batch], *ANNULUS)

    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(measure, range(0, x.size, BATCH)))


def run_photutils(data, err, x, y, mask):
    """`ApertureStats`, the fastest that photutils has."""
    position = np.column_stack([x, y])
    sums = ApertureStats(data, CircularAperture(position, RADIUS), error=err, mask=mask)
    clip = SigmaClip(3.0, maxiters=5)
    sky = ApertureStats(data, CircularAnnulus(position, *ANNULUS), mask=mask, sigma_clip=clip)
    return sums.sum, sums.sum_err, sky.median, sky.std


def run_sep(data, err, x, y, mask):
    """Exact sums and unclipped annulus means of sep."""
    sep.sum_circle(data, x, y, RADIUS, err=err, mask=mask, subpix=0)
    sep.sum_circann(data, x, y, *ANNULUS, mask=mask, subpix=1)


def time_per_source(function, data, err, x, y, *options):
    """Wall and processor time of one run, in microseconds per source."""
    wall, processor = time.perf_counter(), time.process_time()
    function(data, err, x, y, *options)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return wall * 1e6 / x.size, processor * 1e6 / x.size


def main():
    """Print the median times per source of each and its wall time over ours with two threads."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sources", type=int, default=100_000)
    parser.add_argument("--stars", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    data, err, x, y = make_scene(options.sources, options.stars)
    middle = slice(options.sources // 2, options.sources // 2 + 2000)
    part = data, err.astype(np.float32), x[middle], y[middle], np.isnan(data)
    runs = {
        "ours, 2 threads": (run_ours, data, err, x, y, 2),
        "ours, 1 thread": (run_ours, data, err, x, y, 1),
        f"photutils {version('photutils')}": (run_photutils, *part),
        f"sep {version('sep')}, no clipping": (run_sep, *part),
    }
    times = {name: [] for name in runs}
    for _ in range(options.repeats):
        for name, run in runs.items():
            times[name].append(time_per_source(*run))
    medians = {name: np.median(values, axis=0) for name, values in times.items()}
    print(f"numpy {np.__version__}, {options.sources} sources, {options.stars} stars")
    print(f"{'microseconds per source':28s} {'wall':>8s} {'CPU':>8s} {'wall ratio':>10s}")
    for name, (wall, processor) in medians.items():
        ratio = wall / medians["ours, 2 threads"][0]
        print(f"{name:28s} {wall:8.2f} {processor:8.2f} {ratio:10.2f}")


if __name__ == "__main__":
    main()
