"""A simulated Level-2 exposure with known stars: its catalog, its files, and their record.

The exposure itself is made by `simulation`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from astropy.table import Table

from .files import Record, Renamed, plain_directory
from .optics import Optics
from .simulation import MICRONS, Recipe, Report, expose, optics_of

RECIPE = 1  # to be increased whenever the same parameters give other files


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
    is_example = (name, detector, band) == (Recipe.name, Recipe.detector, Recipe.band)
    catalog = directory / ("catalog.ecsv" if is_example else f"{stem}_catalog.ecsv")
    scene = Scene(directory, image, catalog, recipe)
    record = Record(directory / f"{stem}_recipe.json", {"recipe": RECIPE, **asdict(recipe)})
    if not record.matches(image, catalog):
        _simulate(scene, report)
        record.write()
    return scene


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
