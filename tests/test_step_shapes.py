"""Elliptical and Kron apertures by the step: products, units, and a product as a catalog."""

from __future__ import annotations

import asdf
import numpy as np
import pytest
from astropy.table import Table

from reference_models import epsf_model
from romancal_forcedphot.catalogs import CatalogError
from romancal_forcedphot.product.model import ForcedPhotometryModel
from romancal_forcedphot.table import WarningFlag
from small import CENTER, level2_image, run_step

GALAXIES = {
    "ra": [CENTER[0], CENTER[0] + 3e-3, CENTER[0] - 2e-3],
    "dec": [CENTER[1], CENTER[1] + 1e-3, CENTER[1] - 1e-3],
    "type": ["SER", "PSF", "SER"],
    "n": [1.0, -1.0, 2.0],
    "half_light_radius": [0.3, 0.0, -0.2],
    "ba": [0.5, 1.0, 0.7],
    "pa": [30.0, 0.0, 10.0],
}


@pytest.fixture(scope="module")
def image():
    image = level2_image()
    y, x = np.mgrid[: image.data.shape[0], : image.data.shape[1]]
    image.data += 20 * np.exp(-np.hypot((x - 99.5) / 4, (y - 89.5) / 4)).astype(np.float32)
    return image


@pytest.mark.parametrize("shape", ["ellipse", "kron"])
def test_products_hold_what_the_method_measures(image, tmp_path, shape):
    product = run_step(image, Table(GALAXIES), aperture_shape=shape)
    assert list(product.meta.forced_phot.methods) == [shape]
    table = product.source_catalog
    assert (table[f"{shape}_flux"][0] > 0).all()
    is_bad = (table["warning_flags"] & WarningFlag.BAD_SHAPE) > 0
    np.testing.assert_array_equal(is_bad, [False, False, True])
    np.testing.assert_array_equal(np.isnan(table[f"{shape}_flux"]), is_bad)
    path = tmp_path / "product.asdf"
    product.save(path)
    with ForcedPhotometryModel(path) as again, asdf.open(path) as plain:
        assert again.source_catalog.colnames == table.colnames
        assert plain["roman"]["source_catalog"][f"{shape}_flux"].unit == "nJy"


@pytest.mark.parametrize("shape", ["ellipse", "kron"])
def test_fluxes_come_in_the_unit_that_is_asked_for(image, shape):
    options = {"aperture_shape": shape, "keep_columns": "pa"}
    plain = run_step(image, Table(GALAXIES), **options).source_catalog
    micro = run_step(image, Table(GALAXIES), **options, output_units="uJy").source_catalog
    np.testing.assert_allclose(micro[f"{shape}_flux"], plain[f"{shape}_flux"] / 1000, rtol=1e-6)
    assert micro[f"{shape}_flux_err"].unit == "uJy"
    for name in ("pa", f"{shape}_abmag"):
        np.testing.assert_array_equal(micro[name], plain[name])


def test_columns_of_the_catalog_that_have_rads_names_are_left_as_they_are(image):
    catalog = Table({**GALAXIES, "kron_flux": [1.0, 2.0, 3.0]})
    kept = run_step(image, catalog, keep_columns="kron_flux", output_units="uJy").source_catalog
    np.testing.assert_array_equal(kept["kron_flux"], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="keep_columns names 'kron_flux'"):
        run_step(image, catalog, keep_columns="kron_flux", aperture_shape="kron")


def test_a_product_is_the_catalog_that_forces_its_kron_apertures(image, tmp_path):
    first = run_step(image, Table(GALAXIES), aperture_shape="kron")
    path = tmp_path / "first.asdf"
    first.save(path)
    again = run_step(image, str(path), aperture_shape="kron").source_catalog
    for name in ("kron_radius", "semimajor", "semiminor"):
        np.testing.assert_allclose(again[name], first.source_catalog[name], rtol=1e-5)
    np.testing.assert_allclose(again["kron_flux"], first.source_catalog["kron_flux"], rtol=1e-4)


