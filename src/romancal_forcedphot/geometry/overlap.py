"""The area that a circle shares with each pixel, exactly, for many circles at once.

Let A(u, v) be the area of the circle between its centre and the point (u, v), counted negative
where u or v is. Then the overlap with a pixel is A at two corners minus A at the other two, so
that A on the grid of pixel corners is all there is to compute. For a corner inside the circle A
is the rectangle u·v. For a corner outside it A is a sum of one function of u and one of v, and
so the square roots and arcsines are taken along the two edges of a stamp, not over its area.

All tables here have the sources along their last, longest axis, where numpy's loops are fast.
"""

from __future__ import annotations

import numpy as np


def stamp_reach(radius: float) -> int:
    """Pixels from a stamp's central pixel to its side so that the circle always fits.

    The circle's centre lies at most half a pixel from the centre of the central pixel.
    """
    return int(np.ceil(radius))


def circle_overlap(x_fraction, y_fraction, radius, reach: int | None = None) -> np.ndarray:
    """Fraction of each pixel of a square stamp that lies inside a circle.

    Parameters
    ----------
    x_fraction, y_fraction : float64 array (n,)
        Centre of each circle relative to the centre of the stamp's central pixel, in pixels,
        from -0.5 to 0.5.
    radius : float or float64 array (n,)
        Radius of the circles in pixels, one for all or one for each.
    reach : int, optional
        The stamps are 2 * reach + 1 pixels wide; as wide as the largest circle needs by default.

    Returns
    -------
    float64 array (n, s, s), indexed [source, y, x]
        Exactly 0 for a pixel outside the circle and exactly 1 for one inside it; on the rim good
        to about 1e-15 * radius**2.
    """
    reach = stamp_reach(np.max(radius, initial=0.0)) if reach is None else reach
    edges = (np.arange(2 * reach + 2) - (reach + 0.5))[:, None]
    u, v = edges - np.asarray(x_fraction), edges - np.asarray(y_fraction)

    square = radius * radius  # not radius**2, which may be rounded to less
    inside = (v * v)[:, None] + u * u <= square
    corner_area = _area_to_corner(u, v, radius, inside)
    column = corner_area[:, 1:] - corner_area[:, :-1]
    weights = column[1:] - column[:-1]

    # Differences of large areas leave rounding where the answer is 0 or 1: say it exactly.
    inside_columns = inside[:, 1:] & inside[:, :-1]
    weights[inside_columns[1:] & inside_columns[:-1]] = 1.0
    nearest_u, nearest_v = _distance_to_pixels(u), _distance_to_pixels(v)
    weights[(nearest_v**2)[:, None] + nearest_u**2 >= square] = 0.0
    np.clip(weights, 0.0, 1.0, out=weights)
    return np.ascontiguousarray(np.moveaxis(weights, -1, 0))


def _area_to_corner(u, v, radius, inside):
    """Signed area of the circle between its centre and the corners (u, v): (s + 1, s + 1, n)."""
    strip_u = _half_strip(u, radius)
    strip_v = _half_strip(v, radius) - np.pi * radius * radius / 4
    area = np.where(inside, np.abs(v)[:, None] * np.abs(u), strip_v[:, None] + strip_u)
    area *= np.sign(v)[:, None]
    area *= np.sign(u)
    return area


def _half_strip(u, radius):
    """Area of a quarter circle between its centre and the distance |u| along one axis."""
    u = np.minimum(np.abs(u), radius)
    square = radius * radius  # as u * u where u is the radius: their difference is never below 0
    return 0.5 * (u * np.sqrt(square - u * u) + square * np.arcsin(u / radius))


def _distance_to_pixels(edges):
    """Distance along one axis from the circle's centre to each pixel, 0 inside it: (s, n)."""
    return np.maximum(0.0, np.maximum(edges[:-1], -edges[1:]))
