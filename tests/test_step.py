"""The step in one process: every way to call it, and what it leaves behind.

No CRDS is within reach here; the small images need no reference files (`PLAIN`) or are given them.
Bad input is tried in e2e/test_bad_input.py, the numbers in e2e/test_accuracy.py.
"""

from __future__ import annotations

import os
from pathlib import Path

import asdf
import numpy as np
import pytest
from astropy.stats import SigmaClip
from astropy.table import Table
from astropy.time import Time
from photutils.aperture import CircularAnnulus, CircularAperture
from roman_datamodels import datamodels as rdm
from romancal.stpipe import RomanStep
from stpipe import Step

from romancal_forcedphot import (
    ForcedPhotometryModel,
    ForcedPhotometryStep,
    Settings,
    WarningFlag,
)
from romancal_forcedphot.references import ReferenceFileError
from small import (
    CENTER,
    IMAGE,
    PLAIN,
    PLAIN_OPTIONS,
    PRODUCT,
    SCALE_DEG,
    level2_image,
    run_step,
    save_image,
)

CATALOG = "catalog.ecsv"
RADII = {"aper3pix", "aper5pix"}


@pytest.fixture(autouse=True)
def _here(workplace):
    """An image and a catalog in the working directory, and no CRDS."""
    save_image(IMAGE)
    sources().write(CATALOG)


def sources():
    """Three sources on the image, 18 pixels apart."""
    ra, dec = CENTER
    return Table({"id": [7, 5, 6], "ra": [ra, ra, ra], "dec": dec + np.array([0, 2, 4]) / 3600})


def radii_of(product):
    """Names of the apertures in a product."""
    suffix = "_total_flux_err"
    return {name.removesuffix(suffix) for name in product.source_catalog.colnames if suffix in name}


def assert_same_rows(first, second):
    """Compare two tables value by value, NaN for NaN."""
    assert first.colnames == second.colnames
    for name in first.colnames:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def logged(product, text):
    """Whether a line with a text was recorded in a product."""
    return any(text in line for line in product.meta.cal_logs)


def test_path_model_and_table_give_the_same_rows():
    expected = run_step(IMAGE, catalog=CATALOG)
    assert isinstance(expected, ForcedPhotometryModel)
    assert list(expected.source_catalog["label"]) == [7, 5, 6]
    assert np.isfinite(expected.source_catalog["aper3pix_total_flux"]).all()
    for image in (Path(IMAGE), level2_image()):
        for catalog in (Path(CATALOG), sources()):
            product = run_step(image, catalog=catalog)
            assert_same_rows(product.source_catalog, expected.source_catalog)


def test_the_step_measures_as_photutils_and_astropy_do():
    image = level2_image()
    parameters = {"catalog": CATALOG, "aperture_radii": 4, "annulus_radii": [15, 22]}
    product = ForcedPhotometryStep.call(
        image, **parameters, pixel_area="none", aperture_correction="none"
    )
    for row in product.source_catalog:
        place = (row["x"], row["y"])
        annulus = CircularAnnulus(place, 15, 22).to_mask(method="center")
        background = np.ma.median(SigmaClip(3.0, maxiters=5)(annulus.get_values(image.data)))
        circle = CircularAperture(place, 4).to_mask(method="exact")
        per_pixel = 1e15 * 0.25 * 2.8e-13  # nJy per DN/s: MJy/sr per DN/s times sr
        flux = (circle.multiply(image.data).sum() - background * circle.data.sum()) * per_pixel
        scatter = 0.1 * np.sqrt(circle.data.sum()) * per_pixel
        assert row["aper4pix_flux"] == pytest.approx(flux, abs=1e-3 * scatter)


def test_the_instance_runs_as_well_as_the_class():
    step = ForcedPhotometryStep(catalog=sources(), aperture_radii="3,5", **PLAIN)
    product = step.run(level2_image())
    assert len(product.source_catalog) == 3
    assert radii_of(product) == RADII
    assert logged(product, "Measured 3 of 3 sources")


