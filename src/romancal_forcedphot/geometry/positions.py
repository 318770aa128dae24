"""Conversion between sky and pixel positions by the forward transform of a WCS.

The forward transform (pixel to sky) of a Roman WCS defines the positions. The analytic inverse that
a distortion reference carries is a fit to it, off by up to 0.3 pixel, and may be absent; it is not
used. The forward transform ``F`` is inverted numerically, for every WCS in the same way: a
polynomial ``P`` from the tangent plane to pixels is fitted to ``F`` on a grid over the image, and
each position is iterated with the forward transform, ::

    x  <-  x + P(sky) - P(F(x))

The fixed point is ``F(x) = sky`` whatever the error of ``P``; this error (about 1e-5 pixel) only
determines the rate of convergence. Positions outside a cone around the image are never passed to
the WCS, because its polynomials fold back onto the detector far from it. All computations between
sky and pixel use unit vectors, so that neither the poles nor the wrap of right ascension need
special treatment.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import ArrayLike, NDArray

__all__ = ["pixel_to_sky", "sky_to_pixel", "unit_vectors_at"]

ARCSEC_PER_RADIAN = np.degrees(1.0) * 3600.0
MARGIN_PIX = 128.0  # positions are computed up to this far outside the image
FIT_DEGREE = 6
FIT_NODES = 25  # per axis
MAX_ITERATIONS = 6
CONVERGENCE_PIX = 1e-4  # a step this small leaves an error far below 1e-6 pixel
ROUND_TRIP_ARCSEC = 1e-3
POSITIONS_AT_ONCE = 65_536  # arrays of this length stay in the CPU cache
# BLAS uses threads for products of more than about 260,000 multiplications. They cost more than
# they save here, and other processes need their cores.
_BLAS_AT_ONCE = 2048  # positions whose polynomial is evaluated
_NODES_AT_ONCE = 100  # of the fit


def pixel_to_sky(wcs, x: ArrayLike, y: ArrayLike) -> tuple[NDArray, NDArray]:
    """Return the sky positions of pixel positions, on the image or off it.

    Parameters
    ----------
    wcs : gwcs.wcs.WCS
        WCS from 0-indexed pixels to ICRS degrees. Its bounding box is not applied.
    x, y : array_like
        Pixel positions of any common shape; NaN gives NaN.

    Returns
    -------
    ra, dec : ndarray of float64
        ICRS degrees, in the shape of the input.
    """
    x, y = np.broadcast_arrays(np.asarray(x, dtype=float), np.asarray(y, dtype=float))
    if x.size == 0:
        return np.empty(x.shape), np.empty(x.shape)
    with np.errstate(over="ignore", invalid="ignore"):  # polynomials of absurd positions
        ra, dec = wcs(np.atleast_1d(x), np.atleast_1d(y), with_bounding_box=False)
    return np.reshape(ra, x.shape), np.reshape(dec, x.shape)


def sky_to_pixel(
    wcs, ra: ArrayLike, dec: ArrayLike, shape: tuple[int, int]
) -> tuple[NDArray, NDArray]:
    """Return the pixel positions of sky positions, by inversion of the forward transform.

    Parameters
    ----------
    wcs : gwcs.wcs.WCS
        WCS from 0-indexed pixels to ICRS degrees; it needs no inverse.
    ra, dec : (n,) array_like
        ICRS degrees, right ascension in any wrap.
    shape : (int, int)
        Shape (ny, nx) of the image.

    Returns
    -------
    x, y : (n,) ndarray of float64
        0-indexed pixel positions, exact to 1e-6 pixel. Both are NaN where a position is not finite,
        is more than ``MARGIN_PIX`` outside the image, or where the forward transform of the result
        differs from the position by more than 1 mas.

    Raises
    ------
    ValueError
        `ra` and `dec` differ in shape, or the WCS has no sky position for much of the image.
    """
    ra = np.asarray(ra, dtype=float)
    dec = np.asarray(dec, dtype=float)
    if ra.shape != dec.shape or ra.ndim != 1:
        raise ValueError(
            f"ra and dec must be one-dimensional and of one length, got {ra.shape}, {dec.shape}"
        )
    x = np.full(ra.size, np.nan)
    y = np.full(ra.size, np.nan)
    if ra.size == 0:
        return x, y
    footprint = _Footprint.of(wcs, shape)
    nearby = footprint.candidates(ra, dec)
    for start in range(0, nearby.size, POSITIONS_AT_ONCE):
        rows = nearby[start : start + POSITIONS_AT_ONCE]
        x[rows], y[rows] = _invert(wcs, footprint, _unit_vectors(ra[rows], dec[rows]))
    return x, y


@dataclass(frozen=True)
class _Footprint:
    """The image on the sky: tangent plane, cone around the image, and polynomial sky -> pixel.

    Attributes
    ----------
    frame : (3, 3) ndarray
        Unit vectors of the two axes of the tangent plane and of its centre, as rows.
    radius : float
        Half opening angle in radians of the cone that contains the image and its margin.
    half_width : float
        Largest coordinate on the tangent plane, by which coordinates are scaled to -1..1.
    coefficients : (degree + 1, degree + 1, 2) ndarray
        Chebyshev coefficients of x and y.
    shape : (int, int)
        Shape (ny, nx) of the image.
    """

    frame: NDArray
    radius: float
    half_width: float
    coefficients: NDArray = field(repr=False)
    shape: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, wcs, shape: tuple[int, int]) -> _Footprint:
        """Fit the polynomial of an image of `shape` to the forward transform on a grid."""
        ny, nx = shape
        x, y = np.meshgrid(_nodes(nx, FIT_NODES), _nodes(ny, FIT_NODES))
        vectors = unit_vectors_at(wcs, x.ravel(), y.ravel())
        usable = np.isfinite(vectors).all(axis=0)
        if np.count_nonzero(usable) < (FIT_DEGREE + 1) ** 2:
            raise ValueError(
                f"the WCS gives a sky position for {np.count_nonzero(usable)} of {usable.size} "
                f"points over an image of shape {tuple(shape)}; is it the WCS of this image?"
            )
        vectors = vectors[:, usable]
        pixels = np.stack([x.ravel(), y.ravel()], axis=-1)[usable]
        frame = _tangent_frame(
            unit_vectors_at(wcs, np.array([(nx - 1) / 2]), np.array([(ny - 1) / 2]))
        )
        plane = _project(frame, vectors)
        half_width = float(np.abs(plane).max())
        basis = chebyshev.chebvander2d(*(plane / half_width), (FIT_DEGREE, FIT_DEGREE))
        # Normal equations: the iteration makes up for their loss of digits, and they are small.
        parts = [slice(n, n + _NODES_AT_ONCE) for n in range(0, len(basis), _NODES_AT_ONCE)]
        normal = sum(basis[part].T @ basis[part] for part in parts)
        solution, *_ = np.linalg.lstsq(normal, basis.T @ pixels, rcond=None)
        size = FIT_DEGREE + 1
        radius = 1.02 * float(np.arccos(np.clip(frame[2] @ vectors, -1, 1).min()))
        return cls(frame, radius, half_width, solution.reshape(size, size, 2), (ny, nx))

    def candidates(self, ra: NDArray, dec: NDArray) -> NDArray[np.intp]:
        """Return the rows of positions (degrees) inside the cone, after a cut in declination."""
        center_dec = np.degrees(np.arcsin(np.clip(self.frame[2, 2], -1, 1)))
        in_band = np.abs(dec - center_dec) <= np.degrees(self.radius)
        rows = np.flatnonzero(in_band & (np.abs(dec) <= 90) & np.isfinite(ra))
        along = sum(self.frame[2][:, None] * _unit_vectors(ra[rows], dec[rows]))
        inside = along >= np.cos(self.radius)
        return rows[inside]

    def pixels(self, vectors: NDArray) -> NDArray:
        """Return the polynomial's pixel positions (2, n) of unit vectors (3, n)."""
        size = self.coefficients.shape[0]
        coefficients = self.coefficients.transpose(2, 0, 1).reshape(2 * size, size)
        found = np.empty((2, vectors.shape[1]))
        for start in range(0, vectors.shape[1], _BLAS_AT_ONCE):
            part = slice(start, start + _BLAS_AT_ONCE)
            plane = _project(self.frame, vectors[:, part]) / self.half_width
            along_x, along_y = chebyshev.chebvander(plane, size - 1).transpose(0, 2, 1)
            rows = (coefficients @ along_y).reshape(2, size, -1)
            found[:, part] = (rows * along_x).sum(axis=1)
        return found

    def contains(self, pixels: NDArray) -> NDArray[np.bool_]:
        """Return whether pixel positions (2, n) are on the image or within its margin, (n,)."""
        ny, nx = self.shape
        limits = np.array([[nx], [ny]]) - 0.5 + MARGIN_PIX
        return ((pixels >= -0.5 - MARGIN_PIX) & (pixels <= limits)).all(axis=0)


