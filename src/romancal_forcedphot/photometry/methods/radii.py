"""Conversion of the radii of settings to pixels on one image.

The pixel scale varies over the detector, so that a radius in arcsec is a different one in pixels
for each source.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..exposure import Exposure

__all__ = ["RadiiOnImage"]

SCALE_MARGIN = 1e-3  # relative; extremes of the scale between grid points may exceed those at them
N_GRID = 17  # points per axis
#: Radii up to this many pixels are accepted on images of any size.
ALWAYS_ACCEPTED_PIX = 50.0


@dataclass(frozen=True, eq=False)
class RadiiOnImage:
    """Conversion of radii in pixels or arcsec to pixels on an image.

    Attributes
    ----------
    shape : (int, int)
        Shape (ny, nx) of the image.
    pixel_scale : callable or None
        (x, y) in pixels -> arcsec per pixel there; None for radii in pixels.
    """

    shape: tuple[int, int]
    pixel_scale: Callable[[NDArray, NDArray], NDArray] | None = None

    @classmethod
    def on(cls, exposure: Exposure, unit: str) -> RadiiOnImage:
        """Make the conversion for an exposure.

        Parameters
        ----------
        exposure : Exposure
            The image.
        unit : {'pixel', 'arcsec'}
            Unit of the radii to be converted.

        Returns
        -------
        RadiiOnImage
        """
        scale = exposure.pixel_areas.scale if unit == "arcsec" else None
        return cls(exposure.shape, scale)

    @cached_property
    def _scale_range(self) -> tuple[float, float]:
        """Lower and upper limit of the scale over the image, in units of the radii per pixel."""
        if self.pixel_scale is None:
            return 1.0, 1.0
        y, x = np.meshgrid(*(np.linspace(-0.5, n - 0.5, N_GRID) for n in self.shape))
        scales = self.pixel_scale(x.ravel(), y.ravel())
        return scales.min() * (1 - SCALE_MARGIN), scales.max() * (1 + SCALE_MARGIN)

    def largest(self, radius: float) -> float:
        """Return an upper limit of a radius in pixels over the image.

        Parameters
        ----------
        radius : float
            Radius in its unit.

        Returns
        -------
        float
            Pixels.
        """
        return float(radius / self._scale_range[0])

    def smallest(self, radius: float) -> float:
        """Return a lower limit of a radius in pixels over the image; see `largest`."""
        return float(radius / self._scale_range[1])

    def check(self, name: str, radii: Sequence[float]) -> None:
        """Check that radii do not exceed the image, for which memory would not suffice.

        Parameters
        ----------
        name : str
            Name of the parameter, for the message.
        radii : sequence of float
            Radii in their unit.

        Raises
        ------
        ValueError
            A radius is larger than the diagonal of the image.
        """
        limit = max(math.hypot(*self.shape), ALWAYS_ACCEPTED_PIX)
        largest = self.largest(max(radii))
        if largest > limit:
            ny, nx = self.shape
            raise ValueError(
                f"{name} has {max(radii):g}, which is {largest:.0f} pixels on an image of {nx} x "
                f"{ny}: expected no radius above its diagonal, {limit:.0f} pixels; choose smaller "
                "ones"
            )

    def at(self, x: NDArray, y: NDArray, radii: Sequence[float]) -> tuple[float | NDArray, ...]:
        """Return radii in pixels at positions.

        Parameters
        ----------
        x, y : (n,) ndarray of float64
            0-indexed pixel positions.
        radii : sequence of float
            Radii in their unit.

        Returns
        -------
        tuple of float or (n,) ndarray
            One item per radius: a number for radii in pixels, an array for radii in arcsec.
        """
        if self.pixel_scale is None:
            return tuple(radii)
        scale = self.pixel_scale(x, y)
        return tuple(radius / scale for radius in radii)
