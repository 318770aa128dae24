"""A simulated Level-2 exposure with known stars, made by romanisim without CRDS.

Sources, sky, ramps, noise, cosmic rays and data quality are romanisim's; what is chosen here is
the field, the optics (see `optics`) and a short read pattern. A Level-2 image is a surface
brightness, so a pixel's sensitivity goes as the inverse of its solid angle (1 at the centre of
the detector), as romancal's flat-fielding leaves it: a star keeps its flux only after the area
map is applied.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from ..geometry import N_SCIENCE_PIXELS
from .files import Record, Renamed
from .optics import Optics, make_optics, quiet_romanisim, ready_to_draw

RECIPE = 1  # count up whenever the same parameters give other files
MICRONS = {
    "F062": 0.62,
    "F087": 0.87,
    "F106": 1.06,
    "F129": 1.29,
    "F146": 1.46,
    "F158": 1.58,
    "F184": 1.84,
    "F213": 2.13,
}
GAIN = 2.0  # electron/DN
READ_NOISE = 5.0  # DN
DARK_CURRENT = 0.01  # electron/s
SATURATION = 55000.0  # DN
READ_PATTERN = [[1], [2], [12], [23], [24]]  # five reads in 76 s: quick to simulate
RENDERED_MARGIN = 10  # pixels: sources farther off the image leave no light on it
SIMULATED_STEPS = {
    *("dq_init", "saturation", "refpix", "linearity", "dark", "ramp_fit"),
    *("assign_wcs", "flat_field", "photom"),
}
STAGES = ("optics", "sources", "ramps", "slopes", "writing")

Report = Callable[[str], None]


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a scene looks like; equal recipes give equal files."""

    detector: str = "WFI01"
    band: str = "F106"
    n_stars: int = 2600
    n_galaxies: int = 180
    magnitudes: tuple[float, float] = (17.0, 24.0)
    seed: int = 1937
    n_pixels: int = N_SCIENCE_PIXELS
    name: str = "r0003201001001001004_0001"


@dataclass(frozen=True)
class Scene:
    """Where a simulated exposure is, and what it was made from.

    Attributes
    ----------
    directory : Path
        Holds the files below.
    image : Path
        The Level-2 exposure, `*_cal.asdf`.
    catalog : Path
        The truth, ECSV: ra, dec (deg), type, n, half_light_radius (arcsec), pa (deg), ba, and one
        column of maggies per filter. Row order is random in position and brightness.
    recipe : Recipe
        What it was made from.
    """

    directory: Path
    image: Path
    catalog: Path
    recipe: Recipe


def make_scene(
    directory: str | Path,
    *,
    detector: str = "WFI01",
    band: str = "F106",
    n_stars: int = 2600,
    n_galaxies: int = 180,
    magnitudes: tuple[float, float] = (17.0, 24.0),
    seed: int = 1937,
    n_pixels: int = N_SCIENCE_PIXELS,
    name: str = "r0003201001001001004_0001",
    report: Report = lambda stage: None,
) -> Scene:
    """Make a simulated exposure and its catalog, or find the one made before.

    Parameters
    ----------
    directory : path
        Where the files go; created if need be. One directory holds any number of scenes.
    detector, band : str
        `WFI01` to `WFI18`; `F062` to `F213`.
    n_stars, n_galaxies : int
        Number of sources, uniform over the image and 30 pixels around it.
    magnitudes : (float, float)
        Bright and faint limit, AB, in `band`; uniform between them.
    seed : int
        Of the field and of all noise.
    n_pixels : int
        Side of the image; less than 4088 is a window at the centre of the detector, for quick
        tests.
    name : str
        First part of the file's name: `rPPPPPCCAAASSSOOOVVV_EEEE`.
    report : callable
        Is told the name of each of `STAGES` as it begins.

    Returns
    -------
    Scene

    Notes
    -----
    Files are written under other names and renamed, the record of the recipe last, so that an
    interrupted run leaves nothing that a later one takes for finished.
    """
    recipe = Recipe(detector, band, n_stars, n_galaxies, tuple(magnitudes), seed, n_pixels, name)
    directory = Path(directory).resolve()
    directory.mkdir(parents=True, exist_ok=True)
    stem = f"{name}_{detector.lower()}_{band.lower()}"
    image = directory / f"{stem}_cal.asdf"
    catalog = directory / ("catalog.ecsv" if recipe == Recipe() else f"{stem}_catalog.ecsv")
    scene = Scene(directory, image, catalog, recipe)
    record = Record(directory / f"{stem}_recipe.json", {"recipe": RECIPE, **asdict(recipe)})
    if not record.matches(image, catalog):
        _simulate(scene, report)
        record.write()
    return scene


