"""Whole runs: small images, a stand-in for the measurement, kills in the middle."""

from __future__ import annotations

import hashlib
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from lightcurves.drivers import made_up, made_up_by_one_thread
from lightcurves.images import NJY_PER_DN, PLAIN, Field
from lightcurves.tasks import measure_dying_once
from lightcurves.test_collation import content_of
from roman_datamodels import datamodels as rdm

from romancal_forcedphot import lightcurves
from romancal_forcedphot.lightcurves import CurveOptions, DatasetError, MeasureOptions
from romancal_forcedphot.lightcurves.dataset import Dataset

N_EPOCHS = 6


@pytest.fixture(scope="module")
def field():
    return Field()


@pytest.fixture(scope="module")
def images(field, tmp_path_factory):
    """Six epochs; the first star varies, the fourth epoch is 5 % too bright."""
    directory = tmp_path_factory.mktemp("images")
    paths = []
    for epoch in range(N_EPOCHS):
        factor = np.ones(field.n_stars)
        factor[0] = 1 + 0.5 * np.sin(epoch)
        scale = 1.05 if epoch == 3 else 1.0
        path = directory / f"r0001_{epoch:04d}_wfi01_f106_cal.asdf"
        paths.append(field.save(path, 61000 + 10 * epoch, factor=factor, scale=scale, seed=epoch))
    return paths


@pytest.mark.slow
def test_images_become_light_curves(field, images, tmp_path):
    done = lightcurves.run(images, field.catalog, output_dir=tmp_path, settings=PLAIN, n_workers=1)
    assert (done.n_measured, len(done.state.done), done.failed) == (N_EPOCHS, N_EPOCHS, {})
    curves = lightcurves.open(tmp_path)
    variable = curves.source(101)
    expected = field.flux[0] * NJY_PER_DN * (1 + 0.5 * np.sin(np.arange(N_EPOCHS)))
    expected[3] *= 1.05
    pull = (variable["flux"].value - expected) / variable["flux_err"].value
    assert np.abs(pull).max() < 4
    table = curves.table()
    assert table["f106_chi2"][table["label"] == 101] > 100 * np.median(table["f106_chi2"])
    zero_point = np.asarray(curves.exposures["zero_point"])
    np.testing.assert_allclose(zero_point, [1, 1, 1, 1.05, 1, 1], atol=0.004)
    again = lightcurves.run(images, field.catalog, output_dir=tmp_path, settings=PLAIN)
    assert again.n_measured == 0
    assert not again.collated.is_new
    calibrated = lightcurves.run(
        images[:2],
        field.catalog,
        output_dir=tmp_path,
        settings=PLAIN,
        curve_options=CurveOptions(relative_calibration=True, baseline=(60990, 61025)),
    )
    assert calibrated.collated.n_exposures == N_EPOCHS
    flux = lightcurves.open(tmp_path).source(115)
    assert flux["flux"][3].value == pytest.approx(field.flux[14] * NJY_PER_DN, rel=0.01)
    assert "flux_difference" in flux.colnames


def test_other_settings_catalogs_and_options_are_refused(field, images, tmp_path):
    def run(settings=PLAIN, catalog=field.catalog, **options):
        with ThreadPoolExecutor(1) as executor:
            lightcurves.run(
                images[:1],
                catalog,
                output_dir=tmp_path,
                settings=settings,
                executor=executor,
                measure_options=MeasureOptions(**options),
            )

    run()
    with pytest.raises(DatasetError, match=r"aperture_radii is \[6.0\] there and \[5.0\] here"):
        run(PLAIN | {"aperture_radii": "5"})
    with pytest.raises(DatasetError, match="align is False there and True here"):
        run(align=True)
    with pytest.raises(DatasetError, match="29 here"):
        run(catalog=field.catalog[1:])
    with pytest.raises(ValueError, match="did you mean aperture_radii"):
        run(PLAIN | {"apperture_radii": "5"})


def test_bad_exposures_are_told_and_the_rest_is_measured(field, images, tmp_path, caplog):
    damaged = tmp_path / "damaged_cal.asdf"
    damaged.write_bytes(images[0].read_bytes()[:5000])
    (tmp_path / "other").mkdir()
    twin = tmp_path / "other" / images[1].name
    twin.write_bytes(images[2].read_bytes())
    given = [images[0], images[1], damaged, tmp_path / "missing_cal.asdf", twin]
    output = tmp_path / "series"
    with ThreadPoolExecutor(1) as executor:
        done = lightcurves.run(
            given, field.catalog, output_dir=output, settings=PLAIN, executor=executor
        )
    assert len(done.state.done) == 2
    assert set(done.failed) == {"damaged", "missing", *[n for n in done.failed if "@" in n]}
    assert "missing_cal.asdf" in done.failed["missing"]
    assert "its name is that of" in next(done.failed[n] for n in done.failed if "@" in n)
    assert "Exposure damaged failed" in caplog.text
    field.save(damaged, 61100.0)
    with ThreadPoolExecutor(1) as executor:
        again = lightcurves.run(
            given, field.catalog, output_dir=output, settings=PLAIN, executor=executor
        )
    assert again.n_measured == 1
    assert "damaged" not in again.failed


