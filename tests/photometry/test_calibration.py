"""Units and magnitudes against astropy and arithmetic by hand."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u

from romancal_forcedphot.photometry import calibration


def test_flux_scale_is_ten_to_the_fifteen_times_both():
    assert calibration.flux_scale(0.25, 2.8e-13) == pytest.approx(1e15 * 0.25 * 2.8e-13, rel=1e-12)


def test_surface_brightness_by_hand():
    arcsec_per_radian = 180 * 3600 / np.pi
    expected = 0.25e15 / arcsec_per_radian**2
    assert calibration.surface_brightness_scale(0.25) == pytest.approx(expected, rel=1e-12)


def test_magnitudes_against_astropy_and_first_order_errors():
    flux = np.array([1.0, 3631e9, 250.0])
    flux_err = flux * [0.01, 0.001, 0.1]
    magnitude, magnitude_err = calibration.ab_magnitude(flux, flux_err)
    np.testing.assert_allclose(magnitude, (flux * u.nJy).to_value(u.ABmag), atol=1e-12)
    assert magnitude[0] == pytest.approx(31.4, abs=1e-4)
    brighter, _ = calibration.ab_magnitude(flux + 1e-6 * flux_err, flux_err)
    np.testing.assert_allclose(magnitude_err, (magnitude - brighter) * 1e6, rtol=1e-4)


def test_flux_that_is_not_positive_has_no_magnitude():
    magnitude, magnitude_err = calibration.ab_magnitude(
        np.array([0.0, -4.0, np.nan]), np.array([1.0, 1.0, 1.0])
    )
    assert np.isnan(magnitude).all()
    assert np.isnan(magnitude_err).all()
