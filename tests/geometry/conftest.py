"""Apertures of pysiaf, and a WCS of one of them."""

from __future__ import annotations

import pytest

from distortion import POINTINGS, distortion_of, make_wcs, roman_siaf


@pytest.fixture(scope="session")
def siaf():
    return roman_siaf()


@pytest.fixture(scope="session")
def wfi18(siaf):
    """An aperture in the corner of the focal plane, and its WCS at a plain pointing."""
    aperture = siaf["WFI18_FULL"]
    return aperture, make_wcs(distortion_of(aperture), POINTINGS["plain"])
