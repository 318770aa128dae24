"""Where a sky position falls on the detector, and how much sky each pixel sees.

**Positions.**  The forward transform of the WCS (pixel to sky) is the truth; the inverse that a
distortion reference carries is only a fit to it, off by up to 0.3 pixel, and may be absent.  So
one road serves every WCS: a polynomial ``P`` (tangent plane to pixel) is fitted to the forward
transform ``F`` on a grid over the image, and each position is corrected with the forward
transform itself, ::

    x  <-  x + P(sky) - P(F(x))

The fixed point is ``F(x) = sky`` whatever the error of ``P``; that error (some 1e-4 pixel) only
sets how fast it is reached, and one round leaves about 1e-8 pixel.  A cone around the image keeps
positions elsewhere on the sky away from the WCS, whose polynomials fold back onto the detector
far from it.  Everything between sky and pixel is done with unit vectors, so neither the poles nor
the wrap of right ascension are special.

**Pixel area.**  The solid angle of a pixel is ``|dr/dx x dr/dy|`` for the unit vector ``r(x, y)``.
It varies smoothly: it is evaluated on a coarse grid and interpolated.  Maps are relative, because
a point source is calibrated by conversion factor times *nominal* area.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import RectBivariateSpline
from scipy.ndimage import distance_transform_edt

__all__ = [
    "AreaComparison",
    "compare_areas",
    "pixel_scale_function",
    "pixel_to_sky",
    "relative_area_from_reference",
    "relative_area_from_wcs",
    "sky_to_pixel",
    "solid_angle",
]

ARCSEC_PER_RADIAN = np.degrees(1.0) * 3600.0

MARGIN_PIX = 128.0  # positions are placed up to this far outside the image
FIT_DEGREE = 6
FIT_NODES = 25  # per axis
MAX_ROUNDS = 6
CONVERGED_PIX = 1e-4  # a step this small leaves an error far below 1e-6 pixel
ROUND_TRIP_ARCSEC = 1e-3
CHUNK = 65_536  # positions worked on at a time, to stay in cache

DIFFERENCE_STEP_PIX = 2.0  # truncation and round-off of the central difference both below 1e-8
AREA_STEP_PIX = 64.0
REFERENCE_BORDER = 4  # reference pixels around the 4088 science pixels of a 4096 frame
STERADIAN_RANGE = (1e-13, 1e-12)
ARCSECSQ_RANGE = (3e-3, 5e-2)
RELATIVE_RANGE = (0.9, 1.1)
MAX_BAD_FRACTION = 0.01


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


def solid_angle(wcs, x: ArrayLike, y: ArrayLike) -> NDArray:
    """Return the solid angle that a pixel covers at each position.

    Central differences of the unit vector over two pixels either side; good to 1e-8.

    Parameters
    ----------
    wcs : `gwcs.wcs.WCS`
        WCS from pixels to ICRS degrees.
    x, y : array_like
        Pixel positions of any common shape.

    Returns
    -------
    solid_angle : ndarray of float64
        Steradian per pixel.
    """
    x, y = np.broadcast_arrays(np.asarray(x, dtype=float), np.asarray(y, dtype=float))
    step = DIFFERENCE_STEP_PIX
    along_x = _vectors_at(wcs, x + step, y) - _vectors_at(wcs, x - step, y)
    along_y = _vectors_at(wcs, x, y + step) - _vectors_at(wcs, x, y - step)
    return np.linalg.norm(np.cross(along_x, along_y, axis=0), axis=0) / (2 * step) ** 2


def pixel_scale_function(wcs, shape: tuple[int, int]) -> Callable[[ArrayLike, ArrayLike], NDArray]:
    """Return a function (x, y) -> pixel scale in arcsec, cheap for many positions.

    The scale is the square root of the solid angle, interpolated on the same grid as the area
    map; positions off the image get the scale of the nearest edge.
    """
    spline = _area_spline(wcs, shape)

    def pixel_scale_arcsec(x: ArrayLike, y: ArrayLike) -> NDArray:
        return ARCSEC_PER_RADIAN * np.sqrt(spline.ev(y, x))

    return pixel_scale_arcsec


def relative_area_from_wcs(wcs, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return the pixel area over the image relative to that at its centre.

    Parameters
    ----------
    wcs : `gwcs.wcs.WCS`
        WCS from pixels to ICRS degrees.
    shape : (int, int)
        Shape (ny, nx) of the image.

    Returns
    -------
    area : (ny, nx) ndarray of float32
        1 at the position ((nx - 1) / 2, (ny - 1) / 2).
    """
    ny, nx = shape
    spline = _area_spline(wcs, shape)
    center = solid_angle(wcs, (nx - 1) / 2, (ny - 1) / 2)
    area = np.empty(shape, dtype=np.float32)
    columns = np.arange(nx)
    for start in range(0, ny, 256):  # in strips: a float64 map of a detector is 134 MB
        rows = np.arange(start, min(start + 256, ny))
        area[rows] = spline(rows, columns) / center
    return area


