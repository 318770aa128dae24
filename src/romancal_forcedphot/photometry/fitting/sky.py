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
from functools import partial
from typing import Protocol

import numpy as np

from ..pixels.background import local_background
from .image import Estimate, FitImage
from .mesh import Mesh
from .parallel import by_strips, in_order
from .profiles import Profiles
from .quiet import QuietStrip

__all__ = ["AnnulusSky", "MeshSky", "NoSky", "Sky", "followed"]

_LEAST_LEFT = 0.05
_CORRECTIONS = 2
#: Share of a cell's pixels. A median of fewer is not the mean of the surface over the cell: were it
#: taken for that, corrections would grow from one to the next at the rim of a mosaic.
_WHOLE = 0.9
_AT_REST = 0.003  # of a flux's error
_CELL_PIX = 64.0
_SQUARE_PIX = 8.0


class Sky(Protocol):
    """A way to estimate the sky."""

    def corrected(
        self, image: FitImage, profiles: Profiles, estimate: Estimate, n_threads: int = 1
    ) -> Estimate:
        """Return an estimate with the sky that its residuals tell, and fluxes that follow it.

        Its model is that of the fluxes before; see `followed`.
        """
        ...


@dataclass(frozen=True)
class NoSky:
    """Nothing is subtracted."""

    def corrected(
        self, image: FitImage, profiles: Profiles, estimate: Estimate, n_threads: int = 1
    ) -> Estimate:
        """Return the estimate as it is."""
        del image, profiles, n_threads
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

    def corrected(
        self, image: FitImage, profiles: Profiles, estimate: Estimate, n_threads: int = 1
    ) -> Estimate:
        """Return an estimate with a better `Estimate.sky`; see `Sky.corrected`."""
        return _with_mesh(image, profiles, estimate, self.size, n_threads=n_threads)[0]


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

    def corrected(
        self, image: FitImage, profiles: Profiles, estimate: Estimate, n_threads: int = 1
    ) -> Estimate:
        """Return an estimate with a better `Estimate.sky`; see `Sky.corrected`.

        An annulus with less than 30 usable pixels has what the nearest has, or nothing.
        """
        estimate, strips = _with_mesh(
            image, profiles, estimate, _CELL_PIX, n_threads=n_threads, all_rows=True
        )
        fitted = estimate.is_fitted
        if not fitted.any():
            return estimate
        squares = Mesh.over(image.shape, _SQUARE_PIX)
        before = np.zeros(squares.shape) if estimate.local_sky is None else estimate.local_sky
        residual = np.concatenate([strip.residual for strip in strips])
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
            sky=estimate.sky + more,
            sky_err=np.hypot(estimate.sky_err, squares.at(err, profiles.x, profiles.y)),
            local_sky=level,
        )


def _with_mesh(
    image: FitImage,
    profiles: Profiles,
    estimate: Estimate,
    size: float,
    *,
    n_threads: int,
    all_rows: bool = False,
) -> tuple[Estimate, list[QuietStrip]]:
    """Return an estimate corrected by medians of cells, and what its quiet pixels have left."""
    mesh = Mesh.over(image.shape, size)
    of_strip = partial(QuietStrip.of, image, estimate)
    strips = list(in_order(of_strip, mesh.strips(all_rows=all_rows), n_threads))
    means = mesh.filled(strip.mean_kept() for strip in strips)[0]
    left = np.clip(np.nan_to_num(means, nan=1.0), _LEAST_LEFT, 1.0)
    is_whole = min(strip.share_of(image).min() for strip in strips) > _WHOLE
    flux, total = estimate.flux, np.zeros(mesh.shape)
    for _ in range(_CORRECTIONS):
        median, err = mesh.filled(in_order(QuietStrip.medians, strips, n_threads))
        correction = np.nan_to_num(median) / left
        if is_whole:
            correction = mesh.with_means(correction)
        total += correction
        corrected = partial(QuietStrip.with_more_sky, mesh=mesh, cells=correction)
        strips = list(in_order(corrected, strips, n_threads))
        change = estimate.response * mesh.at(correction, profiles.x, profiles.y)
        flux = flux - change
        if not np.any(abs(change) > _AT_REST * estimate.err):
            break
    sky_err = mesh.at(np.nan_to_num(err) / np.sqrt(left), profiles.x, profiles.y)
    sky = np.empty_like(estimate.sky)

    def fill(rows: slice) -> None:
        sky[rows] = mesh.on_pixels(total, np.arange(rows.start, rows.stop))
        sky[rows] += estimate.sky[rows]

    by_strips(fill, image.shape, n_threads)
    return replace(estimate, flux=flux, sky=sky, sky_err=sky_err), strips


def followed(estimate: Estimate, before: Estimate, n_threads: int = 1) -> Estimate:
    """Return an estimate whose model follows its sky, as its fluxes did.

    Parameters
    ----------
    estimate : Estimate
        From `Sky.corrected`.
    before : Estimate
        What was corrected.
    n_threads : int
        Threads over strips.
    """
    model = np.empty_like(before.model)

    def fill(rows: slice) -> None:
        more = estimate.sky[rows] - before.sky[rows]
        more *= estimate.absorbed[rows]
        np.subtract(before.model[rows], more, out=model[rows])

    by_strips(fill, model.shape, n_threads)
    return replace(estimate, model=model)
