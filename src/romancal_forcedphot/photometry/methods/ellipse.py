"""Aperture photometry in ellipses of the catalog's shapes.

Flux, error, background and flags are those of circles (see `aperture`). An annulus begins outside
its source's ellipse, however large that is. A source without a shape is measured in the first of
the circles; one with an impossible shape is not measured, and has a flag.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ...geometry import ellipse_on_pixels, local_jacobian
from ...psfs import PSF, Correction, PSFError, PSFMatching
from ...table import (
    Column,
    WarningFlag,
    aperture_column_names,
    background_columns,
    ellipse_columns,
)
from ..batches import spatial_batches
from ..exposure import Exposure
from ..pixels.aperture_sums import ApertureSums, cut_stamps, sum_in_ellipse
from ..pixels.background import Background
from ..pixels.ellipses import stamps_by_size
from ..pixels.neighbors import has_neighbor
from ..settings import Settings
from ..sources import Sources
from .annulus import AnnulusBackground, OwnLight
from .aperture import CircularApertures
from .aperture_results import aperture_flags, background_values, calibrated_columns, ee_fraction
from .joint_fit import FittedPhotometry
from .matched import MARGIN_PIX, matched_fraction, matched_sums
from .radii import ALWAYS_ACCEPTED_PIX, RadiiOnImage
from .shapes import Ellipses
from .subtraction import SubtractedSources

__all__ = ["BoundEllipses", "EllipticalApertures"]

ANNULUS_STEP = 1.15  # from one inner radius of annuli around large ellipses to the next


@dataclass(frozen=True)
class EllipticalApertures:
    """Ellipses of the shapes in the catalog, scaled.

    Parameters are as in `photometry.Settings`, ``neighbors`` as in `CircularApertures`.
    """

    shape_scale: float = 2.5
    aperture_radii: tuple[float, ...] = ()
    annulus_radii: tuple[float, ...] = ()
    radius_unit: str = "pixel"
    bkg_estimator: str = "median"
    bkg_sigma: float = 3.0
    bkg_maxiters: int = 5
    bkg_mask_radius: float = 0.0
    neighbors: FittedPhotometry | None = None

    name: ClassVar[str] = "ellipse"
    uses: ClassVar[frozenset[str]] = frozenset({"correction", "matching"})

    def __post_init__(self):
        if not (np.isfinite(self.shape_scale) and self.shape_scale > 0):
            raise ValueError(
                f"shape_scale is {self.shape_scale:g}: expected a number above 0, such as 2.5"
            )
        _ = self.circles  # which checks the rest

    @classmethod
    def from_settings(cls, settings: Settings) -> EllipticalApertures:
        """Make the method that settings describe."""
        names = {field.name for field in fields(cls)} - {"neighbors"}
        return cls(**{name: getattr(settings, name) for name in names})

    @property
    def circles(self) -> CircularApertures:
        """The circles of sources without a shape, and the background of all."""
        names = [field.name for field in fields(CircularApertures)]
        return CircularApertures(**{name: getattr(self, name) for name in names})

    def ellipses(
        self, exposure: Exposure, sources: Sources, x: NDArray, y: NDArray, scale: float
    ) -> Ellipses:
        """Return the shapes on an image; circles become the first of the radii if scaled."""
        radii = RadiiOnImage.on(exposure, self.radius_unit)
        (radius,) = radii.at(x, y, self.circles.aperture_radii[:1])
        return Ellipses.on_image(exposure, sources, x, y, circle_pix=radius / scale)

    def columns(self) -> Sequence[Column]:
        """Return the columns of the ellipses and those of the background."""
        return [*ellipse_columns(), *background_columns()]

    def reach(self, exposure: Exposure) -> float:
        """Return the radius in pixels of the circles; larger ellipses may go uncorrected."""
        return self.circles.reach(exposure)

    def bind(
        self,
        exposure: Exposure,
        sources: Sources,
        x: NDArray,
        y: NDArray,
        *,
        area: NDArray | None = None,
        psf: PSF | None = None,
        correction: Correction | None = None,
        matching: PSFMatching | None = None,
        n_threads: int = 1,
    ) -> BoundEllipses:
        """Prepare the measurement; see `Method.bind`.

        Raises
        ------
        ValueError
            The sources have no shapes.
        """
        ellipses = self.ellipses(exposure, sources, x, y, self.shape_scale)
        given = {"area": area, "psf": psf, "n_threads": n_threads}
        subtracted = SubtractedSources.of(self.neighbors, exposure, sources, x, y, **given)
        sky = self.circles.background.masked_image(subtracted.image, x, y)
        reach = self.shape_scale * ellipses.semimajor
        crowded = has_neighbor(x, y, np.nan_to_num(reach), n_threads=n_threads)
        on_image = exposure, x, y, area, correction
        return BoundEllipses(self, *on_image, sky, crowded, subtracted, ellipses, matching)


@dataclass(frozen=True, eq=False)
class BoundEllipses:
    """Elliptical apertures on an exposure.

    Attributes
    ----------
    method, exposure, x, y, area, correction, sky, crowded, subtracted
        As of `aperture.BoundApertures`.
    ellipses : Ellipses
        The shapes, to be scaled.
    matching : PSFMatching or None
        Matching of the PSF to that of another filter.
    """

    method: EllipticalApertures
    exposure: Exposure
    x: NDArray
    y: NDArray
    area: NDArray | None
    correction: Correction | None
    sky: NDArray
    crowded: NDArray
    subtracted: SubtractedSources
    ellipses: Ellipses
    matching: PSFMatching | None = None

    @property
    def background(self) -> AnnulusBackground:
        """How the local background is estimated."""
        return self.method.circles.background

    @property
    def unmeasured_flags(self) -> NDArray:
        """(n,) int32 flags of sources whose apertures cannot touch the image."""
        not_measured = np.int32(WarningFlag.CENTER_UNUSABLE | WarningFlag.NOT_PLACED)
        return not_measured | self._source_flags(slice(None))

    def _source_flags(self, rows: NDArray | slice) -> NDArray:
        flags = np.where(self.crowded[rows], np.int32(WarningFlag.NEIGHBOR), np.int32(0))
        flags[self.ellipses.is_bad[rows]] |= WarningFlag.BAD_SHAPE
        return flags

    def batches(self) -> Iterator[NDArray]:
        """Yield the rows whose apertures can touch the image, neighbours together."""
        largest = self._widest * np.nanmax(self.ellipses.semimajor, initial=0.0)
        largest = min(largest, self._largest)
        shape = self.exposure.shape
        batches = spatial_batches(self.x, self.y, shape, largest, n_pixels_each=1000)
        return self.subtracted.batches(batches, self.x, self.y)

    @property
    def _largest(self) -> float:
        """Half axis in pixels of the largest ellipse that is measured, which is as the image."""
        return max(*self.exposure.shape, ALWAYS_ACCEPTED_PIX)

    @property
    def _widest(self) -> float:
        """Half axes of the largest aperture, in those of its shape."""
        return self.method.shape_scale

    def measure(self, rows: NDArray) -> dict[str, NDArray]:
        """Measure a batch; see `BoundMethod.measure`."""
        background, columns, own_light = self._background(rows)
        flags = self._source_flags(rows)
        if background is not None:
            flags[~np.isfinite(background.value)] |= WarningFlag.FEW_BKG_PIXELS
        scale, shape_columns = self._scales(rows, background)
        scale[scale * self.ellipses.semimajor[rows] > self._largest] = np.nan
        columns |= {column.name: np.full(rows.size, np.nan) for column in self._flux_columns}
        reach = scale * self.ellipses.semimajor[rows]
        flags |= np.where(np.isnan(reach), self._flags_without_size(rows), np.int32(0))
        for some, half_size in stamps_by_size(reach):
            its_background = None if background is None else _of(background, some)
            values, its_flags = self._in_ellipses(
                rows[some], scale[some], half_size, its_background, own_light.of(some)
            )
            flags[some] |= its_flags
            for name, value in values.items():
                columns[name][some] = value
        return columns | shape_columns | {"warning_flags": flags}

    def apertures_on_pixels(self, table: Table) -> tuple[NDArray, NDArray, NDArray]:
        """Return half axes in pixels and angles in radian of the apertures in a table of results.

        Parameters
        ----------
        table : astropy.table.Table
            What was measured, of n of the sources.

        Returns
        -------
        semimajor, semiminor, theta : (n,) ndarray of float64
            NaN where there is no aperture.
        """
        x, y = (np.asarray(table[axis], dtype=float) for axis in "xy")
        axes = (np.asarray(each, dtype=float) for each in self._on_sky(table))
        return ellipse_on_pixels(local_jacobian(self.exposure.wcs, x, y), *axes)

    def _on_sky(self, table: Table) -> Iterator[NDArray]:
        """Half axes in arcsec and position angles of the apertures in a table."""
        return (table[f"ellipse_{name}"] for name in ("semimajor", "semiminor", "orientation"))

    def _flags_without_size(self, rows: NDArray) -> NDArray[np.int32]:
        """Flags of sources whose aperture has no size, (m,)."""
        row, column = (np.rint(at[rows]).astype(np.intp) for at in (self.y, self.x))
        ny, nx = self.exposure.shape
        inside = (row >= 0) & (row < ny) & (column >= 0) & (column < nx)
        center = self.exposure.data[np.where(inside, row, 0), np.where(inside, column, 0)]
        flags = np.full(rows.size, np.int32(WarningFlag.BAD_SHAPE))
        flags[~inside] |= WarningFlag.NOT_PLACED
        flags[~inside | ~np.isfinite(center)] |= WarningFlag.CENTER_UNUSABLE
        return flags

    def _in_ellipses(
        self,
        rows: NDArray,
        scale: NDArray,
        half_size: int,
        background: Background | None,
        own_light: OwnLight,
    ) -> tuple[dict[str, NDArray], NDArray]:
        """Flux columns and flags of sources whose ellipses fit stamps of one size."""
        x, y, exposure = self.x[rows], self.y[rows], self.exposure
        planes = self.subtracted.image, exposure.err, exposure.saturated, self.area
        semimajor, semiminor, theta = (axis[rows] for axis in self.ellipses.axes)
        margin = 0.0 if self.matching is None else MARGIN_PIX
        around = self.subtracted.around(rows, cut_stamps(*planes, x, y, half_size + margin))
        ellipses = scale * semimajor, scale * semiminor, theta
        if self.matching is None:
            sums = sum_in_ellipse(around.stamps, *ellipses)
        else:
            sums = matched_sums(around.stamps, self.matching, x, y, *ellipses)
        sums = around.with_errors(sums)
        factor = own_light.factor(self.matching, sums)
        fraction = self._fraction(rows, sums, own_light, ellipses)
        values = calibrated_columns(
            exposure, sums, background, fraction, self.method.name, factor=factor
        )
        flags = aperture_flags(sums, fraction)
        flags[sums.off_image] |= WarningFlag.NOT_PLACED
        return {column.name: values[column.name] for column in self._flux_columns}, flags

    def _fraction(
        self, rows: NDArray, sums: ApertureSums, own_light: OwnLight, ellipses: tuple
    ) -> NDArray:
        """Fraction of a point source's light in each ellipse, by half axes and angles in pixels."""
        correction = None if self.correction is None else self.correction.for_rows(rows)
        in_annulus = own_light.per_pixel(correction, self.matching)
        places = self.x[rows], self.y[rows]
        try:
            if self.matching is None or correction is None:
                return ee_fraction(sums, *places, None, correction, in_annulus)
            return matched_fraction(sums, self.matching, *places, ellipses, in_annulus)
        except PSFError:  # an ellipse larger than what the PSF knows
            return np.full(rows.size, np.nan)

    @property
    def _flux_columns(self) -> list[Column]:
        """Columns of the method that `calibrated_columns` makes."""
        names = aperture_column_names(self.method.name)
        return [column for column in self.method.columns() if column.name in names]

    def _annuli(self, rows: NDArray) -> tuple[NDArray, NDArray]:
        """Radii in pixels of the annulus of each source, outside its ellipse."""
        x, y = self.x[rows], self.y[rows]
        radii = RadiiOnImage.on(self.exposure, self.method.radius_unit)
        r_in, r_out = radii.at(x, y, self.method.circles.annulus_radii)
        r_in, r_out = (np.broadcast_to(r, x.shape) for r in (r_in, r_out))
        semimajor = np.nan_to_num(self.ellipses.semimajor[rows])
        reach = np.minimum(self._widest * semimajor, self._largest)
        excess = np.maximum(reach / r_in, 1.0)
        step = np.ceil(np.log(excess) / np.log(ANNULUS_STEP) - 1e-9)
        wider = r_in * ANNULUS_STEP**step
        return wider, wider + (r_out - r_in)

    def _background(self, rows: NDArray) -> tuple[Background | None, dict[str, NDArray], OwnLight]:
        """Local background, its columns, and the sources' own light in it."""
        x, y = self.x[rows], self.y[rows]
        if not self.background.is_subtracted:
            return None, {}, OwnLight.none(x, y)
        r_in, r_out = self._annuli(rows)
        background = self.background.estimate(self.sky, x, y, r_in, r_out)
        own_light = OwnLight(x, y, r_in, r_out, self.subtracted.light_left(rows, r_in, r_out))
        return background, background_values(self.exposure, background), own_light

    def _scales(
        self, rows: NDArray, background: Background | None
    ) -> tuple[NDArray, dict[str, NDArray]]:
        """Half axes of the apertures in those of the shapes (m,), and columns that tell them."""
        del background
        scale = np.full(rows.size, self.method.shape_scale)
        semimajor, semiminor, angle = self.ellipses.on_sky(rows)
        return scale, {
            "ellipse_semimajor": scale * semimajor,
            "ellipse_semiminor": scale * semiminor,
            "ellipse_orientation": angle,
        }


def _of(background: Background, rows: NDArray) -> Background:
    """Return the background of some of its sources."""
    return Background(background.value[rows], background.err[rows], background.n_pixels[rows])
