"""Columns of a light curve, and what follows from flux and error."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u

from romancal_forcedphot.lightcurves.measuring import rows
from romancal_forcedphot.table import Column, WarningFlag

CHI2 = Column("chi2", "float32", "", "Reduced chi-squared of the fit")


def test_every_column_is_named_once_and_has_a_unit_that_astropy_knows():
    for columns in (
        rows.exposure_columns([CHI2], source_names=True),
        rows.light_curve_columns([CHI2], baseline=True),
    ):
        names = [column.name for column in columns]
        assert len(set(names)) == len(names)
        assert "chi2" in names
        assert names[-1] == "warning_flags"
        for column in columns:
            u.Unit(column.unit)
            assert column.description


def test_source_name_and_differences_are_there_only_where_they_are_asked_for():
    assert "source_name" not in [c.name for c in rows.exposure_columns()]
    assert "flux_difference" not in [c.name for c in rows.light_curve_columns()]


def test_limit_is_the_magnitude_of_so_many_errors():
    err = np.array([10.0, 250.0])
    expected = (5 * err * u.nJy).to_value(u.ABmag)
    np.testing.assert_allclose(rows.limiting_magnitude(err, 5.0), expected, rtol=1e-12)


def test_an_error_that_is_none_gives_no_limit_and_no_ratio():
    err = np.array([0.0, -1.0, np.nan])
    assert np.isnan(rows.limiting_magnitude(err)).all()
    assert np.isnan(rows.signal_to_noise(np.ones(3), err)).all()


@pytest.mark.parametrize("sigma", [0.0, -3.0, np.nan])
def test_a_limit_of_no_sigma_is_refused(sigma):
    with pytest.raises(ValueError, match="limit_sigma"):
        rows.limiting_magnitude(np.ones(1), sigma)


def test_negative_fluxes_keep_ratio_and_limit_and_lose_the_magnitude():
    derived = rows.derived_columns(np.array([-20.0, 100.0]), np.array([10.0, 10.0]))
    assert derived["snr"].tolist() == [-2.0, 10.0]
    assert np.isnan(derived["abmag"][0])
    assert np.isnan(derived["abmag_err"][0])
    assert np.isfinite(derived["limit_abmag"]).all()
    assert derived["abmag"][1] == pytest.approx(31.4 - 2.5 * 2, abs=1e-5)
    assert derived["abmag_err"][1] == pytest.approx(1.0857 * 0.1, rel=1e-3)


def test_noise_equivalent_area_of_a_gaussian():
    """4 pi sigma^2 for a Gaussian that is wide against the pixel."""
    y, x = np.mgrid[-20:21, -20:21]
    sigma = 3.0
    psf = np.exp(-(x**2 + y**2) / (2 * sigma**2)) / (2 * np.pi * sigma**2)
    stamps = np.stack([psf, np.zeros_like(psf), np.full_like(psf, 1 / 4)])
    area = rows.noise_equivalent_area(stamps)
    assert area[0] == pytest.approx(4 * np.pi * sigma**2, rel=1e-6)
    assert np.isnan(area[1])
    assert area[2] == pytest.approx(16 / 41**2)


def test_a_neighbour_alone_does_not_make_a_point_bad():
    columns = {
        "flux": np.array([1.0, 1.0, 1.0, np.nan, 1.0]),
        "flux_err": np.array([1.0, 1.0, 0.0, 1.0, 1.0]),
        "warning_flags": np.array([0, int(WarningFlag.NEIGHBOR), 0, 0, int(WarningFlag.EDGE)]),
    }
    assert rows.is_good(columns).tolist() == [True, True, False, False, False]
