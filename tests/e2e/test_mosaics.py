"""A mosaic made by romancal's own steps, through `strun`, against the truth and the exposure."""

from __future__ import annotations

import os

import numpy as np
import pytest
import roman_datamodels as rdm
from astropy.table import Table

from romancal_forcedphot.example import crds_environment

pytestmark = pytest.mark.slow

RADII = "0.22,0.33,0.55"


@pytest.fixture(scope="module")
def environment(mosaic_cache):
    return os.environ | crds_environment(mosaic_cache)


@pytest.fixture(scope="module")
def measured(mosaic, environment, strun, tmp_path_factory):
    """Products by name: of the mosaic, by apcorr and by ePSF, and of its first exposure."""
    of_exposure = ["--radius_unit=arcsec", "--annulus_radii=2.2,2.75"]
    fits = ["--aperture_correction=epsf", "--methods=aperture,psf,model"]
    runs = {"apcorr": (mosaic.mosaic, []), "epsf": (mosaic.mosaic, fits)}
    runs["exposure"] = (mosaic.exposures[0], of_exposure + fits)
    products = {}
    for name, (image, options) in runs.items():
        directory = tmp_path_factory.mktemp(name)
        answer = strun(
            image,
            f"--catalog={mosaic.catalog}",
            f"--aperture_radii={RADII}",
            *options,
            cwd=directory,
            env=environment,
        )
        assert answer.returncode == 0, answer.stderr
        (path,) = directory.glob("*_forcedphot.asdf")
        products[name] = rdm.open(path)
    yield products
    for product in products.values():
        product.close()


@pytest.fixture(scope="module")
def truth(mosaic):
    return Table.read(mosaic.catalog)


def offsets(product, truth, column, kind, magnitudes=(18.0, 21.0)):
    """Measured minus true magnitudes of good sources, none of which is near a masked pixel."""
    true = -2.5 * np.log10(truth["F106"])
    poor = 1024  # galaxies fitted as points, and points that a galaxy is near
    good = (np.asarray(product.source_catalog["warning_flags"]) & ~poor) == 0
    good &= (truth["type"] == kind) & (true > magnitudes[0]) & (true < magnitudes[1])
    assert good.sum() > 8
    return np.asarray(product.source_catalog[column] - true)[good]


@pytest.mark.parametrize("correction", ["apcorr", "epsf"])
@pytest.mark.parametrize("aperture", ["aper0p33arcsec", "aper0p55arcsec"])
def test_stars_have_their_magnitudes(measured, truth, correction, aperture):
    difference = offsets(measured[correction], truth, f"{aperture}_abmag", "PSF")
    assert abs(np.median(difference)) < 0.005


def test_stars_have_their_magnitudes_by_the_averaged_epsf(measured, truth):
    difference = offsets(measured["epsf"], truth, "psf_abmag", "PSF")
    assert abs(np.median(difference)) < 0.003


def test_galaxies_have_their_magnitudes(measured, truth):
    difference = offsets(measured["epsf"], truth, "model_abmag", "SER", (17.0, 23.0))
    assert abs(np.median(difference)) < 0.02  # a dozen of them


@pytest.mark.parametrize("column", ["aper0p33arcsec_abmag", "psf_abmag"])
def test_stars_are_as_bright_as_on_the_exposure(measured, truth, column):
    on_mosaic, on_image = (measured[name].source_catalog for name in ("epsf", "exposure"))
    true = -2.5 * np.log10(truth["F106"])
    good = (np.asarray(on_image["warning_flags"] | on_mosaic["warning_flags"]) & ~1024) == 0
    good &= (truth["type"] == "PSF") & (true < 21)
    assert good.sum() > 30
    assert abs(np.median(np.asarray(on_mosaic[column] - on_image[column])[good])) < 0.003


def test_the_product_says_how_it_was_made(measured, mosaic):
    meta = measured["apcorr"].meta.forced_phot
    assert (meta.aperture_radius_unit, meta.annulus_radii) == ("arcsec", [2.2, 2.75])
    assert meta.pixel_area.source == "wcs"
    ratio = meta.pixel_area.zero_point_steradian / meta.pixel_area.nominal_steradian_of_exposures
    assert ratio == pytest.approx(1, abs=2e-3)
    assert meta.aperture_correction.convolved_with_squares == [1, 1, 1, 1]
    assert meta.mosaic.weight_type == "exptime"
    product = measured["epsf"]
    assert product.meta.forced_phot.psf.azimuthally_averaged
    assert product.meta.forced_phot.mosaic.n_exposures == 3
    assert product.meta.image.filename == mosaic.mosaic.name
    assert product.meta.ref_file.epsf.startswith("crds://")
    assert product.meta.cal_logs


def test_sources_are_covered_by_all_exposures_but_at_the_edge(measured):
    table = measured["apcorr"].source_catalog
    n_exposures = np.asarray(table["n_exposures"])
    assert set(n_exposures) <= {0, 1, 2, 3}
    inside = np.hypot(table["x"] - np.median(table["x"]), table["y"] - np.median(table["y"])) < 250
    assert (n_exposures[inside] == 3).all()
    weight = np.asarray(table["weight"])
    assert np.median(weight[n_exposures == 3]) > np.nanmax(weight[n_exposures < 3])
