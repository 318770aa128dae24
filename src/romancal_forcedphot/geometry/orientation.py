"""Directions and ellipses between sky and pixels, through the WCS right where they are.

The Jacobian of a WCS at a position is the linear map from small steps in pixels to small steps on
the sky. It holds scale, rotation, parity and the shear of the distortion, so an ellipse on the sky
is an ellipse on the pixels, of slightly other axes and not just turned.

Position angles run from north through east, in degrees; angles on pixels run counterclockwise
from the positive x axis, in radian, as those of photutils' apertures.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .positions import ARCSEC_PER_RADIAN, pixel_to_sky, unit_vectors_at

__all__ = [
    "ellipse_on_pixels",
    "ellipse_on_sky",
    "local_jacobian",
    "pixel_angle",
    "position_angle",
]

DIFFERENCE_STEP_PIX = 1.0  # the error of a central difference over two pixels is below 1e-7


def local_jacobian(wcs, x: ArrayLike, y: ArrayLike) -> NDArray:
    """Return how the sky moves with the pixel position.

    Central differences of the unit vector over one pixel either side, along east and north.

    Parameters
    ----------
    wcs : `gwcs.wcs.WCS`
        WCS from pixels to ICRS degrees.
    x, y : (n,) array_like
        Pixel positions.

    Returns
    -------
    jacobian : (n, 2, 2) ndarray of float64
        Arcsec per pixel; rows are (east, north), columns (x, y). NaN where there is no position.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    step = DIFFERENCE_STEP_PIX
    along_x = unit_vectors_at(wcs, x + step, y) - unit_vectors_at(wcs, x - step, y)
    along_y = unit_vectors_at(wcs, x, y + step) - unit_vectors_at(wcs, x, y - step)
    east, north = _east_and_north(*pixel_to_sky(wcs, x, y))
    steps = np.stack([along_x, along_y], axis=-1)  # (3, n, 2)
    axes = np.stack([east, north])  # (2, 3, n)
    return ARCSEC_PER_RADIAN / (2 * step) * np.einsum("acn,cnb->nab", axes, steps)


def _east_and_north(ra: NDArray, dec: NDArray) -> tuple[NDArray, NDArray]:
    """Return unit vectors (3, n) to east and north at sky positions in degrees."""
    ra, dec = np.radians(ra), np.radians(dec)
    sin_ra, cos_ra, sin_dec = np.sin(ra), np.cos(ra), np.sin(dec)
    east = np.stack([-sin_ra, cos_ra, np.zeros_like(ra)])
    return east, np.stack([-sin_dec * cos_ra, -sin_dec * sin_ra, np.cos(dec)])


def pixel_angle(jacobian: NDArray, position_angle_deg: ArrayLike) -> NDArray:
    """Return the angle on the pixels of directions on the sky.

    Parameters
    ----------
    jacobian : (n, 2, 2) ndarray of float64
        See `local_jacobian`.
    position_angle_deg : float or (n,) array_like
        From north through east.

    Returns
    -------
    theta : (n,) ndarray of float64
        Radian from the positive x axis towards positive y, -pi to pi.
    """
    angle = np.radians(position_angle_deg)
    east, north = np.sin(angle), np.cos(angle)
    (dx_east, dx_north), (dy_east, dy_north) = _inverse(jacobian)
    return np.arctan2(dy_east * east + dy_north * north, dx_east * east + dx_north * north)


def position_angle(jacobian: NDArray, theta: ArrayLike) -> NDArray:
    """Return the position angle of directions on the pixels.

    Parameters
    ----------
    jacobian : (n, 2, 2) ndarray of float64
        See `local_jacobian`.
    theta : float or (n,) array_like
        Radian from the positive x axis towards positive y.

    Returns
    -------
    position_angle_deg : (n,) ndarray of float64
        From north through east, -180 to 180.
    """
    dx, dy = np.cos(theta), np.sin(theta)
    east = jacobian[:, 0, 0] * dx + jacobian[:, 0, 1] * dy
    north = jacobian[:, 1, 0] * dx + jacobian[:, 1, 1] * dy
    return np.degrees(np.arctan2(east, north))