@pytest.mark.parametrize("value", ["3,5", "[3, 5]", [3, 5], (3.0, 5.0), ["3", "5"]])
def test_radii_in_python(value):
    product = run_step(IMAGE, catalog=CATALOG, aperture_radii=value)
    assert radii_of(product) == RADII
    assert product.meta.forced_phot.aperture_radii == [3.0, 5.0]


@pytest.mark.parametrize(
    ("text", "radii"),
    [("3,5", RADII), ("[3,5]", RADII), ("5", {"aper5pix"}), ("3.5", {"aper3p5pix"})],
)
def test_radii_on_the_command_line(text, radii):
    Step.from_cmdline(
        ["forced_phot", IMAGE, f"--catalog={CATALOG}", f"--aperture_radii={text}", *PLAIN_OPTIONS]
    )
    with rdm.open(PRODUCT) as product:
        assert radii_of(product) == radii


def test_radii_that_are_not_given_go_with_their_unit():
    step = ForcedPhotometryStep(catalog=CATALOG)
    assert (step.aperture_radii, step.annulus_radii) == ([], [])  # until there is an image
    step.radius_unit = "pixel"
    assert (step.aperture_radii, step.annulus_radii) == ([3.0], [20.0, 25.0])
    step.radius_unit = "arcsec"
    assert step.get_pars()["aperture_radii"] == [0.33]
    step.aperture_radii = 0.5
    assert (step.aperture_radii, step.annulus_radii) == ([0.5], [2.4, 2.8])


def test_apertures_in_arcsec():
    product = run_step(IMAGE, catalog=CATALOG, radius_unit="arcsec")
    assert radii_of(product) == {"aper0p33arcsec"}
    meta = product.meta.forced_phot
    assert (meta.aperture_radius_unit, meta.aperture_radii) == ("arcsec", [0.33])
    assert meta.annulus_radii == [2.4, 2.8]
    in_pixels = run_step(IMAGE, catalog=CATALOG, annulus_radii=[2.4 / 0.11, 2.8 / 0.11])
    np.testing.assert_allclose(
        product.source_catalog["aper0p33arcsec_flux"],
        in_pixels.source_catalog["aper3pix_flux"],
        rtol=1e-4,
    )


def test_sources_near_another_are_no_background():
    """Each of the three has another 18 pixels away, in its annulus of 15 to 22 pixels."""
    options = {"catalog": CATALOG, "annulus_radii": [15, 22], **PLAIN}
    image = level2_image()
    image.data[:] = 2.0 + np.arange(180)[:, None] * 1e-3  # so that each pixel counts
    plain = ForcedPhotometryStep.call(image, **options).source_catalog
    product = ForcedPhotometryStep.call(image, bkg_mask_radius=4, n_threads=1, **options)
    masked = product.source_catalog
    assert product.meta.forced_phot.parameters["bkg_mask_radius"] == 4
    changed = masked["aper_bkg_flux"] != plain["aper_bkg_flux"]
    assert list(changed) == [True, False, True]  # by symmetry for the one in the middle


def test_saved_parameters_give_the_same_run():
    """`--save-parameters`, and its file in place of the step's name and as `config_file`."""
    options = [*PLAIN_OPTIONS, "--aperture_radii=3,5", "--annulus_radii=15,20.5"]
    options += ["--dq_mask=SATURATED,HOT"]
    Step.from_cmdline(
        ["forced_phot", IMAGE, f"--catalog={CATALOG}", "--save-parameters=pars.asdf", *options]
    )
    with rdm.open(PRODUCT) as product:
        expected = product.copy()
    Path(PRODUCT).unlink()
    Step.from_cmdline(["pars.asdf", IMAGE])
    with rdm.open(PRODUCT) as product:
        assert_same_rows(product.source_catalog, expected.source_catalog)
        assert product.meta.forced_phot.parameters == expected.meta.forced_phot.parameters
    product = ForcedPhotometryStep.call(IMAGE, config_file="pars.asdf", aperture_radii=4)
    assert radii_of(product) == {"aper4pix"}
    assert product.meta.forced_phot.parameters["annulus_radii"] == [15, 20.5]
    assert product.meta.forced_phot.parameters["dq_mask"] == ["SATURATED", "HOT"]


