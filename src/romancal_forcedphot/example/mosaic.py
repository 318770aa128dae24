"""A simulated Level-3 mosaic: dithered exposures of known sources, resampled by romancal.

The exposures are scenes of romanisim (see `scene`) that see the same sources from pointings a few
pixels apart. romancal's own flux and resample steps make the mosaic of them, without CRDS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from astropy import units as u

from .files import Record, Renamed, plain_directory
from .optics import Optics, make_optics, no_log_lines
from .scene import Scene, make_catalog
from .simulation import Recipe, Report, expose, scene_metadata

__all__ = ["MosaicRecipe", "MosaicScene", "make_mosaic", "resample"]

RECIPE = 1  # to be increased whenever the same parameters give other files
_DAYS_APART = 3.0
_ROLL_DEG = 30.0


@dataclass(frozen=True)
class MosaicRecipe:
    """Parameters of a simulated mosaic.

    Attributes
    ----------
    scene : Recipe
        The sources, and detector, filter and size of each exposure.
    dithers : tuple of (float, float)
        By how many pixels in x and y each exposure begins later on the sky.
    weight_type : str
        Weights of the exposures: ``'exptime'``, ``'ivm'`` or ``'ivm-sky'``.
    pixfrac, pixel_scale_ratio : float
        Of romancal's resample step.
    """

    scene: Recipe = field(
        default_factory=lambda: Recipe(n_pixels=600, n_stars=120, n_galaxies=20, seed=3)
    )
    dithers: tuple[tuple[float, float], ...] = ((0.0, 0.0), (3.38, -2.71), (-5.17, 1.64))
    weight_type: str = "exptime"
    pixfrac: float = 1.0
    pixel_scale_ratio: float = 1.0


@dataclass(frozen=True)
class MosaicScene:
    """Files of a simulated mosaic.

    Attributes
    ----------
    mosaic : pathlib.Path
        The Level-3 mosaic, ``*_coadd.asdf``, in MJy/sr.
    exposures : tuple of pathlib.Path
        The Level-2 images, ``*_cal.asdf``.
    scene : Scene
        The first exposure with the catalog of the simulated sources, see `Scene`; what reference
        files are made for.
    recipe : MosaicRecipe
        Parameters of the simulation.
    """

    mosaic: Path
    exposures: tuple[Path, ...]
    scene: Scene
    recipe: MosaicRecipe

    @property
    def catalog(self) -> Path:
        """The catalog of the simulated sources."""
        return self.scene.catalog


def make_mosaic(
    directory: str | Path,
    recipe: MosaicRecipe | None = None,
    *,
    report: Report = lambda stage: None,
) -> MosaicScene:
    """Make a simulated mosaic, unless it exists already.

    Parameters
    ----------
    directory : str or path-like
        Directory of the files, created if necessary. Mosaics of the same exposures with other
        weights or pixels may be made in one directory.
    recipe : MosaicRecipe, optional
        Parameters of the simulation.
    report : callable
        Called with the name of each stage as it begins.

    Returns
    -------
    MosaicScene
    """
    recipe = recipe or MosaicRecipe()
    directory = plain_directory(directory)
    directory.mkdir(parents=True, exist_ok=True)
    of_scene = recipe.scene
    program = of_scene.name.partition("_")[0]
    end = f"{of_scene.detector.lower()}_{of_scene.band.lower()}"
    exposures = tuple(
        directory / f"{program}_{number:04d}_{end}_cal.asdf"
        for number in range(1, len(recipe.dithers) + 1)
    )
    scene = Scene(directory, exposures[0], directory / "catalog.ecsv", of_scene)
    made = MosaicScene(directory / _mosaic_name(recipe), exposures, scene, recipe)
    simulated = {"recipe": RECIPE, "dithers": repr(recipe.dithers), **asdict(of_scene)}
    record = Record(directory / "exposures.json", simulated)
    if not record.matches(scene.catalog, *exposures):
        _simulate(made, report)
        record.write()
    record = Record(made.mosaic.with_suffix(".json"), {**simulated, "mosaic": repr(recipe)})
    if not record.matches(made.mosaic):
        report("mosaic")
        with Renamed(made.mosaic) as partial:
            resample(exposures, recipe).save(partial)
        record.write()
    return made


def resample(exposures: Sequence[Path], recipe: MosaicRecipe) -> Any:
    """Make a mosaic of exposures with romancal's flux and resample steps, without CRDS.

    Parameters
    ----------
    exposures : sequence of path-like
        Level-2 images in DN/s.
    recipe : MosaicRecipe
        ``weight_type``, ``pixfrac`` and ``pixel_scale_ratio`` count.

    Returns
    -------
    roman_datamodels.datamodels.MosaicModel
    """
    with no_log_lines():
        from roman_datamodels import datamodels as rdm
        from romancal.datamodels import ModelLibrary
        from romancal.flux import FluxStep
        from romancal.resample import ResampleStep

        library = ModelLibrary([FluxStep().process(rdm.open(path)) for path in exposures])
        names = ("weight_type", "pixfrac", "pixel_scale_ratio")
        step = ResampleStep(**{name: getattr(recipe, name) for name in names})
        mosaic = step.process(library)
        step.finalize_result(mosaic, [])
        return mosaic


def _mosaic_name(recipe: MosaicRecipe) -> str:
    """File name of a mosaic."""
    of_pixels = f"{round(100 * recipe.pixfrac)}x{round(100 * recipe.pixel_scale_ratio)}"
    weights = {"exptime": 1, "ivm": 2, "ivm-sky": 3}[recipe.weight_type]
    visit = f"r00001_p_v01001001001{weights:03d}_270p65x{of_pixels.replace('x', 'y')}"
    return f"{visit}_{recipe.scene.band.lower()}_coadd.asdf"


def _simulate(made: MosaicScene, report: Report) -> None:
    """Write the exposures and the catalog."""
    recipe = made.recipe.scene
    metadata = scene_metadata(recipe.detector, recipe.band)
    sources = psf = None
    for number, (path, dither) in enumerate(zip(made.exposures, made.recipe.dithers, strict=True)):
        report(f"exposure {number + 1} of {len(made.exposures)}")
        optics = make_optics(metadata, n_pixels=recipe.n_pixels, dither=dither, psf=psf)
        psf = optics.psf
        if sources is None:
            sources = make_catalog(recipe, optics)
            with Renamed(made.catalog) as partial:
                sources.write(partial, format="ascii.ecsv")
        of_exposure = replace(recipe, seed=recipe.seed + 1000 * number)
        model = expose(of_exposure, optics, sources, name=path.name)
        _point(model, optics, number)
        with Renamed(path) as partial:
            model.save(partial)


def _point(model: Any, optics: Optics, number: int) -> None:
    """Set the reference position, from which romancal makes a mosaic's WCS, and the time."""
    middle = (model.data.shape[0] - 1) / 2
    ra, dec = (float(angle) for angle in optics.wcs(middle, middle))
    model.meta.wcsinfo.update({"ra_ref": ra, "dec_ref": dec, "roll_ref": _ROLL_DEG})
    exposure = model.meta.exposure
    for name in ("start_time", "end_time"):
        exposure[name] = exposure[name] + number * _DAYS_APART * u.day