def relative_area_from_reference(
    data: ArrayLike,
    shape: tuple[int, int],
    *,
    nominal_steradian: float | None = None,
    nominal_arcsecsq: float | None = None,
) -> NDArray[np.float32]:
    """Return the relative pixel area from the array of a CRDS ``area`` reference.

    A relative map is used as delivered.  The schema also allows steradian or arcsec**2: these
    are told apart by the median (1, 2.8e-13, 0.012) and divided by the file's own nominal area.
    A map that still has the border of 4 reference pixels on all sides is trimmed.  The rare
    pixel that is not finite or not positive takes the value of its nearest good neighbour.

    Parameters
    ----------
    data : (ny, nx) array_like
        The map.
    shape : (int, int)
        Shape (ny, nx) of the image.
    nominal_steradian, nominal_arcsecsq : float or None
        The reference's ``meta.photometry.pixelarea_steradians`` and ``pixelarea_arcsecsq``.

    Returns
    -------
    area : (ny, nx) ndarray of float32
        Area relative to the nominal pixel.

    Raises
    ------
    ValueError
        If the map has another shape, holds more than 1 % bad pixels, or is not within 10 % of
        its nominal value.
    """
    area = _trim_border(np.asarray(data), tuple(shape))
    good = np.isfinite(area) & (area > 0)
    n_bad = good.size - int(np.count_nonzero(good))
    if n_bad > MAX_BAD_FRACTION * good.size:
        raise ValueError(
            f"area reference has {n_bad} of {good.size} pixels that are not finite and positive; "
            "use another with --override_area, or --pixel_area=wcs"
        )
    typical = float(np.median(area[::8, ::8][good[::8, ::8]]))
    nominal = _nominal_in_map_units(typical, nominal_steradian, nominal_arcsecsq)
    if not RELATIVE_RANGE[0] <= typical / nominal <= RELATIVE_RANGE[1]:
        raise ValueError(
            f"area reference has a median of {typical:.6g} where its nominal pixel has "
            f"{nominal:.6g}: expected a ratio of {RELATIVE_RANGE[0]} to {RELATIVE_RANGE[1]}; "
            "use another with --override_area, or --pixel_area=wcs"
        )
    relative = (area / nominal).astype(np.float32)
    if n_bad:
        nearest = distance_transform_edt(~good, return_distances=False, return_indices=True)
        relative = relative[tuple(nearest)]
    return relative


@dataclass(frozen=True)
class AreaComparison:
    """Relative differences between two area maps or nominal areas.

    Attributes
    ----------
    median : float
        Median of first / second - 1: an offset between their normalisations.
    maximum : float
        Largest absolute difference.
    """

    median: float
    maximum: float

    def exceeds(self, tolerance: float = 1e-3) -> bool:
        """Say whether the two differ anywhere by more than `tolerance`, or cannot be compared."""
        return not self.maximum <= tolerance


