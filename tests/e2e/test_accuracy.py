"""A full simulated detector through `strun` and a serverless CRDS, against the truth."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import roman_datamodels as rdm
from astropy.table import Table

from romancal_forcedphot import measure, read_level2, read_sources
from romancal_forcedphot.example import summary
from romancal_forcedphot.psfs import GriddedEPSF
from romancal_forcedphot.references import Reference, read_epsf

pytestmark = pytest.mark.slow

FLAG_NOT_PLACED = 2


@pytest.fixture(scope="module")
def truth(scene):
    return Table.read(scene.catalog)


@pytest.fixture(scope="module")
def product(scene, crds_env, strun, tmp_path_factory):
    """Measured as it comes from the pipeline, in DN/s."""
    directory = tmp_path_factory.mktemp("counts")
    answer = strun(scene.image, f"--catalog={scene.catalog}", cwd=directory, env=crds_env)
    assert answer.returncode == 0, answer.stderr
    return directory / scene.image.name.replace("_cal", "_forcedphot")


@pytest.fixture(scope="module")
def product_after_flux(scene, crds_env, strun, tmp_path_factory):
    """Measured after romancal's FluxStep, in MJy/sr."""
    directory = tmp_path_factory.mktemp("flux")
    command = [sys.executable, Path(sys.executable).with_name("strun"), "flux", scene.image]
    subprocess.run(command, cwd=directory, env=crds_env, capture_output=True, check=True)
    (image,) = directory.glob("*_flux*.asdf")
    answer = strun(image, f"--catalog={scene.catalog}", cwd=directory, env=crds_env)
    assert answer.returncode == 0, answer.stderr
    image.unlink()
    (measured,) = directory.glob("*_forcedphot.asdf")
    return measured


@pytest.fixture(scope="module")
def table(product):
    return summary.read_source_catalog(product)


@pytest.fixture(scope="module")
def comparison(product, scene):
    return summary.compare(product, scene)


@pytest.fixture(scope="module")
def figures(comparison):
    return summary.summarize(comparison)


@pytest.fixture(scope="module")
def pixels(scene, truth):
    """True positions by the image's own WCS."""
    with rdm.open(scene.image) as model:
        return model.meta.wcs.invert(truth["ra"], truth["dec"], with_bounding_box=False)


def test_the_scene_is_large_enough(truth):
    kind = np.asarray(truth["type"])
    assert (kind == "PSF").sum() >= 1500
    assert (kind == "SER").sum() >= 150


def test_a_row_for_each_source_in_order(table, truth):
    np.testing.assert_array_equal(table["label"], np.arange(len(truth)) + 1)
    np.testing.assert_array_equal(table["ra"], truth["ra"])
    np.testing.assert_array_equal(table["dec"], truth["dec"])


def test_positions_are_those_of_the_wcs(table, pixels):
    on_image = np.all([(axis > 0) & (axis < 4087) for axis in pixels], axis=0)
    for measured, expected in zip((table["x"], table["y"]), pixels, strict=True):
        # the scene's analytic inverse is a fit, good to 0.002 pixel
        np.testing.assert_allclose(measured[on_image], expected[on_image], atol=0.004)


def test_sources_off_the_image_keep_an_empty_row(table, pixels):
    off_image = np.any([(axis < -5) | (axis > 4092) for axis in pixels], axis=0)
    assert off_image.sum() >= 20
    assert np.isnan(np.asarray(table["aper3pix_flux"])[off_image]).all()
    assert (np.asarray(table["warning_flags"])[off_image] & FLAG_NOT_PLACED).all()


def test_bright_stars_have_their_flux(figures):
    assert figures.n_bright >= 300
    assert abs(figures.median_offset) <= 0.003
    assert figures.scatter <= 0.006


def test_errors_of_faint_stars_are_honest(figures):
    assert figures.n_faint >= 300
    assert 0.9 <= figures.pull_width <= 1.1


def test_flux_does_not_depend_on_pixel_area(comparison, table, crds_cache):
    """A slope of -1 means that the area was left out, of +1 that it was applied twice."""
    (path,) = (crds_cache / "references" / "roman").glob("*_area_*.asdf")
    bright = comparison.sample(summary.BRIGHT)
    column, row = (np.rint(table[axis][bright]).astype(int) for axis in "xy")
    with rdm.open(path) as model:
        log_area = np.log(np.array(model.data)[row, column])
    log_offset = -0.4 * np.log(10) * comparison.offset[bright]
    keep = np.abs(log_offset - np.median(log_offset)) < 0.03  # chance blends
    slope, _ = np.polyfit(log_area[keep], log_offset[keep], 1)
    assert abs(slope) < 0.35
    assert np.std(log_area) > 0.002  # enough to see a slope of 1 by


