"""The area that an ellipse shares with each pixel, exactly, for many ellipses at once.

Stretch both axes until the ellipse just fits a square of half side 1: it is then
p² - 2 ρ p q + q² <= 1 - ρ², and its tilt is ρ alone. Let F(p, q) be its area to the lower left of
the point (p, q). The overlap with a pixel is F at two corners minus F at the other two, so that
functions of p alone or of q alone cancel. What is left of F is, with κ² = 1 - ρ² and
g(p) = κ (p sqrt(1 - p²) + arcsin p) / 2,

    inside the ellipse     p q - ρ (p² + q²) / 2 - κ arccos(ρ) / 2
    outside of it          ± g(p) ± g(q), less π κ / 2 where the signs are alike

where the first sign is that of q - ρ p, the second that of p - ρ q: on which side of the ellipse's
chord through p, and of that through q, the point lies. The square roots and arcsines are taken
along the two edges of a stamp, not over its area, as for the circle.

All tables here have the sources along their last, longest axis, where numpy's loops are fast.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["ellipse_overlap", "ellipse_reach"]


def ellipse_reach(semimajor: ArrayLike, semiminor: ArrayLike, theta: ArrayLike) -> int:
    """Return the pixels from a stamp's central pixel to its side so that each ellipse fits.

    The ellipse's centre lies at most half a pixel from the centre of the central pixel.
    """
    half_width, half_height, _ = _bounding_box(semimajor, semiminor, theta)
    largest = max(np.max(half_width, initial=0.0), np.max(half_height, initial=0.0))
    return int(np.ceil(largest))


def ellipse_overlap(
    x_fraction: ArrayLike,
    y_fraction: ArrayLike,
    semimajor: ArrayLike,
    semiminor: ArrayLike,
    theta: ArrayLike,
    reach: int | None = None,
) -> NDArray:
    """Return the fraction of each pixel of a square stamp that lies inside an ellipse.

    Parameters
    ----------
    x_fraction, y_fraction : (n,) ndarray of float64
        Centre of each ellipse relative to the centre of the stamp's central pixel, in pixels,
        from -0.5 to 0.5.
    semimajor, semiminor : float or (n,) ndarray of float64
        Half axes in pixels, positive, in either order.
    theta : float or (n,) ndarray of float64
        Angle of the `semimajor` axis in radian, counterclockwise from the positive x axis.
    reach : int, optional
        The stamps are 2 * reach + 1 pixels wide; as wide as the largest ellipse needs by default.

    Returns
    -------
    (n, s, s) ndarray of float64, indexed [source, y, x]
        Exactly 0 for a pixel outside the ellipse and exactly 1 for one inside it; on the rim good
        to about 1e-15 * semimajor * semiminor, and 0 for an overlap of less.
    """
    half_width, half_height, tilt = _bounding_box(semimajor, semiminor, theta)
    if reach is None:
        reach = ellipse_reach(semimajor, semiminor, theta)
    edges = (np.arange(2 * reach + 2) - (reach + 0.5))[:, None]
    p = np.clip((edges - np.asarray(x_fraction)) / half_width, -1.0, 1.0)
    q = np.clip((edges - np.asarray(y_fraction)) / half_height, -1.0, 1.0)

    corner_area, inside = _area_to_corner(p, q, tilt)
    column = corner_area[:, 1:] - corner_area[:, :-1]
    weights = column[1:] - column[:-1]
    weights *= half_width * half_height

    # Differences of large areas leave rounding where the answer is 0 or 1: say it exactly.
    inside_columns = inside[:, 1:] & inside[:, :-1]
    weights[inside_columns[1:] & inside_columns[:-1]] = 1.0
    weights[weights < 4e-15 * (half_width * half_height)] = 0.0
    np.minimum(weights, 1.0, out=weights)
    return np.ascontiguousarray(np.moveaxis(weights, -1, 0))


def _bounding_box(semimajor, semiminor, theta) -> tuple[NDArray, NDArray, NDArray]:
    """Return half width and half height of each ellipse in pixels, and its tilt ρ."""
    a_cos, a_sin = semimajor * np.cos(theta), semimajor * np.sin(theta)
    b_cos, b_sin = semiminor * np.cos(theta), semiminor * np.sin(theta)
    half_width, half_height = np.hypot(a_cos, b_sin), np.hypot(a_sin, b_cos)
    return half_width, half_height, (a_cos * a_sin - b_cos * b_sin) / (half_width * half_height)


def _area_to_corner(p: NDArray, q: NDArray, tilt: NDArray) -> tuple[NDArray, NDArray]:
    """Return F less functions of one axis alone, and whether a corner is inside: (s, s, n)."""
    squeeze = np.sqrt((1.0 - tilt) * (1.0 + tilt))
    q_column, tilted_q = q[:, None], (tilt * q)[:, None]
    product = q_column * p
    squares = (q * q)[:, None] + p * p
    inside = squares - 2.0 * tilt * product <= squeeze * squeeze

    above, right = q_column > tilt * p, p > tilted_q
    along_p, along_q = _half_cap(p, squeeze), _half_cap(q, squeeze)[:, None]
    outer = np.where(above, along_p, -along_p)
    outer += np.where(right, along_q, -along_q)
    outer -= np.where(above == right, 0.5 * np.pi * squeeze, 0.0)

    squares *= 0.5 * tilt
    product -= squares
    product -= 0.5 * squeeze * np.arccos(tilt)
    return np.where(inside, product, outer), inside


def _half_cap(p: NDArray, squeeze: NDArray) -> NDArray:
    """Return g(p): half the area between the ellipse's centre and the chord at p."""
    return 0.5 * squeeze * (p * np.sqrt((1.0 - p) * (1.0 + p)) + np.arcsin(p))
