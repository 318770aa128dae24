"""Forced photometry: one pure function from an exposure and positions to a table.

`measure` knows no file, no CRDS and no pipeline; it is as usable in a notebook as in the step. The
sources are taken in the order of their place on the detector, in batches small enough for the
cache, each batch by one thread; the table has the catalog's order. What a batch yields depends on
its sources alone, so the numbers are the same for any number of threads.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from . import calibration, geometry
from .aperture import ApertureSums, Background, cut_stamps, local_background, sum_in_circle
from .columns import WarningFlag, aperture_name, check_more_names, output_columns
from .neighbors import has_neighbor, without_sources
from .recipe import Circles, Recipe
from .tables import make_table, on_image

if TYPE_CHECKING:
    from astropy.table import Table

    from .catalogs import Sources
    from .exposure import Exposure
    from .psfs import Correction

__all__ = ["Recipe", "available_cores", "measure"]

_BATCH = 4096  # many enough to hide what a batch costs, few enough for an even share of the threads
_BATCH_PIXELS = 1_000_000  # of all stamps of a batch: memory stays in bounds for large apertures


def measure(
    exposure: Exposure,
    sources: Sources,
    *,
    recipe: Recipe | None = None,
    area: np.ndarray | None = None,
    correction: Correction | None = None,
    on_image_only: bool = False,
    bkg_masked: tuple[np.ndarray, np.ndarray] | None = None,
    n_threads: int = 0,
    progress: Callable[[int], object] = lambda n_rows: None,
) -> Table:
    """Measure every source of a catalog on one exposure.

    Parameters
    ----------
    exposure : Exposure
        The image.
    sources : Sources
        n positions, on the sky or, where the catalog has no sky positions, on the detector.
    recipe : Recipe, optional
        Apertures and background; the defaults of `Recipe` if not given.
    area : ndarray, optional
        (ny, nx) relative pixel area aᵢ, 1 at the nominal pixel; 1 everywhere if not given.
    correction : Correction, optional
        What an aperture catches of a point source. Without one the total flux is the aperture's.
    on_image_only : bool
        Whether to leave out the rows of sources without a pixel of the aperture on the image.
    bkg_masked : tuple of ndarray, optional
        Pixel positions x and y of the sources that the recipe's ``bkg_mask_radius`` leaves out of
        all annuli; those of ``sources`` if not given.
    n_threads : int
        Threads over batches of sources; 0 for the cores that this process may use. The numbers are
        the same for any.
    progress : callable, optional
        Is told, in this thread, of every number of rows that is done: n rows in all.

    Returns
    -------
    astropy.table.Table
        n rows (less those off the image with ``on_image_only``) in the catalog's order, the columns
        of `columns.output_columns`, then ``sources.columns``. Fluxes follow
        F = C·Ω₀·Σ wᵢ mᵢ (dᵢ − b) aᵢ with
        σ² = (C·Ω₀)²·[Σ wᵢ² mᵢ σᵢ² aᵢ² + σ_b² (Σ wᵢ mᵢ aᵢ)²],
        where w is the exact overlap of circle and pixel and m is 1 for usable pixels.

    Raises
    ------
    ValueError
        A column of ``sources.columns`` has a name of the table's own, or the recipe does not fit
        the image.
    """
    recipe, n_threads = recipe or Recipe(), _n_threads(n_threads)
    columns = output_columns(
        recipe.aperture_radii, recipe.radius_unit, source_names=sources.source_name is not None
    )
    check_more_names(sources.columns.colnames if sources.columns is not None else (), columns)
    n_sources = len(sources)
    x, y, ra, dec = _positions(exposure, sources)
    circles = Circles.on(exposure, recipe)
    reach = circles.largest_aperture
    sky = exposure.data
    if recipe.subtracts_background and recipe.bkg_mask_radius:
        sky = without_sources(sky, *(bkg_masked or (x, y)), recipe.bkg_mask_radius)
    if on_image_only:  # before the table is made: a large catalog may have few rows here
        rows = _near(x, y, exposure.data.shape, 2 * reach)  # with neighbours from outside
        sources = sources.take(rows)
        x, y, ra, dec = (values[rows] for values in (x, y, ra, dec))
        correction = None if correction is None else correction.for_rows(rows)
    values = {
        column.name: np.full(len(sources), np.nan, dtype="float32")
        for column in columns
        if column.dtype == "float32"
    }
    values |= {"label": sources.label, "source_name": sources.source_name}
    values |= {"ra": ra, "dec": dec, "x": x, "y": y}
    not_measured = WarningFlag.CENTER_UNUSABLE | WarningFlag.NOT_PLACED
    values["warning_flags"] = np.full(len(sources), not_measured, dtype="int32")

    def measure_rows(rows):
        theirs = None if correction is None else correction.for_rows(rows)
        return rows, _measure_batch(exposure, sky, x[rows], y[rows], circles, area, theirs)

    batches = list(_batches(x, y, exposure.data.shape, reach))
    progress(n_sources - sum(map(len, batches)))
    with ThreadPoolExecutor(n_threads) as pool:
        for rows, measured in pool.map(measure_rows, batches):
            for name, column in measured.items():
                values[name][rows] = column
            progress(len(rows))
    widest = circles.at(x, y).apertures[int(np.argmax(recipe.aperture_radii))]
    crowded = has_neighbor(x, y, widest, n_threads=n_threads)
    values["warning_flags"][crowded] |= WarningFlag.NEIGHBOR
    table = make_table(columns, values, sources.columns)
    return table[on_image(table)] if on_image_only else table


def _n_threads(asked: int) -> int:
    if asked < 0:
        raise ValueError(
            f"n_threads is {asked}: expected a number of threads, or 0 for all cores that the "
            "process may use"
        )
    return asked or available_cores()


def available_cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _positions(exposure: Exposure, sources: Sources) -> tuple[np.ndarray, ...]:
    """Pixel and sky coordinates of the sources, each from the other."""
    if sources.ra is None:
        x, y = sources.x, sources.y
        ra, dec = geometry.pixel_to_sky(exposure.wcs, x, y)
    else:
        ra, dec = sources.ra, sources.dec
        x, y = geometry.sky_to_pixel(exposure.wcs, ra, dec, exposure.data.shape)
    return x, y, ra, dec


def _near(x: np.ndarray, y: np.ndarray, shape: tuple[int, int], reach: float) -> np.ndarray:
    """Rows of the sources whose circle of some radius can touch the image."""
    ny, nx = shape
    margin = reach + 1
    return np.flatnonzero((abs(x - nx / 2) < nx / 2 + margin) & (abs(y - ny / 2) < ny / 2 + margin))


def _batches(
    x: np.ndarray, y: np.ndarray, shape: tuple[int, int], reach: float
) -> Iterator[np.ndarray]:
    """Rows of the sources whose apertures can touch the image, neighbours together."""
    near = _near(x, y, shape, reach)
    strip, place = y[near] // 64, x[near]
    near = near[np.lexsort((place, strip))]
    side = 2 * math.ceil(reach) + 1  # of a stamp
    size = max(min(_BATCH, _BATCH_PIXELS // side**2), 1)
    for first in range(0, len(near), size):
        yield near[first : first + size]


def _measure_batch(
    exposure: Exposure,
    sky: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    circles: Circles,
    area: np.ndarray | None,
    correction: Correction | None,
) -> dict[str, np.ndarray]:
    """Columns of a batch of sources near or on the image; ``sky`` is what annuli see of it."""
    columns: dict[str, np.ndarray] = {}
    flags = np.zeros(len(x), dtype=np.int32)
    background = None
    in_annulus = np.zeros(len(x))
    recipe, radii = circles.recipe, circles.at(x, y)
    if recipe.subtracts_background:
        background = local_background(
            sky,
            x,
            y,
            *radii.annulus,
            estimator=recipe.bkg_estimator,
            sigma=recipe.bkg_sigma,
            maxiters=recipe.bkg_maxiters,
        )
        scale = calibration.surface_brightness_scale(exposure.conversion)
        columns["aper_bkg_flux"] = background.value * scale
        columns["aper_bkg_flux_err"] = background.err * scale
        flags[~np.isfinite(background.value)] |= WarningFlag.FEW_BKG_PIXELS
        if correction is not None:
            in_annulus = _annulus_density(correction, x, y, *radii.annulus)
    planes = (exposure.data, exposure.err, exposure.saturated, area)
    stamps = cut_stamps(*planes, x, y, circles.largest_aperture)
    off_image = np.ones(len(x), dtype=bool)
    for nominal, radius in zip(recipe.aperture_radii, radii.apertures, strict=True):
        sums = sum_in_circle(stamps, radius)
        caught = _caught(sums, x, y, radius, correction, in_annulus)
        name = aperture_name(nominal, recipe.radius_unit)
        columns |= _photometry(exposure, sums, background, caught, name)
        flags |= _flags(sums, caught)
        off_image &= sums.off_image
    flags[off_image] |= WarningFlag.NOT_PLACED  # with the largest aperture, too
    columns["warning_flags"] = flags
    return columns


def _annulus_density(
    correction: Correction,
    x: np.ndarray,
    y: np.ndarray,
    r_in: float | np.ndarray,
    r_out: float | np.ndarray,
) -> np.ndarray:
    """Fraction of a star's light that an annulus pixel holds, on average."""
    return correction.in_annulus(x, y, r_in, r_out) / (np.pi * (r_out**2 - r_in**2))


