"""Forced photometry: one pure function from an exposure and positions to a table.

`measure` knows no file, no CRDS and no pipeline; it is as usable in a notebook as in the step. The
sources are taken in the order of their place on the detector, in batches small enough for the
cache, each batch by one thread; the table has the catalog's order. What a batch yields depends on
its sources alone, so the numbers are the same for any number of threads.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from . import calibration, geometry
from .aperture import ApertureSums, Background, cut_stamps, local_background, sum_in_circle
from .columns import WarningFlag, aperture_name, check_more_names, output_columns
from .tables import make_table, on_image

if TYPE_CHECKING:
    from astropy.table import Table

    from .catalogs import Sources
    from .exposure import Exposure
    from .psfs import Correction

__all__ = ["Recipe", "measure"]

_BATCH = 512


@dataclass(frozen=True)
class Recipe:
    """How to measure; every length in pixels.

    Attributes
    ----------
    aperture_radii : tuple of float
        Radii of the circular apertures.
    annulus_radii : tuple of float
        Inner and outer radius of the background annulus.
    bkg_estimator : {'median', 'mean', 'none'}
        What is taken of the annulus after sigma clipping.
    bkg_sigma : float
        Clipping limit in standard deviations.
    bkg_maxiters : int
        Greatest number of clipping rounds.
    """

    aperture_radii: tuple[float, ...] = (3.0,)
    annulus_radii: tuple[float, float] = (20.0, 25.0)
    bkg_estimator: str = "median"
    bkg_sigma: float = 3.0
    bkg_maxiters: int = 5

    def __post_init__(self):
        for name in ("aperture_radii", "annulus_radii"):
            object.__setattr__(self, name, tuple(float(r) for r in getattr(self, name)))
        self._check_apertures()
        if self.bkg_estimator not in ("median", "mean", "none"):
            raise ValueError(
                f"bkg_estimator {self.bkg_estimator!r} is unknown: use median, mean or none"
            )
        if self.subtracts_background:
            self._check_background()

    @property
    def subtracts_background(self) -> bool:
        """Whether a background is measured at all."""
        return self.bkg_estimator != "none"

    def _check_apertures(self):
        if not self.aperture_radii:
            raise ValueError("aperture_radii is empty: give at least one radius, such as 3.0")
        for radius in self.aperture_radii:
            if not (np.isfinite(radius) and radius > 0):
                raise ValueError(
                    f"aperture_radii has {radius:g}: expected radii above 0; mend the list"
                )

    def _check_background(self):
        if len(self.annulus_radii) != 2:
            raise ValueError(
                f"annulus_radii has {len(self.annulus_radii)} numbers: expected two, the inner "
                "and the outer radius, such as 20,25"
            )
        r_in, r_out = self.annulus_radii
        if not (np.isfinite([r_in, r_out]).all() and 0 < r_in < r_out):
            raise ValueError(
                f"annulus_radii is {r_in:g}, {r_out:g}: expected 0 < inner < outer; swap or "
                "change them"
            )
        if max(self.aperture_radii) > r_in:
            raise ValueError(
                f"aperture radius {max(self.aperture_radii):g} is larger than the annulus' inner "
                f"radius {r_in:g}, so the source would be its own background: shrink the aperture, "
                "widen annulus_radii, or set bkg_estimator=none"
            )
        if not self.bkg_sigma > 0 or self.bkg_maxiters < 0:
            raise ValueError(
                f"bkg_sigma is {self.bkg_sigma:g} and bkg_maxiters {self.bkg_maxiters}: expected "
                "a number above 0 and one not below 0"
            )


def measure(
    exposure: Exposure,
    sources: Sources,
    *,
    recipe: Recipe | None = None,
    area: np.ndarray | None = None,
    correction: Correction | None = None,
    on_image_only: bool = False,
    n_threads: int | None = None,
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
    n_threads : int, optional
        Threads over batches of sources; by default the cores that this process may use.

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
        A column of ``sources.columns`` has a name of the table's own.
    """
    recipe = recipe or Recipe()
    columns = output_columns(recipe.aperture_radii, source_names=sources.source_name is not None)
    check_more_names(sources.columns.colnames if sources.columns is not None else (), columns)
    x, y, ra, dec = _positions(exposure, sources)
    reach = max(recipe.aperture_radii)
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
        return rows, _measure_batch(exposure, x[rows], y[rows], recipe, area, theirs)

    batches = _batches(x, y, exposure.data.shape, reach)
    with ThreadPoolExecutor(n_threads or available_cores()) as pool:
        for rows, measured in pool.map(measure_rows, batches):
            for name, column in measured.items():
                values[name][rows] = column
    values["warning_flags"][_has_neighbor(x, y, reach)] |= WarningFlag.NEIGHBOR
    table = make_table(columns, values, sources.columns)
    return table[on_image(table)] if on_image_only else table


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
    for first in range(0, len(near), _BATCH):
        yield near[first : first + _BATCH]


