"""Radii on the sky in pixels, by the root of the solid angle of a pixel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from romancal_forcedphot.geometry import solid_angle
from romancal_forcedphot.photometry.methods.radii import RadiiOnImage
from small import SHAPE, GrowingPixels


def test_radii_in_pixels_are_the_same_everywhere(exposure):
    radii = RadiiOnImage.on(exposure, "pixel")
    assert radii.at(np.zeros(2), np.zeros(2), (3.0, 5.0)) == (3.0, 5.0)
    assert radii.largest(3.0) == radii.smallest(3.0) == 3.0


def test_radii_in_arcsec_are_divided_by_the_scale_of_the_place(exposure):
    exposure = replace(exposure, wcs=GrowingPixels())
    radii = RadiiOnImage.on(exposure, "arcsec")
    x, y = np.random.default_rng(1).uniform(0, 180, (2, 50))
    scale = 3600 * np.degrees(np.sqrt(solid_angle(exposure.wcs, x, y)))
    small, large = radii.at(x, y, (0.33, 2.4))
    np.testing.assert_allclose(small, 0.33 / scale, rtol=1e-6)
    np.testing.assert_allclose(large, 2.4 / scale, rtol=1e-6)


def test_no_place_has_a_radius_outside_the_range(exposure):
    exposure = replace(exposure, wcs=GrowingPixels())
    radii = RadiiOnImage.on(exposure, "arcsec")
    y, x = np.indices(SHAPE).reshape(2, -1)
    (everywhere,) = radii.at(x, y, (0.33,))
    assert radii.smallest(0.33) <= everywhere.min()
    assert radii.largest(0.33) >= everywhere.max()
    assert radii.largest(0.33) == pytest.approx(everywhere.max(), rel=2e-3)
    assert radii.smallest(0.33) == pytest.approx(everywhere.min(), rel=2e-3)
