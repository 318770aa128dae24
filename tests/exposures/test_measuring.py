"""One exposure as one function: what the step calls, and a worker on another machine."""

from __future__ import annotations

import functools
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from roman_datamodels import datamodels as rdm

from reference_models import FINE, SCALE, Given, apcorr_file, area_file, area_map, encircled
from romancal_forcedphot import ForcedPhotometryStep, Settings, measure_exposure, read_sources
from romancal_forcedphot.exposures import InputError, check_settings
from romancal_forcedphot.references import CRDSFinder, ReferenceFileError
from small import CENTER, IMAGE, level2_image, save_image

SETTINGS = Settings(aperture_radii=(2, 4), annulus_radii=(15, 22), error_calibration="empty")
WITHOUT_REFERENCES = Settings(pixel_area="wcs", aperture_correction="none")


def catalog():
    """Seven sources that move, one of them off the image, with a column to keep."""
    offsets = np.array([-3, -2, -1, 0, 1, 2, 900]) / 3600
    table = Table({"id": np.arange(7) + 5, "ra": CENTER[0] + offsets, "dec": CENTER[1] + offsets})
    table["pmra"], table["pmdec"], table["ref_epoch"] = 100.0, -50.0, 2016.0
    table["kind"] = ["star"] * 7
    return table


@pytest.fixture
def files(workplace):
    """An image, a catalog and references in the working directory."""
    save_image(IMAGE)
    catalog().write("catalog.ecsv")
    apcorr_file("apcorr.asdf", FINE, encircled(FINE / SCALE))
    area_file("area.asdf", area_map().astype("float32"))
    return workplace


@pytest.fixture
def sources(files):
    return read_sources("catalog.ecsv", keep_columns=["kind"], proper_motion=True)


@pytest.fixture
def finder(files):
    return CRDSFinder({"area": "area.asdf", "apcorr": "apcorr.asdf"})


def assert_same_table(found, expected):
    assert found.colnames == expected.colnames
    for name in expected.colnames:
        assert found[name].dtype == expected[name].dtype, name
        assert found[name].unit == expected[name].unit, name
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def test_it_is_what_the_step_does(sources, finder):
    measurement = measure_exposure(IMAGE, SETTINGS, sources, finder)
    product = ForcedPhotometryStep.call(
        IMAGE,
        catalog="catalog.ecsv",
        keep_columns="kind",
        aperture_radii="2,4",
        annulus_radii="15,22",
        error_calibration="empty",
        override_area="area.asdf",
        override_apcorr="apcorr.asdf",
    )
    assert_same_table(measurement.table, product.source_catalog)
    told = product.meta.forced_phot
    for name, value in measurement.provenance.items():
        assert plain(told[name]) == plain(value), name
    assert measurement.provenance["pixel_area"]["reference"] == product.meta.ref_file.area
    assert measurement.metadata["filename"] == product.meta.image.filename


def plain(value):
    """Lists and dicts for whatever holds items."""
    if hasattr(value, "items"):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


WORKER = """
import pickle, sys
task = pickle.load(open("task.pickle", "rb"))
measurement = task()
pickle.dump(measurement.table, open("answer.pickle", "wb"))
loaded = [name for name in sys.modules if name.startswith("romancal_forcedphot.pipeline")]
assert not loaded, loaded
"""


