"""Fixtures of the fits: an ePSF of known shape."""

from __future__ import annotations

import pytest
from simulated_stars import make_epsf


@pytest.fixture(scope="session")
def epsf():
    """The ePSF of `simulated_stars`, varying over a detector of 200 by 200 pixels."""
    return make_epsf()
