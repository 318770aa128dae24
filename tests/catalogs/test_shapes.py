"""Shapes from the columns of romanisim, RAD, photutils and SExtractor, good and bad ones."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from astropy import units as u
from astropy.modeling.models import Gaussian2D
from astropy.table import QTable, Table
from photutils.segmentation import SegmentationImage, SourceCatalog

from romancal_forcedphot.catalogs import CatalogError, read_sources
from romancal_forcedphot.geometry import local_jacobian
from small import tangent_wcs

POSITIONS = {"ra": [270.0, 270.001, 270.002, 270.003], "dec": [66.0, 66.001, 66.0, 66.001]}
SERSIC = {
    "type": ["SER", "PSF", "SER", "SER"],
    "n": [1.0, -1.0, 4.0, 2.5],
    "half_light_radius": [0.3, 0.0, 0.5, 0.1],
    "ba": [0.25, 1.0, 1.0, 0.64],
    "pa": [10.0, 0.0, 200.0, -30.0],
}
RAD = {
    "semimajor": [0.3, 0.2, 0.5, np.nan] * u.arcsec,
    "semiminor": [0.1, 0.2, 0.6, 0.1] * u.arcsec,
    "orientation_pix": [0.0, 10.0, 20.0, 30.0] * u.deg,
    "orientation_sky": [180.0, 190.0, 200.0, 210.0] * u.deg,
    "kron_radius": [0.154, 0.22, 0.33, 0.44] * u.arcsec,
}


def shapes_of(columns, **more):
    return read_sources(QTable({**POSITIONS, **columns}), shapes=True, **more).shapes


def test_romanisims_radius_is_circularised():
    shapes = shapes_of(SERSIC)
    np.testing.assert_array_equal(shapes.has_shape, [True, False, True, True])
    np.testing.assert_allclose(shapes.semimajor[[0, 2, 3]], [0.6, 0.5, 0.125])
    np.testing.assert_allclose(shapes.semiminor[[0, 2, 3]], [0.15, 0.5, 0.08])
    np.testing.assert_array_equal(shapes.sersic_index[[0, 2, 3]], [1.0, 4.0, 2.5])
    np.testing.assert_array_equal(shapes.angle_deg[[0, 2, 3]], [10.0, 200.0, -30.0])
    assert not shapes.is_bad.any()
    assert not shapes.axes_in_pixels
    assert not shapes.angle_on_pixels


def test_units_are_honoured_and_names_are_found_in_any_case():
    table = QTable({**POSITIONS, **{name.upper(): value for name, value in SERSIC.items()}})
    table["HALF_LIGHT_RADIUS"] = np.array(SERSIC["half_light_radius"]) * 1000 * u.mas
    table["PA"] = np.radians(SERSIC["pa"]) * u.rad
    shapes = read_sources(table, shapes=True).shapes
    np.testing.assert_allclose(shapes.semimajor, shapes_of(SERSIC).semimajor, rtol=1e-12)
    np.testing.assert_allclose(shapes.angle_deg, shapes_of(SERSIC).angle_deg, rtol=1e-12)


def test_without_a_type_all_rows_are_galaxies():
    shapes = shapes_of({name: value for name, value in SERSIC.items() if name != "type"})
    np.testing.assert_array_equal(shapes.is_bad, [False, True, False, False])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 20.0),
        ("n", 0.0),
        ("n", np.nan),
        ("half_light_radius", -0.3),
        ("half_light_radius", 0.0),
        ("half_light_radius", 1e6),
        ("half_light_radius", np.inf),
        ("half_light_radius", 1e-300),
        ("ba", 0.0),
        ("ba", 2.0),
        ("ba", -0.5),
        ("ba", np.nan),
        ("pa", np.nan),
        ("pa", -999.0),
        ("type", ""),
    ],
)
def test_impossible_shapes_are_flagged(name, value, caplog):
    columns = {**SERSIC, name: [value, *SERSIC[name][1:]]}
    with caplog.at_level(logging.WARNING):
        shapes = shapes_of(columns)
    np.testing.assert_array_equal(shapes.is_bad, [True, False, False, False])
    np.testing.assert_array_equal(shapes.has_shape, [False, False, True, True])
    assert np.isnan(shapes.sersic_index[0])
    assert np.isnan(shapes.semimajor[0])
    assert "1 of 3 shapes are impossible, the first in row 1" in caplog.text


def test_masked_values_are_no_shape():
    table = Table({**POSITIONS, **SERSIC}, masked=True)
    table["n"].mask[0] = True
    shapes = read_sources(table, shapes=True).shapes
    np.testing.assert_array_equal(shapes.is_bad, [True, False, False, False])


@pytest.mark.parametrize("missing", ["n", "ba", "pa"])
def test_missing_columns_are_named(missing):
    columns = {name: value for name, value in SERSIC.items() if name != missing}
    with pytest.raises(CatalogError, match=f"no column '{missing}': its columns are ra, dec"):
        shapes_of(columns)


def test_a_catalog_without_shapes_says_what_was_looked_for():
    with pytest.raises(CatalogError, match="has no shapes: looked for n, half_light_radius, ba"):
        shapes_of({})
    assert read_sources(Table(POSITIONS)).shapes is None


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"semimajor": [1.0] * 4}, "no orientation_sky or orientation_pix"),
        ({"semimajor": [1.0] * 4, "orientation_sky": [1.0] * 4}, "no column 'semiminor'"),
        ({**SERSIC, "pa": ["north"] * 4}, "'pa' has 'north' in row 1: expected a number"),
        ({**SERSIC, "half_light_radius": [1.0] * 4 * u.s}, "'half_light_radius' is in 's'"),
        (
            {**SERSIC, "half_light_radius": [1.0] * 4 * u.mag},
            "is in 'mag', expected arcsec, .*arcs",
        ),
        ({**SERSIC, "half_light_radius": [1.0] * 4 * u.pix}, "is in 'pix', expected arcsec"),
        ({**SERSIC, "n": [1.0] * 4 * u.mag}, "'n' is in 'mag', which is no plain number"),
        ({**SERSIC, "type": [1, 2, 3, 4]}, "expected one name in a row; SER for galaxies"),
        ({**SERSIC, "type": ["SER", "PSF", "DEV", "?"]}, "'type' has 'DEV' in row 3: expected SER"),
        ({**RAD, "semiminor": [1.0] * 4 * u.pix}, "'semiminor' is in 'pix', expected arcsec"),
        ({**RAD, "kron_radius": [1.0] * 4 * u.mag}, "'kron_radius' is in 'mag', which is no plain"),
    ],
)
def test_half_shapes_and_odd_ones_are_errors_of_one_line(columns, said):
    with pytest.raises(CatalogError, match=said) as caught:
        shapes_of(columns)
    assert "\n" not in str(caught.value)
    assert "--aperture_shape=circle" in str(caught.value)
    assert "correct it, or correct it" not in str(caught.value)


def test_an_axis_without_a_unit_has_that_of_the_other():
    """By its name it would be in arcsec."""
    columns = {"semimajor": [5.0] * 4 * u.pix, "semiminor": [2.0] * 4, "orientation_sky": [3.0] * 4}
    shapes = shapes_of(columns)
    assert shapes.axes_in_pixels
    np.testing.assert_array_equal(shapes.semiminor, 2.0)


def test_rads_kron_radius_in_arcsec_counts_half_axes():
    """romancal multiplies photutils' number by the pixel scale."""
    shapes = shapes_of(RAD)
    np.testing.assert_array_equal(shapes.is_bad, [False, False, True, True])
    np.testing.assert_allclose(shapes.semimajor[:2], [0.3, 0.2])
    np.testing.assert_allclose(shapes.angle_deg[:2], [180.0, 190.0])
    np.testing.assert_allclose(shapes.kron_radius[:2], [1.4, 2.0])
    assert shapes.sersic_index is None
    assert not shapes.angle_on_pixels


