"""The simulated series: its truth, its pixels, and the light curves of its command."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table
from roman_datamodels import datamodels as rdm

from romancal_forcedphot.example.series import SeriesRecipe, make_series, true_flux
from romancal_forcedphot.lightcurves.measuring.times import observer_position


@pytest.fixture(scope="module")
def truth(series):
    return Table.read(series.catalog, format="ascii.ecsv")


def test_it_is_made_once(series, example_directory):
    times = [image.stat().st_mtime_ns for image in series.images]
    again = make_series(example_directory)
    assert [image.stat().st_mtime_ns for image in again.images] == times


def test_the_truth_of_each_kind(truth, series):
    mjd = series.recipe.mjd
    flux = true_flux(truth, mjd)
    kind = np.asarray(truth["kind"])
    assert set(kind) == {"constant", "sinusoid", "transient"}
    assert (np.ptp(flux[kind == "constant"], axis=1) == 0).all()
    row = np.flatnonzero(kind == "sinusoid")[0]
    period = truth["period"][row]
    highest = truth["flux"][row] * (1 + truth["amplitude"][row])
    np.testing.assert_allclose(true_flux(truth, mjd[0] + period / 4)[row], highest)
    one, later = (true_flux(truth, when)[row] for when in (mjd[5], mjd[5] + period))
    np.testing.assert_allclose(one, later)
    transient = flux[kind == "transient"][0]
    assert (transient[:19] == 0).all()
    assert transient.max() > 0.9 * truth["flux"][kind == "transient"][0]


def test_drifts_are_those_of_the_recipe():
    recipe = SeriesRecipe()
    assert np.abs(recipe.zero_points - 1).max() == pytest.approx(0.03, rel=0.01)
    assert (recipe.offsets[: 2 * recipe.n_epochs // 3] == 0).all()
    assert recipe.offsets[-1] == pytest.approx(recipe.wcs_drift)


def test_an_image_is_valid_and_has_its_own_time_and_place(series):
    for number in (0, 39):
        with rdm.open(series.images[number]) as model:
            assert model.validate() is None
            assert model.meta.filename == series.images[number].name
            start, end = model.meta.exposure.start_time, model.meta.exposure.end_time
            middle = start + 0.5 * (end - start)
            assert middle.tai.mjd == pytest.approx(series.recipe.mjd[number], abs=1e-8)
            assert observer_position(dict(model.meta.ephemeris), middle).source == "spacecraft"


def test_noise_is_what_err_says(series):
    """Far from all stars, epoch by epoch, against the mean image."""
    images, errors = [], []
    for path in series.images[:8]:
        with rdm.open(path) as model:
            images.append(np.array(model.data, dtype=float))
            errors.append(np.array(model.err, dtype=float))
    sky = np.median(images, axis=0) < 0.33
    pull = (np.array(images) - np.median(images, axis=0)) / np.array(errors)
    assert sky.mean() > 0.3
    width = np.median(np.abs(np.diff(pull[:, sky], axis=0))) / 0.6745 / np.sqrt(2)
    assert width == pytest.approx(1.0, abs=0.05)
