"""The sky under the sources, robustly from the image less all fitted sources.

What that image holds of a wrong sky is less than the error, for the sources have taken their share
of it: where the fit turns a sky of 1 into fluxes that make up 0.3 of it, a residual of 0.7 tells of
a sky that is off by 1. So each correction is divided by the share that is left, and the fluxes give
back at once what they had of it (their `Estimate.response`). A few corrections lead to rest even
where the light of stars is a hundred times that of the sky.

Only quiet pixels count, those not much noisier than the median one of their surroundings: pixels
under bright stars tell little of the sky and much of the PSF.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..pixels.background import local_background
from .image import Estimate, FitImage
from .mesh import Mesh
from .profiles import Profiles

__all__ = ["AnnulusSky", "MeshSky", "NoSky", "Sky"]

_QUIET = 1.2  # times the variance of the median pixel
_LEAST_LEFT = 0.05
_CORRECTIONS = 3
_AT_REST = 0.003  # of a flux's error
_CELL_PIX = 64.0
_SQUARE_PIX = 8.0


class Sky(Protocol):
    """A way to estimate the sky."""

    def corrected(self, image: FitImage, profiles: Profiles, estimate: Estimate) -> Estimate:
        """Return an estimate with the sky that its residuals tell, and fluxes that follow it."""
        ...


@dataclass(frozen=True)
class NoSky:
    """Nothing is subtracted."""

    def corrected(self, image: FitImage, profiles: Profiles, estimate: Estimate) -> Estimate:
        """Return the estimate as it is."""
        del image, profiles
        return estimate


@dataclass(frozen=True)
class MeshSky:
    """Clipped medians of square cells, and a bilinear surface through them.

    Attributes
    ----------
    size : float
        Side of the cells in pixels.
    """

    size: float = _CELL_PIX

    def corrected(self, image: FitImage, profiles: Profiles, estimate: Estimate) -> Estimate:
        """Return an estimate with a better `Estimate.sky`; see `Sky.corrected`."""
        return _with_mesh(image, profiles, estimate, self.size)[0]


@dataclass(frozen=True)
class AnnulusSky:
    """The sky of a mesh, and clipped medians of annuli around sources on the image less that.

    Sources within a square of 8 pixels share the annulus around their mean position, and a bilinear
    surface goes through the squares. Were the sky of each source its own, the fit would turn the
    difference between the skies of two blended sources, which is noise, into a difference of their
    fluxes that is many times as large. The mesh is there for the iteration: what fluxes and sky
    have in common over some 100 pixels makes annuli alone take as many rounds as the field is
    crowded.

    Attributes
    ----------
    r_in, r_out : float
        Inner and outer radius in pixels.
    """

    r_in: float = 20.0
    r_out: float = 25.0

    def corrected(self, image: FitImage, profiles: Profiles, estimate: Estimate) -> Estimate:
        """Return an estimate with a better `Estimate.sky`; see `Sky.corrected`.

        An annulus with less than 30 usable pixels has what the nearest has, or nothing.
        """
        estimate, residual = _with_mesh(image, profiles, estimate, _CELL_PIX)
        fitted = estimate.is_fitted
        if not fitted.any():
            return estimate
        squares = Mesh.over(image.shape, _SQUARE_PIX)
        before = np.zeros(squares.shape) if estimate.local_sky is None else estimate.local_sky
        residual += squares.on_pixels(before)
        x, y = squares.means_of_positions(profiles.x[fitted], profiles.y[fitted])
        annuli = local_background(residual, x, y, self.r_in, self.r_out)
        level, err = (
            np.nan_to_num(squares.of_positions(x, y, each)) for each in (annuli.value, annuli.err)
        )
        more = squares.on_pixels(level - before)
        change = estimate.response * squares.at(level - before, profiles.x, profiles.y)
        return replace(
            estimate,
            flux=estimate.flux - change,
            model=estimate.model - estimate.absorbed * more,
            sky=estimate.sky + more,
            sky_err=np.hypot(estimate.sky_err, squares.at(err, profiles.x, profiles.y)),
            local_sky=level,
        )


def _with_mesh(
    image: FitImage, profiles: Profiles, estimate: Estimate, size: float
) -> tuple[Estimate, NDArray[np.float32]]:
    """Return an estimate corrected by medians of cells, and the residual of its quiet pixels."""
    mesh = Mesh.over(image.shape, size)
    residual, left = _quiet_residual(image, estimate, mesh)
    kept = 1 - image.surface(estimate.absorbed)
    model, sky, flux = estimate.model.copy(), estimate.sky.copy(), estimate.flux
    for _ in range(_CORRECTIONS):
        median, err = mesh.medians(residual)
        correction = np.nan_to_num(median) / left
        on_pixels = mesh.on_pixels(correction)
        sky += on_pixels
        residual -= kept * on_pixels
        model -= estimate.absorbed * on_pixels
        change = estimate.response * mesh.at(correction, profiles.x, profiles.y)
        flux = flux - change
        if not np.any(abs(change) > _AT_REST * estimate.err):
            break
    sky_err = mesh.at(np.nan_to_num(err) / np.sqrt(left), profiles.x, profiles.y)
    return replace(estimate, flux=flux, model=model, sky=sky, sky_err=sky_err), residual


def _quiet_residual(
    image: FitImage, estimate: Estimate, mesh: Mesh
) -> tuple[NDArray[np.float32], NDArray]:
    """Return the residual of quiet pixels, NaN elsewhere, and what cells keep of a sky of 1."""
    level = image.level(estimate)
    level[np.isnan(image.data)] = np.nan
    middle, _ = mesh.medians(level)
    limit = image.variance.level_of(_QUIET * image.variance(middle))
    residual = image.residual(estimate)
    residual[level > mesh.repeated(limit)] = np.nan
    kept = np.where(np.isnan(residual), np.float32(np.nan), 1 - image.surface(estimate.absorbed))
    return residual, np.clip(np.nan_to_num(mesh.means(kept), nan=1.0), _LEAST_LEFT, 1.0)
