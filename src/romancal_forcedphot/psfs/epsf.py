"""The effective PSF on a grid of detector positions, on the pixels around each source.

An ePSF stamp is a table of P, the fraction of a star's light that falls on a whole pixel whose
centre is at a given offset from the star, sampled `oversample` times per pixel. The
encircled-energy fraction of an aperture is then E = sum(w m P) over the pixels of its stamp, with
the weights w m of its sum: E follows the sub-pixel phase, the detector position and every masked
pixel.

Between samples P is the cubic spline through them, between grid points it is bilinear, as in
photutils' `GriddedPSFModel`. Both are linear in the stamps, so all that is tabulated is their
spline coefficients. The pixels of a source lie `oversample` samples apart, all at one phase: four
spline weights per axis serve the whole stamp, and the coefficients under it are one contiguous
window of the table.

Any source of an ePSF (a CRDS reference, STPSF) comes here as plain arrays: `GriddedEPSF`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import spline_filter

from ..geometry import circle_overlap
from .contract import Correction
from .errors import PSFError
from .log_grid import on_radius_grid
from .phases import split_by_phase, stamps_by_phase
from .samples import bilinear_nodes, light_in_circle, spline_weights

__all__ = ["GriddedEPSF"]

_SOURCES_AT_ONCE = 128  # few calls, and windows of coefficients that stay in the cache


@dataclass(frozen=True, eq=False)
class GriddedEPSF:
    """ePSF stamps at grid positions of a detector, as a `Correction`.

    Made from plain arrays, so that a CRDS ``epsf`` reference and an STPSF grid are used alike.

    Attributes
    ----------
    stamps : (k, ny, nx) ndarray of float64
        Fraction of a star's light (1 at infinity) on a whole pixel, at samples 1/`oversample`
        pixel apart. The star is at the middle of the stamp, index ((ny - 1) / 2, (nx - 1) / 2).
        A stamp that holds all of the light sums to `oversample`².
    x, y : (k,) ndarray of float64
        0-indexed positions on the L2 image, in any order: each of a number of x with each of a
        number of y. Beyond the outermost ones the ePSF is that of the nearest place inside.
    oversample : int
        Samples per pixel along one axis.
    continuation : Correction or None
        Tells the light at radii beyond the stamps. Without one the light that the stamps lack is
        taken to fall off as the wings of a diffraction pattern, with r**-3.
    provenance : mapping
        What the stamps were made from, for the description.
    """

    stamps: NDArray
    x: NDArray
    y: NDArray
    oversample: int
    continuation: Correction | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        for name in ("stamps", "x", "y"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        object.__setattr__(self, "oversample", int(self.oversample))
        self._check()

    def _check(self) -> None:
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
        places = set(zip(self.x.tolist(), self.y.tolist(), strict=True))
        if len(places) != n_positions or n_positions != self._x_nodes.size * self._y_nodes.size:
            raise PSFError(
                f"ePSF positions x {self.x.tolist()}, y {self.y.tolist()} are no rectangular "
                "grid: expected each of a number of x with each of a number of y"
            )

    @property
    def description(self) -> dict[str, Any]:
        """What the correction was made from and what it assumes."""
        return {
            "method": "ePSF on a grid of positions",
            "n_positions": int(self.x.size),
            "oversample": self.oversample,
            "stamp_radius_pix": self.stamp_radius,
            "light_in_stamp": float(np.median(self.light_in_stamps)),
            "between_positions": "bilinear, outside the grid as at its edge",
            "between_samples": "cubic spline",
            "beyond_stamp": "the light that the stamps lack, falling with r**-3",
            "masked_pixels": "left out of the sum of the ePSF",
            **self.provenance,
        }

    @property
    def stamp_radius(self) -> float:
        """Radius in pixels of the largest circle around the star on the stamps."""
        return (min(self.stamps.shape[1:]) - 1) / 2 / self.oversample

    @property
    def light_in_stamps(self) -> NDArray:
        """Fraction of a star's light on each stamp (k,)."""
        return self.stamps.sum(axis=(1, 2)) / self.oversample**2

    def reach(self, x: ArrayLike, y: ArrayLike) -> float:
        """Return the radius in pixels to which the stamps know the light at some positions."""
        del x, y
        return self.stamp_radius

    def for_rows(self, rows: ArrayLike) -> GriddedEPSF:
        """Return the correction of some rows of the catalog: this one."""
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
        """Return the fraction of each source's light that its aperture sum holds.

        Parameters
        ----------
        x, y : (n,) array_like
            Pixel positions.
        radius : float or (n,) array_like
            Aperture radius in pixels, of all sources or of each.
        weights : (n, s, s) ndarray or None
            Weight of each pixel in the sum on a stamp of odd side s centred on pixel (rint(y),
            rint(x)), 0 where a pixel was not used. None stands for whole apertures.
        full_weights : (n, s, s) ndarray or None
            Not needed here.

        Returns
        -------
        fraction : (n,) ndarray of float64
            sum(weights * P); 0 where no pixel was used.

        Raises
        ------
        ValueError
            If the aperture reaches beyond the ePSF's stamps.
        """
        del full_weights
        x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        if weights is None:
            weights = circle_overlap(x - np.rint(x), y - np.rint(y), radius)
        fraction = np.empty(x.shape)
        for first in range(0, x.size, _SOURCES_AT_ONCE):
            rows = slice(first, first + _SOURCES_AT_ONCE)
            light = weights[rows] * self._on_pixels_each(x[rows], y[rows], weights.shape[-1])
            fraction[rows] = light.reshape(len(light), -1).sum(axis=1)
        return fraction

    def in_annulus(self, x: ArrayLike, y: ArrayLike, r_in: ArrayLike, r_out: ArrayLike) -> NDArray:
        """Return the fraction of each source's light in the pixels between two radii.

        Pixels belong to the annulus whole, by their centres; the mean over the sub-pixel phase.

        Parameters
        ----------
        x, y : (n,) array_like
            Pixel positions.
        r_in, r_out : float or (n,) array_like
            Radii in pixels, of all sources or of each.

        Returns
        -------
        fraction : (n,) ndarray of float64
        """
        x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        light = self._within(x, y, r_out) - self._within(x, y, r_in)
        if self.continuation is not None and np.any(np.asarray(r_out) > self.stamp_radius):
            beyond = (np.maximum(radius, self.stamp_radius) for radius in (r_in, r_out))
            light = light + self.continuation.in_annulus(x, y, *beyond)
        return light

    def on_pixels(self, x: NDArray, y: NDArray, side: int) -> NDArray:
        """Return the ePSF on the pixels around each source.

        Parameters
        ----------
        x, y : (n,) ndarray of float64
            Pixel positions.
        side : int
            Odd side s of the stamps, which are centred on pixel (rint(y), rint(x)).

        Returns
        -------
        light : (n, s, s) ndarray of float64, indexed [source, y, x]
            Fraction of the source's light on each pixel.

        Raises
        ------
        ValueError
            If the pixels reach beyond the ePSF's stamps.
        """
        self._check_side(side)
        _, ny, nx = self.stamps.shape
        nodes, shares = (np.array(each) for each in zip(*self._corners(x, y), strict=True))
        return stamps_by_phase(
            self._phases,
            nodes,
            shares,
            spline_weights(y, ny, side, self.oversample),
            spline_weights(x, nx, side, self.oversample),
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
        windows = sliding_window_view(self._coefficients, (size, size), axis=(1, 2))
        table = np.zeros((x.size, size, size))
        for node, share in self._corners(x, y):
            table += share[:, None, None] * windows[node, row, column]
        rows = np.zeros((x.size, side, size))
        for k in range(4):
            rows += y_weights[k][:, None, None] * table[:, k : k + reach : self.oversample]
        light = np.zeros((x.size, side, side))
        for k in range(4):
            light += x_weights[k][:, None, None] * rows[:, :, k : k + reach : self.oversample]
        return light

    def _check_side(self, side: int) -> None:
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
        return np.array([spline_filter(stamp, order=3, mode="mirror") for stamp in self.stamps])

    @cached_property
    def _phases(self) -> NDArray:
        """The coefficients, those of one sub-pixel phase together."""
        return split_by_phase(self._coefficients, self.oversample)

    # --- the grid of positions -----------------------------------------------------------------

    @cached_property
    def _x_nodes(self) -> NDArray:
        return np.unique(self.x)

    @cached_property
    def _y_nodes(self) -> NDArray:
        return np.unique(self.y)

    @cached_property
    def _node_at(self) -> NDArray[np.intp]:
        """Which stamp belongs to the nodes (y, x) of the grid."""
        node = np.empty((self._y_nodes.size, self._x_nodes.size), dtype=np.intp)
        row, column = np.searchsorted(self._y_nodes, self.y), np.searchsorted(self._x_nodes, self.x)
        node[row, column] = np.arange(self.x.size)
        return node

    def _corners(self, x: NDArray, y: NDArray) -> list[tuple[NDArray[np.intp], NDArray]]:
        """Return the stamps around each position and their bilinear shares, four times (n,)."""
        left, right, to_right = bilinear_nodes(self._x_nodes, x)
        lower, upper, to_upper = bilinear_nodes(self._y_nodes, y)
        return [
            (self._node_at[row, column], y_share * x_share)
            for row, y_share in ((lower, 1 - to_upper), (upper, to_upper))
            for column, x_share in ((left, 1 - to_right), (right, to_right))
        ]

    # --- light within circles ------------------------------------------------------------------

    @cached_property
    def _circles(self) -> dict[float, NDArray]:
        return {}

    def _within(self, x: NDArray, y: NDArray, radius: ArrayLike) -> NDArray:
        """Return the light of the stamps, and of what follows from them, within radii."""
        return on_radius_grid(
            radius, lambda at_radius, rows: self._within_one(x[rows], y[rows], at_radius)
        )

    def _within_one(self, x: NDArray, y: NDArray, radius: float) -> NDArray:
        """Return `_within` for a radius of all sources."""
        inside, circles = min(radius, self.stamp_radius), self._circles
        if inside not in circles:
            circles[inside] = light_in_circle(self.stamps, inside, self.oversample)
        at_nodes = circles[inside]
        if self.continuation is None and radius > inside:
            missing = np.maximum(1 - at_nodes, 0.0)
            at_nodes = at_nodes + missing * (1 - inside / radius)
        light = np.zeros(x.shape)
        for node, share in self._corners(x, y):
            light += share * at_nodes[node]
        return light