def scene_metadata(detector: str, band: str) -> dict:
    """Return romanisim's metadata of the exposure."""
    with quiet_romanisim():
        from romanisim import ris_make_utils

        metadata = ris_make_utils.set_metadata(
            date="2026-10-31T00:00:00", bandpass=band, sca=int(detector[3:])
        )
    metadata["exposure"]["read_pattern"] = READ_PATTERN
    metadata["exposure"]["nresultants"] = len(READ_PATTERN)
    return metadata


@functools.lru_cache(maxsize=1)
def optics_of(detector: str, band: str, n_pixels: int) -> Optics:
    """Return the optics of a scene; the last is kept, because its references come right after it.

    `optics_of.cache_clear()` frees its 400 MB.
    """
    return make_optics(scene_metadata(detector, band), n_pixels=n_pixels)


def _simulate(scene: Scene, report: Report) -> None:
    """Write the image and the catalog of a scene."""
    recipe = scene.recipe
    report("optics")
    metadata = scene_metadata(recipe.detector, recipe.band)
    optics = optics_of(recipe.detector, recipe.band, recipe.n_pixels)
    sources = make_catalog(recipe, optics)
    with Renamed(scene.catalog) as partial:
        sources.write(partial, format="ascii.ecsv")
    with quiet_romanisim():
        import galsim

        rng = galsim.UniformDeviate(recipe.seed)
        report("sources")
        counts = _count_electrons(recipe, optics, metadata, sources, rng)
        report("ramps")
        resultants, dq = _read_out(counts, rng)
        del counts
        report("slopes")
        model = _level_2(resultants, dq, optics, metadata)
    del resultants, dq
    report("writing")
    _complete_metadata(model, scene, optics)
    with Renamed(scene.image) as partial:
        model.save(partial)


def make_catalog(recipe: Recipe, optics: Optics) -> Table:
    """Return the sources of a scene, in the format of romanisim and of the Roman notebooks.

    Magnitudes are uniform between the recipe's limits in its own filter; other filters follow with
    a colour per source.
    """
    rng = np.random.default_rng(recipe.seed)
    n = recipe.n_stars + recipe.n_galaxies
    is_star = rng.permutation(n) < recipe.n_stars
    x, y = rng.uniform(-30, recipe.n_pixels + 29, (2, n))
    ra, dec = optics.wcs(x, y, with_bounding_box=False)
    magnitude = rng.uniform(*recipe.magnitudes, n)
    colour = rng.normal(0, 0.5, n)
    table = Table({"ra": ra, "dec": dec, "type": np.where(is_star, "PSF", "SER")})
    table["n"] = np.where(is_star, -1.0, rng.choice([1.0, 1.5, 2.5], n))
    table["half_light_radius"] = np.where(is_star, 0.0, rng.uniform(0.1, 0.35, n))
    table["pa"] = np.where(is_star, 0.0, rng.uniform(0, 180, n))
    table["ba"] = np.where(is_star, 1.0, rng.uniform(0.3, 1, n))
    for band, micron in MICRONS.items():
        redder = np.log(micron / MICRONS[recipe.band])
        table[band] = 10 ** (-0.4 * (magnitude - colour * redder))
    return table


