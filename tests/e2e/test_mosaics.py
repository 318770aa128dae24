"""A mosaic made by romancal's own steps, through `strun`, against the truth and the exposure."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import roman_datamodels as rdm
from astropy.table import Table

from romancal_forcedphot.example import make_scene

pytestmark = pytest.mark.slow

MOSAIC = "r00001_p_v01001001001001_270p65x50y50_f106_coadd.asdf"
RADII = "0.22,0.33,0.55"

#: A window of a detector has no reference position, from which romancal makes the mosaic's WCS.
MAKE_MOSAIC = """
import sys
from roman_datamodels import datamodels as rdm
from romancal.flux import FluxStep
from romancal.resample import ResampleStep

with rdm.open(sys.argv[1]) as image:
    middle = (image.data.shape[0] - 1) / 2
    ra, dec = image.meta.wcs(middle, middle)
    image.meta.wcsinfo.update({"ra_ref": float(ra), "dec_ref": float(dec), "roll_ref": 30.0})
    mosaic = ResampleStep.call(FluxStep.call(image), weight_type="exptime")
    mosaic.save(sys.argv[2])
"""


@pytest.fixture(scope="module")
def scene(example_directory, alone):
    """A window of the detector and filter of the full-size example, whose references it has."""
    with alone():
        return make_scene(
            example_directory / "mosaics",
            n_pixels=600,
            n_stars=120,
            n_galaxies=0,
            magnitudes=(18.0, 21.0),
            seed=3,
        )


@pytest.fixture(scope="module")
def directory(scene, crds_env, strun, tmp_path_factory):
    """Where the mosaic and the products of it and of the exposure are."""
    directory = tmp_path_factory.mktemp("mosaics")
    command = [sys.executable, "-W", "ignore", "-c", MAKE_MOSAIC, scene.image, MOSAIC]
    subprocess.run(command, cwd=directory, env=crds_env, capture_output=True, check=True)
    for image, options in (
        (MOSAIC, []),
        (MOSAIC, ["--output_ext=.parquet"]),
        (scene.image, ["--radius_unit=arcsec", "--annulus_radii=2.2,2.75", "--pixel_area=wcs"]),
    ):
        answer = strun(
            image,
            f"--catalog={scene.catalog}",
            f"--aperture_radii={RADII}",
            *options,
            cwd=directory,
            env=crds_env,
        )
        assert answer.returncode == 0, answer.stderr
    return directory


@pytest.fixture(scope="module")
def product(directory):
    with rdm.open(directory / MOSAIC.replace("_coadd", "_forcedphot")) as product:
        yield product


@pytest.fixture(scope="module")
def truth(scene):
    """True magnitudes in F106, in the order of the catalog."""
    return -2.5 * np.log10(Table.read(scene.catalog)["F106"])


@pytest.mark.parametrize("name", ["aper0p33arcsec", "aper0p55arcsec"])
def test_stars_have_their_magnitudes(product, truth, name):
    table = product.source_catalog
    good = np.asarray(table["warning_flags"]) == 0
    assert good.sum() > 80
    difference = np.asarray(table[f"{name}_abmag"] - truth)[good]
    assert abs(np.median(difference)) < 0.005


def test_stars_are_as_bright_as_on_the_exposure(directory, scene, product):
    with rdm.open(directory / scene.image.name.replace("_cal", "_forcedphot")) as other:
        on_image, on_mosaic = other.source_catalog, product.source_catalog
        good = np.asarray(on_image["warning_flags"] | on_mosaic["warning_flags"]) == 0
        name = "aper0p33arcsec_abmag"
        difference = np.asarray(on_mosaic[name] - on_image[name])[good]
    assert good.sum() > 80
    assert abs(np.median(difference)) < 0.003


def test_the_product_says_how_it_was_made(product, scene):
    meta = product.meta.forced_phot
    assert (meta.aperture_radius_unit, meta.annulus_radii) == ("arcsec", [2.2, 2.75])
    assert meta.pixel_area.source == "wcs"
    ratio = meta.pixel_area.zero_point_steradian / meta.pixel_area.nominal_steradian_of_exposures
    assert ratio == pytest.approx(1, abs=2e-3)
    assert meta.aperture_correction.convolved_with_squares == [1, 1, 1, 1]
    assert meta.mosaic.weight_type == "exptime"
    assert product.meta.image.filename == MOSAIC
    assert product.meta.ref_file.apcorr.startswith("crds://")
    assert product.meta.cal_logs


def test_the_table_is_the_same_in_parquet(directory, product):
    table = Table.read(directory / MOSAIC.replace("_coadd.asdf", "_forcedphot.parquet"))
    assert table.colnames == product.source_catalog.colnames
    np.testing.assert_array_equal(
        table["aper0p33arcsec_flux"], product.source_catalog["aper0p33arcsec_flux"]
    )
