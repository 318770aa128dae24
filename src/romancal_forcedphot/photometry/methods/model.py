"""Model photometry at fixed positions: galaxies of known shapes and points, all fitted at once.

A source with a Sérsic shape in the catalog is that profile convolved with the PSF, any other one a
point (see `joint_fit`). A source with an impossible shape is fitted as a point, so that its light
is not its neighbours'; that flux is none of a galaxy, so it is NaN and has a flag. What a model
flux is depends on the shape as much as on the image: it is the total light of the profile, out to
infinity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ...psfs import PSF
from ...table import Column, WarningFlag, model_columns
from ..exposure import Exposure
from ..fitting import Profiles, StarsAndGalaxies, galaxies_of
from ..shapes import Shapes
from ..sources import Sources
from .joint_fit import FittedPhotometry
from .shapes import Ellipses

__all__ = ["ModelPhotometry"]


@dataclass(frozen=True)
class ModelPhotometry(FittedPhotometry):
    """Joint fit of Sérsic galaxies and points; parameters as in `photometry.Settings`.

    Raises
    ------
    ValueError
        A parameter is out of range.
    """

    name: ClassVar[str] = "model"

    def columns(self) -> Sequence[Column]:
        """Return the columns of model photometry."""
        return model_columns()

    def profiles(
        self,
        exposure: Exposure,
        sources: Sources,
        x: NDArray,
        y: NDArray,
        psf: PSF,
        rows: NDArray[np.intp],
    ) -> Profiles:
        """Return Sérsic profiles of the sources with a shape, points of all others.

        Raises
        ------
        ValueError
            The sources have no shapes, or no Sérsic profiles.
        PSFError
            The PSF of galaxies can not be made of this one.
        """
        points = super().profiles(exposure, sources, x, y, psf, rows)
        extended = np.flatnonzero(_sersic_shapes(sources).has_shape[rows])
        if not extended.size:
            return points
        some = rows[extended]
        galaxies = sources.take(some)
        ellipses = Ellipses.on_image(exposure, galaxies, x[some], y[some], circle_pix=0.0)
        sersic_index = np.asarray(_sersic_shapes(galaxies).sersic_index)
        on_pixels, known = galaxies_of(psf, sersic_index, *ellipses.axes)
        return StarsAndGalaxies(points, on_pixels, extended[known])

    def source_flags(self, sources: Sources) -> NDArray[np.int32]:
        """Return the flag of an impossible shape where there is one."""
        is_bad = _sersic_shapes(sources).is_bad
        return np.where(is_bad, np.int32(WarningFlag.BAD_SHAPE), np.int32(0))


def _sersic_shapes(sources: Sources) -> Shapes:
    """Return the shapes of sources; raise a ValueError if they are no Sérsic profiles."""
    shapes = sources.shapes
    if shapes is None:
        raise ValueError(
            f"catalog {sources.name} was read without shapes: expected Sérsic profiles for method "
            "model; read it with shapes=True, or measure points with method psf"
        )
    if shapes.sersic_index is None:
        raise ValueError(
            f"catalog {sources.name} has ellipses of moments: expected Sérsic profiles (n, "
            "half_light_radius, ba, pa) for method model; measure points with method psf, or "
            "ellipses with aperture_shape ellipse or kron"
        )
    return shapes
