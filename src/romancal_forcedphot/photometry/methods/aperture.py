"""Aperture photometry in circles, with a local background from an annulus.

Flux and error of an aperture are ::

    F   = C Ω₀ Σ wᵢ mᵢ (dᵢ - b) aᵢ
    σ²  = (C Ω₀)² [Σ wᵢ² mᵢ σᵢ² aᵢ² + σ_b² (Σ wᵢ mᵢ aᵢ)²]

with the exact overlap w of circle and pixel, m = 1 for usable pixels, data d ± σ, relative pixel
area a, background b ± σ_b, and the zero point C Ω₀. The total flux of a point source is F/E, with
the encircled-energy fraction E of the aperture less what the annulus takes away.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ...psfs import PSF, Correction
from ...table import Column, WarningFlag, aperture_columns, aperture_name, background_columns
from .. import calibration
from ..batches import batches_by_place
from ..exposure import Exposure
from ..pixels.aperture_sums import ApertureSums, cut_stamps, sum_in_circle
from ..pixels.background import Background
from ..pixels.neighbors import has_neighbor
from ..settings import DEFAULT_RADII, Settings
from ..sources import Sources
from .annulus import AnnulusBackground
from .radii import RadiiOnImage

__all__ = ["BoundApertures", "CircularApertures"]


@dataclass(frozen=True)
class CircularApertures:
    """Circular apertures around each source; parameters as in `photometry.Settings`.

    Raises
    ------
    ValueError
        A parameter is out of range, or an aperture reaches into the annulus.
    """

    aperture_radii: tuple[float, ...] = ()
    annulus_radii: tuple[float, ...] = ()
    radius_unit: str = "pixel"
    bkg_estimator: str = "median"
    bkg_sigma: float = 3.0
    bkg_maxiters: int = 5
    bkg_mask_radius: float = 0.0

    name: ClassVar[str] = "aperture"
    uses: ClassVar[frozenset[str]] = frozenset({"correction"})

    def __post_init__(self):
        if self.radius_unit not in ("pixel", "arcsec"):
            raise ValueError(f"radius_unit {self.radius_unit!r} is unknown: use pixel or arcsec")
        for name, defaults in DEFAULT_RADII.items():
            radii = tuple(float(radius) for radius in np.ravel(getattr(self, name)))
            object.__setattr__(self, name, radii or defaults[self.radius_unit])
        for radius in self.aperture_radii:
            if not (np.isfinite(radius) and radius > 0):
                raise ValueError(
                    f"aperture_radii has {radius:g}: expected radii above 0 in "
                    f"{self.radius_unit}; mend the list"
                )
        self.background.check(max(self.aperture_radii))

    @classmethod
    def from_settings(cls, settings: Settings) -> CircularApertures:
        """Make the method that settings describe."""
        return cls(**{field.name: getattr(settings, field.name) for field in fields(cls)})

    @property
    def background(self) -> AnnulusBackground:
        """The local background of these apertures."""
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
        """Names of the apertures, which their columns begin with."""
        return [aperture_name(radius, self.radius_unit) for radius in self.aperture_radii]

    def columns(self) -> Sequence[Column]:
        """Return seven columns per aperture and those of the background."""
        return [*aperture_columns(self.aperture_radii, self.radius_unit), *background_columns()]

    def reach(self, exposure: Exposure) -> float:
        """Return the radius in pixels of the largest aperture anywhere on the image."""
        return self._radii_on(exposure).largest(max(self.aperture_radii))

    def _radii_on(self, exposure: Exposure) -> RadiiOnImage:
        """Return the conversion of radii to pixels, which has refused radii beyond the image."""
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
        n_threads: int = 1,
        sky: NDArray | None = None,
    ) -> BoundApertures:
        """Prepare the measurement.

        Parameters
        ----------
        exposure, sources, x, y, area, psf, correction, n_threads
            See `Method.bind`.
        sky : (ny, nx) ndarray of float32, optional
            Image that the annuli see; the exposure's, without the sources' surroundings if there
            is a ``bkg_mask_radius``, if not given.

        Returns
        -------
        BoundApertures

        Raises
        ------
        ValueError
            ``bkg_mask_radius`` is larger than an annulus in arcsec is here, or a radius exceeds
            the image.
        """
        del sources, psf
        radii = self._radii_on(exposure)
        background = self.background
        if background.is_subtracted:
            background.check_mask(radii.smallest(self.annulus_radii[0]))
        sky = background.image(exposure.data, x, y) if sky is None else sky
        (widest,) = radii.at(x, y, [max(self.aperture_radii)])
        crowded = has_neighbor(x, y, widest, n_threads=n_threads)
        return BoundApertures(self, exposure, x, y, area, correction, radii, sky, crowded)


@dataclass(frozen=True, eq=False)
class BoundApertures:
    """Circular apertures on an exposure.

    Attributes
    ----------
    method : CircularApertures
        The parameters.
    exposure : Exposure
        The image.
    x, y : (n,) ndarray of float64
        Pixel positions of the sources.
    area : (ny, nx) ndarray or None
        Relative pixel area.
    correction : Correction or None
        Encircled-energy fractions.
    radii : RadiiOnImage
        The apertures in pixels.
    sky : (ny, nx) ndarray of float32
        Image that the annuli see.
    crowded : (n,) ndarray of bool
        Sources with another one inside their largest aperture.
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

    @cached_property
    def largest_aperture(self) -> float:
        """Radius in pixels of the largest aperture anywhere on the image."""
        return self.radii.largest(max(self.method.aperture_radii))

    @property
    def unmeasured_flags(self) -> NDArray:
        """(n,) int32 flags of sources whose apertures cannot touch the image."""
        not_measured = np.int32(WarningFlag.CENTER_UNUSABLE | WarningFlag.NOT_PLACED)
        return not_measured | self._neighbor_flags(slice(None))

    def _neighbor_flags(self, rows: NDArray | slice) -> NDArray:
        return np.where(self.crowded[rows], np.int32(WarningFlag.NEIGHBOR), np.int32(0))

    def batches(self) -> Iterator[NDArray]:
        """Yield the rows whose apertures can touch the image, neighbours together."""
        reach = self.largest_aperture
        side = 2 * math.ceil(reach) + 1
        return batches_by_place(
            self.x, self.y, self.exposure.shape, reach, n_pixels_each=side * side
        )

    def measure(self, rows: NDArray) -> dict[str, NDArray]:
        """Measure a batch; see `BoundMethod.measure`."""
        x, y = self.x[rows], self.y[rows]
        correction = None if self.correction is None else self.correction.for_rows(rows)
        background, columns, in_annulus = self._background(x, y, correction)
        flags = self._neighbor_flags(rows)
        if background is not None:
            flags[~np.isfinite(background.value)] |= WarningFlag.FEW_BKG_PIXELS
        stamps = self._stamps(x, y)
        radii = self.radii.at(x, y, self.method.aperture_radii)
        off_image = np.ones(len(x), dtype=bool)
        for name, radius in zip(self.method.names, radii, strict=True):
            sums = sum_in_circle(stamps, radius)
            fraction = ee_fraction(sums, x, y, radius, correction, in_annulus)
            columns |= calibrated_columns(self.exposure, sums, background, fraction, name)
            flags |= aperture_flags(sums, fraction)
            off_image &= sums.off_image
        flags[off_image] |= WarningFlag.NOT_PLACED  # with the largest aperture, too
        return columns | {"warning_flags": flags}

    def _stamps(self, x: NDArray, y: NDArray):
        """Cut out what the largest apertures can touch."""
        exposure = self.exposure
        planes = exposure.data, exposure.err, exposure.saturated, self.area
        return cut_stamps(*planes, x, y, self.largest_aperture)

    def _background(
        self, x: NDArray, y: NDArray, correction: Correction | None
    ) -> tuple[Background | None, dict[str, NDArray], NDArray]:
        """Local background, its columns, and a star's mean light per pixel of its annulus."""
        in_annulus = np.zeros(len(x))
        if not self.method.background.is_subtracted:
            return None, {}, in_annulus
        r_in, r_out = self.radii.at(x, y, self.method.annulus_radii)
        background = self.method.background.estimate(self.sky, x, y, r_in, r_out)
        scale = calibration.surface_brightness_scale(self.exposure.conversion)
        columns = {
            "aper_bkg_flux": background.value * scale,
            "aper_bkg_flux_err": background.err * scale,
        }
        if correction is not None:
            light = correction.in_annulus(x, y, r_in, r_out)
            in_annulus = light / (np.pi * (r_out**2 - r_in**2))
        return background, columns, in_annulus


