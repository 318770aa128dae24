"""The aperture correction from a curve of growth, as the CRDS ``apcorr`` reference holds it.

The curve EE(r) is the encircled energy of the *optical* PSF in a perfect circle. A measurement sees
that PSF integrated over pixels, and sums it with the fractional overlaps of pixels with the circle:
two convolutions with a pixel. Averaged over the sub-pixel phase, flux at distance r' has the
weight ::

    f(r, r') = mean over angle of [circle(r) * pixel * pixel](r')        (* = convolution)

in the aperture sum, whose encircled-energy fraction is E(r) = integral of f(r, r') dEE(r') (see
`pixelation`). It is 1.2 % less than EE(r) at 3 pixels in F158, and a fifth less at 1 pixel. Where
the curve's PSF already includes the integration over a pixel, one convolution is left.

A pixel of a mosaic averages the PSF over more than a pixel: over the detector's pixel, over the
square on which drizzling spreads its flux, and over its own area, all of them convolutions.

The radii of the curve are in arcsec (in current files) or in pixels. The pixel scale at each source
converts between the two; E is interpolated on a fixed logarithmic grid of scales (and of radii,
where each source has its own).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .apcorr import half_light_radius, read_entry, resolve_radius_unit
from .errors import PSFError
from .log_grid import nearest_index
from .pixelated_curve import PixelatedCurve
from .pixelation import stamp_distances, usable_flux_fraction

__all__ = ["CurveOfGrowth"]

log = logging.getLogger(f"romancal.{__name__}")

RADIUS_UNITS = ("auto", "pixel", "arcsec")
#: Kinds of the curve's PSF: whether it includes the integration over a pixel of the detector.
PSF_KINDS = ("optical", "pixel")


@dataclass(frozen=True, eq=False)
class CurveOfGrowth:
    """Aperture correction from encircled energy as a function of radius; see `Correction`.

    Make one with `from_reference`, which checks the curve and determines its unit.

    Attributes
    ----------
    radii : (n,) ndarray of float64
        Radii of the curve in `radius_unit`, increasing.
    fractions : (n,) ndarray of float64
        Encircled-energy fraction at `radii`, with the total flux as 1.
    radius_unit : {'pixel', 'arcsec'}
        Unit of `radii`.
    psf : {'optical', 'pixel', 'aperture'}
        Whether the curve's PSF already includes the integration over a pixel ('pixel'), and the
        fractions are those of aperture sums on pixels ('aperture').
    pixel_scale : callable
        (x, y) in pixels -> arcsec per pixel there; not used with radii in pixels.
    fractions_from : str
        The reference's entry that `fractions` were taken from.
    unit_decision : str
        How `radius_unit` was determined.
    drizzle : (float, float) or None
        For a mosaic: side of a detector pixel, and of the square over which its flux was spread, in
        pixels of the mosaic. None for an exposure.
    """

    radii: NDArray
    fractions: NDArray
    radius_unit: str
    psf: str = "optical"
    pixel_scale: Callable[[NDArray, NDArray], NDArray] | None = None
    fractions_from: str = "ee_fractions"
    unit_decision: str = "given"
    drizzle: tuple[float, float] | None = None

    @classmethod
    def from_reference(
        cls,
        entry: Mapping[str, Any],
        *,
        pixel_scale: Callable[[NDArray, NDArray], NDArray] | float | None = None,
        radius_unit: str = "auto",
        psf: str = "optical",
        drizzle: tuple[float, float] | None = None,
    ) -> CurveOfGrowth:
        """Make a correction from one filter's entry of an ``apcorr`` reference.

        Parameters
        ----------
        entry : mapping
            ``data[optical_element]`` with ``ee_radii``, ``ee_fractions``, ``ap_corrections``.
        pixel_scale : callable, float or None
            (x, y) in pixels -> arcsec per pixel there, or one scale for all positions; needed
            where the curve is in arcsec.
        radius_unit : {'auto', 'pixel', 'arcsec'}
            Unit of ``ee_radii``; 'auto' infers it from the half-light radius of the curve.
        psf : {'optical', 'pixel'}
            Whether the PSF of the curve already includes the integration over a pixel ('pixel').
        drizzle : (float, float), optional
            For a mosaic, see the attribute.

        Returns
        -------
        CurveOfGrowth

        Raises
        ------
        CorrectionUnavailable
            The entry is null, as it is for DARK, GRISM and PRISM.
        PSFError
            The values are not a curve of growth, its unit cannot be inferred, an option is unknown,
            or `pixel_scale` is missing.
        """
        _check_choice("apcorr_radius_unit", radius_unit, RADIUS_UNITS)
        _check_choice("apcorr_psf", psf, PSF_KINDS)
        radii, fractions, fractions_from = read_entry(entry)
        unit, decision = resolve_radius_unit(radii, fractions, radius_unit)
        log.info("The radii of the aperture-correction curve are in %s (%s)", unit, decision)
        if unit == "arcsec" and pixel_scale is None:
            raise PSFError("a curve in arcsec needs pixel_scale, the arcsec per pixel at (x, y)")
        if pixel_scale is not None and not callable(pixel_scale):
            pixel_scale = partial(_uniform, pixel_scale)
        return cls(
            radii=radii,
            fractions=fractions,
            radius_unit=unit,
            psf=psf,
            pixel_scale=pixel_scale,
            fractions_from=fractions_from,
            unit_decision=decision,
            drizzle=drizzle,
        )

    @property
    def description(self) -> dict[str, Any]:
        """Provenance and assumptions of the correction, for the product's metadata."""
        return {
            "method": "curve of growth",
            "fractions_from": self.fractions_from,
            "n_radii": int(self.radii.size),
            "radius_unit": self.radius_unit,
            "radius_unit_decision": self.unit_decision,
            "radius_min": float(self.radii[0]),
            "radius_max": float(self.radii[-1]),
            "fraction_at_radius_max": float(self.fractions[-1]),
            "half_light_radius": half_light_radius(self.radii, self.fractions),
            "psf": self.psf,
            "pixel_convolutions_applied": len(self._aperture_widths),
            "pixel_scale": "of each source, from the WCS"
            if self.radius_unit == "arcsec"
            else "not used",
            "beyond_radius_max": "encircled energy taken to stay at its last value",
            "masked_pixels": "estimated from the radial profile of the curve",
        } | ({"convolved_with_squares": list(self._aperture_widths)} if self.drizzle else {})

    @property
    def _pixel_widths(self) -> tuple[float, ...]:
        """Sides in pixels of the squares over which the value of a pixel averages the PSF."""
        if self.psf == "aperture":
            return ()
        detector_pixel, droplet = self.drizzle or (1.0, 0.0)
        sides = () if self.psf == "pixel" else (detector_pixel,)
        sides += (droplet, 1.0) if self.drizzle else ()
        return tuple(side for side in sides if side > 0)

    @property
    def _aperture_widths(self) -> tuple[float, ...]:
        """`_pixel_widths`, and that of the fractional overlap of a circle with pixels."""
        return () if self.psf == "aperture" else (1.0, *self._pixel_widths)

    def for_rows(self, rows: ArrayLike) -> CurveOfGrowth:
        """Return this correction, which is the same for all rows of a catalog.

        Parameters
        ----------
        rows : array_like
            Indices of rows; not needed.

        Returns
        -------
        CurveOfGrowth
        """
        del rows
        return self

    def in_aperture(
        self,
        x: ArrayLike,
        y: ArrayLike,
        radius: ArrayLike,
        *,
        weights: NDArray | None = None,
        full_weights: NDArray | None = None,
    ) -> NDArray:
        """Return the encircled-energy fraction of each source's aperture sum.

        Parameters
        ----------
        x, y : (n,) array_like
            0-indexed pixel positions.
        radius : float, (n,) array_like or None
            Aperture radius in pixels, common to all sources or one per source. None for apertures
            of another shape: the radial profile of the curve then gives the flux on each pixel.
        weights, full_weights : (n, s, s) ndarray or None
            Pixel weights with and without the mask, on stamps centred on pixel (rint(y), rint(x)).
            Where the two differ, E is multiplied by the fraction of the flux in the aperture that
            is on usable pixels, according to the radial profile of the curve.

        Returns
        -------
        (n,) ndarray of float64
            E, 0 to 1; NaN where no pixel of the aperture is usable.

        Raises
        ------
        PSFError
            The aperture extends beyond the curve.
        """
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        scales = self.units_per_pixel(x, y)
        if radius is None:
            return self._fraction_in_weights(weights, x, y, scales)
        self._check_reach(radius, scales)
        fraction = self._on_pixels.fraction_in_circle(radius, scales, self._aperture_widths)
        if weights is None or full_weights is None:
            return fraction
        incomplete = np.flatnonzero((weights != full_weights).any(axis=(1, 2)))
        usable = np.empty(incomplete.size)
        places = x[incomplete], y[incomplete], scales[incomplete]
        for chosen, flux in self._on_stamps(*places, weights.shape[-1]):
            rows = incomplete[chosen]
            usable[chosen] = usable_flux_fraction(flux, weights[rows], full_weights[rows])
        fraction[incomplete] *= np.where(usable > 0, usable, np.nan)
        return fraction

    def _fraction_in_weights(
        self, weights: NDArray, x: NDArray, y: NDArray, scales: NDArray
    ) -> NDArray:
        """Fraction of the flux in pixel weights (n, s, s), by the radial profile."""
        fraction = np.empty(x.shape)
        for chosen, flux in self._on_stamps(x, y, scales, weights.shape[-1]):
            fraction[chosen] = (flux * weights[chosen]).sum(axis=(1, 2))
        return fraction

    def _on_stamps(
        self, x: NDArray, y: NDArray, scales: NDArray, side: int
    ) -> Iterator[tuple[NDArray[np.bool_], NDArray]]:
        """Yield sources of one scale and their flux per pixel on stamps, by the radial profile."""
        indices = nearest_index(scales)
        for index in np.unique(indices):
            chosen = indices == index
            distance = stamp_distances(x[chosen], y[chosen], side)
            profile = self._on_pixels.radial_profile(int(index), side, self._pixel_widths)
            yield chosen, profile(distance)

    def in_annulus(self, x: ArrayLike, y: ArrayLike, r_in: ArrayLike, r_out: ArrayLike) -> NDArray:
        """Return the fraction of each source's flux in the pixels of an annulus.

        Pixels are in the annulus or not by their centres, as with photutils' method ``'center'``:
        there are no fractional overlaps, which is one convolution with a pixel less.

        Parameters
        ----------
        x, y : (n,) array_like
            0-indexed pixel positions.
        r_in, r_out : float or (n,) array_like
            Inner and outer radius in pixels, common to all sources or one per source. Beyond its
            end the curve is taken to be constant.

        Returns
        -------
        (n,) ndarray of float64
            Fraction of the total flux.
        """
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        scales = self.units_per_pixel(x, y)
        inner, outer = (
            self._on_pixels.fraction_in_circle(radius, scales, self._pixel_widths)
            for radius in (r_in, r_out)
        )
        return outer - inner

    def reach(self, x: ArrayLike, y: ArrayLike) -> float:
        """Return the radius at which the curve ends at all of some positions.

        Parameters
        ----------
        x, y : (n,) array_like
            0-indexed pixel positions.

        Returns
        -------
        float
            The smallest of the radii there, in pixels.
        """
        scales = self.units_per_pixel(np.asarray(x, dtype=float), np.asarray(y, dtype=float))
        return float(self.radii[-1] / np.max(scales, initial=0.0, where=scales > 0))

    def encircled_energy(self, radius: ArrayLike) -> NDArray:
        """Return the curve itself, EE of perfect circles.

        Parameters
        ----------
        radius : array_like
            Radii in `radius_unit`.

        Returns
        -------
        ndarray of float64
            Interpolated between `fractions`, 0 at radius 0, constant beyond the last radius.
        """
        return self._on_pixels.encircled_energy(radius)

    @cached_property
    def _on_pixels(self) -> PixelatedCurve:
        """The curve, integrated over pixels."""
        return PixelatedCurve(self.radii, self.fractions)

    def units_per_pixel(self, x: NDArray, y: NDArray) -> NDArray:
        """Return the units of the curve per pixel at each position: 1, or arcsec per pixel.

        A curve in pixels is in those of the detector, which are not those of a mosaic.
        """
        if self.radius_unit == "pixel":
            return np.full(x.shape, 1 / self.drizzle[0] if self.drizzle else 1.0)
        scale = self.pixel_scale(x, y)  # type: ignore[misc]  # there is one for arcsec
        return np.broadcast_to(np.asarray(scale, dtype=float), x.shape)

    def _check_reach(self, radius: ArrayLike, scales: NDArray) -> None:
        """Raise a PSFError where an aperture radius (pixels) is larger than the curve's."""
        longest = np.max(radius * scales, initial=0.0, where=scales > 0)
        if longest > self.radii[-1]:
            raise PSFError(
                f"aperture radius of {np.max(radius):.4g} pixels ({longest:.4g} "
                f"{self.radius_unit}) reaches beyond the curve of growth, which ends at "
                f"{self.radii[-1]:g} {self.radius_unit}; choose a smaller radius"
            )


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise a PSFError for a value that is not one of the choices."""
    if value not in choices:
        raise PSFError(f"{name} is {value!r}, expected one of {', '.join(choices)}")


def _uniform(scale: float, x: NDArray, y: NDArray) -> NDArray:
    """The same scale at all positions; as a function of the module it can be pickled."""
    return np.full(np.shape(x), scale)
