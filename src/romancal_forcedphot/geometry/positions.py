"""Sky positions on the detector, exact in the forward transform of the WCS.

The forward transform (pixel to sky) is the truth; the inverse that a distortion reference carries
is only a fit to it, off by up to 0.3 pixel, and may be absent.  So one road serves every WCS: a
polynomial ``P`` (tangent plane to pixel) is fitted to the forward transform ``F`` on a grid over
the image, and each position is corrected with the forward transform itself, ::

    x  <-  x + P(sky) - P(F(x))

The fixed point is ``F(x) = sky`` whatever the error of ``P``; that error (some 1e-5 pixel) only
sets how fast it is reached.  A cone around the image keeps positions elsewhere on the sky away
from the WCS, whose polynomials fold back onto the detector far from it.  Everything between sky
and pixel is done with unit vectors, so neither the poles nor the wrap of right ascension are
special.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import ArrayLike, NDArray

__all__ = ["pixel_to_sky", "sky_to_pixel", "vectors_at"]

ARCSEC_PER_RADIAN = np.degrees(1.0) * 3600.0
MARGIN_PIX = 128.0  # positions are placed up to this far outside the image
FIT_DEGREE = 6
FIT_NODES = 25  # per axis
MAX_ROUNDS = 6
CONVERGED_PIX = 1e-4  # a step this small leaves an error far below 1e-6 pixel
ROUND_TRIP_ARCSEC = 1e-3
CHUNK = 65_536  # positions worked on at a time, to stay in cache


def pixel_to_sky(wcs, x: ArrayLike, y: ArrayLike) -> tuple[NDArray, NDArray]:
    """Return the sky positions of pixel positions, on the image or off it.

    Parameters
    ----------
    wcs : `gwcs.wcs.WCS`
        WCS from pixels (0-indexed) to ICRS degrees.  Its bounding box is not applied.
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
    """Return the pixel positions of sky positions, exact in the forward transform.

    Parameters
    ----------
    wcs : `gwcs.wcs.WCS`
        WCS from pixels (0-indexed) to ICRS degrees; it needs no inverse.
    ra, dec : (n,) array_like
        ICRS degrees, right ascension in any wrap.
    shape : (int, int)
        Shape (ny, nx) of the image.

    Returns
    -------
    x, y : (n,) ndarray of float64
        Pixel positions, exact to 1e-6 pixel.  Both are NaN where a position is not finite, lies
        more than ``MARGIN_PIX`` outside the image, or does not return to within 1 mas through
        the forward transform.

    Raises
    ------
    ValueError
        If `ra` and `dec` differ in shape, or the WCS places too little of the image on the sky.
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
    for start in range(0, nearby.size, CHUNK):
        rows = nearby[start : start + CHUNK]
        x[rows], y[rows] = _place(wcs, footprint, _unit_vectors(ra[rows], dec[rows]))
    return x, y


@dataclass(frozen=True)
class _Footprint:
    """The image on the sky: a tangent frame, a cone around it, and the polynomial sky -> pixel."""

    frame: NDArray  # (3, 3): rows are the tangent plane's two axes and the centre, unit vectors
    radius: float  # radian, of the cone that holds the image and its margin
    half_width: float  # of the tangent plane's coordinates, to scale them to -1..1
    coefficients: NDArray = field(repr=False)  # (degree + 1, degree + 1, 2) Chebyshev
    shape: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, wcs, shape: tuple[int, int]) -> _Footprint:
        """Fit the footprint of an image of `shape` to the forward transform on a grid."""
        ny, nx = shape
        x, y = np.meshgrid(_nodes(nx, FIT_NODES), _nodes(ny, FIT_NODES))
        vectors = vectors_at(wcs, x.ravel(), y.ravel())
        usable = np.isfinite(vectors).all(axis=0)
        if np.count_nonzero(usable) < (FIT_DEGREE + 1) ** 2:
            raise ValueError(
                f"the WCS gives a sky position for {np.count_nonzero(usable)} of {usable.size} "
                f"points over an image of shape {tuple(shape)}; is it the WCS of this image?"
            )
        vectors = vectors[:, usable]
        pixels = np.stack([x.ravel(), y.ravel()], axis=-1)[usable]
        frame = _tangent_frame(vectors_at(wcs, np.array([(nx - 1) / 2]), np.array([(ny - 1) / 2])))
        plane = _project(frame, vectors)
        half_width = float(np.abs(plane).max())
        basis = chebyshev.chebvander2d(*(plane / half_width), (FIT_DEGREE, FIT_DEGREE))
        # Normal equations: their loss of digits is of no matter here, and they are too small for
        # the threads of BLAS, which take longer to start than all of the rest.
        solution, *_ = np.linalg.lstsq(basis.T @ basis, basis.T @ pixels, rcond=None)
        size = FIT_DEGREE + 1
        radius = 1.02 * float(np.arccos(np.clip(frame[2] @ vectors, -1, 1).min()))
        return cls(frame, radius, half_width, solution.reshape(size, size, 2), (ny, nx))

    def candidates(self, ra: NDArray, dec: NDArray) -> NDArray[np.intp]:
        """Return the rows inside the cone; a cut in declination comes first as it is cheap."""
        center_dec = np.degrees(np.arcsin(np.clip(self.frame[2, 2], -1, 1)))
        in_band = np.abs(dec - center_dec) <= np.degrees(self.radius)
        rows = np.flatnonzero(in_band & (np.abs(dec) <= 90) & np.isfinite(ra))
        inside = self.frame[2] @ _unit_vectors(ra[rows], dec[rows]) >= np.cos(self.radius)
        return rows[inside]

    def pixels(self, vectors: NDArray) -> NDArray:
        """Return the polynomial's pixel positions (2, n) of unit vectors (3, n)."""
        plane = _project(self.frame, vectors) / self.half_width
        size = self.coefficients.shape[0]
        basis = chebyshev.chebvander(plane[1], size - 1)
        rows = basis @ self.coefficients.transpose(1, 0, 2).reshape(size, 2 * size)
        along_x = chebyshev.chebvander(plane[0], size - 1)
        return np.einsum("ni,nik->kn", along_x, rows.reshape(-1, size, 2))

    def holds(self, pixels: NDArray) -> NDArray[np.bool_]:
        """Say which pixel positions (2, n) lie on the image or within its margin."""
        ny, nx = self.shape
        limits = np.array([[nx], [ny]]) - 0.5 + MARGIN_PIX
        return ((pixels >= -0.5 - MARGIN_PIX) & (pixels <= limits)).all(axis=0)


