"""Radii of settings as radii in pixels on one image.

Radii in arcsec have the same size on the sky at every place on the detector, so that each source
has its own in pixels.
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

SCALE_SLACK = 1e-3  # how far the scale between grid points may lie beyond that at the points
N_GRID = 17
#: Radii up to this many pixels are accepted on images of any size.
ALWAYS_ACCEPTED_PIX = 50.0


@dataclass(frozen=True, eq=False)
class RadiiOnImage:
    """Conversion of radii in pixels or arcsec to pixels.

    Attributes
    ----------
    shape : (int, int)
        Shape (ny, nx) of the image.
    pixel_scale : callable or None
        (x, y) -> arcsec per pixel there; None for radii that are in pixels.
    """

    shape: tuple[int, int]
    pixel_scale: Callable[[NDArray, NDArray], NDArray] | None = None

    @classmethod
    def on(cls, exposure: Exposure, unit: str) -> RadiiOnImage:
        """Make the conversion for an exposure and radii in ``'pixel'`` or ``'arcsec'``."""
        scale = exposure.pixel_areas.scale if unit == "arcsec" else None
        return cls(exposure.shape, scale)

    @cached_property
    def _scale_range(self) -> tuple[float, float]:
        """Smallest and largest scale anywhere on the image, with some room."""
        if self.pixel_scale is None:
            return 1.0, 1.0
        y, x = np.meshgrid(*(np.linspace(-0.5, n - 0.5, N_GRID) for n in self.shape))
        scales = self.pixel_scale(x.ravel(), y.ravel())
        return scales.min() * (1 - SCALE_SLACK), scales.max() * (1 + SCALE_SLACK)

    def largest(self, radius: float) -> float:
        """Return the largest that a radius is in pixels anywhere on the image."""
        return float(radius / self._scale_range[0])

    def smallest(self, radius: float) -> float:
        """Return the smallest that a radius is in pixels anywhere on the image."""
        return float(radius / self._scale_range[1])

    def check(self, name: str, radii: Sequence[float]) -> None:
        """Refuse radii that exceed the image, which would take memory without end.

        Parameters
        ----------
        name : str
            Name of the parameter, for the message.
        radii : sequence of float
            As in the settings.

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
        """Return radii in pixels at positions (n,): numbers, or (n,) arrays for radii in arcsec."""
        if self.pixel_scale is None:
            return tuple(radii)
        scale = self.pixel_scale(x, y)
        return tuple(radius / scale for radius in radii)