@pytest.mark.parametrize(
    ("columns", "options", "said"),
    [
        (("ra", "dec"), {}, "has no shapes: looked for n, half_light_radius"),
        (("ra", "dec", "n", "half_light_radius", "pa"), {}, "has shapes, but no column 'ba'"),
        (tuple(GALAXIES), {"shape_scale": 0.0}, "shape_scale is 0: expected a number above 0"),
        (tuple(GALAXIES), {"error_calibration": "empty"}, "expected none with aperture_shape"),
    ],
)
def test_what_cannot_work_ends_in_one_line(image, columns, options, said):
    catalog = Table({name: GALAXIES[name] for name in columns})
    with pytest.raises((CatalogError, ValueError), match=said) as caught:
        run_step(image, catalog, aperture_shape="ellipse", **options)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def reference(image, tmp_path_factory):
    """Path of a product with Kron apertures."""
    path = tmp_path_factory.mktemp("reference") / "reference.asdf"
    run_step(image, Table(GALAXIES), aperture_shape="kron").save(path)
    return str(path)


def brighter_elsewhere(image):
    """An image in which all is twice as bright, with another noise."""
    other = level2_image(seed=3)
    other.data += 2 * (image.data - 2)
    return other


def test_kron_apertures_of_one_image_are_forced_on_another(image, reference):
    positions = Table({name: GALAXIES[name] for name in ("ra", "dec")})
    options = {"aperture_shape": "kron", "kron_from": reference}
    forced = run_step(brighter_elsewhere(image), positions, **options).source_catalog
    first = ForcedPhotometryModel(reference).source_catalog
    for name in ("kron_radius", "semimajor", "semiminor"):
        np.testing.assert_allclose(forced[name][:2], first[name][:2], rtol=1e-5)
    assert forced["orientation_sky"][0] == pytest.approx(first["orientation_sky"][0])
    assert forced["kron_flux"][0] == pytest.approx(2 * first["kron_flux"][0], rel=0.05)


def test_kron_apertures_are_found_by_label_beside_models_of_the_catalog(image, reference):
    catalog = Table({**GALAXIES, "label": [1, 2, 3]})[[2, 0]]
    product = run_step(image, catalog, aperture_shape="kron", kron_from=reference)
    first = ForcedPhotometryModel(reference).source_catalog
    found = product.source_catalog["kron_radius"][1]
    assert found == pytest.approx(first["kron_radius"][0], rel=1e-5)
    assert product.meta.forced_phot.parameters["kron_from"] == reference


@pytest.mark.parametrize(
    ("changes", "options", "said"),
    [
        ({}, {"aperture_shape": "ellipse"}, "and aperture_shape ellipse, .*: expected Kron"),
        ({}, {"methods": "model"}, "methods model: expected Kron apertures"),
        ({"label": [1, 2, 9]}, {}, "lacks 1 of the 3 sources of .*, the first with label 9"),
        ({"label": [3, 2, 1]}, {}, "has label 3 .* arcsec from where .* has it"),
        ({}, {"kron_from": "catalog.ecsv"}, "has no column kron_radius"),
        ({}, {"kron_from": "nowhere.asdf"}, "nowhere.asdf"),
    ],
)
def test_a_reference_that_does_not_fit_ends_in_one_line(
    image, reference, tmp_path, monkeypatch, changes, options, said
):
    monkeypatch.chdir(tmp_path)
    Table(GALAXIES | {"label": [1, 2, 3]}).write("catalog.ecsv")
    given = {"aperture_shape": "kron", "kron_from": reference} | options
    with pytest.raises(ValueError, match=said) as caught:
        run_step(image, Table(GALAXIES | changes), **given)
    assert "\n" not in str(caught.value)


