"""The effective PSF (ePSF) on a grid of detector positions, evaluated on the pixels of sources.

An ePSF stamp tabulates P, the fraction of a star's flux in a whole pixel whose centre is at a given
offset from the star, with `oversample` samples per pixel (Anderson & King 2000, PASP 112, 1360).
The encircled-energy fraction of an aperture is E = sum(w m P) over the pixels of its stamp, with
the overlaps w and the mask m of the aperture sum: E takes the sub-pixel phase, the detector
position and every masked pixel into account.

P is interpolated between samples by a cubic spline and between grid positions bilinearly, as in
photutils' `~photutils.psf.GriddedPSFModel`. Both are linear in the stamps, so that only the spline
coefficients of the stamps are tabulated. The pixels of a source are `oversample` samples apart, all
at the same phase between samples: four spline weights per axis apply to the whole stamp, and the
coefficients that they multiply are one contiguous window of the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import scipy
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from ..geometry import circle_overlap
from .contract import Correction
from .errors import PSFError
from .log_grid import interpolate_over_radius
from .phases import split_by_phase, stamps_by_phase
from .position_grid import PositionGrid
from .samples import doubled_sampling, flux_in_circle, spline_weights

__all__ = ["GriddedEPSF"]

_SPARSE_SAMPLING = range(2, 8)  # samples per pixel that a spline does not do justice to
_SOURCES_AT_ONCE = 128  # few calls, and windows of coefficients that stay in the CPU cache


@dataclass(frozen=True, eq=False)
class GriddedEPSF:
    """ePSF stamps at the grid positions of a detector: a `PSF` and a `Correction`.

    Made from plain arrays, from a CRDS ``epsf`` reference and from STPSF alike.

    Attributes
    ----------
    stamps : (k, ny, nx) ndarray of float64
        Fraction of a star's flux (1 at infinity) in a whole pixel centred on each sample, samples
        1/`oversample` pixel apart. The star is at the middle of the stamp, index
        ((ny - 1) / 2, (nx - 1) / 2). A stamp that holds the total flux sums to ``oversample**2``.
    x, y : (k,) ndarray of float64
        0-indexed positions on the L2 image in any order; together they form a rectangular grid.
        Outside the grid the ePSF is that of the nearest position on its boundary.
    oversample : int
        Samples per pixel along one axis.
    wings : Correction or None
        Encircled energy at radii beyond the stamps. Without it the flux that the stamps lack is
        distributed as the wings of a diffraction pattern, falling with r**-3.
    provenance : mapping
        What the stamps were made from, for the description.

    Raises
    ------
    PSFError
        The stamps are not finite, or positions and stamps do not form a grid.
    """

    stamps: NDArray
    x: NDArray
    y: NDArray
    oversample: int
    wings: Correction | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("stamps", "x", "y"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        object.__setattr__(self, "oversample", int(self.oversample))
        self._check()

    def _check(self) -> None:
        """Raise a PSFError for arrays that are not a grid of ePSFs."""
        if self.stamps.ndim != 3 or min(self.stamps.shape) < 1:
            raise PSFError(
                f"ePSF stamps have the shape {self.stamps.shape}: expected (positions, y, x)"
            )
        if self.oversample < 1:
            raise PSFError(f"ePSF oversample is {self.oversample}: expected 1 or more")
        if not np.isfinite(self.stamps).all():
            raise PSFError("ePSF stamps have values that are not finite: expected numbers only")
        n_positions = self.stamps.shape[0]
        if self.x.shape != (n_positions,) or self.y.shape != (n_positions,):
            raise PSFError(
                f"ePSF has {n_positions} stamps and positions of shapes {self.x.shape}, "
                f"{self.y.shape}: expected a position for each stamp"
            )
        _ = self.grid  # refuses positions that form none

    @property
    def description(self) -> dict[str, Any]:
        """Provenance and assumptions of the ePSF, for the product's metadata."""
        return {
            "method": "ePSF on a grid of positions",
            "n_positions": int(self.x.size),
            "oversample": self.oversample,
            "stamp_radius_pix": self.stamp_radius,
            "stamp_flux_fraction": float(np.median(self.stamp_flux_fractions)),
            "between_positions": "bilinear, outside the grid as at its edge",
            "between_samples": "cubic spline",
            "beyond_stamp": "the flux that the stamps lack, falling with r**-3",
            "masked_pixels": "left out of the sum of the ePSF",
            **self.provenance,
        }

    @cached_property
    def grid(self) -> PositionGrid:
        """The grid of the stamps' positions."""
        return PositionGrid(self.x, self.y)

    @property
    def stamp_radius(self) -> float:
        """Radius in pixels of the largest circle around the star on the stamps."""
        return (min(self.stamps.shape[1:]) - 1) / 2 / self.oversample

    @property
    def stamp_flux_fractions(self) -> NDArray:
        """(k,) fraction of the total flux of a star in each stamp."""
        return self.stamps.sum(axis=(1, 2)) / self.oversample**2

    def reach(self, x: ArrayLike, y: ArrayLike) -> float:
        """Return the radius of the largest circle on the stamps, the same at all positions.

        Parameters
        ----------
        x, y : array_like
            Pixel positions; not needed.

        Returns
        -------
        float
            Pixels.
        """
        del x, y
        return self.stamp_radius

    def for_rows(self, rows: ArrayLike) -> GriddedEPSF:
        """Return this ePSF, which is the same for all rows of a catalog.

        Parameters
        ----------
        rows : array_like
            Indices of rows; not needed.

        Returns
        -------
        GriddedEPSF
        """
        del rows
        return self

    def in_aperture(
        self,
        x: ArrayLike,
        y: ArrayLike,
        radius: ArrayLike,
        *,
        weights: NDArray | None = None,
        full_weights: NDArray | None = None,
    ) -> NDArray:
        """Return the encircled-energy fraction of each source's aperture sum.

        Parameters
        ----------
        x, y : (n,) array_like
            0-indexed pixel positions.
        radius : float or (n,) array_like
            Aperture radius in pixels, common to all sources or one per source.
        weights : (n, s, s) ndarray or None
            Weight of each pixel in the sum on stamps of odd side s centred on pixel (rint(y),
            rint(x)), 0 where a pixel was not used. None stands for complete apertures.
        full_weights : (n, s, s) ndarray or None
            Not needed.

        Returns
        -------
        (n,) ndarray of float64
            E = sum(weights * P); 0 where no pixel was used.

        Raises
        ------
        PSFError
            The aperture extends beyond the ePSF's stamps.
        """
        del full_weights
        x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        if weights is None:
            weights = circle_overlap(x - np.rint(x), y - np.rint(y), radius)
        fraction = np.empty(x.shape)
        for first in range(0, x.size, _SOURCES_AT_ONCE):
            rows = slice(first, first + _SOURCES_AT_ONCE)
            flux = weights[rows] * self._on_pixels_each(x[rows], y[rows], weights.shape[-1])
            fraction[rows] = flux.reshape(len(flux), -1).sum(axis=1)
        return fraction

    def in_annulus(self, x: ArrayLike, y: ArrayLike, r_in: ArrayLike, r_out: ArrayLike) -> NDArray:
        """Return the fraction of each source's flux in the pixels of an annulus.

        Pixels are in the annulus or not by their centres; the fraction is averaged over the
        sub-pixel phase.

        Parameters
        ----------
        x, y : (n,) array_like
            0-indexed pixel positions.
        r_in, r_out : float or (n,) array_like
            Inner and outer radius in pixels, common to all sources or one per source.

        Returns
        -------
        (n,) ndarray of float64
            Fraction of the total flux.
        """
        x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        fraction = self._flux_within(x, y, r_out) - self._flux_within(x, y, r_in)
        if self.wings is not None and np.any(np.asarray(r_out) > self.stamp_radius):
            beyond = (np.maximum(radius, self.stamp_radius) for radius in (r_in, r_out))
            fraction = fraction + self.wings.in_annulus(x, y, *beyond)
        return fraction

    def on_pixels(self, x: NDArray, y: NDArray, side: int) -> NDArray:
        """Return the ePSF on the pixels around each source.

        Parameters
        ----------
        x, y : (n,) ndarray of float64
            0-indexed pixel positions.
        side : int
            Odd side s of the stamps in pixels, which are centred on pixel (rint(y), rint(x)).

        Returns
        -------
        (n, s, s) ndarray of float32, indexed [source, y, x]
            Fraction of the total flux (1 at infinity), integrated over each pixel.

        Raises
        ------
        PSFError
            The pixels extend beyond the ePSF's stamps.
        """
        self._check_side(side)
        phases, (ny, nx), oversample = self._phases
        nodes, shares = (np.array(each) for each in zip(*self.grid.corners(x, y), strict=True))
        return stamps_by_phase(
            phases,
            nodes,
            shares,
            spline_weights(y, ny, side, oversample),
            spline_weights(x, nx, side, oversample),
            side=side,
        )

    def _on_pixels_each(self, x: NDArray, y: NDArray, side: int) -> NDArray:
        """Return what `on_pixels` does, to the last digit whatever other sources are asked for."""
        self._check_side(side)
        _, ny, nx = self.stamps.shape
        row, y_weights = spline_weights(y, ny, side, self.oversample)
        column, x_weights = spline_weights(x, nx, side, self.oversample)
        reach = self.oversample * (side - 1) + 1
        size = reach + 3
        axes: Any = (1, 2)
        windows = sliding_window_view(self._coefficients, (size, size), axis=axes)
        table = np.zeros((x.size, size, size))
        for node, weight in self.grid.corners(x, y):
            table += weight[:, None, None] * windows[node, row, column]
        rows = np.zeros((x.size, side, size))
        for k in range(4):
            rows += y_weights[k][:, None, None] * table[:, k : k + reach : self.oversample]
        flux = np.zeros((x.size, side, side))
        for k in range(4):
            flux += x_weights[k][:, None, None] * rows[:, :, k : k + reach : self.oversample]
        return flux

    def _check_side(self, side: int) -> None:
        """Raise a PSFError for stamps of pixels that are larger than those of the ePSF."""
        # The outermost pixel's centre is side / 2 from the star at most; the spline needs two
        # samples more on each side.
        longest = (min(self.stamps.shape[1:]) - 5) / self.oversample
        if side > longest:
            raise PSFError(
                f"aperture needs {side} x {side} pixels of an ePSF that holds {int(longest)}: "
                "choose a smaller aperture radius"
            )

    @cached_property
    def _coefficients(self) -> NDArray:
        """Cubic B-spline coefficients of the stamps (k, ny, nx)."""
        return np.array(
            [scipy.ndimage.spline_filter(stamp, order=3, mode="mirror") for stamp in self.stamps]
        )

    @cached_property
    def _phases(self) -> tuple[NDArray[np.float32], tuple[int, int], int]:
        """Coefficients of stamps sampled finely, by phase; their shape, and samples per pixel."""
        stamps, oversample = self.stamps, self.oversample
        if oversample in _SPARSE_SAMPLING:
            stamps, oversample = doubled_sampling(stamps), 2 * oversample
        coefficients = (
            scipy.ndimage.spline_filter(stamp, order=3, mode="mirror") for stamp in stamps
        )
        phases = (split_by_phase(each[None], oversample)[0] for each in coefficients)
        return np.array(list(phases)), stamps.shape[1:], oversample

    # --- flux within circles -------------------------------------------------------------------

    @cached_property
    def _flux_cache(self) -> dict[float, NDArray]:
        """Flux (k,) of the stamps within radii in pixels."""
        return {}

    def _flux_within(self, x: NDArray, y: NDArray, radius: ArrayLike) -> NDArray:
        """Return the fraction of the flux within radii, of the stamps and their own wings.

        `radius` (pixels) is common to all sources or one per source. Beyond the stamps it holds
        the r**-3 wings only: `wings`, where there are any, are added by `in_annulus`.
        """
        return interpolate_over_radius(
            radius, lambda at_radius, rows: self._flux_within_radius(x[rows], y[rows], at_radius)
        )

    def _flux_within_radius(self, x: NDArray, y: NDArray, radius: float) -> NDArray:
        """Return `_flux_within` for one radius of all sources."""
        inside, cache = min(radius, self.stamp_radius), self._flux_cache
        if inside not in cache:
            cache[inside] = flux_in_circle(self.stamps, inside, self.oversample)
        at_nodes = cache[inside]
        if self.wings is None and radius > inside:
            missing = np.maximum(1 - at_nodes, 0.0)
            at_nodes = at_nodes + missing * (1 - inside / radius)
        flux = np.zeros(x.shape)
        for node, weight in self.grid.corners(x, y):
            flux += weight * at_nodes[node]
        return flux