def test_sextractors_kron_radius_is_scaled():
    columns = {
        "A_WORLD": [1e-4, 2e-4, 1e-4, 1e-4],
        "B_WORLD": [5e-5, 1e-4, 1e-4, 1e-4],
        "THETA_J2000": [10.0, 20.0, 30.0, 40.0],
        "KRON_RADIUS": [3.5, 5.0, 7.5, 0.0],
        "A_IMAGE": [1.0] * 4,
    }
    shapes = shapes_of(columns)
    np.testing.assert_allclose(shapes.semimajor, [0.36, 0.72, 0.36, 0.36])
    np.testing.assert_allclose(shapes.kron_radius, [1.4, 2.0, 3.0, np.nan])
    np.testing.assert_array_equal(shapes.angle_deg, columns["THETA_J2000"])


def test_axes_on_pixels_are_told_apart_from_those_on_the_sky(caplog):
    columns = {"A_IMAGE": [3.0] * 4, "B_IMAGE": [1.0] * 4, "THETA_IMAGE": [30.0] * 4}
    with caplog.at_level(logging.WARNING):
        shapes = shapes_of(columns)
    assert shapes.axes_in_pixels
    assert shapes.angle_on_pixels
    assert "they are right on that very image alone" in caplog.text
    caplog.clear()
    on_detector = Table({"x": [1.0] * 4, "y": [3.0] * 4, **columns})
    assert read_sources(on_detector, shapes=True).shapes.axes_in_pixels
    assert "very image" not in caplog.text