def test_impossible_shapes_of_a_reference_are_flagged_where_they_are_forced(image, reference):
    """The third source has a negative radius; here the catalog tells no shapes."""
    positions = Table({name: GALAXIES[name] for name in ("ra", "dec")})
    options = {"aperture_shape": "kron", "kron_from": reference}
    table = run_step(image, positions, **options).source_catalog
    is_bad = (table["warning_flags"] & WarningFlag.BAD_SHAPE) > 0
    np.testing.assert_array_equal(is_bad, [False, False, True])
    np.testing.assert_array_equal(np.isnan(table["kron_flux"]), is_bad)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"aperture_shape": "ellipse"}, "other.asdf' has no shapes: looked for"),
        ({}, "other.asdf' has no shapes: looked for"),
    ],
)
def test_products_without_kron_apertures_are_no_reference(image, tmp_path, options, said):
    path = tmp_path / "other.asdf"
    run_step(image, Table(GALAXIES), **options).save(path)
    with pytest.raises(CatalogError, match=said) as caught:
        run_step(image, Table(GALAXIES), aperture_shape="kron", kron_from=str(path))
    assert "\n" not in str(caught.value)


BAD = {
    "n": (np.nan, 20.0, 0.0, -1.0),
    "half_light_radius": (np.nan, -0.3, 0.0, np.inf, 1e-300, 1e6),
    "ba": (np.nan, 0.0, 2.0),
    "pa": (np.nan, np.inf, -999.0),
}
BAD_MOMENTS = {
    "semimajor": (np.nan, -0.3, 0.0, np.inf, 0.1),
    "semiminor": (np.nan, -0.1, 0.0, np.inf, 0.4),
    "orientation_sky": (np.nan, np.inf),
}
BAD_RADII = {"kron_radius": (np.nan, 0.0, -1.0, np.inf, 1e9)}
GOOD = {"n": 1.0, "half_light_radius": 0.3, "ba": 0.5, "pa": 30.0}
GOOD_MOMENTS = {"semimajor": 0.3, "semiminor": 0.15, "orientation_sky": 30.0}


def bad_and_good(good, *bad):
    """A catalog with each of the bad values in a row of its own, between two good rows."""
    rows = [good | {name: value} for each in bad for name in each for value in each[name]]
    rows = [good, *rows, good]
    x, y = (places.ravel()[: len(rows)] for places in np.meshgrid(*[np.linspace(20, 160, 5)] * 2))
    columns = {name: [row[name] for row in rows] for name in good}
    return Table({"x": x, "y": y, **columns})


@pytest.mark.parametrize(
    ("catalog", "options", "name"),
    [
        (bad_and_good(GOOD, BAD), {"aperture_shape": "ellipse"}, "ellipse_flux"),
        (bad_and_good(GOOD, BAD), {"aperture_shape": "kron"}, "kron_flux"),
        (bad_and_good(GOOD, BAD), {"methods": "model"}, "model_flux"),
        (
            bad_and_good(GOOD_MOMENTS, BAD_MOMENTS),
            {"aperture_shape": "ellipse"},
            "ellipse_flux",
        ),
        (
            bad_and_good(GOOD_MOMENTS | {"kron_radius": 0.22}, BAD_MOMENTS, BAD_RADII),
            {"aperture_shape": "kron"},
            "kron_flux",
        ),
    ],
)
def test_bad_shapes_end_in_flags_and_leave_other_rows_alone(image, catalog, options, name):
    """Also beside each other, for a bad row is left out of the catalog of the second run."""
    given = {"override_apcorr": "N/A", "override_epsf": epsf_model()} | options
    if "methods" in options:
        given["aperture_correction"] = "epsf"
    table = run_step(image, catalog, **given).source_catalog
    is_good = np.isin(np.arange(len(catalog)), [0, len(catalog) - 1])
    np.testing.assert_array_equal((table["warning_flags"] & WarningFlag.BAD_SHAPE) > 0, ~is_good)
    np.testing.assert_array_equal(np.isfinite(table[name]), is_good)
    alone = run_step(image, catalog[is_good], **given).source_catalog
    tolerance = 0.1 * table[f"{name}_err"][is_good] if "methods" in options else 0
    assert (abs(table[name][is_good] - alone[name]) <= tolerance).all()


def test_two_rows_of_one_label_are_refused(image, tmp_path):
    path = tmp_path / "twice.asdf"
    twice = Table(GALAXIES | {"label": [1, 1, 2]})
    run_step(image, twice, aperture_shape="kron").save(path)
    with pytest.raises(CatalogError, match="has label 1 in several rows"):
        run_step(image, Table(GALAXIES), aperture_shape="kron", kron_from=str(path))
