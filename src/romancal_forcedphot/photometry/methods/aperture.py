"""Aperture photometry in circles, with a local background from an annulus.

Flux and error of an aperture are ::

    F   = C Ω₀ Σ wᵢ mᵢ (dᵢ - b) aᵢ
    σ²  = (C Ω₀)² [Σ wᵢ² mᵢ σᵢ² aᵢ² + σ_b² (Σ wᵢ mᵢ aᵢ)²]

with the exact overlap w of circle and pixel, m = 1 for usable pixels and 0 for others, data d ± σ,
relative pixel area a, background b ± σ_b per pixel, and the zero point C Ω₀. The total flux of a
point source is F/E: E is the encircled-energy fraction of the aperture minus that of the source's
own flux in the annulus, which the background subtracts, ::

    E   = Σ wᵢ mᵢ Pᵢ - (Σ wᵢ mᵢ aᵢ) [EE(r_out) - EE(r_in)] / [π (r_out² - r_in²)]

with the fraction P of the source's flux in each pixel. With ``neighbors``, d is the image less all
other fitted sources (see `subtraction`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...psfs import PSF, Correction, PSFMatching
from ...table import Column, WarningFlag, aperture_columns, aperture_name, background_columns
from ..batches import spatial_batches
from ..exposure import Exposure
from ..pixels.aperture_sums import ApertureSums, Stamps, cut_stamps, sum_in_circle
from ..pixels.background import Background
from ..pixels.neighbors import has_neighbor
from ..settings import DEFAULT_RADII, Settings, radii_or_default
from ..sources import Sources
from .annulus import AnnulusBackground, OwnLight
from .aperture_results import aperture_flags, background_values, calibrated_columns, ee_fraction
from .joint_fit import FittedPhotometry
from .matched import MARGIN_PIX, matched_fraction, matched_sums
from .radii import RadiiOnImage
from .subtraction import Neighborhood, SubtractedSources

__all__ = ["BoundApertures", "CircularApertures"]


@dataclass(frozen=True)
class CircularApertures:
    """Circular apertures centred on each source, with local backgrounds.

    Attributes
    ----------
    aperture_radii, annulus_radii, radius_unit
        See `photometry.Settings`.
    bkg_estimator, bkg_sigma, bkg_maxiters, bkg_mask_radius
        See `photometry.Settings`.
    neighbors : FittedPhotometry, optional
        Method that fits all sources, of which all but its own are subtracted from each aperture.

    Raises
    ------
    ValueError
        A parameter is out of range, or an aperture overlaps the annulus.
    """

    aperture_radii: tuple[float, ...] = Settings.aperture_radii
    annulus_radii: tuple[float, ...] = Settings.annulus_radii
    radius_unit: str = "pixel"
    bkg_estimator: str = Settings.bkg_estimator
    bkg_sigma: float = Settings.bkg_sigma
    bkg_maxiters: int = Settings.bkg_maxiters
    bkg_mask_radius: float = Settings.bkg_mask_radius
    neighbors: FittedPhotometry | None = None

    name: ClassVar[str] = "aperture"
    uses: ClassVar[frozenset[str]] = frozenset({"correction", "matching"})

    def __post_init__(self) -> None:
        if self.radius_unit not in ("pixel", "arcsec"):
            raise ValueError(f"radius_unit {self.radius_unit!r} is unknown: use pixel or arcsec")
        for name in DEFAULT_RADII:
            radii = radii_or_default(name, getattr(self, name), self.radius_unit)
            object.__setattr__(self, name, radii)
        for radius in self.aperture_radii:
            if not (np.isfinite(radius) and radius > 0):
                raise ValueError(
                    f"aperture_radii has {radius:g}: expected radii above 0 in "
                    f"{self.radius_unit}; correct the list"
                )
        self.background.check(max(self.aperture_radii))

    @classmethod
    def from_settings(cls, settings: Settings) -> CircularApertures:
        """Make the method from its parameters in settings.

        Parameters
        ----------
        settings : Settings
            The settings.

        Returns
        -------
        CircularApertures

        Raises
        ------
        ValueError
            A parameter is invalid.
        """
        names = {field.name for field in fields(cls)} - {"neighbors"}
        return cls(**{name: getattr(settings, name) for name in names})

    @property
    def background(self) -> AnnulusBackground:
        """The parameters of the local backgrounds."""
        return AnnulusBackground(
            radii=self.annulus_radii,
            radius_unit=self.radius_unit,
            estimator=self.bkg_estimator,
            sigma=self.bkg_sigma,
            maxiters=self.bkg_maxiters,
            mask_radius=self.bkg_mask_radius,
        )

    @property
    def names(self) -> list[str]:
        """Names of the apertures, with which their columns begin."""
        return [aperture_name(radius, self.radius_unit) for radius in self.aperture_radii]

    def columns(self) -> Sequence[Column]:
        """Return the definitions of seven columns per aperture and of the background's."""
        return [*aperture_columns(self.aperture_radii, self.radius_unit), *background_columns()]

    def reach(self, exposure: Exposure) -> float:
        """Return the radius of the largest aperture, in pixels; see `Method.reach`."""
        return self._radii_on(exposure).largest(max(self.aperture_radii))

    def _radii_on(self, exposure: Exposure) -> RadiiOnImage:
        """Return the conversion of radii to pixels, after a check of all radii."""
        radii = RadiiOnImage.on(exposure, self.radius_unit)
        radii.check("aperture_radii", self.aperture_radii)
        if self.background.is_subtracted:
            radii.check("annulus_radii", self.annulus_radii)
        return radii

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
        sky: NDArray | None = None,
    ) -> BoundApertures:
        """Prepare the measurement; see `Method.bind`.

        Parameters
        ----------
        exposure, sources, x, y, area, psf, correction, matching, n_threads
            See `Method.bind`.
        sky : (ny, nx) ndarray of float32, optional
            Image from which the backgrounds are estimated; by default that of the exposure, less
            fitted sources if there are ``neighbors``, with masked sources if there is a
            ``bkg_mask_radius``.

        Returns
        -------
        BoundApertures

        Raises
        ------
        ValueError
            ``bkg_mask_radius`` is larger than the inner radius of the annulus on this image, or a
            radius exceeds the image.
        """
        radii = self._radii_on(exposure)
        background = self.background
        if background.is_subtracted:
            background.check_mask(radii.smallest(self.annulus_radii[0]))
        given: dict[str, Any] = {"area": area, "psf": psf, "n_threads": n_threads}
        subtracted = SubtractedSources.of(self.neighbors, exposure, sources, x, y, **given)
        sky = background.masked_image(subtracted.image, x, y) if sky is None else sky
        (widest,) = radii.at(x, y, [max(self.aperture_radii)])
        crowded = has_neighbor(x, y, widest, n_threads=n_threads)
        on_image = exposure, x, y, area, correction
        return BoundApertures(self, *on_image, radii, sky, crowded, subtracted, matching)


