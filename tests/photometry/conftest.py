"""An exposure of noise with masked pixels, and a map of pixel areas."""

from __future__ import annotations

import numpy as np
import pytest

from small import SHAPE, exposure_of


@pytest.fixture
def exposure():
    rng = np.random.default_rng(11)
    data = rng.normal(2.0, 0.1, SHAPE).astype(np.float32)
    data[rng.random(SHAPE) < 0.01] = np.nan
    return exposure_of(data, rng.uniform(0.05, 0.2, SHAPE).astype(np.float16))


@pytest.fixture
def area():
    return np.random.default_rng(5).uniform(0.95, 1.05, SHAPE).astype(np.float32)