def test_what_is_logged_as_a_warning_is_kept_with_the_exposure(field, images, tmp_path):
    catalog = field.catalog
    catalog["pmra"] = np.ones(len(catalog))
    catalog["pmdec"] = np.ones(len(catalog))
    with ThreadPoolExecutor(1) as executor:
        lightcurves.run(images[:1], catalog, output_dir=tmp_path, settings=PLAIN, executor=executor)
    [warnings] = lightcurves.open(tmp_path).exposures["warnings"]
    assert "2016" in warnings


def test_a_full_disk_is_told_and_the_run_can_be_taken_up(tmp_path, monkeypatch):
    kept = Dataset.save

    def save(self, name, content):
        if name == "exposure_0002":
            raise OSError(28, "No space left on device")
        kept(self, name, content)

    monkeypatch.setattr(Dataset, "save", save)
    done = made_up_by_one_thread(tmp_path, 5)
    assert "No space left" in done.failed["exposure_0002"]
    assert len(done.state.done) == 4
    monkeypatch.undo()
    assert made_up_by_one_thread(tmp_path, 5).n_measured == 1


def digests_of(directory):
    """Digests of all Parquet files of a data set."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.glob("**/*.parquet")
    }


@pytest.mark.slow
def test_kills_of_the_driver_change_no_byte(tmp_path, started):
    """Killed at several moments and run again, the data set is that of a run that lived."""
    made_up_by_one_thread(tmp_path / "lived" / "series", 40)
    dataset = Dataset.at(tmp_path / "killed" / "series")
    (tmp_path / "killed").mkdir()
    for n_done in (3, 20, 40):
        driver = started(made_up_by_one_thread, dataset.directory, 40)
        end = time.monotonic() + 100
        while len(list(dataset.directory.glob("exposures/*.parquet"))) < n_done:
            assert time.monotonic() < end
            time.sleep(0.005)
        driver.kill()
        driver.join()
        assert driver.exitcode == -signal.SIGKILL
    driver = started(made_up_by_one_thread, dataset.directory, 40)
    driver.join()
    assert driver.exitcode == 0
    lived = Dataset.at(tmp_path / "lived" / "series")
    assert content_of(lived) == content_of(dataset)
    assert digests_of(lived.directory) == digests_of(dataset.directory)
    assert not list(dataset.directory.glob(".collating*"))


@pytest.mark.slow
def test_kills_of_a_worker_change_no_byte(tmp_path):
    made_up_by_one_thread(tmp_path / "lived" / "series", 5)
    mark = tmp_path / "died"
    measure = partial(measure_dying_once, mark=str(mark))
    done = made_up(tmp_path / "killed" / "series", 5, measure=measure, n_workers=1)
    assert mark.exists()
    assert (done.n_measured, done.failed) == (5, {})
    assert digests_of(tmp_path / "lived") == digests_of(tmp_path / "killed")


def test_each_bad_exposure_says_why_and_labels_may_repeat(field, images, tmp_path, caplog):
    """Without a time, of a grism; the others are measured, of another band too."""
    timeless, grism = tmp_path / "timeless_cal.asdf", tmp_path / "grism_cal.asdf"
    timeless.write_bytes(images[0].read_bytes().replace(b"start_time:", b"start_tims:"))
    with rdm.open(images[0]) as model:
        image = model.copy()
        image.data, image.err, image.dq = (np.array(model[n]) for n in ("data", "err", "dq"))
    image.meta.photometry.conversion_megajanskys = image.meta.photometry.pixel_area = None
    image.meta.instrument.optical_element = "GRISM"
    image.save(grism)
    other_band = field.save(tmp_path / "other_cal.asdf", 61200.0, band="F158")
    catalog = field.catalog
    catalog["label"][1] = catalog["label"][0]
    with ThreadPoolExecutor(1) as executor:
        done = lightcurves.run(
            [timeless, grism, images[0], other_band],
            catalog,
            output_dir=tmp_path / "series",
            settings=PLAIN,
            executor=executor,
        )
    assert set(done.failed) == {"timeless", "grism"}
    assert "start_time" in done.failed["timeless"]
    assert "photometr" in done.failed["grism"]
    assert "1 labels of catalog" in caplog.text
    curves = lightcurves.open(tmp_path / "series")
    assert curves.bands == ["F106", "F158"]
    table = curves.exposures
    assert sorted(table["status"].tolist()) == ["done", "done", "failed", "failed"]
    with pytest.raises(ValueError, match="that of 2 sources"):
        curves.source(int(catalog["label"][0]))
    twins = [curves.source(int(catalog["label"][0]), number=n) for n in (0, 1)]
    assert twins[0].meta["ra"] != twins[1].meta["ra"]
