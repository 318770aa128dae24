"""The shapes of a catalog's sources: ellipses of moments, or Sérsic profiles."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import ellipse_on_pixels, pixel_angle, position_angle
from ..psfs.sersic import INDEX_RANGE as SERSIC_INDEX_RANGE

__all__ = ["SERSIC_INDEX_RANGE", "Shapes"]

_NOT_PER_ROW = ("axes_in_pixels", "angle_on_pixels")


@dataclass(frozen=True, eq=False)
class Shapes:
    """Shapes of n sources; NaN in all numbers of a source that has none.

    Attributes
    ----------
    semimajor, semiminor : (n,) ndarray of float64
        Half axes of an ellipse, arcsec or pixels: of second moments, or of half the light of a
        Sérsic profile.
    angle_deg : (n,) ndarray of float64
        Angle of the major axis in degrees: from north through east, or on the pixels
        counterclockwise from the positive x axis.
    is_bad : (n,) ndarray of bool
        Sources that the catalog gives an impossible shape.
    axes_in_pixels, angle_on_pixels : bool
        Whether axes and angle are those on the image.
    sersic_index : (n,) ndarray of float64 or None
        Sérsic index n; None for ellipses of moments.
    kron_radius : (n,) ndarray of float64 or None
        Kron radius in units of the half axes, as photutils' ``kron_radius``: not multiplied by 2.5.
    """

    semimajor: NDArray
    semiminor: NDArray
    angle_deg: NDArray
    is_bad: NDArray
    axes_in_pixels: bool = False
    angle_on_pixels: bool = False
    sersic_index: NDArray | None = None
    kron_radius: NDArray | None = None

    def __len__(self) -> int:
        return len(self.semimajor)

    def __getitem__(self, rows: Any) -> Shapes:
        """Return the shapes of some rows, given by index, mask or slice."""
        names = [field.name for field in fields(self) if field.name not in _NOT_PER_ROW]
        values = {name: getattr(self, name) for name in names}
        return replace(self, **{k: v[rows] for k, v in values.items() if v is not None})

    @property
    def has_shape(self) -> NDArray[np.bool_]:
        """(n,) bool, sources with a usable shape; the others are points, or bad."""
        return np.isfinite(self.semimajor)

    def on_pixels(self, jacobian: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """Return the ellipses on the pixels of an image.

        Parameters
        ----------
        jacobian : (n, 2, 2) ndarray of float64
            Of the image's WCS at the sources, see `geometry.local_jacobian`.

        Returns
        -------
        semimajor_pix, semiminor_pix : (n,) ndarray of float64
            Half axes.
        theta : (n,) ndarray of float64
            Angle of the major axis in radian, counterclockwise from the positive x axis.
        """
        angle = self.angle_deg
        if self.axes_in_pixels:
            theta = np.radians(angle) if self.angle_on_pixels else pixel_angle(jacobian, angle)
            return self.semimajor, self.semiminor, theta
        if self.angle_on_pixels:
            angle = position_angle(jacobian, np.radians(angle))
        return ellipse_on_pixels(jacobian, self.semimajor, self.semiminor, angle)
