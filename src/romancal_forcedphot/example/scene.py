"""A simulated Level-2 exposure with known stars, made by romanisim without CRDS.

Sources, sky, ramps, noise, cosmic rays and data quality are romanisim's; the field, the optics (see
`optics`) and a short read pattern are defined here. Level-2 images are in units of surface
brightness: as after romancal's flat-fielding, the simulated sensitivity of a pixel is proportional
to the inverse of its solid angle (1 at the centre of the detector). Fluxes of stars are correct
only after multiplication by the pixel-area map.
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
from .files import Record, Renamed, plain_directory
from .optics import Optics, make_optics, quiet_romanisim, ready_to_draw

RECIPE = 1  # to be increased whenever the same parameters give other files
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
RENDERED_MARGIN = 10  # pixels around the image; sources farther off are not simulated
SIMULATED_STEPS = {
    *("dq_init", "saturation", "refpix", "linearity", "dark", "ramp_fit"),
    *("assign_wcs", "flat_field", "photom"),
}
STAGES = ("optics", "sources", "ramps", "slopes", "writing")

#: Function that is called with the name of each stage as it begins.
Report = Callable[[str], None]


@dataclass(frozen=True)
class Recipe:
    """Parameters of a scene, see `make_scene`; equal recipes give equal files."""

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
    """Files and parameters of a simulated exposure.

    Attributes
    ----------
    directory : pathlib.Path
        Directory of the files.
    image : pathlib.Path
        The Level-2 exposure, ``*_cal.asdf``.
    catalog : pathlib.Path
        The simulated sources, ECSV: ra, dec (deg), type, n, half_light_radius (arcsec), pa (deg),
        ba, and one column of fluxes in maggies per filter. Rows are in random order of position and
        brightness.
    recipe : Recipe
        Parameters of the simulation.
    """

    directory: Path
    image: Path
    catalog: Path
    recipe: Recipe


def make_scene(
    directory: str | Path,
    *,
    detector: str = Recipe.detector,
    band: str = Recipe.band,
    n_stars: int = Recipe.n_stars,
    n_galaxies: int = Recipe.n_galaxies,
    magnitudes: tuple[float, float] = Recipe.magnitudes,
    seed: int = Recipe.seed,
    n_pixels: int = Recipe.n_pixels,
    name: str = Recipe.name,
    report: Report = lambda stage: None,
) -> Scene:
    """Make a simulated exposure and its catalog, unless they exist already.

    Parameters
    ----------
    directory : str or path-like
        Directory of the files, created if necessary. It may hold any number of scenes.
    detector, band : str
        ``'WFI01'`` to ``'WFI18'``; ``'F062'`` to ``'F213'``.
    n_stars, n_galaxies : int
        Number of sources, uniformly distributed over the image and 30 pixels around it.
    magnitudes : (float, float)
        Bright and faint limit of AB magnitudes in `band`, uniformly distributed.
    seed : int
        Seed of the field and of all noise.
    n_pixels : int
        Side of the image; less than 4088 is a window at the centre of the detector, for quick
        tests.
    name : str
        First part of the file name, ``rPPPPPCCAAASSSOOOVVV_EEEE``.
    report : callable
        Called with the name of each of `STAGES` as it begins.

    Returns
    -------
    Scene

    Notes
    -----
    Files are written under temporary names and renamed, the record of the recipe last, so that the
    files of an interrupted run are never taken for finished.
    """
    recipe = Recipe(detector, band, n_stars, n_galaxies, tuple(magnitudes), seed, n_pixels, name)
    directory = plain_directory(directory)
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
    """Return romanisim's metadata of an exposure.

    Parameters
    ----------
    detector, band : str
        Detector and filter.

    Returns
    -------
    dict
        By section of the metadata.
    """
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
    """Return the optics of a scene.

    The last result is cached for the reference files, which are made after the exposure;
    ``optics_of.cache_clear()`` frees its 400 MB.

    Parameters
    ----------
    detector, band : str
        Detector and filter.
    n_pixels : int
        Side of the image.

    Returns
    -------
    Optics
    """
    return make_optics(scene_metadata(detector, band), n_pixels=n_pixels)


def _simulate(scene: Scene, report: Report) -> None:
    """Write the image and the catalog of a scene."""
    recipe = scene.recipe
    report("optics")
    optics = optics_of(recipe.detector, recipe.band, recipe.n_pixels)
    sources = make_catalog(recipe, optics)
    with Renamed(scene.catalog) as partial:
        sources.write(partial, format="ascii.ecsv")
    model = expose(recipe, optics, sources, name=scene.image.name, report=report)
    report("writing")
    with Renamed(scene.image) as partial:
        model.save(partial)


def expose(
    recipe: Recipe,
    optics: Optics,
    sources: Table,
    *,
    name: str,
    report: Report = lambda stage: None,
) -> Any:
    """Simulate an exposure of some sources.

    Parameters
    ----------
    recipe : Recipe
        Detector, filter, seed of the noise, and side of the image.
    optics : Optics
        Where the sky lies on the pixels, and the PSF.
    sources : astropy.table.Table
        As `make_catalog` returns them.
    name : str
        File name of the image.
    report : callable
        Called with the name of each of `STAGES` as it begins.

    Returns
    -------
    roman_datamodels.datamodels.ImageModel
    """
    metadata = scene_metadata(recipe.detector, recipe.band)
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
    _complete_metadata(model, recipe, name, optics)
    return model


def make_catalog(recipe: Recipe, optics: Optics) -> Table:
    """Return the sources of a scene, in the catalog format of romanisim and the Roman notebooks.

    Magnitudes are uniformly distributed in the filter of the recipe; those in other filters follow
    from a random colour per source.

    Parameters
    ----------
    recipe : Recipe
        Parameters of the scene.
    optics : Optics
        Its optics.

    Returns
    -------
    astropy.table.Table
        Columns as in `Scene.catalog`.
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
    """Return a galsim image of the electrons per pixel from sky, sources and dark current."""
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
    """Return the resultants (n_resultants, ny, nx) in DN and their data-quality flags."""
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


def _complete_metadata(model: Any, recipe: Recipe, name: str, optics: Optics) -> None:
    """Add metadata that romanisim lacks, and correct those that are wrong without CRDS."""
    from romanisim import ris_make_utils
    from romanisim.models import bandpass

    meta = model.meta
    meta.observation.update(ris_make_utils.parse_filename(name))
    for step in SIMULATED_STEPS & set(meta.cal_step):
        meta.cal_step[step] = "COMPLETE"
    # A star of 3631 Jy (0 mag AB) gives this many electrons per second at the centre.
    electrons = bandpass.get_abflux(recipe.band, int(recipe.detector[3:]))
    area = optics.central_area_steradian
    meta.photometry.pixel_area = area
    conversion = float(GAIN * 3631e-6 / electrons / area)
    meta.photometry.conversion_megajanskys = conversion
    meta.photometry.conversion_microjanskys = conversion * 1e12 / np.rad2deg(3600) ** 2
