"""A scene for the kernels, and positions on it."""

from __future__ import annotations

import numpy as np
import pytest

from circles import SHAPE, scattered_positions


@pytest.fixture(scope="module")
def scene():
    """Noise with a gradient, stars, masked pixels, float16 errors, saturation and an area map."""
    rng = np.random.default_rng(20270501)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    data = 0.4 + 0.002 * y + rng.normal(0, 0.05, SHAPE)
    for flux, x0, y0 in zip(
        10 ** rng.uniform(0, 4, 150),
        rng.uniform(0, 260, 150),
        rng.uniform(0, 240, 150),
        strict=True,
    ):
        data += flux / (2 * np.pi * 1.2**2) * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / 2 / 1.2**2)
    err = np.sqrt(0.0025 + np.abs(data) / 100).astype(np.float16)
    data = data.astype(np.float32)
    data[rng.random(SHAPE) < 0.02] = np.nan
    data[100:140, 50:90] = np.nan
    data[10, 10], data[11, 12] = 1e7, -1e7
    area = (1 + 0.02 * (x - y) / 250).astype(np.float32)
    err[np.isnan(data)] = area[np.isnan(data)] = np.nan  # must not matter
    return {"data": data, "err": err, "saturated": rng.random(SHAPE) < 0.005, "area": area}


@pytest.fixture(scope="module")
def positions():
    return scattered_positions()