@dataclass(frozen=True, eq=False)
class BoundApertures:
    """Circular apertures on an exposure; see `BoundMethod`.

    Attributes
    ----------
    method : CircularApertures
        The parameters.
    exposure : Exposure
        The image.
    x, y : (n,) ndarray of float64
        0-indexed pixel positions of the sources.
    area : (ny, nx) ndarray or None
        Relative pixel area.
    correction : Correction or None
        Encircled-energy fractions.
    radii : RadiiOnImage
        Conversion of radii to pixels.
    sky : (ny, nx) ndarray of float32
        Image from which the backgrounds are estimated.
    crowded : (n,) ndarray of bool
        Whether there is another source inside the largest aperture.
    subtracted : SubtractedSources
        The image, and which sources were subtracted from it.
    matching : PSFMatching or None
        Matching of the PSF to that of another filter.
    """

    method: CircularApertures
    exposure: Exposure
    x: NDArray
    y: NDArray
    area: NDArray | None
    correction: Correction | None
    radii: RadiiOnImage
    sky: NDArray
    crowded: NDArray
    subtracted: SubtractedSources
    matching: PSFMatching | None = None

    @cached_property
    def largest_aperture(self) -> float:
        """Upper limit in pixels of the reach of the largest aperture on the image."""
        margin = 0.0 if self.matching is None else MARGIN_PIX
        return self.radii.largest(max(self.method.aperture_radii)) + margin

    @property
    def unmeasured_flags(self) -> NDArray:
        """Flags of sources whose apertures cannot overlap the image, (n,) int32."""
        not_measured = np.int32(WarningFlag.CENTER_UNUSABLE | WarningFlag.NOT_PLACED)
        return not_measured | self._neighbor_flags(slice(None))

    def _neighbor_flags(self, rows: NDArray | slice) -> NDArray:
        """`WarningFlag.NEIGHBOR` or 0 for rows, (m,) int32."""
        return np.where(self.crowded[rows], np.int32(WarningFlag.NEIGHBOR), np.int32(0))

    def batches(self) -> Iterator[NDArray]:
        """Yield batches of rows whose apertures can overlap the image, close sources together."""
        reach = self.largest_aperture
        side = 2 * math.ceil(reach) + 1
        batches = spatial_batches(
            self.x, self.y, self.exposure.shape, reach, n_pixels_each=side * side
        )
        return self.subtracted.batches(batches, self.x, self.y)

    def measure(self, rows: NDArray) -> dict[str, NDArray]:
        """Measure a batch; see `BoundMethod.measure`."""
        x, y = self.x[rows], self.y[rows]
        correction = None if self.correction is None else self.correction.for_rows(rows)
        background, columns, own_light = self._background(rows)
        in_annulus = own_light.per_pixel(correction, self.matching)
        flags = self._neighbor_flags(rows)
        if background is not None:
            flags[~np.isfinite(background.value)] |= WarningFlag.FEW_BKG_PIXELS
        around = self._stamps(rows)
        radii = self.radii.at(x, y, self.method.aperture_radii)
        off_image = np.ones(len(x), dtype=bool)
        for name, radius in zip(self.method.names, radii, strict=True):
            sums = around.with_errors(self._sums(around.stamps, x, y, radius))
            factor = own_light.factor(self.matching, sums)
            if self.matching is None or correction is None:
                fraction = ee_fraction(sums, x, y, radius, correction, in_annulus)
            else:
                fraction = matched_fraction(sums, self.matching, x, y, radius, in_annulus)
            columns |= calibrated_columns(
                self.exposure, sums, background, fraction, name, factor=factor
            )
            flags |= aperture_flags(sums, fraction)
            off_image &= sums.off_image
        flags[off_image] |= WarningFlag.NOT_PLACED  # even with the largest aperture
        return columns | {"warning_flags": flags}

    def _sums(
        self, stamps: Stamps, x: NDArray, y: NDArray, radius: float | NDArray
    ) -> ApertureSums:
        """Sum over circles, through the PSF of another filter where it is to be matched."""
        if self.matching is None:
            return sum_in_circle(stamps, radius)
        return matched_sums(stamps, self.matching, x, y, radius, radius, 0.0)

    def _stamps(self, rows: NDArray) -> Neighborhood:
        """Cut out the pixels that the largest apertures can overlap."""
        exposure = self.exposure
        planes = self.subtracted.image, exposure.err, exposure.saturated, self.area
        stamps = cut_stamps(*planes, self.x[rows], self.y[rows], self.largest_aperture)
        return self.subtracted.around(rows, stamps)

    def _background(self, rows: NDArray) -> tuple[Background | None, dict[str, NDArray], OwnLight]:
        """Local background, its columns, and the sources' own light in it."""
        x, y = self.x[rows], self.y[rows]
        if not self.method.background.is_subtracted:
            return None, {}, OwnLight.none(x, y)
        r_in, r_out = self.radii.at(x, y, self.method.annulus_radii)
        background = self.method.background.estimate(self.sky, x, y, r_in, r_out)
        own_light = OwnLight(x, y, r_in, r_out, self.subtracted.light_left(rows, r_in, r_out))
        return background, background_values(self.exposure, background), own_light
