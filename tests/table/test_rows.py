"""The table of a measurement, made of plain columns and counted."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table

from romancal_forcedphot import WarningFlag
from romancal_forcedphot.table import (
    Column,
    check_catalog_columns,
    count_rows,
    make_table,
    median_ee_fractions,
    on_image,
)
from small import output_columns

FLAGS = [0, WarningFlag.NOT_PLACED | WarningFlag.CENTER_UNUSABLE, WarningFlag.EDGE, 0]


def photometry():
    columns = output_columns([3.0, 5.0])
    values = {column.name: np.arange(4) for column in columns}
    values["warning_flags"] = np.array(FLAGS)
    values["aper3pix_ee_fraction"] = np.array([0.7, np.nan, 0.8, 0.9])
    values["aper5pix_ee_fraction"] = np.full(4, np.nan)
    return columns, make_table(columns, values, Table({"truth": [1, 2, 3, 4]}))


def test_columns_have_their_types_units_and_order():
    columns, table = photometry()
    assert table.colnames == [*(column.name for column in columns), "truth"]
    for column in columns:
        assert table[column.name].dtype.name == column.dtype
        assert (table[column.name].unit or u.dimensionless_unscaled) == u.Unit(column.unit)
        assert table[column.name].description == column.description


def test_rows_are_counted():
    _, table = photometry()
    np.testing.assert_array_equal(on_image(table), [True, False, True, True])
    counts = {"n_rows": 4, "n_on_image": 3, "n_flagged": 2}
    assert count_rows(table) == {"n_read": 4, "n_selected": 4} | counts
    assert count_rows(table, 9, 6) == {"n_read": 9, "n_selected": 6} | counts
    assert count_rows(table, n_selected=6)["n_read"] == 6


def test_median_ee_fractions_are_medians_of_what_is_known():
    _, table = photometry()
    (small, large) = median_ee_fractions(table, ["aper3pix", "aper5pix"])
    assert small == pytest.approx(0.8)
    assert large is None


@pytest.mark.parametrize(
    "name", ["psf_flux", "ra", "aper4pix_flux", "aper_bkg_flux", "source_name"]
)
def test_names_of_ours_are_refused_for_other_columns(name):
    ours = [*output_columns([3.0]), Column("psf_flux", "float32", "nJy", "PSF flux")]
    check_catalog_columns(["truth", "flux", "aper_flux"], ours)
    with pytest.raises(ValueError, match=f"keep_columns names '{name}'.*rename"):
        check_catalog_columns(["truth", name], ours)
