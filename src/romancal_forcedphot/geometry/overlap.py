"""Exact overlap of circles with pixels, for many circles at once.

This is the overlap of photutils' method ``'exact'``, vectorised over sources. Let A(u, v) be the
signed area of the part of the circle inside the rectangle between its centre and the point (u, v).
The overlap with a pixel is A at two opposite corners minus A at the other two, so that A is needed
on the grid of pixel corners only. For a corner inside the circle A is the rectangle u·v. For a
corner outside it A is the sum of a function of u and a function of v, so that square roots and
arcsines are evaluated along the two axes of a stamp only, not for each of its pixels.

All arrays here have the sources along their last, longest axis, where numpy's loops are fast.
"""

from __future__ import annotations

import numpy as np

__all__ = ["circle_overlap", "stamp_reach"]

_AT_ONCE = 512  # circles whose grids of corners stay in the cache


def stamp_reach(radius: float) -> int:
    """Return the half width of a stamp that contains a circle at any sub-pixel position.

    Parameters
    ----------
    radius : float
        Radius of the circle in pixels. Its centre is at most half a pixel from the centre of the
        stamp's central pixel.

    Returns
    -------
    int
        Number of pixels on each side of the central pixel.
    """
    return int(np.ceil(radius))


def circle_overlap(x_fraction, y_fraction, radius, reach: int | None = None) -> np.ndarray:
    """Return the fraction of each pixel of square stamps that is inside a circle.

    Parameters
    ----------
    x_fraction, y_fraction : (n,) ndarray of float64
        Centre of each circle relative to the centre of the stamp's central pixel, in pixels,
        from -0.5 to 0.5.
    radius : float or (n,) ndarray of float64
        Radius in pixels, common to all circles or one per circle.
    reach : int, optional
        Half width of the stamps, which are s = 2 * reach + 1 pixels wide; by default that of the
        largest circle.

    Returns
    -------
    (n, s, s) ndarray of float64, indexed [source, y, x]
        Exactly 0 for pixels outside the circle and exactly 1 for pixels inside it; on the rim with
        an error of about 1e-15 * radius**2.
    """
    reach = stamp_reach(np.max(radius, initial=0.0)) if reach is None else reach
    x_fraction, y_fraction, radius = (np.asarray(each) for each in (x_fraction, y_fraction, radius))
    weights = np.empty((x_fraction.size, 2 * reach + 1, 2 * reach + 1))
    for first in range(0, x_fraction.size, _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        radii = radius[some] if radius.ndim else radius
        of_some = _overlap_of_few(x_fraction[some], y_fraction[some], radii, reach)
        weights[some] = np.moveaxis(of_some, -1, 0)
    return weights


def _overlap_of_few(x_fraction, y_fraction, radius, reach):
    """Overlaps of so few circles that temporary arrays are small: (s, s, n)."""
    edges = (np.arange(2 * reach + 2) - (reach + 0.5))[:, None]
    u, v = edges - x_fraction, edges - y_fraction

    square = radius * radius  # not radius**2, which may be rounded to less
    inside = (v * v)[:, None] + u * u <= square
    corner_area = _area_to_corner(u, v, radius, inside)
    column = corner_area[:, 1:] - corner_area[:, :-1]
    weights = column[1:] - column[:-1]

    # Differences of large areas leave rounding errors where the overlap is exactly 0 or 1.
    inside_columns = inside[:, 1:] & inside[:, :-1]
    weights[inside_columns[1:] & inside_columns[:-1]] = 1.0
    nearest_u, nearest_v = _distance_to_pixels(u), _distance_to_pixels(v)
    weights[(nearest_v**2)[:, None] + nearest_u**2 >= square] = 0.0
    return np.clip(weights, 0.0, 1.0, out=weights)


def _area_to_corner(u, v, radius, inside):
    """Signed area A(u, v) at the corners of all pixels, (s + 1, s + 1, n)."""
    strip_u = _quarter_circle_area(u, radius)
    strip_v = _quarter_circle_area(v, radius) - np.pi * radius * radius / 4
    area = np.where(inside, np.abs(v)[:, None] * np.abs(u), strip_v[:, None] + strip_u)
    area *= np.sign(v)[:, None]
    area *= np.sign(u)
    return area


def _quarter_circle_area(u, radius):
    """Area of the part of a quarter circle within the distance |u| of its centre along one axis."""
    u = np.minimum(np.abs(u), radius)
    square = radius * radius  # as u * u where u is the radius: their difference is never below 0
    return 0.5 * (u * np.sqrt(square - u * u) + square * np.arcsin(u / radius))


def _distance_to_pixels(edges):
    """Distance along one axis from the circle's centre to each pixel, 0 inside it: (s, n)."""
    return np.maximum(0.0, np.maximum(edges[:-1], -edges[1:]))
