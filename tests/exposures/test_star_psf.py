"""Curve of growth and ePSF from the stars of an image, against the PSF that drew them."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table
from roman_datamodels import datamodels as rdm

from reference_models import gaussian_pixels
from romancal_forcedphot import ForcedPhotometryStep
from romancal_forcedphot.psfs import PSFError
from small import level2_image
from small_mosaic import level3_mosaic

pytestmark = pytest.mark.usefixtures("workplace")

SIGMA = 1.1
SHAPE = (620, 640)
COUNTS = 3e3


@pytest.fixture(scope="module")
def field():
    """Positions and counts of stars on a grid, two of them close together, and three galaxies."""
    rng = np.random.default_rng(8)
    y, x = (axis.ravel() for axis in np.mgrid[60:580:65.0, 60:600:65.0])
    x, y = (axis + rng.uniform(-3, 3, axis.size) for axis in (x, y))
    x, y = np.append(x, x[0] + 6), np.append(y, y[0] + 4)
    counts = COUNTS * rng.uniform(0.5, 1.5, x.size)
    sigma = np.where(np.arange(x.size) % 30 == 11, 2.5, SIGMA)
    return x, y, counts, sigma


def drawn(field, noise=0.5, sky=2.0):
    rng = np.random.default_rng(9)
    yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    data = rng.normal(sky, noise, SHAPE)
    for x, y, counts, sigma in zip(*field, strict=True):
        low, left = max(round(y) - 25, 0), max(round(x) - 25, 0)
        cut = np.s_[low : low + 51, left : left + 51]
        data[cut] += counts * gaussian_pixels(xx[cut] - x, yy[cut] - y, sigma)
    return data.astype(np.float32)


def image_of(field, level):
    image = level2_image(SHAPE) if level == 2 else level3_mosaic(SHAPE)
    image.data = drawn(field)
    image.err = np.full(SHAPE, 0.5, dtype=image.err.dtype)
    return image


def run(image, field, **parameters):
    x, y, *_ = field
    options = {"override_apcorr": "N/A", "pixel_area": "wcs", "radius_unit": "pixel"} | parameters
    return ForcedPhotometryStep.call(
        image, catalog=Table({"x": x, "y": y}), aperture_correction="stars", **options
    )


@pytest.mark.parametrize("level", [2, 3])
def test_total_fluxes_by_the_images_own_curve(field, level):
    """A Gaussian has no wings: as much outside of 10 pixels as between 5 and 10, nothing."""
    product = run(image_of(field, level), field, aperture_radii="2,3,5")
    table = product.source_catalog
    stars = (field[3] == SIGMA) & (np.asarray(table["warning_flags"]) == 0)
    stars[[0, -1]] = False
    ratio = {
        r: np.asarray(table[f"aper{r}pix_total_flux"]) / np.asarray(field[2]) for r in (2, 3, 5)
    }
    for radius in (2, 3):
        assert np.median((ratio[radius] / ratio[5])[stars]) == pytest.approx(1, abs=4e-3)
    correction = product.meta.forced_phot.aperture_correction
    assert correction["source"] == "stars"
    assert 50 < correction["n_stars"] <= stars.sum() + 2  # no galaxy, not the pair
    expected = 1 - np.exp(-(9 / 2) / (SIGMA**2 + 2 / 12))  # of pixels, with their overlaps
    fraction = np.median(np.asarray(table["aper3pix_ee_fraction"])[stars])
    assert fraction == pytest.approx(expected, abs=5e-3)


def test_the_epsf_of_stars_gives_the_fluxes_of_their_curve(field):
    product = run(image_of(field, 2), field, methods="aperture,psf", aperture_radii="5")
    table = product.source_catalog
    stars = field[3] == SIGMA
    stars[[0, -1]] = False
    ratio = np.asarray(table["psf_flux"] / table["aper5pix_total_flux"])[stars]
    assert np.median(ratio) == pytest.approx(1, abs=3e-3)
    assert np.nanmedian(np.asarray(table["psf_chi2"])[stars]) < 1.5


def test_too_few_stars_are_refused_with_their_number(field):
    few = tuple(values[:8] for values in field)
    with pytest.raises(PSFError, match=r"[4-8] of the 8 sources .* expected at least 10") as caught:
        run(image_of(few, 2), few)
    assert "\n" not in str(caught.value)


def test_the_reference_normalises_and_is_compared_with(field):
    """A curve with the same core and a tenth of the light beyond 20 pixels."""
    radii = np.linspace(0.1, 60, 600)
    fractions = 0.9 * (1 - np.exp(-(radii**2) / 2 / (SIGMA**2 + 1 / 12)))
    fractions += 0.1 * np.clip((radii - 20) / 40, 0, 1)
    empty = {"sky_background_rin": None, "sky_background_rout": None}
    entry = {"ee_radii": radii, "ee_fractions": fractions, "ap_corrections": 1 / fractions}
    apcorr = rdm.ApcorrRefModel.create_fake_data()
    apcorr.data = {"F106": entry | empty}
    curve = {"apcorr_radius_unit": "pixel", "apcorr_psf": "pixel", "override_apcorr": apcorr}
    product = run(image_of(field, 2), field, aperture_radii="3", **curve)
    provenance = product.meta.forced_phot.aperture_correction
    assert provenance["normalized_by"] == "apcorr"
    assert provenance["fraction_at_normalization"] == pytest.approx(0.9, abs=1e-3)
    np.testing.assert_allclose(provenance["over_apcorr"], 1, atol=0.012)
