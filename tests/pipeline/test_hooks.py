"""The step as a hook and as a step of a pipeline, in one process.

The hosts are romancal's own steps, and one that keeps what it was given.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from astropy.table import Table
from roman_datamodels import datamodels as rdm
from romancal.datamodels.library import ModelLibrary
from romancal.flux import FluxStep
from romancal.stpipe import RomanPipeline, RomanStep
from stpipe import Step

from romancal_forcedphot import ForcedPhotometryStep
from small import CENTER, PLAIN, level2_image, run_step, save_image

IMAGE = "visit_0001_cal.asdf"
PRODUCT = "visit_0001_forcedphot.asdf"
CATALOG = "catalog.ecsv"

DEEP_FIELD = """
from romancal_forcedphot import ForcedPhotometryStep

class DeepField(ForcedPhotometryStep):
    spec = '''
        catalog = string(default='catalog.ecsv')
        aperture_radii = force_list(default='3.0, 5.0')
        pixel_area = string(default='wcs')
        aperture_correction = string(default='none')
    '''
"""


class DeepField(ForcedPhotometryStep):
    """With parameters of its own, for hooks that stpipe makes from a class."""

    spec = """
        catalog = string(default='catalog.ecsv')
        aperture_radii = force_list(default='3.0, 5.0')
        pixel_area = string(default='wcs')
        aperture_correction = string(default='none')
    """


class Catalogs(RomanStep):
    """A host whose result holds no image, as that of SourceCatalogStep."""

    def process(self, dataset):
        return rdm.ImageSourceCatalogModel.create_fake_data(), None


class ImageAndCatalog(RomanStep):
    """A host whose result is a tuple, as that of ExposurePipeline."""

    def process(self, dataset):
        return dataset, rdm.ImageSourceCatalogModel.create_fake_data(), None


class Mosaic(RomanStep):
    """A host whose result cannot be measured, nor its input."""

    def process(self, dataset):
        return rdm.MosaicModel.create_fake_data(shape=(20, 20))


@pytest.fixture(autouse=True)
def _here(workplace, monkeypatch):
    """An image, a catalog and a module of a hook in the working directory, and no CRDS."""
    monkeypatch.setenv("STPIPE_DISABLE_CRDS_STEPPARS", "true")  # romancal's steps would want it
    monkeypatch.syspath_prepend(str(workplace))
    save_image(IMAGE)
    ra, dec = CENTER
    Table({"ra": [ra, ra], "dec": [dec, dec + 1e-3]}).write(CATALOG)
    Path("deep_field.py").write_text(DEEP_FIELD)
    yield
    sys.modules.pop("deep_field", None)


def image(name=IMAGE):
    model = level2_image()
    model.meta.filename = name
    return model


def planes(model):
    return {name: np.array(model[name]) for name in ("data", "err", "dq")}


def assert_same_result(found, expected):
    """Compare images pixel by pixel, and their metadata but for log and time."""
    assert type(found) is type(expected)
    for name, plane in planes(expected).items():
        np.testing.assert_array_equal(found[name], plane, err_msg=name)
    assert metadata(found) == metadata(expected)


def metadata(model):
    """Metadata as text, but for the log and the time of writing."""
    return {
        key: str(value)
        for key, value in model.to_flat_dict().items()
        if key.startswith("roman.meta.") and not ("cal_logs" in key or key.endswith("file_date"))
    }


def flux_of(path):
    with rdm.open(path) as product:
        return np.array(product.source_catalog["aper3pix_flux"])


@pytest.fixture
def expected_flux(_here):
    product = run_step(image(), catalog=CATALOG)
    return np.array(product.source_catalog["aper3pix_flux"])


def instance():
    return ForcedPhotometryStep(catalog=CATALOG, **PLAIN)


def from_class():
    return DeepField


def import_path():
    return "deep_field.DeepField"


def import_path_with_parameters():
    """A dot among the parameters would make stpipe take it all for a shell command."""
    return (
        "romancal_forcedphot.ForcedPhotometryStep(catalog='catalog\\x2eecsv', pixel_area='wcs', "
        "aperture_correction='none')"
    )


KINDS = [instance, from_class, import_path, import_path_with_parameters]


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("kind", ["post_hooks", "pre_hooks"])
def test_the_host_keeps_its_result_and_ours_is_saved(make, kind, expected_flux):
    expected = FluxStep.call(image())
    result = FluxStep.call(image(), **{kind: [make()]})
    assert_same_result(result, expected)
    np.testing.assert_allclose(flux_of(PRODUCT), expected_flux, rtol=1e-5)


@pytest.mark.parametrize("make", KINDS)
def test_the_products_lie_side_by_side(make):
    FluxStep.call(IMAGE, post_hooks=[make()], save_results=True, output_dir="out", suffix="flux")
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "visit_0001_flux.asdf",
        PRODUCT,
    ]
    with rdm.open("out/visit_0001_flux.asdf") as host, rdm.open("out/" + PRODUCT) as ours:
        assert isinstance(host, rdm.ImageModel)
        assert host.meta.cal_step.flux == "COMPLETE"
        for model in (host, ours):
            assert any("Measured 2 of 2 sources" in line for line in model.meta.cal_logs)


@pytest.mark.parametrize("keeper", ["command line", "parameter file"])
def test_an_import_path_on_the_command_line_and_in_a_parameter_file(keeper):
    options = ["--post_hooks=deep_field.DeepField,", "--suffix=flux"]
    Step.from_cmdline(["flux", IMAGE, *options, "--save-parameters=pars.asdf"])
    if keeper == "parameter file":
        Path(PRODUCT).unlink()
        Path("visit_0001_flux.asdf").unlink()
        Step.from_cmdline(["pars.asdf", IMAGE])
    with rdm.open("visit_0001_flux.asdf") as host, rdm.open(PRODUCT) as ours:
        assert host.meta.cal_step.flux == "COMPLETE"
        assert "aper5pix_flux" in ours.source_catalog.colnames


def test_a_table_in_a_hook_is_a_name_in_the_hosts_log():
    table = Table({"ra": [CENTER[0]], "dec": [CENTER[1]]})
    hook = ForcedPhotometryStep(catalog=table, aperture_radii=4, **PLAIN)
    result = FluxStep.call(image(), post_hooks=[hook])
    log = "\n".join(result.meta.cal_logs)
    assert "catalog: table of 1 rows in memory" in log
    assert "!!python" not in log
    with rdm.open(PRODUCT) as product:
        assert len(product.source_catalog) == 1


@pytest.mark.parametrize("host", [Catalogs, ImageAndCatalog])
def test_results_that_are_no_image_stay_and_an_image_is_measured(host, expected_flux):
    dataset = image()
    result = host.call(dataset, post_hooks=[instance()])
    assert isinstance(result, tuple)
    assert any(isinstance(part, rdm.ImageSourceCatalogModel) for part in result)
    np.testing.assert_array_equal(flux_of(PRODUCT), expected_flux)


@pytest.mark.parametrize(
    ("host", "hook", "reason"),
    [
        (FluxStep, {"catalog": "lost.ecsv"}, "lost.ecsv"),
        (FluxStep, {}, "catalog is empty"),
        (FluxStep, {"catalog": CATALOG, "aperture_radii": -3}, "aperture_radii"),
        (FluxStep, {"catalog": CATALOG, "output_dir": f"{CATALOG}/sub"}, "is a file"),
        (Mosaic, {"catalog": CATALOG}, "is a mosaic in DN/s"),
    ],
)
def test_a_failing_hook_does_not_take_the_host_with_it(host, hook, reason, caplog):
    dataset = image() if host is FluxStep else rdm.MosaicModel.create_fake_data(shape=(20, 20))
    dataset.meta.filename = IMAGE
    hook = ForcedPhotometryStep(**hook, **PLAIN)
    result = host.call(dataset, post_hooks=[hook], save_results=True)
    assert result is not None
    assert isinstance(result, type(dataset))
    assert Path(f"visit_0001_{host.__name__.lower()}.asdf").exists()
    assert not Path(PRODUCT).exists()
    (line,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert f"the result of {host.__name__} is unharmed" in line.message
    assert reason in line.message


# stpipe's libraries on disk leave closing their files to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize("on_disk", [False, True])
def test_a_library_is_measured_member_by_member(on_disk):
    names = ["one_cal.asdf", "two_cal.asdf"]
    for name in names:
        save_image(name)
    members = [{"expname": name, "exptype": "science", "group_id": name} for name in names]
    library = ModelLibrary(
        {"products": [{"members": members}]}, on_disk=on_disk, temp_directory="."
    )
    result = FluxStep.call(library, post_hooks=[instance()])
    assert result is library
    with result:
        for index, model in enumerate(result):
            assert model.meta.cal_step.flux == "COMPLETE"
            result.shelve(model, index, modify=False)
            model.close()
    assert Path("one_forcedphot.asdf").exists()
    assert Path("two_forcedphot.asdf").exists()
    gc.collect()


def test_an_instance_that_was_a_hook_is_itself_again():
    step = instance()
    FluxStep.call(image(), post_hooks=[step])
    Path(PRODUCT).unlink()
    assert step.parent is None
    product = step.run(image())
    assert len(product.source_catalog) == 2
    assert not Path(PRODUCT).exists()


class Chain(RomanPipeline):
    """Photometry before and after FluxStep, the latter by another name."""

    spec = """
        suffix = string(default='chain')
    """
    step_defs: ClassVar = {
        "forced_phot": ForcedPhotometryStep,
        "flux": FluxStep,
        "forced_phot_flux": ForcedPhotometryStep,
    }

    def process(self, dataset):
        model = rdm.open(dataset) if isinstance(dataset, str) else dataset
        self.before = self.forced_phot.run(model)
        model = self.flux.run(model)
        self.after = self.forced_phot_flux.run(model)
        return model


def pipeline(**steps):
    plain = {"catalog": CATALOG, **PLAIN}
    names = ("forced_phot", "forced_phot_flux")
    return {"steps": {name: plain | steps.get(name, {}) for name in names}}


def test_before_and_after_flux_in_a_pipeline(expected_flux):
    parameters = pipeline(forced_phot_flux={"save_results": True, "suffix": "afterflux"})
    host = Chain.call(image(), save_results=True, **parameters)
    assert isinstance(host, rdm.ImageModel)
    with rdm.open("visit_0001_chain.asdf") as saved:
        assert isinstance(saved, rdm.ImageModel)
        assert any("Measured 2 of 2 sources" in line for line in saved.meta.cal_logs)
    np.testing.assert_allclose(flux_of("visit_0001_afterflux.asdf"), expected_flux, rtol=1e-5)


@pytest.mark.parametrize("dataset", [image, lambda: IMAGE])
def test_a_skipped_step_does_no_harm(dataset):
    expected = FluxStep.call(image())
    result = Chain.call(
        dataset(), save_results=True, **pipeline(forced_phot={"skip": True, "save_results": True})
    )
    assert_same_result(result, expected)
    with rdm.open("visit_0001_chain.asdf") as saved:
        np.testing.assert_array_equal(saved.data, expected.data)
        assert "forced_phot" not in saved.meta.cal_step
    assert not Path(PRODUCT).exists()


def test_skipped_as_a_hook():
    hook = ForcedPhotometryStep(skip=True)
    assert_same_result(FluxStep.call(image(), post_hooks=[hook]), FluxStep.call(image()))
    assert not Path(PRODUCT).exists()


def test_pipeline_parameters_on_the_command_line_and_back():
    Path("flux_chain.py").write_text(
        "import roman_datamodels.datamodels as rdm\n"
        "from romancal.flux import FluxStep\n"
        "from romancal.stpipe import RomanPipeline\n"
        "from romancal_forcedphot import ForcedPhotometryStep\n"
        "class Chain(RomanPipeline):\n"
        "    spec = '''\n    suffix = string(default='chain')\n    '''\n"
        "    step_defs = {'flux': FluxStep, 'forced_phot': ForcedPhotometryStep}\n"
        "    def process(self, dataset):\n"
        "        image = self.flux.run(dataset)\n"
        "        self.forced_phot.run(image)\n"
        "        return image\n"
    )
    options = [f"--steps.forced_phot.{name}={value}" for name, value in PLAIN.items()]
    options += [f"--steps.forced_phot.catalog={CATALOG}", "--steps.forced_phot.save_results=true"]
    options += ["--steps.forced_phot.aperture_radii=3,5", "--save-parameters=pars.asdf"]
    Step.from_cmdline(["flux_chain.Chain", IMAGE, *options])
    with rdm.open(PRODUCT) as product:
        expected = product.copy()
        assert expected.meta.forced_phot.aperture_radii == [3, 5]
    Path(PRODUCT).unlink()
    Step.from_cmdline(["pars.asdf", IMAGE])
    with rdm.open(PRODUCT) as product:
        assert product.meta.forced_phot == expected.meta.forced_phot


class OnEach(RomanPipeline):
    """Runs the step on one exposure of an association after the other, as ExposurePipeline does."""

    step_defs: ClassVar = {"forced_phot": ForcedPhotometryStep}

    def process(self, dataset):
        library = ModelLibrary(dataset)
        with library:
            for index, model in enumerate(library):
                self.forced_phot.run(model)
                library.shelve(model, index, modify=False)
        return library


def test_products_of_a_pipeline_are_named_after_their_exposures():
    for name in ("one_cal.asdf", "two_cal.asdf"):
        save_image(name)
    Path("asn.json").write_text(
        '{"products": [{"name": "p", "members": ['
        '{"expname": "one_cal.asdf", "exptype": "science", "group_id": "1"}, '
        '{"expname": "two_cal.asdf", "exptype": "science", "group_id": "2"}]}]}'
    )
    steps = {"forced_phot": {"catalog": CATALOG, "save_results": True, **PLAIN}}
    OnEach.call("asn.json", steps=steps)
    found = sorted(path.name for path in Path().glob("*_forcedphot.asdf"))
    assert found == ["one_forcedphot.asdf", "two_forcedphot.asdf"]