def _invert(wcs, footprint: _Footprint, vectors: NDArray) -> NDArray:
    """Return the pixel positions (2, n) of unit vectors (3, n), NaN without convergence."""
    target = footprint.pixels(vectors)
    found = np.full(target.shape, np.nan)
    rows = np.flatnonzero(footprint.contains(target))
    pixels = target[:, rows]
    for _ in range(MAX_ITERATIONS):
        if rows.size == 0:
            break
        forward = unit_vectors_at(wcs, *pixels)
        step = target[:, rows] - footprint.pixels(forward)
        pixels = pixels + step
        separation = ARCSEC_PER_RADIAN * np.linalg.norm(forward - vectors[:, rows], axis=0)
        done = (separation <= ROUND_TRIP_ARCSEC) & (np.abs(step) <= CONVERGENCE_PIX).all(axis=0)
        found[:, rows[done]] = pixels[:, done]
        remaining = ~done & footprint.contains(pixels)
        rows, pixels = rows[remaining], pixels[:, remaining]
    return found


def _unit_vectors(ra: NDArray, dec: NDArray) -> NDArray:
    """Return unit vectors (3, ...) of sky positions in degrees."""
    ra, dec = np.radians(ra), np.radians(dec)
    cos_dec = np.cos(dec)
    return np.stack([cos_dec * np.cos(ra), cos_dec * np.sin(ra), np.sin(dec)])