def _count_electrons(
    recipe: Recipe, optics: Optics, metadata: dict, sources: Table, rng: Any
) -> Any:
    """Return a galsim image of the electrons that sky, sources and dark leave in every pixel."""
    import galsim
    import romanisim.image
    from romanisim.models import backgrounds, bandpass, parameters
    from romanisim.models.wcs import GWCS

    side, band, sca = recipe.n_pixels, recipe.band, int(recipe.detector[3:])
    galsim_band = bandpass.roman2galsim_bandpass[band]
    image = galsim.ImageF(side, side, wcs=GWCS(optics.wcs), xmin=0, ymin=0)
    start = metadata["exposure"]["start_time"]
    sky_arcsec2 = backgrounds.getSkyLevel(
        bandpass.getBandpasses(AB_zeropoint=True)[galsim_band],
        world_pos=image.wcs.toWorld(image.true_center),
        date=start.datetime,
        exptime=1,
    ) * (1 + parameters.stray_light_fraction)
    area_arcsec2 = optics.area_steradian * np.rad2deg(3600) ** 2
    sky = sky_arcsec2 * area_arcsec2 + backgrounds.thermal_backgrounds[galsim_band]
    romanisim.image.simulate_counts_generic(
        image,
        parameters.read_time * READ_PATTERN[-1][-1],
        objlist=sources,
        psf=ready_to_draw(optics),
        zpflux=bandpass.get_abflux(band, sca),
        sky=galsim.ImageF(sky.astype(np.float32), xmin=0, ymin=0),
        dark=DARK_CURRENT,
        qe=1 / optics.relative_area,
        ignore_distant_sources=RENDERED_MARGIN,
        filter_name=band,
        rng=rng,
    )
    return image


def _read_out(counts: Any, rng: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the resultants (n_resultants, ny, nx) in DN and their data quality."""
    import romanisim.l1

    return romanisim.l1.make_l1(
        counts,
        READ_PATTERN,
        read_noise=READ_NOISE,
        gain=GAIN,
        saturation=SATURATION,
        crparam={},
        rng=rng,
    )


def _level_2(resultants: np.ndarray, dq: np.ndarray, optics: Optics, metadata: dict) -> Any:
    """Fit the ramps and return an `ImageModel`."""
    import romanisim.image
    from roman_datamodels.datamodels import ImageModel
    from romanisim import util
    from romanisim.models.wcs import GWCS

    meta = ImageModel.create_fake_data().meta
    for key, value in metadata.items():
        meta[key].update(value)
    util.add_more_metadata(meta, usecrds=False)
    util.update_pointing_and_wcsinfo_metadata(meta, GWCS(optics.wcs))
    slopes = romanisim.image.make_l2(
        resultants, READ_PATTERN, read_noise=READ_NOISE, gain=GAIN, darkrate=DARK_CURRENT, dq=dq
    )
    node, _ = romanisim.image.make_asdf(
        *slopes,
        metadata=meta,
        dq=np.bitwise_or.reduce(dq, axis=0),
        imwcs=GWCS(optics.wcs),
        gain=GAIN,
    )
    return ImageModel(node)


def _complete_metadata(model: Any, scene: Scene, optics: Optics) -> None:
    """Fill in what romanisim leaves out or, without CRDS, gets wrong."""
    from romanisim import ris_make_utils
    from romanisim.models import bandpass

    recipe = scene.recipe
    meta = model.meta
    meta.observation.update(ris_make_utils.parse_filename(scene.image.name))
    for step in SIMULATED_STEPS & set(meta.cal_step):
        meta.cal_step[step] = "COMPLETE"
    # A star of 3631 Jy gives this many electrons per second on a pixel of the central solid angle.
    electrons = bandpass.get_abflux(recipe.band, int(recipe.detector[3:]))
    area = optics.central_area_steradian
    meta.photometry.pixel_area = area
    conversion = float(GAIN * 3631e-6 / electrons / area)
    meta.photometry.conversion_megajanskys = conversion
    meta.photometry.conversion_microjanskys = conversion * 1e12 / np.rad2deg(3600) ** 2