def test_photutils_catalogs_are_read_as_they_are():
    y, x = np.mgrid[:60, :60]
    data = Gaussian2D(100, 30.2, 29.7, 4, 2, theta=0.6)(x, y)
    catalog = SourceCatalog(data, SegmentationImage((data > 0.01).astype(int)))
    names = ["x_centroid", "y_centroid", "semimajor_axis", "semiminor_axis", "orientation"]
    table = catalog.to_table(columns=[*names, "kron_radius"])
    shapes = read_sources(table, shapes=True).shapes
    jacobian = local_jacobian(tangent_wcs((60, 60)), [30.2], [29.7])
    np.testing.assert_allclose(np.ravel(shapes.on_pixels(jacobian)), [4, 2, 0.6], rtol=2e-3)
    np.testing.assert_allclose(shapes.kron_radius, catalog.kron_radius.value)


def test_every_shape_comes_to_one_ellipse_on_the_pixels():
    """North is up and east is left, at 0.11 arcsec per pixel."""
    wcs = tangent_wcs((100, 100))
    one = {"ra": [270.0], "dec": [66.0]}
    for columns in (
        {"semimajor": [0.55], "semiminor": [0.22], "orientation_sky": [30.0]},
        {"semimajor": [0.55], "semiminor": [0.22], "orientation_pix": [120.0]},
        {"semimajor": [5.0] * u.pix, "semiminor": [2.0] * u.pix, "orientation_sky": [30.0]},
        {"semimajor_sigma": [5.0], "semiminor_sigma": [2.0], "orientation": [120.0]},
        {"n": [1.0], "half_light_radius": [0.11 * np.sqrt(10)], "ba": [0.4], "pa": [210.0]},
    ):
        shapes = read_sources(QTable({**one, **columns}), shapes=True).shapes
        a, b, theta = shapes.on_pixels(local_jacobian(wcs, [49.5], [49.5]))
        np.testing.assert_allclose([a[0], b[0]], [5.0, 2.0], rtol=1e-6)
        assert abs(np.sin(theta[0] - np.radians(120.0))) < 1e-6


def test_rows_are_taken_together_with_the_sources():
    sources = read_sources(Table({**POSITIONS, **SERSIC}), shapes=True, select="n > 2")
    np.testing.assert_array_equal(sources.shapes.sersic_index, [4.0, 2.5])
    assert len(sources.take([1]).shapes) == 1
    assert len(sources.take(np.zeros(2, dtype=bool)).shapes) == 0