def _has_neighbor(x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    """Which sources have another one within a radius in pixels."""
    crowded = np.zeros(len(x), dtype=bool)
    rows = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    if len(rows) > 1:
        places = np.column_stack([x[rows], y[rows]])
        distance, _ = cKDTree(places).query(places, k=[2], distance_upper_bound=radius)
        crowded[rows] = distance[:, 0] < radius
    return crowded


def _measure_batch(
    exposure: Exposure,
    x: np.ndarray,
    y: np.ndarray,
    recipe: Recipe,
    area: np.ndarray | None,
    correction: Correction | None,
) -> dict[str, np.ndarray]:
    """Columns of a batch of sources near or on the image."""
    columns: dict[str, np.ndarray] = {}
    flags = np.zeros(len(x), dtype=np.int32)
    background = None
    in_annulus = np.zeros(len(x))
    if recipe.subtracts_background:
        background = local_background(
            exposure.data,
            x,
            y,
            *recipe.annulus_radii,
            estimator=recipe.bkg_estimator,
            sigma=recipe.bkg_sigma,
            maxiters=recipe.bkg_maxiters,
        )
        scale = calibration.surface_brightness_scale(exposure.conversion)
        columns["aper_bkg_flux"] = background.value * scale
        columns["aper_bkg_flux_err"] = background.err * scale
        flags[~np.isfinite(background.value)] |= WarningFlag.FEW_BKG_PIXELS
        if correction is not None:
            in_annulus = _annulus_density(correction, x, y, *recipe.annulus_radii)
    planes = (exposure.data, exposure.err, exposure.saturated, area)
    stamps = cut_stamps(*planes, x, y, max(recipe.aperture_radii))
    for radius in recipe.aperture_radii:
        sums = sum_in_circle(stamps, radius)
        caught = _caught(sums, x, y, radius, correction, in_annulus)
        columns |= _photometry(exposure, sums, background, caught, aperture_name(radius))
        flags |= _flags(sums, caught)
    columns["warning_flags"] = flags
    return columns


def _annulus_density(
    correction: Correction, x: np.ndarray, y: np.ndarray, r_in: float, r_out: float
) -> np.ndarray:
    """Fraction of a star's light that an annulus pixel holds, on average."""
    return correction.in_annulus(x, y, r_in, r_out) / (np.pi * (r_out**2 - r_in**2))


def _caught(
    sums: ApertureSums,
    x: np.ndarray,
    y: np.ndarray,
    radius: float,
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
    """Warning flags that one aperture raises."""
    raised = {
        WarningFlag.CENTER_UNUSABLE: sums.center_unusable,
        WarningFlag.NOT_PLACED: sums.off_image,
        WarningFlag.EDGE: sums.cut_by_edge,
        WarningFlag.MASKED: sums.masked,
        WarningFlag.SATURATED: sums.saturated,
        WarningFlag.NO_CORRECTION: np.isnan(caught),
    }
    flags = np.zeros(len(caught), dtype=np.int32)
    for flag, where in raised.items():
        flags[where] |= flag
    return flags