def unit_vectors_at(wcs, x: NDArray, y: NDArray) -> NDArray:
    """Return the unit vectors on the sky of pixel positions.

    Parameters
    ----------
    wcs : gwcs.wcs.WCS
        WCS from 0-indexed pixels to ICRS degrees.
    x, y : ndarray
        Pixel positions of any common shape.

    Returns
    -------
    (3, ...) ndarray of float64
        ICRS Cartesian components.
    """
    return _unit_vectors(*pixel_to_sky(wcs, x, y))


def _tangent_frame(center: NDArray) -> NDArray:
    """Return a matrix (3, 3) with rows of two unit vectors perpendicular to `center`, and itself.

    `center` is a unit vector (3, 1).
    """
    center = center[:, 0]
    if not np.isfinite(center).all():
        raise ValueError("the WCS gives no sky position for the centre of the image")
    least = np.eye(3)[np.argmin(np.abs(center))]
    across = np.cross(least, center)
    across /= np.linalg.norm(across)
    return np.stack([across, np.cross(center, across), center])


def _project(frame: NDArray, vectors: NDArray) -> NDArray:
    """Return gnomonic coordinates (2, n) of unit vectors (3, n) within 90 degrees of the centre."""
    first, second, depth = frame @ vectors
    return np.stack([first / depth, second / depth])


def _nodes(n_pixels: int, n_nodes: int) -> NDArray:
    """Return Chebyshev nodes over an image axis and its margin, for a stable fit at the ends."""
    angles = np.pi * (np.arange(n_nodes) + 0.5) / n_nodes
    half = n_pixels / 2 + MARGIN_PIX
    return (n_pixels - 1) / 2 - half * np.cos(angles)
