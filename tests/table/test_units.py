"""Units of flux against arithmetic by hand: 1 Jy is 8.9 mag(AB), a maggy 0 mag(AB)."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table
from astropy.units import Unit

from romancal_forcedphot.table import (
    FLUX_UNITS,
    convert_flux,
    in_flux_unit,
    is_flux_column,
    make_table,
    table_unit,
)
from small import output_columns

MAGGY_NJY = 10 ** (0.4 * 31.4)
IN_NJY = {"nJy": 1.0, "uJy": 1e3, "mJy": 1e6, "Jy": 1e9, "mgy": MAGGY_NJY, "maggy": MAGGY_NJY}


@pytest.mark.parametrize("name", IN_NJY)
def test_fluxes_to_nanojansky_and_back(name):
    values = np.array([-2.0, 0.0, 1e-7, 3.0])
    in_njy = convert_flux(values, name, "nJy")
    np.testing.assert_allclose(in_njy, values * IN_NJY[name], rtol=1e-12)
    np.testing.assert_allclose(convert_flux(in_njy, "nJy", name), values, rtol=1e-12)


@pytest.mark.parametrize("name", IN_NJY)
def test_ab_magnitudes(name):
    magnitude = convert_flux([1.0, 100.0], name, "ABmag")
    expected = 31.4 - 2.5 * np.log10(IN_NJY[name]) - np.array([0, 5])
    np.testing.assert_allclose(magnitude, expected, atol=1e-12)
    np.testing.assert_allclose(convert_flux(magnitude, "ABmag", name), [1.0, 100.0], rtol=1e-12)


def test_a_flux_that_is_not_positive_has_no_magnitude():
    np.testing.assert_array_equal(convert_flux([-1.0, 0.0, np.nan], "Jy", "AB"), [np.nan] * 3)


def test_units_of_astropy_and_shapes():
    assert convert_flux(2.0, u.MJy, u.Jy) == pytest.approx(2e6)
    assert convert_flux(np.ones((2, 3), dtype="float32"), u.ABmag, "nJy").shape == (2, 3)
    assert convert_flux([], "nJy", "ABmag").size == 0
    unchanged = np.array([25.0])
    assert convert_flux(unchanged, "ABmag", "AB") is not unchanged
    assert convert_flux(unchanged, "ABmag", "AB")[0] == 25.0


@pytest.mark.parametrize("name", ["furlong", "K", "mag", "", None])
def test_what_is_no_unit_of_flux_is_refused(name):
    with pytest.raises(ValueError, match=r"no unit of flux: expected nJy, .*maggy or ABmag"):
        convert_flux(1.0, name, "nJy")


def test_units_of_the_table():
    names = ["nJy", "uJy", "mJy", "Jy", "maggy", "mgy", "ABmag"]
    assert [table_unit(name) for name in names] == ["nJy", "uJy", "mJy", "Jy", "mgy", "mgy", "nJy"]


def photometry(flux_unit="nJy"):
    """A table of two sources, every float 1, with a flux of the catalog at its end."""
    columns = output_columns([3.0, 0.4], "arcsec", flux_unit=flux_unit)
    more = Table({"truth": np.ones(2)})
    more["truth"].unit = "nJy"
    return columns, make_table(columns, {c.name: np.ones(2) for c in columns}, more)


@pytest.mark.parametrize("unit", FLUX_UNITS)
def test_a_table_changes_in_its_fluxes_alone(unit):
    before = photometry()[1]
    after = in_flux_unit(before, unit)
    factor = 1 / IN_NJY[unit]
    for column in photometry(unit)[0]:
        found = after[column.name]
        assert found.dtype.name == column.dtype
        assert (found.unit or Unit("")) == Unit(column.unit)
        assert found.description == column.description
        expected = factor if "flux" in column.name else 1.0
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert after["truth"].unit == u.nJy
    assert list(after["truth"]) == [1, 1]
    assert list(before["aper04_flux"]) == [1, 1]
    assert before["aper04_flux"].unit == u.nJy


def test_flux_columns_by_name():
    names = {column.name for column in output_columns([3.0, 4.5])}
    assert {name for name in names if is_flux_column(name)} == {n for n in names if "flux" in n}
    others = ["flux", "aper_flux", "aperture_flux", "aper_bkg_all_flux", "my_aper04_flux"]
    assert not any(map(is_flux_column, others))