def _place(wcs, footprint: _Footprint, vectors: NDArray) -> NDArray:
    """Return pixel positions (2, n) of unit vectors (3, n), NaN where none returns to them."""
    target = footprint.pixels(vectors)
    placed = np.full(target.shape, np.nan)
    rows = np.flatnonzero(footprint.holds(target))
    pixels = target[:, rows]
    for _ in range(MAX_ROUNDS):
        if rows.size == 0:
            break
        there = vectors_at(wcs, *pixels)
        step = target[:, rows] - footprint.pixels(there)
        pixels = pixels + step
        miss = ARCSEC_PER_RADIAN * np.linalg.norm(there - vectors[:, rows], axis=0)
        done = (miss <= ROUND_TRIP_ARCSEC) & (np.abs(step) <= CONVERGED_PIX).all(axis=0)
        placed[:, rows[done]] = pixels[:, done]
        ahead = ~done & footprint.holds(pixels)
        rows, pixels = rows[ahead], pixels[:, ahead]
    return placed


def _unit_vectors(ra: NDArray, dec: NDArray) -> NDArray:
    """Return unit vectors (3, ...) of sky positions in degrees."""
    ra, dec = np.radians(ra), np.radians(dec)
    cos_dec = np.cos(dec)
    return np.stack([cos_dec * np.cos(ra), cos_dec * np.sin(ra), np.sin(dec)])


def vectors_at(wcs, x: NDArray, y: NDArray) -> NDArray:
    """Return unit vectors (3, ...) of pixel positions."""
    return _unit_vectors(*pixel_to_sky(wcs, x, y))


def _tangent_frame(center: NDArray) -> NDArray:
    """Return two unit vectors across `center` (3, 1), and `center`, as the rows of a matrix."""
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
    """Return Chebyshev nodes over an image axis and its margin: they tame the fit at the ends."""
    angles = np.pi * (np.arange(n_nodes) + 0.5) / n_nodes
    half = n_pixels / 2 + MARGIN_PIX
    return (n_pixels - 1) / 2 - half * np.cos(angles)