def ee_fraction(
    sums: ApertureSums,
    x: NDArray,
    y: NDArray,
    radius: float | NDArray | None,
    correction: Correction | None,
    in_annulus: NDArray,
) -> NDArray:
    """Return the encircled-energy fraction E of background-subtracted sums.

    Parameters
    ----------
    sums : ApertureSums
        Of n sources.
    x, y : (n,) ndarray of float64
        Pixel positions.
    radius : float, (n,) ndarray or None
        Radius of the circles in pixels; None for apertures of another shape.
    correction : Correction or None
        Without one, E is 1 for whole apertures and unknown for others.
    in_annulus : (n,) ndarray
        Mean fraction of a source's light on a pixel of its annulus.

    Returns
    -------
    (n,) ndarray of float64
        NaN where E is not known or not positive.
    """
    if correction is None:
        return np.where(sums.masked | sums.cut_by_edge, np.nan, 1.0)
    fraction = correction.in_aperture(
        x, y, radius, weights=sums.weights, full_weights=sums.full_weights
    )
    fraction = fraction - sums.area * in_annulus
    return np.where(fraction > 0, fraction, np.nan)


def calibrated_columns(
    exposure: Exposure,
    sums: ApertureSums,
    background: Background | None,
    fraction: NDArray,
    name: str,
) -> dict[str, NDArray]:
    """Return the columns of one aperture for n sources.

    Parameters
    ----------
    exposure : Exposure
        With the zero point.
    sums : ApertureSums
        Sums of n apertures.
    background : Background or None
        Local background in image units.
    fraction : (n,) ndarray
        Encircled-energy fraction E.
    name : str
        Name of the aperture.

    Returns
    -------
    dict of str to (n,) ndarray
        Fluxes in nJy and AB magnitudes; NaN where no pixel could be used.
    """
    value, value_err = (0.0, 0.0) if background is None else (background.value, background.err)
    scale = calibration.flux_scale(exposure.conversion, exposure.pixel_area)
    measurable = np.where(sums.area > 0, scale, np.nan)
    flux = measurable * (sums.flux - value * sums.area)
    flux_err = measurable * np.sqrt(sums.variance + (value_err * sums.area) ** 2)
    total, total_err = flux / fraction, flux_err / fraction
    magnitude, magnitude_err = calibration.ab_magnitude(total, total_err)
    return {
        f"{name}_flux": flux,
        f"{name}_flux_err": flux_err,
        f"{name}_total_flux": total,
        f"{name}_total_flux_err": total_err,
        f"{name}_abmag": magnitude,
        f"{name}_abmag_err": magnitude_err,
        f"{name}_ee_fraction": fraction,
    }


def aperture_flags(sums: ApertureSums, fraction: NDArray) -> NDArray:
    """Return the (n,) int32 warning flags of one aperture."""
    raised = {
        WarningFlag.CENTER_UNUSABLE: sums.center_unusable,
        WarningFlag.EDGE: sums.cut_by_edge,
        WarningFlag.MASKED: sums.masked,
        WarningFlag.SATURATED: sums.saturated,
        WarningFlag.NO_CORRECTION: np.isnan(fraction),
    }
    flags = np.zeros(len(fraction), dtype=np.int32)
    for flag, where in raised.items():
        flags[where] |= flag
    return flags
