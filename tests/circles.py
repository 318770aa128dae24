"""Positions of every kind on an image, and photutils' overlaps of circles with pixels there."""

from __future__ import annotations

import numpy as np
from photutils.aperture import CircularAperture

SHAPE = (240, 260)
RADII = [0.3, 0.45, 0.5, 0.7072, 1.0, 2.5, 3.0, 4.2, 7.5, 10.0]
RADII += [2.759]  # radius**2 of the C library is less than radius * radius here

SPECIAL = np.array(
    [
        [100, 60], [100.5, 60.5], [99.5, 60.5], [100, 60.5], [100.25, 60.75], [0, 0], [-0.5, -0.5],
        [259.5, 239.5], [259.49, 239.51], [-3.5, 20], [-2.5, 20], [70, 120], [70.5, 120.5],
        [10, 10], [263, 120], [30, -1e9], [1e12, 50], [-1e300, 1e300], [-7.0, 243.0],
    ]
)  # fmt: skip


def scattered_positions():
    """Random places on and around the image, then special ones: centres, corners, ties, far off."""
    rng = np.random.default_rng(42)
    x = np.concatenate([rng.uniform(-30, SHAPE[1] + 30, 1500), SPECIAL[:, 0]])
    y = np.concatenate([rng.uniform(-30, SHAPE[0] + 30, 1500), SPECIAL[:, 1]])
    return x, y


def exact_weights(x, y, radius, reach):
    """photutils' weights on the stamp around the nearest pixel."""
    side = 2 * reach + 1
    place = (x - np.rint(x) + reach, y - np.rint(y) + reach)
    return CircularAperture(place, radius).to_mask(method="exact").to_image((side, side))


def batches_of(n):
    """Batches of rows in any order, of one to a thousand."""
    order = np.random.default_rng(5).permutation(n)
    return [
        order[start : start + size]
        for size in (1, 7, 300, 1000)
        for start in range(0, n, max(size, 150))
    ]
