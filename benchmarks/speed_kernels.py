"""What measures aperture and background of many sources: our kernel and others, on one scene.

Each does the same: the sum in a circle of 3 pixels with its error, and the sigma-clipped median of
an annulus of 20 to 25 pixels (sep has no clipping: its annulus is a plain mean).

As a program it runs one of them once, for its peak memory: speed_kernels.py NAME N_SOURCES
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np

from romancal_forcedphot.photometry import CircularApertures, Exposure, Sources
from romancal_forcedphot.photometry.pixels.aperture_sums import cut_stamps, sum_in_circle
from romancal_forcedphot.photometry.pixels.background import local_background
from romancal_forcedphot.psfs import GriddedEPSF

RADIUS, ANNULUS, BATCH = 3.0, (20.0, 25.0), 4096


@dataclass(frozen=True)
class Scene:
    """An image and positions sorted along strips of 64 rows, as `photometry.batches` sorts them."""

    data: np.ndarray
    err: np.ndarray
    mask: np.ndarray
    x: np.ndarray
    y: np.ndarray

    @classmethod
    def make(cls, n_sources: int, *, n_stars: int = 20_000, side: int = 4088) -> Scene:
        """Noise, stars and masked pixels on a full frame."""
        rng = np.random.default_rng(1)
        data = rng.standard_normal((side, side), dtype=np.float32) * np.float32(0.05) + 0.5
        dy, dx = np.mgrid[-6:7, -6:7]
        profile = np.exp(-(dy**2 + dx**2) / 2 / 1.2**2) / (2 * np.pi * 1.2**2)
        y, x = rng.integers(6, side - 6, (2, n_stars, 1, 1))
        np.add.at(data, (y + dy, x + dx), profile * 10 ** rng.uniform(-1, 2.5, (n_stars, 1, 1)))
        mask = rng.random(data.shape, dtype=np.float32) < 0.005
        data[mask] = np.nan
        err = np.full(data.shape, 0.05, dtype=np.float16)
        return cls(data, err, mask, np.empty(0), np.empty(0)).with_sources(n_sources)

    def with_sources(self, n_sources: int) -> Scene:
        """Return the image with so many positions."""
        x, y = np.random.default_rng(n_sources).uniform(0, len(self.data) - 1, (2, n_sources))
        order = np.lexsort((x, y // 64))
        return Scene(self.data, self.err, self.mask, x[order], y[order])

    def part(self, n_sources: int) -> Scene:
        """Return the scene with at most so many of its positions, next to each other."""
        first = max((self.x.size - n_sources) // 2, 0)
        chosen = slice(first, first + n_sources)
        return Scene(self.data, self.err, self.mask, self.x[chosen], self.y[chosen])


@dataclass(frozen=True)
class Contender:
    """Something that measures a scene; `most` sources are enough for a steady time per source."""

    name: str
    run: Callable[[Scene], object]
    most: int


def ours(n_threads: int) -> Callable[[Scene], None]:
    """Sums and backgrounds in batches, over threads."""

    def run(scene: Scene) -> None:
        saturated = np.zeros(scene.data.shape, dtype=bool)

        def measure(first: int) -> None:
            x, y = scene.x[first : first + BATCH], scene.y[first : first + BATCH]
            stamps = cut_stamps(scene.data, scene.err, saturated, None, x, y, RADIUS)
            sum_in_circle(stamps, RADIUS)
            local_background(scene.data, x, y, *ANNULUS)

        with ThreadPoolExecutor(n_threads) as pool:
            list(pool.map(measure, range(0, scene.x.size, BATCH)))

    return run


def radii(numbers: Sequence[float]) -> Callable[[Scene], None]:
    """All columns of circles of several radii in one thread, with the annulus, uncorrected."""

    def run(scene: Scene) -> None:
        exposure = Exposure(
            data=scene.data,
            err=scene.err,
            saturated=None,
            wcs=None,
            conversion=1.0,
            pixel_area=1.0,
            detector="",
            band="",
            mid_time=None,
        )
        method = CircularApertures(aperture_radii=tuple(numbers), annulus_radii=ANNULUS)
        label = np.arange(scene.x.size)
        sources = Sources(label=label, x=scene.x, y=scene.y, name="positions")
        bound = method.bind(exposure, sources, scene.x, scene.y)
        for rows in bound.batches():
            bound.measure(rows)

    return run


def photutils(scene: Scene) -> object:
    """`ApertureStats`, the fastest that photutils has."""
    from astropy.stats import SigmaClip
    from photutils.aperture import ApertureStats, CircularAnnulus, CircularAperture

    places = np.column_stack([scene.x, scene.y])
    circle, annulus = CircularAperture(places, RADIUS), CircularAnnulus(places, *ANNULUS)
    err = scene.err.astype(np.float32)
    sums = ApertureStats(scene.data, circle, error=err, mask=scene.mask)
    clip = SigmaClip(3.0, maxiters=5)
    sky = ApertureStats(scene.data, annulus, mask=scene.mask, sigma_clip=clip)
    return sums.sum, sums.sum_err, sky.median, sky.std


def notebook(scene: Scene) -> object:
    """A loop over sources with photutils' masks and astropy's sigma clipping."""
    from astropy.stats import sigma_clipped_stats
    from photutils.aperture import CircularAnnulus, CircularAperture

    places = np.column_stack([scene.x, scene.y])
    circles = CircularAperture(places, RADIUS).to_mask(method="exact")
    annuli = CircularAnnulus(places, *ANNULUS).to_mask(method="center")
    variance = np.square(scene.err.astype(np.float32))
    result = []
    for circle, annulus in zip(circles, annuli, strict=True):
        _, median, _ = sigma_clipped_stats(annulus.get_values(scene.data, mask=scene.mask))
        flux = np.nansum(circle.multiply(scene.data)) - median * np.pi * RADIUS**2
        result.append((flux, np.sqrt(circle.multiply(variance).sum())))
    return result


def sep(scene: Scene) -> object:
    """Exact sums and unclipped annulus means of sep."""
    import sep as sep_module

    err, places = scene.err.astype(np.float32), (scene.x, scene.y)
    sums = sep_module.sum_circle(scene.data, *places, RADIUS, err=err, mask=scene.mask, subpix=0)
    return sums, sep_module.sum_circann(scene.data, *places, *ANNULUS, mask=scene.mask, subpix=1)


def epsf_correction() -> Callable[[Scene], object]:
    """The ePSF correction alone: a grid of nine stamps of 45 pixels, sampled four times."""
    offset = (np.arange(181) - 90) / 4
    stamp = np.exp(-(offset**2 + offset[:, None] ** 2) / 2 / 0.8**2) / (2 * np.pi * 0.8**2)
    places = (axis.ravel() for axis in np.meshgrid(*[[3.5, 2043.5, 4083.5]] * 2))
    epsf = GriddedEPSF(np.tile(stamp, (9, 1, 1)), *places, 4)
    weights = np.ones((BATCH, 7, 7))

    def run(scene: Scene) -> None:
        for first in range(0, scene.x.size, BATCH):
            x, y = scene.x[first : first + BATCH], scene.y[first : first + BATCH]
            epsf.in_aperture(x, y, RADIUS, weights=weights[: x.size])
            epsf.in_annulus(x, y, *ANNULUS)

    return run


def contenders() -> dict[str, Contender]:
    """All of them by a short name."""
    new = tuple(int(part) for part in version("photutils").split(".")[:2]) >= (3, 1)
    return {
        "ours2": Contender("this package, 2 threads", ours(2), 10**7),
        "ours1": Contender("this package, 1 thread", ours(1), 10**7),
        "radius": Contender("this package, a radius of 5", radii([5.0]), 50_000),
        "radii": Contender("this package, 20 radii to 10", radii(np.arange(1, 21) / 2), 20_000),
        "photutils": Contender(
            f"photutils {version('photutils')}", photutils, 20_000 if new else 2000
        ),
        "notebook": Contender("the notebook's loop", notebook, 300),
        "sep": Contender(f"sep {version('sep')}, no clipping", sep, 50_000),
        "epsf": Contender("ePSF correction alone", epsf_correction(), 50_000),
    }


def microseconds_per_source(contender: Contender, scene: Scene) -> tuple[float, float]:
    """Wall and processor time of one run."""
    scene = scene.part(contender.most)
    wall, processor = time.perf_counter(), time.process_time()
    contender.run(scene)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return wall * 1e6 / scene.x.size, processor * 1e6 / scene.x.size


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    chosen = contenders()[sys.argv[1]]
    chosen.run(Scene.make(int(sys.argv[2])).part(chosen.most))
