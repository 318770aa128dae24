"""Many exposures in one run, in one process: see e2e/test_readme.py for `strun`."""

from __future__ import annotations

import gc
import json
import logging
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from roman_datamodels import datamodels as rdm
from romancal.datamodels.library import ModelLibrary
from stpipe import Step

from romancal_forcedphot import ForcedPhotometryModel, ForcedPhotometryStep
from romancal_forcedphot.exposures import InputError
from romancal_forcedphot.pipeline import batch
from romancal_forcedphot.pipeline.batch import ExposuresFailed
from small import CENTER, PLAIN, PLAIN_OPTIONS, level2_image, run_step, save_image

# stpipe's libraries on disk leave closing their files to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")

NAMES = ["first", "second", "third"]


def image(name, **options):
    """An image that differs from others by its noise, on disk and in memory."""
    options = {"seed": len(name)} | options
    model = level2_image(**options)
    model.meta.filename = f"{name}_cal.asdf"
    save_image(model.meta.filename, **options)
    return model


def catalog():
    """Two sources."""
    ra, dec = CENTER
    return Table({"ra": [ra, ra], "dec": [dec, dec + 1e-3]})


def products():
    """Names of the products in the working directory."""
    return sorted(path.name for path in Path().glob("*_forcedphot.asdf"))


def write_association(names, path="visit_asn.json", **more):
    members = [{"expname": f"{name}_cal.asdf", "exptype": "science"} for name in names]
    Path(path).write_text(json.dumps({"products": [{"name": "visit", "members": members}], **more}))
    return path


def fluxes(product):
    return np.array(product.source_catalog["aper3pix_flux"])


@pytest.fixture(autouse=True)
def _here(workplace):
    """A catalog in the working directory, and no CRDS."""
    catalog().write("catalog.ecsv")
    yield
    gc.collect()


@pytest.fixture
def images(_here):
    return [image(name) for name in NAMES]