def compare_areas(first: ArrayLike, second: ArrayLike) -> AreaComparison:
    """Compare two area maps, or two nominal areas in the same unit.

    Maps are compared at every eighth pixel: they are smooth.

    Parameters
    ----------
    first, second : (ny, nx) array_like or float
        The areas.

    Returns
    -------
    comparison : `AreaComparison`
    """
    first, second = np.asarray(first), np.asarray(second)
    if first.ndim == 2 and second.ndim == 2:
        first, second = first[::8, ::8], second[::8, ::8]
    difference = np.asarray(first, dtype=float) / np.asarray(second, dtype=float) - 1
    return AreaComparison(float(np.median(difference)), float(np.max(np.abs(difference))))


# --- positions -------------------------------------------------------------------------------


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
        vectors = _vectors_at(wcs, x.ravel(), y.ravel())
        usable = np.isfinite(vectors).all(axis=0)
        if np.count_nonzero(usable) < (FIT_DEGREE + 1) ** 2:
            raise ValueError(
                f"the WCS gives a sky position for {np.count_nonzero(usable)} of {usable.size} "
                f"points over an image of shape {tuple(shape)}; is it the WCS of this image?"
            )
        vectors = vectors[:, usable]
        pixels = np.stack([x.ravel(), y.ravel()], axis=-1)[usable]
        frame = _tangent_frame(_vectors_at(wcs, np.array([(nx - 1) / 2]), np.array([(ny - 1) / 2])))
        plane = _project(frame, vectors)
        half_width = float(np.abs(plane).max())
        basis = chebyshev.chebvander2d(*(plane / half_width), (FIT_DEGREE, FIT_DEGREE))
        solution, *_ = np.linalg.lstsq(basis, pixels, rcond=None)
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
        there = _vectors_at(wcs, *pixels)
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


def _vectors_at(wcs, x: NDArray, y: NDArray) -> NDArray:
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


# --- area ------------------------------------------------------------------------------------


def _area_spline(wcs, shape: tuple[int, int]) -> RectBivariateSpline:
    """Return a bicubic spline (y, x) of the solid angle in sr, through a grid over the image."""
    grid_y, grid_x = (
        np.linspace(-0.5, n - 0.5, max(4, int(np.ceil(n / AREA_STEP_PIX)) + 1)) for n in shape
    )
    x, y = np.meshgrid(grid_x, grid_y)
    return RectBivariateSpline(grid_y, grid_x, solid_angle(wcs, x, y))


def _trim_border(area: NDArray, shape: tuple[int, int]) -> NDArray:
    """Return the map in the shape of the image, without a border of reference pixels."""
    border = 2 * REFERENCE_BORDER
    if area.shape == (shape[0] + border, shape[1] + border):
        inner = slice(REFERENCE_BORDER, -REFERENCE_BORDER)
        area = area[inner, inner]
    if area.shape != shape:
        raise ValueError(
            f"area reference has shape {area.shape}, the image has {shape}; use the area of this "
            "detector with --override_area, or --pixel_area=wcs"
        )
    return area


def _nominal_in_map_units(
    typical: float, nominal_steradian: float | None, nominal_arcsecsq: float | None
) -> float:
    """Return the nominal area in the unit that the map's typical value shows it to be in."""
    if STERADIAN_RANGE[0] <= typical <= STERADIAN_RANGE[1]:
        nominal, unit = nominal_steradian, "steradian"
    elif ARCSECSQ_RANGE[0] <= typical <= ARCSECSQ_RANGE[1]:
        nominal, unit = nominal_arcsecsq, "arcsec**2"
    else:
        return 1.0
    if nominal is None or not np.isfinite(nominal) or nominal <= 0:
        raise ValueError(
            f"area reference is in {unit} (median {typical:.6g}) but its nominal pixel area is "
            f"{nominal}; use another with --override_area, or --pixel_area=wcs"
        )
    return float(nominal)