def test_flux_step_changes_nothing(table, product_after_flux):
    after = summary.read_source_catalog(product_after_flux)
    flux, flux_err = (np.asarray(table[f"aper3pix_total_{name}"]) for name in ("flux", "flux_err"))
    difference = np.asarray(after["aper3pix_total_flux"]) - flux
    measured = np.isfinite(flux)
    assert measured.sum() > 2000
    np.testing.assert_array_equal(np.isfinite(difference), measured)
    tolerance = 1e-5 * np.abs(flux) + 1e-3 * flux_err
    assert (np.abs(difference) <= tolerance)[measured].all()
    # err is float16 in the image: FluxStep rounds it once more
    np.testing.assert_allclose(after["aper3pix_total_flux_err"], flux_err, rtol=1e-3)
    np.testing.assert_array_equal(after["warning_flags"], table["warning_flags"])


# --- the correction by the ePSF ----------------------------------------------------------------

RADII = (2, 3, 5)
MASKED = 8


@pytest.fixture(scope="module")
def product_by_epsf(scene, crds_env, strun, tmp_path_factory):
    directory = tmp_path_factory.mktemp("epsf")
    options = ("--aperture_correction=epsf", f"--aperture_radii={','.join(map(str, RADII))}")
    answer = strun(scene.image, f"--catalog={scene.catalog}", *options, cwd=directory, env=crds_env)
    assert answer.returncode == 0, answer.stderr
    return directory / scene.image.name.replace("_cal", "_forcedphot")


def against_truth(table, truth, radius, band="F106"):
    """Offset in mag and pull of every row."""
    flux, flux_err, magnitude = (
        np.asarray(table[f"aper{radius}pix_{name}"], dtype=float)
        for name in ("total_flux", "total_flux_err", "abmag")
    )
    true_flux = np.asarray(truth[band]) * 10 ** (0.4 * 31.4)
    return magnitude + 2.5 * np.log10(truth[band]), (flux - true_flux) / flux_err


@pytest.mark.parametrize("radius", RADII)
def test_by_epsf_fluxes_and_errors_hold_at_every_radius(product_by_epsf, comparison, truth, radius):
    offset, pull = against_truth(summary.read_source_catalog(product_by_epsf), truth, radius)
    bright, faint = comparison.sample((18, 20)), comparison.sample((20, 24))
    assert bright.sum() >= 250
    assert faint.sum() >= 500
    assert abs(np.median(offset[bright])) <= 0.001
    # within two standard errors of 1 ± 0.05
    assert abs(np.std(pull[faint]) - 1) <= 0.05 + 2 / np.sqrt(2 * faint.sum())
    assert abs(np.mean(pull[faint])) <= 0.1


def test_by_epsf_masked_cores_cost_precision_and_no_flux(scene, crds_cache, comparison, truth):
    """One to three masked pixels within two pixels of every isolated star."""
    references = crds_cache / "references" / "roman"
    random = np.random.default_rng(3)
    with rdm.open(scene.image) as model:
        exposure = read_level2(model)
        epsf_file = Reference("epsf", next(references.glob("*_epsf_01106.asdf")), "of the example")
        content = read_epsf(epsf_file, detector=exposure.detector, band=exposure.band)
        with rdm.open(next(references.glob("*_area_01.asdf"))) as area_model:
            area = np.array(area_model.data)
        epsf = GriddedEPSF(content.stamps[0], content.x, content.y, content.oversample)
        sources = read_sources(scene.catalog)
        whole = measure(exposure, sources, area=area, correction=epsf)
        sample = comparison.sample((18, 20))
        for x, y in zip(whole["x"][sample], whole["y"][sample], strict=True):
            row, column = np.mgrid[-2:3, -2:3].reshape(2, -1) + np.rint([[y], [x]]).astype(int)
            near = np.flatnonzero(np.hypot(column - x, row - y) <= 2)
            chosen = random.choice(near, random.integers(1, 4), replace=False)
            exposure.data[row[chosen], column[chosen]] = np.nan
        masked = measure(exposure, sources, area=area, correction=epsf)
    assert (masked["warning_flags"][sample] & MASKED).all()
    offset, pull = against_truth(masked, truth, 3)
    assert abs(np.median(offset[sample])) <= 0.002
    assert abs(np.std(pull[sample]) - 1) <= 0.15
    for name in ("total_flux_err", "ee_fraction"):
        change = masked[f"aper3pix_{name}"][sample] / whole[f"aper3pix_{name}"][sample]
        assert np.median(change) > 1 if name == "total_flux_err" else np.median(change) < 0.97
