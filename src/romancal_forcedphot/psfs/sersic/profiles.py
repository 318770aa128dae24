"""Elliptical Sérsic profiles on the plane of the pixels, before any PSF."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .round import INDEX_RANGE, light_within, log_surface_brightness, radius_brighter_than

__all__ = ["SersicProfiles"]

_SMALLEST = 1e-9  # pixel; a point, without a division by 0


@dataclass(frozen=True, eq=False)
class SersicProfiles:
    """n Sérsic profiles.

    Attributes
    ----------
    index : (n,) ndarray of float64
        Sérsic index, 0.3 to 8.
    semimajor, semiminor : (n,) ndarray of float64
        Half axes, in pixels, of the ellipse that holds half of the light; 0 is a point.
    theta : (n,) ndarray of float64
        Angle of the major axis in radian, counterclockwise from the positive x axis.

    Raises
    ------
    ValueError
        A value is out of range or not finite, or the shapes differ.
    """

    index: NDArray
    semimajor: NDArray
    semiminor: NDArray
    theta: NDArray

    def __post_init__(self):
        for field in fields(self):
            values = np.asarray(getattr(self, field.name), dtype=np.float64)
            if values.shape != (np.size(self.index),):
                raise ValueError(
                    f"{field.name} of Sersic profiles has the shape {values.shape}: expected "
                    f"({np.size(self.index)},)"
                )
            object.__setattr__(self, field.name, values)
        self._check("index", *INDEX_RANGE)
        for name in ("semimajor", "semiminor"):
            self._check(name, 0.0, np.finfo(float).max)
        self._check("theta", -np.finfo(float).max, np.finfo(float).max)

    def _check(self, name: str, least: float, most: float) -> None:
        values = getattr(self, name)
        bad = ~((values >= least) & (values <= most))
        if bad.any():
            row = int(np.argmax(bad))
            raise ValueError(
                f"{name} of Sersic profiles is {values[row]:g} in row {row}: expected "
                f"{least:g} to {most:g}; leave such sources out"
            )

    def __len__(self) -> int:
        return self.index.size

    def __getitem__(self, rows: Any) -> SersicProfiles:
        """Return some of the profiles, given by index, mask or slice."""
        return SersicProfiles(*(getattr(self, field.name)[rows] for field in fields(self)))

    @property
    def axis_ratio(self) -> NDArray:
        """Minor over major axis (n,)."""
        return self.semiminor / np.maximum(self.semimajor, _SMALLEST)

    @cached_property
    def squares(self) -> NDArray:
        """xx, yy, xy (3, n) of the half-light ellipses, pixels²: (dx, dy) A⁻¹ (dx, dy)ᵀ <= 1."""
        a_cos, a_sin = self.semimajor * np.cos(self.theta), self.semimajor * np.sin(self.theta)
        b_cos, b_sin = self.semiminor * np.cos(self.theta), self.semiminor * np.sin(self.theta)
        return np.array([a_cos**2 + b_sin**2, a_sin**2 + b_cos**2, a_cos * a_sin - b_cos * b_sin])

    def surface_brightness(self, dx: NDArray, dy: NDArray) -> NDArray:
        """Return the fraction of the light per pixel at distances (n, ...) from the centres."""
        xx, yy, xy, n, area = (
            each.reshape(-1, *[1] * (dx.ndim - 1))
            for each in (*self.squares, self.index, self.semimajor * self.semiminor)
        )
        square = (yy * dx * dx - 2 * xy * dx * dy + xx * dy * dy) / area**2
        return np.exp(log_surface_brightness(n, np.sqrt(square))) / area

    def light_outside(self, half_side: float) -> NDArray:
        """Return the fraction of the light (n,) outside squares around the centres."""
        angle = np.pi * (np.arange(12) + 0.5)[:, None] / 12
        along = np.maximum(self.semimajor, _SMALLEST) * np.cos(angle)
        across = np.maximum(self.semiminor, _SMALLEST) * np.sin(angle)
        cos, sin = np.cos(self.theta), np.sin(self.theta)
        reach = np.maximum(np.abs(along * cos - across * sin), np.abs(along * sin + across * cos))
        return 1 - light_within(self.index, half_side / reach).mean(axis=0)

    def reach_of(self, radius: ArrayLike) -> NDArray:
        """Return how far along x or y, in pixels, ellipses of some half-light radii reach (n,)."""
        xx, yy, _ = self.squares
        return radius * np.sqrt(np.maximum(xx, yy))

    def reach_above(self, light_per_pixel: ArrayLike) -> NDArray:
        """Return how far from its centre each profile is brighter than a level.

        Parameters
        ----------
        light_per_pixel : float or (n,) array_like
            Fraction of the light on a pixel, positive.

        Returns
        -------
        (n,) ndarray of float64
            Pixels along x or y.
        """
        area = np.maximum(self.semimajor * self.semiminor, _SMALLEST**2)
        return self.reach_of(radius_brighter_than(self.index, np.log(light_per_pixel * area)))
