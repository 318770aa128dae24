"""Pixel-area maps and pixel scales.

The solid angle of a pixel is ``|dr/dx x dr/dy|`` for the unit vector ``r(x, y)`` on the sky. It
varies smoothly, so it is evaluated on a coarse grid and interpolated. Maps are relative to a
nominal pixel, because the zero point of point sources is the conversion factor times the *nominal*
area.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from .detector import trim_border
from .positions import ARCSEC_PER_RADIAN, unit_vectors_at

__all__ = [
    "AreaComparison",
    "PixelAreas",
    "compare_areas",
    "relative_area_from_reference",
    "solid_angle",
]

DIFFERENCE_STEP_PIX = 2.0  # truncation and round-off of the central difference both below 1e-8
AREA_STEP_PIX = 64.0
STERADIAN_RANGE = (1e-13, 1e-12)  # median of a map in each unit, by which it is recognised
ARCSECSQ_RANGE = (3e-3, 5e-2)
RELATIVE_RANGE = (0.9, 1.1)
MAX_BAD_FRACTION = 0.01


def solid_angle(wcs, x: ArrayLike, y: ArrayLike) -> NDArray:
    """Return the solid angle of a pixel at each position, ``|dr/dx x dr/dy|``.

    The derivatives of the unit vector r are central differences over two pixels on either side,
    with a relative error of 1e-8.

    Parameters
    ----------
    wcs : gwcs.wcs.WCS
        WCS from 0-indexed pixels to ICRS degrees.
    x, y : array_like
        Pixel positions of any common shape.

    Returns
    -------
    ndarray of float64
        Steradian per pixel, in the shape of the input.
    """
    x, y = np.broadcast_arrays(np.asarray(x, dtype=float), np.asarray(y, dtype=float))
    step = DIFFERENCE_STEP_PIX
    around_x, around_y = np.stack([x + step, x - step, x, x]), np.stack([y, y, y + step, y - step])
    right, left, above, below = np.moveaxis(unit_vectors_at(wcs, around_x, around_y), 1, 0)
    product = np.cross(right - left, above - below, axis=0)
    return np.linalg.norm(product, axis=0) / (2 * step) ** 2


@dataclass(frozen=True, eq=False)
class PixelAreas:
    """Solid angles of the pixels of an image from its WCS, interpolated on a grid.

    Attributes
    ----------
    shape : (int, int)
        Shape (ny, nx) of the image.
    spline : scipy.interpolate.RectBivariateSpline
        Bicubic spline (y, x) -> steradian per pixel.
    at_center : float
        Steradian of the pixel at ((nx - 1) / 2, (ny - 1) / 2).
    """

    shape: tuple[int, int]
    spline: scipy.interpolate.RectBivariateSpline
    at_center: float

    @classmethod
    def of(cls, wcs, shape: tuple[int, int]) -> PixelAreas:
        """Evaluate the solid angles over an image.

        Parameters
        ----------
        wcs : gwcs.wcs.WCS
            WCS from 0-indexed pixels to ICRS degrees.
        shape : (int, int)
            Shape (ny, nx) of the image.

        Returns
        -------
        PixelAreas
        """
        ny, nx = shape
        grid_y, grid_x = (
            np.linspace(-0.5, n - 0.5, max(4, int(np.ceil(n / AREA_STEP_PIX)) + 1)) for n in shape
        )
        x, y = np.meshgrid(grid_x, grid_y)
        x, y = np.append(x, (nx - 1) / 2), np.append(y, (ny - 1) / 2)
        *areas, at_center = solid_angle(wcs, x, y)  # at once: a WCS is slow to start
        shape_of_grid = grid_y.size, grid_x.size
        spline = scipy.interpolate.RectBivariateSpline(
            grid_y, grid_x, np.reshape(areas, shape_of_grid)
        )
        return cls((ny, nx), spline, float(at_center))

    def scale(self, x: ArrayLike, y: ArrayLike) -> NDArray:
        """Return the pixel scale, the square root of the solid angle.

        Parameters
        ----------
        x, y : (n,) array_like
            Pixel positions; those off the image get the scale at the nearest edge.

        Returns
        -------
        (n,) ndarray of float64
            Arcsec per pixel.
        """
        return ARCSEC_PER_RADIAN * np.sqrt(self.spline.ev(y, x))

    def relative(self, *, every: int = 1) -> NDArray[np.float32]:
        """Return the map of pixel area relative to that at the centre of the image.

        Parameters
        ----------
        every : int
            Step in pixels along both axes: the map's ``[::every, ::every]``.

        Returns
        -------
        (ny, nx) ndarray of float32
            1 at the position ((nx - 1) / 2, (ny - 1) / 2).
        """
        rows, columns = (np.arange(0, n, every) for n in self.shape)
        area = np.empty((rows.size, columns.size), dtype=np.float32)
        for start in range(0, rows.size, 256):  # in strips: a float64 map of a detector is 134 MB
            strip = slice(start, start + 256)
            area[strip] = self.spline(rows[strip], columns) / self.at_center
        return area


def relative_area_from_reference(
    data: ArrayLike,
    shape: tuple[int, int],
    *,
    nominal_steradian: float | None = None,
    nominal_arcsecsq: float | None = None,
) -> NDArray[np.float32]:
    """Return the relative pixel area from the array of a CRDS ``area`` reference.

    A relative map is used as delivered. The schema also allows steradian or arcsec**2: the unit is
    inferred from the median (1, 2.8e-13, 0.012), and the map divided by the file's own nominal
    area. A map that includes the border of reference pixels is trimmed. The rare pixel that is not
    finite or not positive is replaced by its nearest valid neighbour.

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
    (ny, nx) ndarray of float32
        Area relative to the nominal pixel; `data` itself where it is that already.

    Raises
    ------
    ValueError
        The map has another shape, more than 1 % bad pixels, or a median that differs by more than
        10 % from its nominal value.
    """
    area = trim_border(np.asarray(data), shape, "area reference")
    is_good = bool(area.min(initial=1) > 0) and bool(area.max(initial=1) < np.inf)
    good = np.broadcast_to(True, area.shape) if is_good else (area > 0) & (area < np.inf)
    n_bad = 0 if is_good else good.size - int(np.count_nonzero(good))
    if n_bad > MAX_BAD_FRACTION * good.size:
        raise ValueError(
            f"area reference has {n_bad} of {good.size} pixels that are not finite and positive: "
            f"expected {MAX_BAD_FRACTION:.0%} at most"
        )
    typical = float(np.median(area[::8, ::8][good[::8, ::8]]))
    nominal = _nominal_in_map_units(typical, nominal_steradian, nominal_arcsecsq)
    if not RELATIVE_RANGE[0] <= typical / nominal <= RELATIVE_RANGE[1]:
        raise ValueError(
            f"area reference has a median of {typical:.6g} where its nominal pixel has "
            f"{nominal:.6g}: expected a ratio of {RELATIVE_RANGE[0]} to {RELATIVE_RANGE[1]}"
        )
    relative = area if nominal == 1 else area / nominal
    relative = relative.astype(np.float32, copy=False)  # a relative float32 map is not copied
    if n_bad:
        nearest = scipy.ndimage.distance_transform_edt(
            ~good, return_distances=False, return_indices=True
        )
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
        """Return whether the areas differ anywhere by more than a tolerance, or are not finite.

        Parameters
        ----------
        tolerance : float
            Relative difference.

        Returns
        -------
        bool
        """
        return not self.maximum <= tolerance


def compare_areas(first: ArrayLike, second: ArrayLike) -> AreaComparison:
    """Compare two area maps, or two nominal areas in the same unit.

    Parameters
    ----------
    first, second : (ny, nx) array_like or float
        The areas.

    Returns
    -------
    AreaComparison
        Of the ratio first / second.
    """
    difference = np.asarray(first, dtype=float) / np.asarray(second, dtype=float) - 1
    return AreaComparison(float(np.median(difference)), float(np.max(np.abs(difference))))


def _nominal_in_map_units(
    typical: float, nominal_steradian: float | None, nominal_arcsecsq: float | None
) -> float:
    """Return the nominal area in the unit of the map, inferred from its typical value."""
    if STERADIAN_RANGE[0] <= typical <= STERADIAN_RANGE[1]:
        nominal, unit = nominal_steradian, "steradian"
    elif ARCSECSQ_RANGE[0] <= typical <= ARCSECSQ_RANGE[1]:
        nominal, unit = nominal_arcsecsq, "arcsec**2"
    else:
        return 1.0
    if nominal is None or not np.isfinite(nominal) or nominal <= 0:
        raise ValueError(
            f"area reference is in {unit} (median {typical:.6g}) but its nominal pixel area is "
            f"{nominal}: expected a positive number"
        )
    return float(nominal)
