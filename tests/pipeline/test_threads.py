"""Steps in several threads, and steps and products that travel to other processes."""

from __future__ import annotations

import copy
import logging
import os
import pickle
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from astropy.table import Table
from stpipe._log import LogConfig

from romancal_forcedphot import ForcedPhotometryStep
from romancal_forcedphot.references import quiet_crds
from small import CENTER, level2_image

pytestmark = pytest.mark.filterwarnings("ignore:'get_cache_lock':DeprecationWarning")

PLAIN = {"pixel_area": "wcs", "aperture_correction": "none"}
N = 6


def catalog_named(name) -> Table:
    ra, dec = CENTER
    return Table({"ra": [ra, ra + 1e-4], "dec": [dec, dec]}, meta={"name": name})


def image_named(name):
    image = level2_image()
    image.meta.filename = f"{name}_cal.asdf"
    return image


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.startswith("CRDS"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def call(name):
    return ForcedPhotometryStep.call(image_named(name), catalog=catalog_named(name), **PLAIN)


def run(name):
    step = ForcedPhotometryStep(catalog=catalog_named(name), **PLAIN)
    return step.run(image_named(name))


@pytest.mark.parametrize("measure", [call, run])
def test_each_product_holds_its_own_log_lines(measure):
    names = [f"exposure{number}" for number in range(N)]
    with ThreadPoolExecutor(3) as pool:
        products = list(pool.map(measure, names))
    for name, product in zip(names, products, strict=True):
        told = "\n".join(product.meta.cal_logs)
        assert f"Catalog {name}: 2 rows read" in told
        assert told.count("rows read") == 1
        assert not [other for other in names if other != name and other in told]
    assert LogConfig.applied is None
    assert not logging.getLogger("romancal").handlers


def test_the_members_of_one_run_have_their_own_lines():
    images = [image_named(f"exposure{number}") for number in range(3)]
    products = ForcedPhotometryStep.call(images, catalog=catalog_named("all"), **PLAIN)
    assert len(products) == 3
    for product in products:
        told = "\n".join(product.meta.cal_logs)
        assert told.count("running with args") == told.count("rows read") == 1
        assert "parameters are" in told


def test_a_model_without_a_name_is_measured_and_saved(tmp_path):
    image = image_named("a")
    del image.meta["filename"]
    product = ForcedPhotometryStep.call(
        image, catalog=catalog_named("a"), save_results=True, **PLAIN
    )
    assert np.isfinite(product.source_catalog["aper3pix_flux"]).all()
    assert "placeholders stand for: " in "\n".join(product.meta.cal_logs)
    assert os.listdir(tmp_path) == ["step_ForcedPhotometryStep_forcedphot.asdf"]


def test_crds_is_quiet_for_one_thread_and_not_for_ever(caplog):
    """Two threads that were quiet at once left it quiet."""
    inside, leave = threading.Event(), threading.Event()

    def be_quiet():
        with quiet_crds():
            inside.set()
            leave.wait(10)
            logging.getLogger("CRDS").error("of the quiet thread")

    thread = threading.Thread(target=be_quiet)
    thread.start()
    inside.wait(10)
    with quiet_crds():
        logging.getLogger("CRDS").error("of the quiet main thread")
        leave.set()
        thread.join()
    logging.getLogger("CRDS").error("after all")
    assert caplog.messages == ["after all"]


@pytest.mark.slow
def test_a_product_comes_back_equal_from_a_process():
    image_named("there").save("there_cal.asdf")
    arguments = ("there_cal.asdf",)
    options = {"catalog": catalog_named("there"), **PLAIN}
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        # The step's own method: a child process may be unable to import this file.
        found = pool.submit(ForcedPhotometryStep.call, *arguments, **options).result()
    expected = ForcedPhotometryStep.call(*arguments, **options)
    found.validate()
    assert type(found) is type(expected)
    assert found.source_catalog.colnames == expected.source_catalog.colnames
    for name in expected.source_catalog.colnames:
        ours, theirs = found.source_catalog[name], expected.source_catalog[name]
        assert (ours.dtype, ours.unit) == (theirs.dtype, theirs.unit)
        np.testing.assert_array_equal(ours, theirs)
    assert found.meta.forced_phot == expected.meta.forced_phot
    assert found.meta.instrument == expected.meta.instrument
    assert "Catalog there: 2 rows read" in "\n".join(found.meta.cal_logs)


def test_a_product_that_was_opened_can_be_pickled_and_saved_again(tmp_path):
    from roman_datamodels import datamodels as rdm

    product = call("here")
    product.save("first.asdf")
    with rdm.open("first.asdf") as opened:
        content = pickle.dumps(opened)
    found = pickle.loads(content)
    assert found.meta.filename == "first.asdf"
    assert found.tag == product.tag
    np.testing.assert_array_equal(
        found.source_catalog["aper3pix_flux"], product.source_catalog["aper3pix_flux"]
    )
    found.save("second.asdf")
    with rdm.open("second.asdf") as opened:
        assert opened.meta.filename == "second.asdf"


def test_a_pickled_step_holds_no_secret_and_works():
    secret = {"key": "AKIAKEY", "secret": "hunter2", "client_kwargs": {"region_name": "moon"}}
    step = ForcedPhotometryStep(catalog=catalog_named("a"), storage_options=secret, **PLAIN)
    content = pickle.dumps(step)
    for word in (b"AKIAKEY", b"hunter2", b"moon"):
        assert word not in content
    found = pickle.loads(content)
    assert found.get_pars() == step.get_pars()
    assert found.storage_options.options == {}
    for same in (copy.copy(step), copy.deepcopy(step), step):
        assert same.storage_options.options == secret
    np.testing.assert_array_equal(
        found.run(image_named("a")).source_catalog["aper3pix_flux"],
        run("a").source_catalog["aper3pix_flux"],
    )