@pytest.fixture(scope="module")
def expected():
    """Fluxes of each exposure by itself."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("STPIPE_DISABLE_CRDS_STEPPARS", "true")
        images = [level2_image(seed=len(name)) for name in NAMES]
        return [fluxes(run_step(each, catalog=catalog())) for each in images]


def paths(images):
    return [each.meta.filename for each in images]


def association(images):
    return write_association(NAMES)


def library(images):
    return ModelLibrary(association(images))


def library_on_disk(images):
    return ModelLibrary(association(images), on_disk=True, temp_directory=".")


@pytest.mark.parametrize(
    "make", [list, paths, association, library, library_on_disk], ids=lambda make: make.__name__
)
def test_each_exposure_has_its_own_product(images, expected, make):
    measured = run_step(make(images), catalog="catalog.ecsv", save_results=True)
    assert products() == [f"{name}_forcedphot.asdf" for name in NAMES]
    for name, product, flux in zip(NAMES, measured, expected, strict=True):
        assert isinstance(product, ForcedPhotometryModel)
        np.testing.assert_array_equal(fluxes(product), flux)
        with rdm.open(f"{name}_forcedphot.asdf") as saved:
            np.testing.assert_array_equal(fluxes(saved), flux)
            assert saved.meta.image.filename == f"{name}_cal.asdf"
            log = "\n".join(saved.meta.cal_logs)
            assert f"running with args ('{name}_cal.asdf'" in log or make is not paths
            assert log.count("Measured 2 of 2 sources") == 1


def test_several_files_on_the_command_line(images, expected):
    names = ["first_cal.asdf", "third_cal.asdf"]
    Step.from_cmdline(["forced_phot", *names, "--catalog=catalog.ecsv", *PLAIN_OPTIONS])
    assert products() == ["first_forcedphot.asdf", "third_forcedphot.asdf"]
    with rdm.open("third_forcedphot.asdf") as saved:
        np.testing.assert_array_equal(fluxes(saved), expected[2])


def test_files_of_several_directories_are_found(images):
    Path("night").mkdir()
    Path("first_cal.asdf").rename("night/first_cal.asdf")
    Path("third_cal.asdf").rename("night/third_cal.asdf")
    association = write_association(["first", "third"], "night/asn.json")
    run_step([association, "second_cal.asdf"], catalog="catalog.ecsv", save_results=True)
    assert products() == [f"{name}_forcedphot.asdf" for name in NAMES]


def test_the_input_directory_is_looked_into(images):
    Path("night").mkdir()
    Path("third_cal.asdf").rename("night/third_cal.asdf")
    step = ForcedPhotometryStep(catalog="catalog.ecsv", input_dir="night", **PLAIN)
    assert len(step.run("third_cal.asdf", "second_cal.asdf")) == 2


@pytest.mark.parametrize("make", [list, library])
def test_models_stay_as_they_are(images, make):
    dataset = make(images)
    before = [each.to_flat_dict() for each in images]
    run_step(dataset, catalog="catalog.ecsv")
    assert [each.to_flat_dict() for each in images] == before
    assert all(each.data.sum() > 0 for each in images)


def test_a_library_lends_its_models_unmodified(images):
    """A member shelved as modified would be written to a temporary file."""
    dataset = library_on_disk(images)
    run_step(dataset, catalog="catalog.ecsv")
    assert dataset._temp_filenames == {}
    with dataset:
        model = dataset.borrow(1)
        assert model.meta.filename == "second_cal.asdf"
        dataset.shelve(model, 1, modify=False)
    model.close()


def test_the_catalog_is_read_once(images, caplog):
    with caplog.at_level("INFO"):
        run_step(images, catalog="catalog.ecsv")
    assert caplog.text.count("Positions come from") == 1
    assert caplog.text.count("Measured 2 of 2") == 3


def test_a_failure_does_not_stop_the_others_and_is_told_at_the_end(images, expected, caplog):
    images[1].meta.photometry.pixel_area = None
    images[1].save("second_cal.asdf")
    association = write_association([*NAMES, "lost"])
    with pytest.raises(ExposuresFailed) as caught:
        run_step(association, catalog="catalog.ecsv", save_results=True)
    assert products() == ["first_forcedphot.asdf", "third_forcedphot.asdf"]
    with rdm.open("third_forcedphot.asdf") as saved:
        np.testing.assert_array_equal(fluxes(saved), expected[2])
    said = str(caught.value)
    assert said.startswith("2 of 4 exposures failed")
    assert "pixel_area=None" in said
    assert "lost_cal.asdf' is not a file" in said
    assert [name for name, _ in caught.value.reasons] == ["second_cal.asdf", "lost_cal.asdf"]
    assert len(caught.value.products) == 2
    assert "Exposure lost_cal.asdf failed" in caplog.text


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"catalog": "lost.ecsv"}, "lost.ecsv"),
        ({"catalog": "catalog.ecsv", "aperture_radii": -1}, "aperture_radii"),
        ({"catalog": "catalog.ecsv", "dq_mask": "NONSENSE"}, "NONSENSE"),
    ],
)
def test_what_is_wrong_for_all_is_told_before_any_is_opened(images, parameters, said, caplog):
    with pytest.raises(ValueError, match=said) as caught:
        run_step(images, save_results=True, **parameters)
    assert not isinstance(caught.value, ExposuresFailed)
    assert "Exposure 1 of" not in caplog.text


def test_products_do_not_replace_each_other(images):
    Path("other").mkdir()
    images[0].save("other/first_cal.asdf")
    with pytest.raises(ExposuresFailed, match=r"would replace that of first_cal\.asdf") as caught:
        run_step(
            ["first_cal.asdf", "other/first_cal.asdf"], catalog="catalog.ecsv", save_results=True
        )
    assert len(caught.value.products) == 1


@pytest.mark.slow
def test_each_exposure_has_its_own_picture(images):
    step = ForcedPhotometryStep(catalog="catalog.ecsv", save_plots=True, **PLAIN)
    step.run("first_cal.asdf", "second_cal.asdf")
    found = sorted(path.name for path in Path().glob("*.png"))
    assert found == ["first_forcedphot.png", "second_forcedphot.png"]


def test_an_output_file_cannot_name_several_products(images, caplog):
    step = ForcedPhotometryStep(catalog="catalog.ecsv", output_file="all.asdf", **PLAIN)
    step.run(images[:2])
    assert products() == ["first_forcedphot.asdf", "second_forcedphot.asdf"]
    assert "all.asdf' names one product" in caplog.text
    assert Path(step.output_file).name == "all.asdf"


def test_what_is_no_set_of_exposures_is_refused():
    Path("broken.json").write_text("{")
    Path("other.json").write_text('{"products": 3}')
    for name in ("lost.json", "broken.json", "other.json"):
        with pytest.raises(InputError, match=f"association '{name}' cannot be read"):
            run_step(name, catalog="catalog.ecsv")
    for nothing in ([], [[]]):
        with pytest.raises(InputError, match="no exposure to measure"):
            ForcedPhotometryStep(catalog="catalog.ecsv", **PLAIN).run(nothing)
    with pytest.raises(InputError, match="no exposure to measure"):
        ForcedPhotometryStep(catalog="catalog.ecsv", **PLAIN).run()
    with pytest.raises(ExposuresFailed, match="int: input 'int' is a int"):
        ForcedPhotometryStep(catalog="catalog.ecsv", **PLAIN).run([3])


def test_members_of_an_association():
    members = [
        {"expname": "a.asdf", "exptype": "SCIENCE"},
        {"expname": "b.asdf", "exptype": "background"},
        {"expname": "c.asdf"},
    ]
    both = [{"members": members}, {"members": members[2:]}]
    Path("asn.json").write_text(json.dumps({"products": both}))
    found = batch.find_members([Path("asn.json")])
    assert [member.name for member in found] == ["a.asdf", "c.asdf"]


def test_a_single_image_is_no_set():
    assert batch.find_members(["a.asdf"]) is None
    assert batch.find_members([level2_image()]) is None


def attributes(step):
    """What a step has for attributes; those of the log and of CRDS's answers change in any run."""
    kept = {"_reference_files_used", "log_records"}
    return {name: value for name, value in vars(step).items() if name not in kept}


