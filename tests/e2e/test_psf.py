"""PSF photometry by the step, with the example's ePSF: every way in, and what it leaves behind."""

from __future__ import annotations

from typing import ClassVar

import asdf
import numpy as np
import pytest
import roman_datamodels as rdm
from astropy.io.votable import from_table
from astropy.table import Column, Table, vstack
from matplotlib.image import imread
from romancal.flux import FluxStep
from romancal.stpipe import RomanPipeline

from romancal_forcedphot import ForcedPhotometryStep
from romancal_forcedphot.references import ReferenceFileError
from romancal_forcedphot.table import WarningFlag
from servers import moto_server, put

pytestmark = pytest.mark.slow

FITTED = WarningFlag.CENTER_UNUSABLE | WarningFlag.PSF_MASKED


@pytest.fixture(scope="module")
def parameters(small_scene, small_cache):
    """Apertures and PSF with the references of the scene, without CRDS."""
    references = small_cache / "references" / "roman"
    with (
        rdm.open(next(references.glob("*_epsf_*.asdf"))) as epsf,
        rdm.open(next(references.glob("*_apcorr_*.asdf"))) as apcorr,
        pytest.MonkeyPatch.context() as environment,
    ):
        environment.setenv("STPIPE_DISABLE_CRDS_STEPPARS", "true")
        yield {
            "catalog": str(small_scene.catalog),
            "methods": "aperture,psf",
            "pixel_area": "wcs",
            "aperture_correction": "epsf",
            "override_epsf": epsf,
            "override_apcorr": apcorr,
        }


@pytest.fixture(scope="module")
def expected(small_scene, parameters):
    """The table of a run on the file."""
    return ForcedPhotometryStep.call(str(small_scene.image), **parameters).source_catalog


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def assert_same(table, expected):
    for name in ("psf_flux", "psf_flux_err", "aper3pix_flux", "warning_flags"):
        np.testing.assert_array_equal(table[name], expected[name], err_msg=name)


def bright_star(table):
    """The row of the brightest star without a flag."""
    return np.argmax(np.where(table["warning_flags"] == 0, table["psf_flux"], 0))


def product_of(path):
    with rdm.open(path, lazy_tree=False) as product:
        return product.source_catalog.copy()


def test_stars_have_the_flux_of_the_catalog(small_scene, expected):
    catalog = Table.read(small_scene.catalog)
    truth = np.array(catalog["F158"]) * 3631e9  # nJy from maggies
    usable = (np.array(catalog["type"]) == "PSF") & (expected["warning_flags"] & FITTED == 0)
    pull = ((expected["psf_flux"] - truth) / expected["psf_flux_err"])[usable]
    assert usable.sum() > 15
    assert abs(np.median(pull)) < 1
    assert np.mean(abs(pull) < 4) > 0.9


def test_what_a_run_leaves_behind(small_scene, parameters, tmp_path, expected):
    options = {"save_results": True, "save_residual": True, "save_plots": True}
    ForcedPhotometryStep.call(str(small_scene.image), **parameters, **options)
    product, residual, page = (
        small_scene.image.name.replace("_cal.asdf", end)
        for end in ("_forcedphot.asdf", "_residual.asdf", "_forcedphot.png")
    )
    assert {path.name for path in tmp_path.iterdir()} == {product, residual, page}
    assert_same(product_of(product), expected)
    with asdf.open(residual) as file, rdm.open(small_scene.image) as image:
        planes = file["roman"]
        left, model = (np.array(planes[name]) for name in ("data", "model"))
        data = np.where(np.isfinite(left), np.array(image.data), np.nan)
        assert planes["meta"]["image"]["filename"] == small_scene.image.name
        assert planes["meta"]["wcs"](10, 20) == image.meta.wcs(10, 20)
    np.testing.assert_allclose(left + model, data, rtol=1e-4, atol=1e-4)
    assert np.isfinite(left).mean() > 0.9
    assert np.ptp(imread(page)[..., :3]) > 0.9


@pytest.mark.parametrize("changes", [{"methods": "psf"}, {"aperture_shape": "ellipse"}], ids=str)
def test_pages_and_residuals_without_circles(small_scene, parameters, tmp_path, changes):
    options = {"save_residual": True, "save_plots": True, **changes}
    ForcedPhotometryStep.call(str(small_scene.image), **parameters | options)
    assert len(list(tmp_path.glob("*.png"))) == 1
    assert len(list(tmp_path.glob("*_residual.asdf"))) == 1


