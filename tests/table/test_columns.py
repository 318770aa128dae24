"""The columns are those of the design, and RAD's wherever RAD has them."""

import dataclasses

import numpy as np
import pytest
from astropy.units import Unit
from roman_datamodels.datamodels import ImageSourceCatalogModel

from romancal_forcedphot.table import FLAG_MEANINGS, WarningFlag, aperture_name, table_columns
from romancal_forcedphot.table.method_columns import Column
from small import output_columns


@pytest.fixture(scope="module")
def rad_catalog():
    return ImageSourceCatalogModel.create_fake_data()


@pytest.mark.parametrize(
    ("radius", "unit", "name"),
    [
        (3, "pixel", "aper3pix"),
        (3.0, "pixel", "aper3pix"),
        (np.float32(3.5), "pixel", "aper3p5pix"),
        (10.0, "pixel", "aper10pix"),
        (0.125, "pixel", "aper0p125pix"),
        (0.4, "arcsec", "aper04"),
        (0.1 + 0.2, "arcsec", "aper03"),
        (1.6, "arcsec", "aper16"),
        (9.9, "arcsec", "aper99"),
        (0.33, "arcsec", "aper0p33arcsec"),
        (0.05, "arcsec", "aper0p05arcsec"),
        (10.0, "arcsec", "aper10arcsec"),
    ],
)
def test_aperture_names(radius, unit, name):
    assert aperture_name(radius, unit) == name


def test_arcsec_names_are_those_of_rad(rad_catalog):
    """RAD counts tenths of an arcsec with two digits, 01 to 99."""
    for tenths in range(1, 100):
        name = aperture_name(tenths / 10, "arcsec")
        assert name == f"aper{tenths:02d}"
        assert rad_catalog.get_column_definition(f"{name}_flux") is not None


@pytest.mark.parametrize("radius", [0.0, -3.0, float("nan"), float("inf")])
def test_impossible_radius_is_named(radius):
    with pytest.raises(ValueError, match=f"{radius!r} is not a positive number"):
        aperture_name(radius)


def test_unknown_unit_is_named():
    with pytest.raises(ValueError, match="'arcmin' is unknown: use 'pixel' or 'arcsec'"):
        aperture_name(3.0, "arcmin")


def test_radii_of_one_name_are_refused():
    with pytest.raises(ValueError, match=r"3.0 and 3.0000001 pixel would both be called 'aper3pix"):
        output_columns([3.0, 3.0000001])


def test_no_radius_is_refused():
    with pytest.raises(ValueError, match="no aperture radius"):
        output_columns([])


def test_columns_of_one_name_are_refused():
    twice = [Column("psf_flux", "float32", "nJy", "Flux")] * 2
    with pytest.raises(ValueError, match="two methods would both write column 'psf_flux'"):
        table_columns(twice)
    with pytest.raises(ValueError, match="column 'ra'"):
        table_columns([Column("ra", "float64", "deg", "Right ascension")])


def test_names_and_order():
    suffixes = ["flux", "flux_err", "total_flux", "total_flux_err", "abmag", "abmag_err"]
    suffixes.append("ee_fraction")
    expected = ["label", "source_name", "ra", "dec", "x", "y"]
    expected += [f"aper5pix_{suffix}" for suffix in suffixes]
    expected += [f"aper3p5pix_{suffix}" for suffix in suffixes]
    expected += ["aper_bkg_flux", "aper_bkg_flux_err", "warning_flags"]
    assert [c.name for c in output_columns([5, 3.5], source_names=True)] == expected
    expected.remove("source_name")
    assert [c.name for c in output_columns([5, 3.5])] == expected


def test_columns_of_rad_keep_unit_and_type(rad_catalog):
    """All but label, which must hold the 64-bit ids of surveys, and x, y (float32 in RAD 1.2)."""
    shared = set()
    for column in output_columns([0.4], "arcsec"):
        rad = rad_catalog.get_column_definition(column.name)
        if rad is None or column.name in ("label", "x", "y"):
            continue
        shared.add(column.name)
        assert np.dtype(column.dtype) == rad["datatype"], column.name
        assert column.unit == ("" if rad["unit"] == "none" else rad["unit"]), column.name
    flux = {"aper04_flux", "aper04_flux_err", "aper_bkg_flux", "aper_bkg_flux_err"}
    assert shared == flux | {"ra", "dec", "warning_flags"}


def test_background_and_flags_are_described_as_by_rad(rad_catalog):
    columns = {c.name: c for c in output_columns([3])}
    for name in ("aper_bkg_flux", "aper_bkg_flux_err", "warning_flags"):
        rad = rad_catalog.get_column_definition(name)
        assert columns[name].description == rad["description"]


def test_label_holds_survey_ids():
    gaia_source_id = 4295806720 * 10**9
    label = next(c for c in output_columns([3]) if c.name == "label")
    assert np.iinfo(label.dtype).max > gaia_source_id


def test_every_column_is_complete():
    for column in output_columns([3, 0.5], source_names=True):
        Unit(column.unit)
        assert column.description
        assert column.dtype == "str" or np.dtype(column.dtype).name == column.dtype
        with pytest.raises(dataclasses.FrozenInstanceError):
            column.name = "other"


def test_flags_are_the_bits_of_the_design():
    words = ["centre", "not placed", "edge", "masked pixel", "saturated", "background"]
    words += ["correction", "another source", "usable pixels", "degenerate", "poor", "shape"]
    assert [int(flag) for flag in WarningFlag] == [2**i for i in range(12)]
    assert list(FLAG_MEANINGS) == list(WarningFlag)
    for word, meaning in zip(words, FLAG_MEANINGS.values(), strict=True):
        assert word in meaning
    assert np.array([WarningFlag.EDGE | WarningFlag.NEIGHBOR], dtype="int32")[0] == 132


@pytest.mark.parametrize("kind", ["int32", "int64", "uint32"])
def test_flags_of_a_row_of_the_table_are_named(kind):
    """Integers of numpy, as the column has them, with any bits."""
    column = np.array([0, 5, 2048], dtype=kind)
    assert [str(WarningFlag(value)) for value in column[1:]] == [
        "CENTER_UNUSABLE|EDGE",
        "BAD_SHAPE",
    ]
    assert str(WarningFlag(column[0])) == f"{WarningFlag(column[0])}" == "0"
    assert WarningFlag(column[1]) == WarningFlag.CENTER_UNUSABLE | WarningFlag.EDGE
