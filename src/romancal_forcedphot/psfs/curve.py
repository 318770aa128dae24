"""The aperture correction from a curve of growth, as the CRDS ``apcorr`` reference holds it.

The curve EE(r) is the light of the *optical* PSF in a perfect circle.  A measurement sees that
PSF integrated over pixels, and sums it in a circle that is laid on pixels with fractional weights:
two blurs by a pixel.  Averaged over the sub-pixel phase, a photon that lands at distance r' is
counted with the weight ::

    f(r, r') = mean over angle of (circle(r) * pixel * pixel)(r')        (* = convolution)

so the measurement catches E(r) = integral of dEE(r') f(r, r'), which is 1.2 % less than EE(r) at
3 pixels in F158 and a fifth less at 1 pixel.  Where the curve's PSF includes the pixel already,
one blur is left.

The curve is in arcsec (the files of today) or pixels; the scale at each source turns one into the
other, with E tabulated on a fixed logarithmic grid of scales (and of radii, where each source has
its own).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline, PchipInterpolator

from .apcorr import half_light_radius, read_entry, settle_unit
from .errors import PSFError
from .log_grid import nearest_step, on_log_grid, on_radius_grid, value_of
from .pixels import fall_of_weight, kept_share, longest_move, move_within, stamp_distances

__all__ = ["CurveOfGrowth"]

log = logging.getLogger(f"romancal.{__name__}")

RADIUS_UNITS = ("auto", "pixel", "arcsec")
PSF_KINDS = {"optical": 2, "pixel": 1}  # blurs by a pixel that are still to be applied

N_MOVES = 64
N_ANGLES = 32
PROFILE_STEP_PIX = 0.05
FALL_TOLERANCE = 0.02  # of the mean slope: a cubic that falls more has overshot


@dataclass(frozen=True, eq=False)
class CurveOfGrowth:
    """A correction from encircled energy against radius; see `romancal_forcedphot.psfs.Correction`.

    Make one with `from_reference`, which checks the curve and settles its unit.

    Attributes
    ----------
    radii : (n,) ndarray of float64
        Radii of the curve, rising, in `radius_unit`.
    fractions : (n,) ndarray of float64
        Encircled energy at `radii`, with the light at infinity as 1.
    radius_unit : {'pixel', 'arcsec'}
        Unit of `radii`.
    psf : {'optical', 'pixel'}
        Whether the curve's PSF already includes the integration over a pixel ('pixel').
    pixel_scale : callable
        (x, y) -> arcsec per pixel there; not used with radii in pixels.
    fractions_from : str
        The reference's entry that `fractions` were taken from.
    unit_decision : str
        How `radius_unit` was settled.
    """

    radii: NDArray
    fractions: NDArray
    radius_unit: str
    psf: str = "optical"
    pixel_scale: Callable[[NDArray, NDArray], NDArray] | None = None
    fractions_from: str = "ee_fractions"
    unit_decision: str = "given"

    @classmethod
    def from_reference(
        cls,
        entry: Mapping[str, Any],
        *,
        pixel_scale: Callable[[NDArray, NDArray], NDArray] | float | None = None,
        radius_unit: str = "auto",
        psf: str = "optical",
    ) -> CurveOfGrowth:
        """Make a correction from one filter's entry of an ``apcorr`` reference.

        Parameters
        ----------
        entry : mapping
            ``data[optical_element]`` with ``ee_radii``, ``ee_fractions``, ``ap_corrections``.
        pixel_scale : callable, float or None
            (x, y) -> arcsec per pixel at these positions, or one scale for all of them; needed
            where the curve is in arcsec.
        radius_unit : {'auto', 'pixel', 'arcsec'}
            Unit of ``ee_radii``; 'auto' decides from the half-light radius of the curve.
        psf : {'optical', 'pixel'}
            Whether the PSF behind the curve already includes the pixel ('pixel').

        Returns
        -------
        curve : `CurveOfGrowth`

        Raises
        ------
        CorrectionUnavailable
            If the entry is null, as it is for DARK, GRISM and PRISM.
        ValueError
            If the curve is not one of growth, its unit cannot be told, an option is unknown, or
            `pixel_scale` is missing.
        """
        _check_choice("apcorr_radius_unit", radius_unit, RADIUS_UNITS)
        _check_choice("apcorr_psf", psf, tuple(PSF_KINDS))
        radii, fractions, fractions_from = read_entry(entry)
        unit, decision = settle_unit(radii, fractions, radius_unit)
        log.info("The radii of the aperture-correction curve are in %s (%s)", unit, decision)
        if unit == "arcsec" and pixel_scale is None:
            raise PSFError("a curve in arcsec needs pixel_scale, the arcsec per pixel at (x, y)")
        return cls(
            radii=radii,
            fractions=fractions,
            radius_unit=unit,
            psf=psf,
            pixel_scale=pixel_scale if callable(pixel_scale) else _constant(pixel_scale),
            fractions_from=fractions_from,
            unit_decision=decision,
        )

    @property
    def description(self) -> dict[str, Any]:
        """What the correction was made from and what it assumes."""
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
            "pixel_blurs_applied": PSF_KINDS[self.psf],
            "pixel_scale": "of each source, from the WCS"
            if self.radius_unit == "arcsec"
            else "not used",
            "beyond_radius_max": "encircled energy taken to stay at its last value",
            "masked_pixels": "estimated from the radial profile of the curve",
        }

    def for_rows(self, rows: ArrayLike) -> CurveOfGrowth:
        """Return the correction of some rows of the catalog: this one."""
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
        """Return the fraction of each source's light that its aperture sum holds.

        Parameters
        ----------
        x, y : (n,) array_like
            Pixel positions.
        radius : float, (n,) array_like or None
            Aperture radius in pixels, of all sources or of each. None for apertures of another
            shape: the curve's radial profile then gives the light on each pixel.
        weights, full_weights : (n, s, s) ndarray or None
            Pixel weights with and without the mask, on a stamp centred on the nearest pixel.
            The curve's radial profile tells what share of the light the masked pixels held.

        Returns
        -------
        fraction : (n,) ndarray of float64
            NaN where no pixel of the aperture could be used.

        Raises
        ------
        ValueError
            If the aperture reaches beyond the curve.
        """
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        scales = self._scales(x, y)
        if radius is None:
            return self._under(weights, x, y, scales)
        self._check_reach(radius, scales)
        fraction = self._within_at(radius, scales, PSF_KINDS[self.psf])
        if weights is None or full_weights is None:
            return fraction
        incomplete = np.flatnonzero((weights != full_weights).any(axis=(1, 2)))
        share = np.empty(incomplete.size)
        places = (each[incomplete] for each in (x, y, scales))
        for chosen, light in self._on_pixels(*places, weights):
            rows = incomplete[chosen]
            share[chosen] = kept_share(light, weights[rows], full_weights[rows])
        fraction[incomplete] *= np.where(share > 0, share, np.nan)
        return fraction

    def _under(self, weights: NDArray, x: NDArray, y: NDArray, scales: NDArray) -> NDArray:
        """Return the light under pixel weights (n, s, s)."""
        fraction = np.empty(x.shape)
        for chosen, light in self._on_pixels(x, y, scales, weights):
            fraction[chosen] = (light * weights[chosen]).sum(axis=(1, 2))
        return fraction

    def _on_pixels(
        self, x: NDArray, y: NDArray, scales: NDArray, weights: NDArray
    ) -> Iterator[tuple[NDArray[np.bool_], NDArray]]:
        """Yield sources of one scale and the light on the pixels of stamps as those of weights."""
        side = weights.shape[-1]
        steps = nearest_step(scales)
        for step in np.unique(steps):
            chosen = steps == step
            distance = stamp_distances(x[chosen], y[chosen], side)
            yield chosen, self._profile_at(int(step), side)(distance)

    def in_annulus(self, x: ArrayLike, y: ArrayLike, r_in: ArrayLike, r_out: ArrayLike) -> NDArray:
        """Return the fraction of each source's light in the pixels between two radii.

        Pixels belong to the annulus whole, by their centres.

        Parameters
        ----------
        x, y : (n,) array_like
            Pixel positions.
        r_in, r_out : float or (n,) array_like
            Radii in pixels, of all sources or of each.  Beyond the end of the curve no more
            light is assumed.

        Returns
        -------
        fraction : (n,) ndarray of float64
        """
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        n_blurs = PSF_KINDS[self.psf] - 1  # the circles choose whole pixels by their centres
        scales = self._scales(x, y)
        inner, outer = (self._within_at(radius, scales, n_blurs) for radius in (r_in, r_out))
        return outer - inner

    def reach(self, x: ArrayLike, y: ArrayLike) -> float:
        """Return the radius in pixels at which the curve ends, the least of some positions."""
        scales = self._scales(np.asarray(x, dtype=float), np.asarray(y, dtype=float))
        return float(self.radii[-1] / np.max(scales, initial=0.0, where=scales > 0))

    def enclosed(self, radius: ArrayLike) -> NDArray:
        """Return the curve itself at radii in its own unit, constant beyond its end."""
        return self._interpolant(np.clip(radius, 0.0, self.radii[-1]))

    def _within_at(self, radius: ArrayLike, scales: NDArray, n_blurs: int) -> NDArray:
        """Return `_within` for a radius of all sources or of each, at the scales there."""
        kept = self._light_within  # held here: threads that start at once may make one each

        def known(at_radius: float, scale: float) -> float:
            key = at_radius, scale, n_blurs
            if key not in kept:
                kept[key] = self._within(at_radius, scale, n_blurs)
            return kept[key]

        return on_radius_grid(
            radius,
            lambda at_radius, rows: on_log_grid(
                scales[rows], lambda scale: known(at_radius, scale)
            ),
        )

    @cached_property
    def _light_within(self) -> dict[tuple[float, float, int], float]:
        """What `_within` has returned at points of the logarithmic grids."""
        return {}

    def _within(self, radius: float, scale: float, n_blurs: int) -> float:
        """Return the light within a circle that is blurred by a pixel `n_blurs` times."""
        if radius == 0 or n_blurs == 0:
            return float(self.enclosed(radius * scale))
        distance, fall = fall_of_weight(float(radius), n_blurs)
        return float(fall @ self.enclosed(distance * scale))

    @cached_property
    def _interpolant(self) -> CubicSpline | PchipInterpolator:
        """A cubic through (0, 0), flat there as any PSF without a cusp; monotone where coarse."""
        radii = np.concatenate([[0.0], self.radii])
        fractions = np.concatenate([[0.0], self.fractions])
        cubic = CubicSpline(radii, fractions, bc_type=((1, 0.0), "not-a-knot"))
        between = np.linspace(radii[:-1], radii[1:], 9)
        if cubic(between, 1).min() >= -FALL_TOLERANCE * fractions[-1] / radii[-1]:
            return cubic
        return PchipInterpolator(radii, fractions)

    @cached_property
    def _profiles(self) -> dict[tuple[int, int], CubicSpline]:
        return {}

    def _profile_at(self, step: int, side: int) -> CubicSpline:
        """Return the light per pixel against distance in pixels, out to a stamp's corner."""
        profiles = self._profiles
        if (step, side) not in profiles:
            distance = np.arange(0.0, side / np.sqrt(2) + 1.5, PROFILE_STEP_PIX)
            light = self._light_per_pixel(distance, value_of(step))
            profiles[step, side] = CubicSpline(distance, light)
        return profiles[step, side]

    def _light_per_pixel(self, distance: NDArray, scale: float) -> NDArray:
        """Return the mean over angle of the light in a pixel at each distance in pixels.

        The density EE'(r) / (2 pi r), averaged over a random point of the pixel where the
        curve's PSF does not include the pixel.
        """
        move, chance = np.zeros(1), np.ones(1)
        if self.psf == "optical":
            edges = np.linspace(0.0, longest_move(1), N_MOVES + 1)
            move, chance = 0.5 * (edges[1:] + edges[:-1]), np.diff(move_within(edges, 1))
        angle = np.pi * (np.arange(N_ANGLES) + 0.5) / N_ANGLES
        along = distance[:, None, None] + move[:, None] * np.cos(angle)
        radius = np.hypot(along, move[:, None] * np.sin(angle)) * scale
        radius = np.maximum(radius, self.radii[0] / 4)  # flat core: no division by zero
        slope = np.where(radius < self.radii[-1], self._interpolant(radius, 1), 0.0)
        density = slope / (2 * np.pi * radius) * scale**2
        return np.maximum(density.mean(axis=-1) @ chance, 0.0)

    def _scales(self, x: NDArray, y: NDArray) -> NDArray:
        """Return the units of the curve per pixel at each position."""
        if self.radius_unit == "pixel":
            return np.ones(x.shape)
        return np.broadcast_to(np.asarray(self.pixel_scale(x, y), dtype=float), x.shape)

    def _check_reach(self, radius: ArrayLike, scales: NDArray) -> None:
        longest = np.max(radius * scales, initial=0.0, where=scales > 0)
        if longest > self.radii[-1]:
            raise PSFError(
                f"aperture radius of {np.max(radius):.4g} pixels ({longest:.4g} "
                f"{self.radius_unit}) reaches beyond the curve of growth, which ends at "
                f"{self.radii[-1]:g} {self.radius_unit}; choose a smaller radius"
            )


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise PSFError(f"{name} is {value!r}, expected one of {', '.join(choices)}")


def _constant(scale: float | None) -> Callable[[NDArray, NDArray], NDArray]:
    return lambda x, y: np.full(np.shape(x), 1.0 if scale is None else scale)
