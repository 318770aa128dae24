"""The shapes of sources on the pixels of one image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...geometry import ellipse_on_sky, local_jacobian
from ..exposure import Exposure
from ..sources import Sources

__all__ = ["Ellipses"]


@dataclass(frozen=True, eq=False)
class Ellipses:
    """The shapes of n sources on the pixels of an image.

    Attributes
    ----------
    semimajor, semiminor, theta : (n,) ndarray of float64
        Half axes in pixels and angle in radian, NaN of an impossible shape.
    is_round, is_bad : (n,) ndarray of bool
        Sources without a shape, and those with an impossible one.
    jacobian : (n, 2, 2) ndarray of float64
        Of the WCS at the sources, arcsec per pixel.
    """

    semimajor: NDArray
    semiminor: NDArray
    theta: NDArray
    is_round: NDArray
    is_bad: NDArray
    jacobian: NDArray

    @classmethod
    def on_image(
        cls,
        exposure: Exposure,
        sources: Sources,
        x: NDArray,
        y: NDArray,
        *,
        circle_pix: NDArray | float,
    ) -> Ellipses:
        """Bring the shapes of sources onto an image; points, which have none, are circles.

        Raises
        ------
        ValueError
            The sources have no shapes.
        """
        if sources.shapes is None:
            raise ValueError(
                f"catalog {sources.name} was read without shapes: expected them for ellipses; read "
                "it with shapes=True, or measure in circles"
            )
        jacobian = local_jacobian(exposure.wcs, x, y)
        axes = sources.shapes.on_pixels(jacobian)
        is_round = ~(sources.shapes.has_shape | sources.shapes.is_bad)
        circle = (circle_pix, circle_pix, 0.0)
        axes = (np.where(is_round, c, a) for c, a in zip(circle, axes, strict=True))
        return cls(*axes, is_round, sources.shapes.is_bad, jacobian)

    @property
    def axes(self) -> tuple[NDArray, NDArray, NDArray]:
        """Half axes and angles."""
        return self.semimajor, self.semiminor, self.theta

    def on_sky(self, rows: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """Return half axes in arcsec and position angles, 0 to 180 degrees, of some sources."""
        return ellipse_on_sky(self.jacobian[rows], *(axis[rows] for axis in self.axes))

    def widened(self, sigma_pix: float) -> Ellipses:
        """Return ellipses with a width added in quadrature to those that are not circles."""
        more = np.where(self.is_round, 0.0, sigma_pix)
        axes = (np.hypot(axis, more) for axis in (self.semimajor, self.semiminor))
        return Ellipses(*axes, self.theta, self.is_round, self.is_bad, self.jacobian)
