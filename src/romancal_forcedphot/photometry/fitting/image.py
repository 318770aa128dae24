"""The image that is fitted, and what is known of it so far.

Fluxes live on light: the data less the sky, times the relative area of the pixel, d Ω. So a stamp
is the PSF as it is, and the area enters in one place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .parallel import by_strips
from .variance import VarianceCurve
from .windows import Window

__all__ = ["Estimate", "FitImage", "scaled_image"]

Rows = slice | NDArray[np.intp]

_ALL = slice(None)
_SAMPLED = 1_000_000  # pixels


@dataclass(frozen=True, eq=False)
class Estimate:
    """Fluxes of m unknowns and the sky, as known at some point of the iteration.

    Attributes
    ----------
    flux, err : (m,) ndarray of float64
        Fluxes, and standard errors without the sky's.
    diagonal : (m,) ndarray of float64
        Of the normal matrix: one over the variance that a flux would have without neighbours.
    response : (m,) ndarray of float64
        By how much each flux falls where the sky is taken to be higher by 1.
    half_size : (m,) ndarray of intp
        Half sizes of the stamps, 0 for those that are not fitted.
    is_guest : (m,) ndarray of bool
        Those whose fluxes are fitted only for the sake of others.
    model : (ny, nx) ndarray of float32
        Light of all sources.
    absorbed : (ny, nx) ndarray of float32
        Light that sources have of a sky of 1: what `model` gains where the sky is lower by 1.
    far_wings : (ny, nx) ndarray of float32
        What `model` has of light beyond the stamps.
    sky : (ny, nx) ndarray of float32
        The sky in units of the image.
    sky_err : (m,) ndarray of float64
        Standard error of the sky at each source.
    local_sky : (r, c) ndarray of float64, optional
        What `sky` has of each square around sources, if it has.
    weight : (ny, nx) ndarray of float32
        One over the variance of light on each pixel, 0 where it may not be used.
    """

    flux: NDArray
    err: NDArray
    diagonal: NDArray
    response: NDArray
    half_size: NDArray[np.intp]
    is_guest: NDArray[np.bool_]
    model: NDArray[np.float32]
    absorbed: NDArray[np.float32]
    far_wings: NDArray[np.float32]
    sky: NDArray[np.float32]
    sky_err: NDArray
    weight: NDArray[np.float32]
    local_sky: NDArray | None = None

    @classmethod
    def nothing(cls, n_unknowns: int, shape: tuple[int, int]) -> Estimate:
        """Return the estimate before anything is known: no light anywhere."""
        dark, zero = np.zeros(shape, dtype=np.float32), np.zeros(n_unknowns)
        unknown = np.full(n_unknowns, np.nan)
        none, no = np.zeros(n_unknowns, dtype=np.intp), np.zeros(n_unknowns, dtype=bool)
        return cls(zero, unknown, zero, zero, none, no, dark, dark, dark, dark, zero, dark)

    @property
    def is_fitted(self) -> NDArray[np.bool_]:
        """Which unknowns take part."""
        return self.half_size > 0


@dataclass(frozen=True, eq=False)
class FitImage:
    """Pixels to be fitted.

    Attributes
    ----------
    data : (ny, nx) ndarray of float32
        Surface brightness; NaN where a pixel may not be used.
    area : (ny, nx) ndarray or None
        Relative pixel area; None for 1 everywhere.
    variance : VarianceCurve
        Variance of a pixel against its expected level.
    excess : (ny, nx) ndarray of float32
        What the variance of single pixels has beyond that.
    """

    data: NDArray[np.float32]
    area: NDArray | None
    variance: VarianceCurve
    excess: NDArray[np.float32]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.data.shape

    def surface(self, light: NDArray[np.float32], rows: Rows = _ALL) -> NDArray[np.float32]:
        """Return the surface brightness of light on all pixels, or on those of some rows."""
        if self.area is None:
            return light[rows]
        return (light[rows] / self.area[rows]).astype(np.float32, copy=False)

    def residual(self, estimate: Estimate, rows: Rows = _ALL) -> NDArray[np.float32]:
        """Return the data less all sources and the sky on pixels."""
        return self.data[rows] - self.level(estimate, rows)

    def level(self, estimate: Estimate, rows: Rows = _ALL) -> NDArray[np.float32]:
        """Return what the pixels are expected to have."""
        return self.surface(estimate.model, rows) + estimate.sky[rows]

    def weighted(self, estimate: Estimate, n_threads: int = 1) -> Estimate:
        """Return an estimate with the weights of its model and sky."""
        weight = np.empty(self.shape, dtype=np.float32)

        def fill(rows: slice) -> None:
            variance = self.variance.on_pixels(self.level(estimate, rows)) + self.excess[rows]
            if self.area is not None:
                variance *= np.square(self.area[rows], dtype=np.float32)
            weight[rows] = np.where(np.isfinite(self.data[rows]), 1 / variance, np.float32(0))

        by_strips(fill, self.shape, n_threads)
        return replace(estimate, weight=weight)

    def pixels(
        self, window: Window, estimate: Estimate
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Return weights, residuals and areas of a window's pixels, flattened.

        Weight 0 and residual 0 mark pixels that may not be used. Both are those of light.
        """
        data, weight = window.cut(self.data), window.cut(estimate.weight)
        area = np.float32(1) if self.area is None else window.cut(self.area, 1.0).astype(np.float32)
        light = (data - window.cut(estimate.sky)) * area - window.cut(estimate.model)
        residual = np.where(weight > 0, light, np.float32(0))
        area = np.broadcast_to(area, data.shape)
        return weight.ravel(), residual.ravel(), area.ravel()


def scaled_image(
    data: NDArray[np.float32], err: NDArray, area: NDArray | None, n_threads: int = 1
) -> tuple[FitImage, float]:
    """Return an image in units of the median error of its pixels, and this unit.

    Parameters
    ----------
    data, err, area, n_threads
        See `fluxes.fit_fluxes`.
    """
    scale = np.float32(_median_error(data, err))
    scaled, excess = (np.empty(data.shape, dtype=np.float32) for _ in range(2))

    def fill(rows: slice) -> None:
        light, sigma = data[rows], err[rows]
        usable = np.isfinite(light) & np.isfinite(sigma) & (sigma > 0)
        scaled[rows] = np.where(usable, light / scale, np.float32(np.nan))

    by_strips(fill, data.shape, n_threads)
    step = max(data.size // _SAMPLED, 1)
    some = scaled.reshape(-1)[::step], err.reshape(-1)[::step].astype(np.float32) / scale
    variance = VarianceCurve.of_image(*some)

    def fill_excess(rows: slice) -> None:
        excess[rows] = variance.excess(scaled[rows], err[rows].astype(np.float32) / scale)

    by_strips(fill_excess, data.shape, n_threads)
    return FitImage(scaled, area, variance, excess), float(scale)


def _median_error(data: NDArray, err: NDArray) -> float:
    """Return the median error of some usable pixels, 1 if there is none."""
    for step in (max(data.size // _SAMPLED, 1), 1):
        sigma = err.reshape(-1)[::step].astype(np.float32)
        usable = np.isfinite(data.reshape(-1)[::step]) & np.isfinite(sigma) & (sigma > 0)
        if usable.any():
            return float(np.median(sigma[usable]))
    return 1.0