#: Parameters that shape no number: of the catalog, of the run and of the output.
NOT_SETTINGS = {
    *("catalog", "kron_from", "ra_column", "dec_column", "x_column", "y_column", "label_column"),
    *("spectral_type_column", "select", "keep_columns", "on_image_only", "storage_options"),
    *("output_units", "save_plots", "save_residual", "verify_checksums", "n_threads", "suffix"),
}


def spec_names():
    """Parameters that the step has beside those of all steps of romancal, and overrides."""
    names = set(ForcedPhotometryStep.load_spec_file()) - set(RomanStep.load_spec_file())
    return {name for name in names if not name.startswith("override_")} | {"suffix"}


def settings_of(step):
    return Settings.from_parameters({name: getattr(step, name) for name in Settings.names()})


def test_every_parameter_is_a_setting_or_shapes_no_number():
    assert spec_names() == set(Settings.names()) | NOT_SETTINGS
    assert not set(Settings.names()) & NOT_SETTINGS


@pytest.mark.parametrize("unit", ["auto", "pixel", "arcsec"])
def test_defaults_of_the_spec_are_those_of_settings(unit):
    settings = settings_of(ForcedPhotometryStep(radius_unit=unit))
    assert settings == Settings(radius_unit=unit)
    assert settings.fingerprint() == Settings(radius_unit=unit).fingerprint()
    names = Settings.names()
    for name in names:
        assert type(getattr(settings, name)) is type(getattr(Settings(), name)), name


def test_settings_are_the_same_from_python_and_from_a_parameter_file():
    given = {"aperture_radii": "3,5", "bkg_sigma": 2, "dq_mask": "ANY", "ref_epoch": 2015}
    given |= {"stpsf_charge_diffusion": 20, "defocus": 1, "gain_correction": True}
    step = ForcedPhotometryStep(catalog=CATALOG, **given)
    step.export_config("pars.asdf")
    again = ForcedPhotometryStep.from_config_file("pars.asdf")
    expected = Settings(**given | {"aperture_radii": (3, 5)})
    assert settings_of(step) == settings_of(again) == expected
    assert settings_of(step).fingerprint() == settings_of(again).fingerprint()
    assert settings_of(again).fingerprint() == expected.fingerprint()


def test_help_shows_the_defaults(capsys):
    with pytest.raises(SystemExit) as stop:
        Step.from_cmdline(["forced_phot", "--help"])
    assert stop.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    for part in (
        "--aperture_radii One or more aperture radii; 3.0 pixels, or 0.33 arcsec, if empty",
        "--annulus_radii Radii of the background annulus; 20.0, 25.0 pixels, or 2.4, 2.8",
        "[default='DO_NOT_USE']",
        "--catalog",
        "--override_area",
        "--override_apcorr",
    ):
        assert part in said


def test_a_table_is_a_name_in_log_and_saved_parameters(caplog):
    step = ForcedPhotometryStep(catalog=sources(), **PLAIN)
    with caplog.at_level("INFO"):
        product = step.run(level2_image())
    step.export_config("pars.asdf")
    name = "table of 3 rows in memory"
    assert f"catalog: {name}\n" in caplog.text
    assert "270.0" not in caplog.text
    with asdf.open("pars.asdf") as pars:
        assert pars["parameters"]["catalog"] == name
    assert product.meta.forced_phot.catalog["name"]
    assert product.meta.forced_phot.parameters["catalog"] == name


def snapshot(model):
    """Everything that a model holds, as bytes and plain values."""
    planes = {name: np.array(model[name]).tobytes() for name in ("data", "err", "dq")}
    return planes | {key: str(value) for key, value in model.to_flat_dict().items()}


def test_a_model_handed_in_stays_as_it_is():
    image = level2_image()
    wcs, before = image.meta.wcs, snapshot(image)
    run_step(image, catalog=CATALOG, save_results=True)
    assert snapshot(image) == before
    assert image.meta.wcs is wcs


def test_a_model_handed_in_stays_open():
    with rdm.open(IMAGE) as image:
        run_step(image, catalog=CATALOG)
        assert image.data.sum() == level2_image().data.sum()