def ellipse_on_pixels(
    jacobian: NDArray,
    semimajor_arcsec: ArrayLike,
    semiminor_arcsec: ArrayLike,
    position_angle_deg: ArrayLike,
) -> tuple[NDArray, NDArray, NDArray]:
    """Return ellipses on the sky as ellipses on the pixels.

    Parameters
    ----------
    jacobian : (n, 2, 2) ndarray of float64
        See `local_jacobian`.
    semimajor_arcsec, semiminor_arcsec : float or (n,) array_like
        Half axes.
    position_angle_deg : float or (n,) array_like
        Of the major axis, from north through east.

    Returns
    -------
    semimajor_pix, semiminor_pix : (n,) ndarray of float64
        Half axes, the longer one first.
    theta : (n,) ndarray of float64
        Angle of the major axis in radian, counterclockwise from the positive x axis, -pi/2 to
        pi/2.
    """
    theta_sky = np.pi / 2 - np.radians(position_angle_deg)  # from east towards north
    return _mapped(_inverse(jacobian), semimajor_arcsec, semiminor_arcsec, theta_sky)


def ellipse_on_sky(
    jacobian: NDArray, semimajor_pix: ArrayLike, semiminor_pix: ArrayLike, theta: ArrayLike
) -> tuple[NDArray, NDArray, NDArray]:
    """Return ellipses on the pixels as ellipses on the sky, the inverse of `ellipse_on_pixels`.

    Parameters
    ----------
    jacobian : (n, 2, 2) ndarray of float64
        See `local_jacobian`.
    semimajor_pix, semiminor_pix : float or (n,) array_like
        Half axes.
    theta : float or (n,) array_like
        Angle of the major axis in radian, counterclockwise from the positive x axis.

    Returns
    -------
    semimajor_arcsec, semiminor_arcsec : (n,) ndarray of float64
        Half axes, the longer one first.
    position_angle_deg : (n,) ndarray of float64
        Of the major axis, from north through east, 0 to 180.
    """
    forward = np.moveaxis(jacobian, 0, -1)
    semimajor, semiminor, theta_sky = _mapped(forward, semimajor_pix, semiminor_pix, theta)
    return semimajor, semiminor, 90.0 - np.degrees(theta_sky)


def _inverse(jacobian: NDArray) -> NDArray:
    """Return d(x, y) / d(east, north), pixel per arcsec, as (2, 2, n)."""
    (east_x, east_y), (north_x, north_y) = np.moveaxis(jacobian, 0, -1)
    determinant = east_x * north_y - east_y * north_x
    return np.array([[north_y, -east_y], [-north_x, east_x]]) / determinant


def _mapped(linear: NDArray, semimajor, semiminor, theta) -> tuple[NDArray, NDArray, NDArray]:
    """Return half axes and angle of ellipses after a linear map (2, 2, n).

    An ellipse is the image of the unit circle under the matrix of its half axes; the map's product
    with that matrix, times its own transpose, has the squares of the new half axes as eigenvalues.
    """
    (xx, xy), (yx, yy) = linear
    cos, sin = np.cos(theta), np.sin(theta)
    major_x, major_y = semimajor * (xx * cos + xy * sin), semimajor * (yx * cos + yy * sin)
    minor_x, minor_y = semiminor * (xy * cos - xx * sin), semiminor * (yy * cos - yx * sin)
    square_x, square_y = major_x**2 + minor_x**2, major_y**2 + minor_y**2
    cross = major_x * major_y + minor_x * minor_y
    half_difference = (square_x - square_y) / 2
    longer = np.sqrt((square_x + square_y) / 2 + np.hypot(half_difference, cross))
    area = np.abs(major_x * minor_y - major_y * minor_x)
    shorter = np.divide(area, longer, out=np.zeros_like(longer), where=longer != 0)
    return longer, shorter, 0.5 * np.arctan2(cross, half_difference)