@pytest.mark.slow
def test_a_worker_in_another_process_does_the_same(sources, finder, files):
    """Nothing but what is pickled comes to it, and it knows no step."""
    task = functools.partial(measure_exposure, files / IMAGE, SETTINGS, sources, finder)
    Path("task.pickle").write_bytes(pickle.dumps(task))
    done = subprocess.run(
        [sys.executable, "-c", WORKER], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = pickle.loads(Path("answer.pickle").read_bytes())
    assert_same_table(found, measure_exposure(IMAGE, SETTINGS, sources, finder).table)


def test_references_are_asked_for_by_kind_and_metadata_alone(sources):
    with rdm.open("apcorr.asdf") as apcorr:
        finder = Given({"apcorr": apcorr})
        measurement = measure_exposure(IMAGE, SETTINGS, sources, finder)
    assert [kind for kind, _ in finder.asked] == ["area", "apcorr"]
    parameters = level2_image().get_crds_parameters()
    for _, asked in finder.asked:
        assert asked["roman.meta.instrument.detector"] == "WFI01"
        assert asked.keys() == parameters.keys()
    assert measurement.provenance["pixel_area"] == {"source": "wcs"}
    assert measurement.provenance["aperture_correction"]["reference"] == "apcorr of a test"


def test_settings_that_need_no_reference_ask_for_none(sources):
    finder = Given({})
    measurement = measure_exposure(IMAGE, WITHOUT_REFERENCES, sources, finder)
    assert finder.asked == []
    assert measurement.provenance["methods"] == ["aperture"]
    counts = measurement.provenance["catalog"]
    expected = {"name": "catalog.ecsv", "n_read": 7, "n_selected": 7, "n_rows": 7, "n_on_image": 6}
    assert {name: counts[name] for name in expected} == expected
    assert measurement.provenance["proper_motion"]["n_moved"] == 7


def test_a_missing_reference_is_an_error_with_its_name(sources):
    with pytest.raises(ReferenceFileError, match="there is no apcorr reference for F106 on WFI01"):
        measure_exposure(IMAGE, SETTINGS, sources, Given({}))


def test_a_model_is_left_open_and_as_it_is(sources):
    with rdm.open(IMAGE) as model:
        measured = measure_exposure(model, WITHOUT_REFERENCES, sources, Given({}))
        np.testing.assert_array_equal(model.data, level2_image().data)
    again = measure_exposure(IMAGE, WITHOUT_REFERENCES, sources, Given({}))
    assert_same_table(again.table, measured.table)


def test_the_inspector_sees_what_was_measured_while_the_image_is_open(sources, finder):
    seen = []

    def inspect(inspection):
        exposure, table = inspection.exposure, inspection.table
        ra, _ = exposure.wcs(10.0, 10.0)  # which is read from the file
        shape, psf = inspection.area.shape, inspection.correction.psf
        assert [len(bound.crowded) for bound in inspection.bound] == [len(table)]
        seen.append((exposure.name, len(table), shape, psf, np.isfinite(ra)))

    measure_exposure(IMAGE, SETTINGS, sources, finder, inspect=inspect)
    assert seen == [(IMAGE, 7, (180, 200), "optical", True)]


def test_rows_off_the_image_may_be_left_out_and_are_counted(sources):
    told = []
    measurement = measure_exposure(
        IMAGE, WITHOUT_REFERENCES, sources, Given({}), on_image_only=True, progress=told.append
    )
    assert len(measurement.table) == 6
    assert sum(told) == 7
    counts = measurement.provenance["catalog"]
    assert (counts["n_selected"], counts["n_rows"]) == (7, 6)


def test_the_image_is_closed_when_measuring_fails(sources):
    """An open file would be a ResourceWarning, which is an error here."""
    broken = level2_image()
    broken.meta.photometry.pixel_area = None
    broken.save("broken_cal.asdf")
    with pytest.raises(ValueError, match="pixel_area"):
        measure_exposure("broken_cal.asdf", WITHOUT_REFERENCES, sources, Given({}))
    with pytest.raises(InputError, match=r"lost_cal.asdf' is not a file"):
        measure_exposure("lost_cal.asdf", WITHOUT_REFERENCES, sources, Given({}))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"dq_mask": ("NONSENSE",)}, "'NONSENSE' is not a DQ flag"),
        ({"aperture_radii": (30.0,)}, "aperture radius 30 is larger"),
        ({"methods": ("nonsense",)}, "methods is 'nonsense'"),
    ],
)
def test_settings_are_checked_without_an_image(wrong, said):
    with pytest.raises(ValueError, match=said):
        check_settings(Settings(**wrong))
    check_settings(Settings())