def test_without_area_reference_the_wcs_is_used_and_said():
    product = ForcedPhotometryStep.call(
        IMAGE, catalog=CATALOG, override_area="N/A", aperture_correction="none"
    )
    expected = run_step(IMAGE, catalog=CATALOG)
    assert_same_rows(product.source_catalog, expected.source_catalog)
    assert product.meta.forced_phot.pixel_area == {"source": "wcs"}
    assert product.meta.ref_file.area == "N/A"
    assert logged(product, ":: WARNING :: There is no area reference for this image")


def area_reference(value):
    """A reference that gives each pixel the same relative area."""
    area = rdm.PixelareaRefModel.create_fake_data(shape=(180, 200))
    area.data = np.full((180, 200), value, dtype=np.float32)
    area.meta.instrument.detector = "WFI01"
    return area


@pytest.mark.parametrize("as_model", [True, False])
def test_an_override_of_the_area_is_used_and_named(as_model):
    area = area_reference(1.05)
    area.save("area.asdf")
    product = ForcedPhotometryStep.call(
        *(IMAGE,),
        catalog=CATALOG,
        override_area=area if as_model else "area.asdf",
        aperture_correction="none",
    )
    plain = ForcedPhotometryStep.call(
        IMAGE, catalog=CATALOG, pixel_area="none", aperture_correction="none"
    )
    np.testing.assert_allclose(
        product.source_catalog["aper3pix_flux"],
        1.05 * plain.source_catalog["aper3pix_flux"],
        rtol=1e-6,
    )
    expected = area.override_handle if as_model else str(Path("area.asdf").resolve())
    assert product.meta.ref_file.area == expected
    assert product.meta.forced_phot.pixel_area == {"source": "crds", "reference": expected}


def test_an_override_of_the_aperture_correction_divides_the_flux():
    radii = np.linspace(0.02, 4.0, 200)
    curve = 1 - np.exp(-((radii / 0.12) ** 2))
    apcorr = rdm.ApcorrRefModel.create_fake_data()
    entry = {"ee_radii": radii, "ee_fractions": curve, "ap_corrections": 1 / curve}
    apcorr.data = {"F106": entry | {"sky_background_rin": None, "sky_background_rout": None}}
    apcorr.save("apcorr.asdf")
    product = ForcedPhotometryStep.call(
        IMAGE, catalog=CATALOG, pixel_area="wcs", override_apcorr="apcorr.asdf"
    )
    table = product.source_catalog
    # a Gaussian of σ = 0.12"/√2 = 0.771 pixel, blurred twice by a pixel of variance 1/12
    sigma = np.hypot(0.12 / np.sqrt(2) / 0.11, np.sqrt(2 / 12))
    caught = 1 - np.exp(-(3**2) / (2 * sigma**2))
    np.testing.assert_allclose(table["aper3pix_ee_fraction"], caught, atol=2e-3)
    np.testing.assert_allclose(
        table["aper3pix_total_flux"],
        table["aper3pix_flux"] / table["aper3pix_ee_fraction"],
        rtol=1e-6,
    )
    assert product.meta.ref_file.apcorr == str(Path("apcorr.asdf").resolve())


def test_without_crds_the_references_are_an_error_that_offers_the_ways_out():
    with pytest.raises(ReferenceFileError) as caught:
        ForcedPhotometryStep.call(IMAGE, catalog=CATALOG, aperture_correction="none")
    for remedy in ("CRDS_SERVER_URL", "CRDS_PATH", "--override_area", "--pixel_area=wcs"):
        assert remedy in str(caught.value)
    assert not Path(PRODUCT).exists()


def test_a_second_run_does_not_pile_up_suffixes():
    image = level2_image()
    image.meta.filename = PRODUCT
    image.save(PRODUCT)
    run_step(PRODUCT, catalog=CATALOG, output_dir="products", save_results=True)
    assert [path.name for path in Path("products").iterdir()] == [PRODUCT]
    run_step(image, catalog=CATALOG, save_results=True, suffix="deep")
    assert Path(PRODUCT.replace("_forcedphot", "_deep")).exists()