def test_apertures_without_neighbors(small_scene, parameters, expected):
    options = parameters | {"subtract_neighbors": True}
    table = ForcedPhotometryStep.call(str(small_scene.image), **options).source_catalog
    np.testing.assert_array_equal(table["psf_flux"], expected["psf_flux"])
    alone = (expected["psf_blend"] < 1e-4) & (expected["warning_flags"] & FITTED == 0)
    apart = (table["aper3pix_total_flux"] - expected["aper3pix_total_flux"])[alone]
    assert np.median(abs(apart / expected["aper3pix_total_flux_err"][alone])) < 0.3


def roman_catalog(positions):
    """A catalog as romancal's SourceCatalogStep saves it: all columns of RAD, here with zeros."""
    model = rdm.datamodels.ImageSourceCatalogModel.create_minimal(
        {"meta": rdm.datamodels.ImageModel.create_fake_data(shape=(8, 8)).meta}
    )
    columns = model.create_empty_catalog().itercols()
    empty = [Column(np.zeros(len(positions), c.dtype), c.name, unit=c.unit) for c in columns]
    model.source_catalog = Table(empty)
    for name in ("ra", "dec"):
        model.source_catalog[name] = Column(positions[name], unit="deg")
    model.source_catalog["label"] = np.arange(1, len(positions) + 1, dtype="int32")
    return model


@pytest.mark.parametrize("kind", ["fits", "csv", "vot", "parquet", "hats", "table", "asdf"])
def test_every_format_of_catalog(small_scene, parameters, expected, tmp_path, kind):
    catalog = Table.read(small_scene.catalog)["ra", "dec"]
    path = tmp_path / f"catalog.{kind}"
    if kind == "vot":
        from_table(catalog).to_xml(str(path))
    elif kind == "hats":
        (path / "dataset" / "Norder=0" / "Dir=0").mkdir(parents=True)
        catalog.write(path / "dataset" / "Norder=0" / "Dir=0" / "Npix=0.parquet", format="parquet")
        (path / "hats.properties").write_text(
            "obs_collection=stars\ndataproduct_type=object\nhats_col_ra=ra\nhats_col_dec=dec\n"
        )
    elif kind == "asdf":
        path = tmp_path / "r0003201001001001004_0001_wfi09_f158_cat.asdf"
        roman_catalog(catalog).save(path)
    elif kind != "table":
        catalog.write(path, format={"parquet": "parquet"}.get(kind))
    options = parameters | {"catalog": catalog if kind == "table" else str(path)}
    table = ForcedPhotometryStep.call(str(small_scene.image), **options).source_catalog
    assert_same(table, expected)


def test_many_inputs(small_scene, parameters, expected):
    inputs = [str(small_scene.image)] * 2
    products = ForcedPhotometryStep.call(inputs, **parameters)
    for product in products:
        assert_same(product.source_catalog, expected)


def test_as_a_hook_and_in_a_pipeline(small_scene, parameters, expected, tmp_path):
    class Measured(RomanPipeline):
        step_defs: ClassVar = {"forced_phot": ForcedPhotometryStep}

        def process(self, dataset):
            return self.forced_phot.run(dataset)

    steps = {"forced_phot": parameters}
    table = Measured.call(str(small_scene.image), steps=steps).source_catalog
    assert_same(table, expected)
    with rdm.open(small_scene.image) as image:
        image.meta.filename = "hooked_cal.asdf"
        FluxStep.call(image, post_hooks=[ForcedPhotometryStep(**parameters)])
    table = product_of(tmp_path / "hooked_forcedphot.asdf")
    for name in ("psf_flux", "psf_flux_err"):
        np.testing.assert_allclose(table[name], expected[name], rtol=2e-3)


def test_from_s3(small_scene, parameters, expected, monkeypatch):
    with moto_server() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        put(f"{url}/bucket")
        for path in (small_scene.image, small_scene.catalog):
            put(f"{url}/bucket/{path.name}", path.read_bytes())
        options = parameters | {"catalog": f"s3://bucket/{small_scene.catalog.name}"}
        product = ForcedPhotometryStep.call(f"s3://bucket/{small_scene.image.name}", **options)
        assert_same(product.source_catalog, expected)


# --- what can not be had -------------------------------------------------------------------------


