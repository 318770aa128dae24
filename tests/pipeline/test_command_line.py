"""Names on the command line of strun reach the step as they were written."""

from __future__ import annotations

import logging
import os
import re
import shutil
from pathlib import Path

import asdf
import numpy as np
import pytest
from astropy.table import Table
from roman_datamodels import datamodels as rdm
from stpipe import Step
from stpipe.exceptions import ValidationError as StpipeValidationError

from hostile import NAMES
from romancal_forcedphot import ForcedPhotometryStep
from romancal_forcedphot.pipeline.batch import ExposuresFailed
from romancal_forcedphot.product.model import ForcedPhotometryModel
from romancal_forcedphot.storage import StorageError
from small import CENTER, save_image

pytestmark = pytest.mark.filterwarnings("ignore:'get_cache_lock':DeprecationWarning")

PLAIN = ("--pixel_area=wcs", "--aperture_correction=none")
IN_PYTHON = {"pixel_area": "wcs", "aperture_correction": "none"}
IMAGE = "r0001_wfi01_f106_cal.asdf"
#: What stpipe itself cannot read, as it is written.
UNREADABLE = {" space ", 'say "so"'}


def begin(directory, monkeypatch):
    """An image and a catalog in the working directory, and no CRDS."""
    for name in list(os.environ):
        if name.startswith("CRDS"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(directory)
    save_image(IMAGE)
    ra, dec = CENTER
    Table({"ra": [ra, ra + 1e-4], "dec": [dec, dec]}).write("catalog.ecsv")


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    begin(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """Fluxes of a run with plain names."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        begin(tmp_path_factory.mktemp("plain"), monkeypatch)
        strun(IMAGE, "--catalog=catalog.ecsv", *PLAIN)
        return fluxes("r0001_wfi01_f106_forcedphot.asdf")


def strun(*arguments):
    """Run strun in this process; the step."""
    return Step.from_cmdline(["forced_phot", *map(str, arguments)])


def fluxes(path):
    return np.array(ForcedPhotometryModel.read(path).source_catalog["aper3pix_flux"])


@pytest.mark.parametrize("name", NAMES)
def test_image_catalog_and_directory_of_any_name(name, expected):
    """A neighbour whose name is what stpipe, asdf or ConfigObj would make of it is left alone."""
    neighbours = [Path(text) for text in ("night", "what", "c", "d", "100", "two", "a b")]
    for neighbour in neighbours:
        neighbour.write_text("precious")
    inside = Path(name)
    inside.mkdir()
    image, catalog = inside / f"{name}_cal.asdf", inside / f"{name}.ecsv"
    shutil.copy(IMAGE, image)
    shutil.copy("catalog.ecsv", catalog)
    strun(f"./{image}", f"--catalog=./{catalog}", f"--output_dir=./{name}/", *PLAIN)
    (product,) = inside.glob("*_forcedphot.asdf")
    np.testing.assert_array_equal(fluxes(product), expected)
    assert all(neighbour.read_text() == "precious" for neighbour in neighbours)
    assert len(list(Path().iterdir())) == len(neighbours) + 3


@pytest.mark.parametrize("name", ["of-$OWNER", "~"])
def test_a_directory_whose_name_stpipe_expands_is_refused_by_its_whole_name(name, monkeypatch):
    """A variable in another name stays one."""
    monkeypatch.setenv("OWNER", "mine")
    monkeypatch.setenv("HOME", str(Path.cwd()))
    Path(name).mkdir()
    with pytest.raises(StorageError, match=f"cannot write to '{re.escape(name)}': stpipe takes it"):
        strun(IMAGE, "--catalog=catalog.ecsv", f"--output_dir={name}", *PLAIN)
    assert not Path("of-mine").exists()
    strun(IMAGE, "--catalog=catalog.ecsv", "--output_dir=below-$OWNER", *PLAIN)
    assert list(Path("below-mine").glob("*_forcedphot.asdf"))


@pytest.mark.parametrize("name", ["c,d#1.ecsv", "#.ecsv", "a,b,.ecsv", "it's, you.ecsv"])
def test_commas_and_hashes_need_no_quotes(name):
    shutil.copy("catalog.ecsv", name)
    step = strun(IMAGE, f"--catalog={name}", *PLAIN)
    assert step.catalog == name


@pytest.mark.parametrize("name", ["c,d.ecsv", "c#d.ecsv"])
def test_commas_and_hashes_for_a_step_of_a_pipeline_need_quotes(name):
    """stpipe has cut them before the step is made."""
    shutil.copy("catalog.ecsv", name)
    option = "--steps.forced_phot.catalog"

    def strun_pipeline(value):
        return Step.from_cmdline(
            [
                *("hostile_pipeline.OnlyForcedPhotometry", IMAGE, "--disable-crds-steppars"),
                f"{option}={value}",
                *("--steps.forced_phot.pixel_area=wcs", "--steps.forced_phot.methods=aperture"),
                "--steps.forced_phot.aperture_correction=none",
            ]
        )

    with pytest.raises(ValueError, match=f"{option}='{name}' would be cut.*quotation marks"):
        strun_pipeline(name)
    assert strun_pipeline(f'"{name}"').forced_phot.catalog == name


def test_quotes_do_as_before():
    shutil.copy("catalog.ecsv", "c,d.ecsv")
    step = strun(IMAGE, "--catalog='c,d.ecsv'", *PLAIN, "--aperture_radii=2,4")
    assert step.catalog == "c,d.ecsv"
    assert step.aperture_radii == [2.0, 4.0]


@pytest.mark.parametrize("value", ["'abc.ecsv", '"abc.ecsv', " abc.ecsv", "%(abc)s.ecsv"])
def test_what_stpipe_cannot_read_is_refused_by_its_whole_name(value):
    """ConfigObj says nothing but SyntaxError."""
    shutil.copy("catalog.ecsv", value)
    with pytest.raises(ValueError, match=r"--catalog") as caught:
        strun(IMAGE, f"--catalog={value}", *PLAIN)
    assert repr(value) in str(caught.value)
    if "%" in value:
        with pytest.raises(ValueError, match=r"catalog is '%\(abc\)s.ecsv'"):
            ForcedPhotometryStep.call(IMAGE, catalog=value)
        return
    step = strun(IMAGE, f"--catalog=./{value}", *PLAIN)
    assert step.catalog == f"./{value}"


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("bkg_estimator=foo", "'bkg_estimator'.*foo.*expected one of median, mean, none"),
        ("pixel_area=no", "'pixel_area'.*expected one of crds, wcs, none"),
        ("defocus=some", "'defocus'.*some.*expected a whole number"),
        ("bkg_sigma=three", "'bkg_sigma'.*three.*expected a number"),
        ("proper_motion=perhaps", "'proper_motion'.*perhaps.*expected True or False"),
    ],
)
def test_a_value_that_is_not_allowed_is_told_with_those_that_are(option, said):
    """In the last line of strun, of call and of the step."""
    name, _, value = option.partition("=")
    with pytest.raises(ValueError, match=said) as caught:
        strun(IMAGE, "--catalog=catalog.ecsv", f"--{option}")
    assert "\n" not in str(caught.value)
    with pytest.raises(StpipeValidationError, match=said):
        ForcedPhotometryStep.call(IMAGE, catalog="catalog.ecsv", **{name: value})
    with pytest.raises(StpipeValidationError, match=said):
        ForcedPhotometryStep(**{name: value})


def test_a_parameter_that_does_not_exist_is_told_with_those_of_like_names():
    said = "Extra value 'aperture_radius'.*there is no such parameter; did you mean aperture_radii"
    with pytest.raises(StpipeValidationError, match=said):
        ForcedPhotometryStep.call(IMAGE, catalog="catalog.ecsv", aperture_radius=3)


def test_an_array_is_no_input():
    for wrong in (np.zeros((5, 5)), Table({"a": [1]}), 3):
        said = f"input '{type(wrong).__name__}' is a .*expected a Level-2 image"
        for several in (wrong, [wrong]):
            with pytest.raises(ValueError, match=said):
                ForcedPhotometryStep.call(several, catalog="catalog.ecsv")
        step = ForcedPhotometryStep(catalog="catalog.ecsv", **IN_PYTHON)
        with pytest.raises(ValueError, match=said):
            step.run(wrong)
        with pytest.raises(ExposuresFailed, match=said):
            step.run([wrong])


def test_a_reference_of_any_name_is_read():
    Path("night").write_text("precious")
    area = rdm.PixelareaRefModel.create_fake_data(shape=(180, 200))
    area.data = np.ones((180, 200), dtype=np.float32)
    area.meta.photometry = {"pixelarea_steradians": None, "pixelarea_arcsecsq": None}
    area.meta.instrument.detector = "WFI01"
    area.save("plain.asdf")
    Path("plain.asdf").rename("night#2, area.asdf")
    strun(IMAGE, "--catalog=catalog.ecsv", "--override_area=night#2, area.asdf", PLAIN[1])
    product = ForcedPhotometryModel.read("r0001_wfi01_f106_forcedphot.asdf")
    assert product.meta.ref_file.area == os.path.abspath("night#2, area.asdf")


def test_parameters_are_written_to_a_file_of_any_name():
    Path("night").write_text("precious")
    ForcedPhotometryStep(catalog="catalog.ecsv").export_config("night#2")
    assert Path("night").read_text() == "precious"
    with Path("night#2").open("rb") as file, asdf.open(file) as content:
        assert content["parameters"]["catalog"] == "catalog.ecsv"


def test_products_of_many_exposures_are_opened_by_their_names():
    names = ["a#1_cal.asdf", "a#2_cal.asdf"]
    for name in names:
        shutil.copy(IMAGE, name)
    for extension in ("asdf", "parquet"):
        products = ForcedPhotometryStep.call(
            names, catalog="catalog.ecsv", output_ext=extension, save_results=True, **IN_PYTHON
        )
        assert [Path(path).name for path in products.paths] == [
            f"a#{number}_forcedphot.{extension}" for number in (1, 2)
        ]
        tables = [getattr(product, "source_catalog", product) for product in products]
        assert [len(table) for table in tables] == [2, 2]


@pytest.mark.parametrize("way", ["input", "catalog", "override_area", "output_dir", "input_dir"])
@pytest.mark.parametrize(
    "uri",
    [
        "s3://AKIAKEY:hunter2@bucket/some_cal.asdf",
        "s3://AKIAKEY:hunt/er2@bucket/some_cal.asdf",
        "s3://bucket/some_cal.asdf?X-Amz-Credential=AKIAKEY&X-Amz-Signature=hunter2",
        "https://user:hunter2@host/some_cal.asdf",
    ],
)
def test_credentials_in_a_uri_reach_no_log_and_no_message(way, uri, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    arguments = {"input": IMAGE, "catalog": "catalog.ecsv"} | {way: uri}
    parameters = {name: value for name, value in arguments.items() if name != "input"}
    options = [f"--{name}={value}" for name, value in parameters.items()]
    for run in (
        lambda: strun(arguments["input"], *options, *PLAIN),
        lambda: ForcedPhotometryStep.call(arguments["input"], **parameters),
        lambda: ForcedPhotometryStep(**parameters).run(arguments["input"]),
        lambda: ForcedPhotometryStep(**parameters).run([arguments["input"]]),
    ):
        with pytest.raises(Exception, match=r"credentials|exposures failed") as caught:
            run()
        assert "hunt" not in f"{caught.value}{caught.value.__cause__}"
    said = capfd.readouterr()
    assert "hunt" not in said.out + said.err + caplog.text
    assert "AKIAKEY" not in said.out + said.err + caplog.text
    assert {path.name for path in Path().iterdir()} == {IMAGE, "catalog.ecsv"}