def _caught(
    sums: ApertureSums,
    x: np.ndarray,
    y: np.ndarray,
    radius: float | np.ndarray,
    correction: Correction | None,
    in_annulus: np.ndarray,
) -> np.ndarray:
    """Fraction E of a point source that the background-subtracted sum holds, NaN if unknown."""
    if correction is None:
        return np.where(sums.masked | sums.cut_by_edge, np.nan, 1.0)
    caught = correction.in_aperture(
        x, y, radius, weights=sums.weights, full_weights=sums.full_weights
    )
    caught = caught - sums.area * in_annulus
    return np.where(caught > 0, caught, np.nan)


def _photometry(
    exposure: Exposure,
    sums: ApertureSums,
    background: Background | None,
    caught: np.ndarray,
    name: str,
) -> dict[str, np.ndarray]:
    """Calibrated columns of one aperture."""
    value, value_err = (0.0, 0.0) if background is None else (background.value, background.err)
    scale = calibration.flux_scale(exposure.conversion, exposure.pixel_area)
    measurable = np.where(sums.area > 0, scale, np.nan)
    flux = measurable * (sums.flux - value * sums.area)
    flux_err = measurable * np.sqrt(sums.variance + (value_err * sums.area) ** 2)
    total, total_err = flux / caught, flux_err / caught
    magnitude, magnitude_err = calibration.ab_magnitude(total, total_err)
    return {
        f"{name}_flux": flux,
        f"{name}_flux_err": flux_err,
        f"{name}_total_flux": total,
        f"{name}_total_flux_err": total_err,
        f"{name}_abmag": magnitude,
        f"{name}_abmag_err": magnitude_err,
        f"{name}_ee_fraction": caught,
    }


def _flags(sums: ApertureSums, caught: np.ndarray) -> np.ndarray:
    """Warning flags that any one aperture raises."""
    raised = {
        WarningFlag.CENTER_UNUSABLE: sums.center_unusable,
        WarningFlag.EDGE: sums.cut_by_edge,
        WarningFlag.MASKED: sums.masked,
        WarningFlag.SATURATED: sums.saturated,
        WarningFlag.NO_CORRECTION: np.isnan(caught),
    }
    flags = np.zeros(len(caught), dtype=np.int32)
    for flag, where in raised.items():
        flags[where] |= flag
    return flags