def test_a_curve_corrects_apertures_beside_the_psf(small_scene, parameters, expected):
    options = parameters | {"aperture_correction": "apcorr"}
    product = ForcedPhotometryStep.call(str(small_scene.image), **options)
    np.testing.assert_array_equal(product.source_catalog["psf_flux"], expected["psf_flux"])
    told = product.meta.forced_phot
    assert (told.aperture_correction.source, told.psf.source) == ("apcorr", "epsf")


@pytest.mark.parametrize("methods", ["psf", "aperture,psf"])
def test_without_an_epsf_there_is_no_psf(small_scene, parameters, methods):
    options = {"aperture_correction": "apcorr", "methods": methods, "override_epsf": "N/A"}
    with pytest.raises(ReferenceFileError, match=r"no epsf reference .*--methods=aperture$"):
        ForcedPhotometryStep.call(str(small_scene.image), **parameters | options)


def test_the_psf_of_another_detector_is_refused(small_scene, parameters):
    epsf = parameters["override_epsf"].copy()
    epsf.meta.instrument.detector = "WFI04"
    with pytest.raises(ReferenceFileError, match=r"WFI04.*WFI09[^\n]*$"):
        ForcedPhotometryStep.call(str(small_scene.image), **parameters | {"override_epsf": epsf})


def test_an_image_without_a_usable_pixel_ends_in_flags(small_scene, parameters):
    options = parameters | {"subtract_neighbors": True, "save_residual": True, "save_plots": True}
    with rdm.open(small_scene.image) as image:
        image.dq[...] = 1
        table = ForcedPhotometryStep.call(image, **options).source_catalog
    on_image = table["warning_flags"] & (WarningFlag.NOT_PLACED | WarningFlag.EDGE) == 0
    assert on_image.any()
    assert (table["warning_flags"][on_image] & WarningFlag.PSF_MASKED != 0).all()
    assert np.isnan(table["psf_flux"]).all()


def test_fewer_usable_pixels_than_sources_end_in_flags(small_scene, parameters, expected):
    star = bright_star(expected)
    x, y = (round(float(expected[axis][star])) for axis in "xy")
    catalog = Table.read(small_scene.catalog)["ra", "dec"]
    near = Table(np.repeat(catalog[star : star + 1], 8))
    near["dec"] += np.arange(8) * 0.02 / 3600  # fifths of a pixel
    with rdm.open(small_scene.image) as image:
        dq = np.array(image.dq)
        usable = np.zeros(dq.shape, dtype=bool)
        usable[y, x - 1 : x + 2] = True
        image.dq = np.where(usable, dq, dq | 1).astype(dq.dtype)
        options = parameters | {"catalog": near, "subtract_neighbors": True}
        table = ForcedPhotometryStep.call(image, **options).source_catalog
    either = WarningFlag.PSF_MASKED | WarningFlag.PSF_DEGENERATE
    assert (table["warning_flags"] & either != 0).all()


def test_a_hundred_thousand_sources_in_one_place_share_its_flux(small_scene, parameters, expected):
    star, n = bright_star(expected), 100_000
    catalog = Table.read(small_scene.catalog)["ra", "dec"]
    options = parameters | {"catalog": vstack([catalog, Table(np.repeat(catalog[[star]], n - 1))])}
    table = ForcedPhotometryStep.call(str(small_scene.image), **options).source_catalog
    same = np.append(star, np.arange(len(catalog), len(table)))
    flux, err = expected["psf_flux"][star], expected["psf_flux_err"][star]
    assert (table["warning_flags"][same] & WarningFlag.PSF_DEGENERATE != 0).all()
    assert table["psf_flux"][same].sum(dtype=np.float64) == pytest.approx(flux, abs=float(err))
    assert (table["psf_flux_err"][same] > 0.99 * flux).all()
    others = np.delete(np.arange(len(catalog)), star)
    apart = table["psf_flux"][others] - expected["psf_flux"][others]
    assert np.nanmax(abs(apart) / expected["psf_flux_err"][others]) < 0.02


def test_a_catalog_without_rows(small_scene, parameters):
    options = parameters | {"subtract_neighbors": True, "save_residual": True, "save_plots": True}
    options |= {"select": "F158 < 0"}
    table = ForcedPhotometryStep.call(str(small_scene.image), **options).source_catalog
    assert len(table) == 0
    assert "psf_chi2" in table.colnames
