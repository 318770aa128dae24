"""A curve of growth on pixels: the flux of a point source in circles, and its radial profile.

Computed on a fixed logarithmic grid of pixel scales (`log_grid`) and kept, since all sources of an
exposure ask for the same few.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from .log_grid import grid_value, interpolate_on_log_grid, interpolate_over_radius
from .pixelation import radial_weight_decrements
from .profile import flux_per_pixel, interpolate_curve

__all__ = ["PixelatedCurve"]

PROFILE_STEP_PIX = 0.05


@dataclass(frozen=True, eq=False)
class PixelatedCurve:
    """Encircled energy of circles on pixels, and flux per pixel, from a curve of growth.

    A *scale* is the number of units of the curve per pixel, a *width* the side in pixels of a
    square that the PSF is convolved with.

    Attributes
    ----------
    radii : (n,) ndarray of float64
        Radii of the curve, increasing.
    fractions : (n,) ndarray of float64
        Encircled-energy fraction at `radii`, with the total flux as 1.
    """

    radii: NDArray
    fractions: NDArray

    def encircled_energy(self, radius: ArrayLike) -> NDArray:
        """Return the curve itself, EE of perfect circles.

        Parameters
        ----------
        radius : array_like
            Radii in the unit of `radii`.

        Returns
        -------
        ndarray of float64
            Interpolated between `fractions`, 0 at radius 0, constant beyond the last radius.
        """
        return self._interpolant(np.clip(radius, 0.0, self.radii[-1]))

    def fraction_in_circle(
        self, radius: ArrayLike, scales: NDArray, widths: tuple[float, ...]
    ) -> NDArray:
        """Return the encircled-energy fraction of circles, interpolated on the logarithmic grids.

        Parameters
        ----------
        radius : float or (n,) array_like
            Radius in pixels, common to all sources or one per source.
        scales : (n,) ndarray
            Units of the curve per pixel at each source.
        widths : tuple of float
            Widths of the squares that the circle is convolved with.

        Returns
        -------
        (n,) ndarray of float64
        """
        cache = self._fraction_cache  # one reference: concurrent first calls may make one each

        def cached(at_radius: float, scale: float) -> float:
            key = at_radius, scale, widths
            if key not in cache:
                cache[key] = self._compute_fraction(at_radius, scale, widths)
            return cache[key]

        return interpolate_over_radius(
            radius,
            lambda at_radius, rows: interpolate_on_log_grid(
                scales[rows], lambda scale: cached(at_radius, scale)
            ),
        )

    def radial_profile(
        self, index: int, side: int, widths: tuple[float, ...]
    ) -> scipy.interpolate.CubicSpline:
        """Return the flux per pixel as a function of the distance from the source in pixels.

        Parameters
        ----------
        index : int
            Grid point (`log_grid.grid_value`) of the scale.
        side : int
            Side in pixels of the stamps whose corners the profile must include.
        widths : tuple of float
            Widths of the squares that the PSF is convolved with.

        Returns
        -------
        scipy.interpolate.CubicSpline
        """
        cache = self._profile_cache
        key = index, side, widths
        if key not in cache:
            distance = np.arange(0.0, side / np.sqrt(2) + 1.5, PROFILE_STEP_PIX)
            flux = flux_per_pixel(
                self._interpolant,
                (self.radii[0], self.radii[-1]),
                distance,
                grid_value(index),
                widths=widths,
            )
            cache[key] = scipy.interpolate.CubicSpline(distance, flux)
        return cache[key]

    def _compute_fraction(self, radius: float, scale: float, widths: tuple[float, ...]) -> float:
        """Return E of a circle (pixels) that is convolved with squares of some sides (pixels)."""
        if radius == 0 or not widths:
            return float(self.encircled_energy(radius * scale))
        distance, decrement = radial_weight_decrements(float(radius), widths)
        return float(decrement @ self.encircled_energy(distance * scale))

    @cached_property
    def _interpolant(self) -> scipy.interpolate.CubicSpline | scipy.interpolate.PchipInterpolator:
        """Interpolant of `fractions` at `radii`."""
        return interpolate_curve(self.radii, self.fractions)

    @cached_property
    def _fraction_cache(self) -> dict[tuple[float, float, tuple[float, ...]], float]:
        """Results of `_compute_fraction` at points of the logarithmic grids, by its arguments."""
        return {}

    @cached_property
    def _profile_cache(
        self,
    ) -> dict[tuple[int, int, tuple[float, ...]], scipy.interpolate.CubicSpline]:
        """Results of `radial_profile`, by its arguments."""
        return {}