@pytest.mark.parametrize("distance", [None, 1, 90])
def test_no_source_on_the_image_is_a_valid_product_with_a_warning(distance):
    catalog = sources()[:0] if distance is None else sources()
    catalog["dec"] -= distance or 0
    product = run_step(IMAGE, catalog=catalog, save_results=True)
    table = product.source_catalog
    assert len(table) == (0 if distance is None else 3)
    assert np.isnan(table["aper3pix_flux"]).all()
    assert (table["warning_flags"] & WarningFlag.NOT_PLACED).all()
    assert logged(product, ":: WARNING :: No source of catalog")
    with rdm.open(PRODUCT) as saved:
        assert_same_rows(saved.source_catalog, table)


def test_errors_are_compared_with_blank_sky():
    """Right errors of the apertures; the part that the annulus gives is measured, hence right."""
    image = level2_image(shape=(600, 600))
    image.err = np.full((600, 600), 0.05, dtype=np.float16)
    catalog = Table({"x": [100.0, 300.0], "y": [100.0, 400.0]})
    product = run_step(image, catalog, error_calibration="empty_scale", pixel_area="none")
    provenance = product.meta.forced_phot["error_calibration"]
    assert provenance["scaled"] is True
    pixels, n_annulus = np.pi * 3**2, np.pi * (25**2 - 20**2)
    annulus = np.pi / 2 * 0.1**2 / n_annulus * pixels**2  # its scatter is seen, not believed
    expected = np.sqrt((pixels * 0.1**2 + annulus) / (pixels * 0.05**2 + annulus))
    assert provenance["ratios"][0] == pytest.approx(expected, abs=3 * provenance["ratio_errs"][0])


class TestProperMotion:
    """A star that crosses the image in the years before the exposure (2027.16)."""

    PIXELS = 30.0

    def measured(self, **options):
        years = Time("2027-03-01T00:01:00").jyear - 2016.0
        motion_mas = self.PIXELS * SCALE_DEG * 3.6e6 / years
        catalog = Table({"ra": [CENTER[0]], "dec": [CENTER[1]], "pmra": [0.0]})
        catalog["pmdec"], catalog["ref_epoch"] = [motion_mas], [2016.0]
        return run_step(level2_image(), catalog, **options)

    def test_measures_where_the_star_is_now(self):
        product = self.measured()
        (row,) = product.source_catalog
        assert row["y"] == pytest.approx(89.5 + self.PIXELS, abs=1e-4)
        assert row["dec"] == pytest.approx(CENTER[1] + self.PIXELS * SCALE_DEG, abs=1e-9)
        provenance = product.meta.forced_phot["proper_motion"]
        assert provenance["n_moved"] == 1
        assert provenance["time"] == "2027-03-01T00:01:00.000"

    def test_stays_where_the_catalog_has_it_when_told_so(self):
        product = self.measured(proper_motion=False)
        (row,) = product.source_catalog
        assert row["y"] == pytest.approx(89.5, abs=1e-6)
        assert row["dec"] == CENTER[1]
        assert product.meta.forced_phot["proper_motion"]["applied"] is False


@pytest.mark.slow
def test_crds_does_not_frighten_the_user(small_scene, small_cache, strun, tmp_path):
    """CRDS knows no `pars-forcedphotometrystep` and, left alone, says so in an ERROR line."""
    from romancal_forcedphot.example import crds_environment

    environment = os.environ | crds_environment(small_cache)
    answer = strun(
        small_scene.image, f"--catalog={small_scene.catalog}", cwd=tmp_path, env=environment
    )
    said = answer.stdout + answer.stderr
    assert answer.returncode == 0, said
    assert "Unknown reference type" not in said
    assert "ERROR" not in said
    product = f"{small_scene.image.stem.removesuffix('_cal')}_forcedphot.asdf"
    with asdf.open(tmp_path / product) as file:
        used = file["roman"]["meta"]["ref_file"]
        assert used["crds"]["context"] == "roman_0001.pmap"
        assert used["area"].startswith("crds://roman_wfi_area_")
        assert used["apcorr"].startswith("crds://roman_wfi_apcorr_")