@pytest.mark.parametrize("save", [False, True])
@pytest.mark.parametrize("fails", [False, True])
def test_the_step_itself_stays_as_it_is(images, save, fails):
    """The very same objects before, while each exposure is measured, and after."""
    during = []

    class Watched(ForcedPhotometryStep):
        def process(self, dataset):
            during.append((self, attributes(step)))
            if fails and len(during) == 2:
                raise ValueError("on purpose")
            return super().process(dataset)

    step = Watched(catalog="catalog.ecsv", save_results=save, output_file="all.asdf", **PLAIN)
    before = attributes(step)
    if fails:
        with pytest.raises(ExposuresFailed, match=r"second_cal\.asdf: on purpose"):
            step.run(paths(images))
    else:
        step.run(paths(images))
    assert len(during) == 3
    for worker, seen in [*during, (None, attributes(step))]:
        assert worker is not step
        assert seen.keys() == before.keys()
        assert all(seen[name] is value for name, value in before.items())
    assert len({id(worker) for worker, _ in during}) == 3


def test_a_step_runs_twice_on_many(images, expected):
    step = ForcedPhotometryStep(catalog="catalog.ecsv", **PLAIN)
    for _ in range(2):
        for product, flux in zip(step.run(*images), expected, strict=True):
            np.testing.assert_array_equal(fluxes(product), flux)
            assert "\n".join(product.meta.cal_logs).count("Measured 2 of 2 sources") == 1


@pytest.mark.parametrize("extension", ["asdf", "parquet"])
def test_saved_products_are_opened_when_they_are_asked_for(images, expected, extension):
    saved = run_step(images, "catalog.ecsv", save_results=True, output_ext=extension)
    assert isinstance(saved, batch.SavedProducts)
    assert [Path(path).name for path in saved.paths] == [
        f"{name}_forcedphot.{extension}" for name in NAMES
    ]
    Path(saved.paths[1]).unlink()
    assert len(saved) == 3
    with pytest.raises(FileNotFoundError):
        saved[1]
    asked = [(saved[0], expected[0]), (saved[-1], expected[2]), (saved[2:][0], expected[2])]
    for product, flux in asked:
        table = product if extension == "parquet" else product.source_catalog
        np.testing.assert_array_equal(table["aper3pix_flux"], flux)
    with pytest.raises(IndexError):
        saved[3]


def test_products_that_are_not_saved_are_a_list(images, expected):
    measured = run_step(images, "catalog.ecsv")
    assert isinstance(measured, list)
    np.testing.assert_array_equal([fluxes(product) for product in measured], expected)
    assert products() == []


def test_what_failed_comes_with_the_products_of_the_others_opened_when_asked(images):
    images[0].meta.photometry.pixel_area = None
    with pytest.raises(ExposuresFailed) as caught:
        run_step(images, "catalog.ecsv", save_results=True)
    assert isinstance(caught.value.products, batch.SavedProducts)
    assert [product.meta.image.filename for product in caught.value.products] == [
        "second_cal.asdf",
        "third_cal.asdf",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "make", [str, lambda path: ModelLibrary(path, on_disk=True, temp_directory=".")]
)
def test_memory_does_not_grow_with_the_number_of_exposures(make, monkeypatch):
    """Peak of Python's own allocations, which NumPy's arrays are part of.

    Each file that asdf opens leaves about 1 MB of schemas in asdf's caches, however small it is.
    """
    monkeypatch.setattr(logging.getLogger("stpipe"), "propagate", False)  # pytest keeps its models
    side = 600
    size = side**2 * 4
    model = image("n0", shape=(side, side))
    for name in ("n1", "n2"):
        model.meta.filename = f"{name}_cal.asdf"
        model.save(model.meta.filename)
    del model

    def peak(names):
        dataset = make(write_association(names))
        tracemalloc.start()
        run_step(dataset, catalog="catalog.ecsv", save_results=True)
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(["n0"])  # what is loaded once
    one = peak(["n0"])
    assert one > 2 * size
    assert peak(["n0", "n1", "n2"]) < one + 2 * size


def test_exposures_and_mosaics_are_measured_apart():
    with pytest.raises(InputError, match=r"a_cal.asdf and b_coadd.asdf .* two runs"):
        batch.find_members(["a_cal.asdf", "b_coadd.asdf"])
    mosaics = batch.find_members(["b_f106_coadd.asdf", "b_f158_coadd.asdf"])
    assert [member.name for member in mosaics] == ["b_f106_coadd.asdf", "b_f158_coadd.asdf"]
