"""Methods of one run beside each other: Kron apertures of a reference, fits, and their neighbours.

The galaxies are Gaussians (Sérsic profiles of n = 0.5), two of them with a neighbour in their Kron
ellipse; all is as bright in the image as in the reference, and free of noise but for the sky's.
"""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table

from reference_models import SCALE, SIGMA, epsf_model, gaussian_pixels
from romancal_forcedphot.photometry.calibration import flux_scale
from small import level2_image, run_step

X = np.array([50.3, 58.1, 120.2, 127.5, 60.0, 150.0])
Y = np.array([60.2, 66.4, 100.0, 104.6, 140.0, 40.0])
FLUX = np.array([4000.0, 3000.0, 2000.0, 500.0, 3000.0, 1000.0])
WIDTH = np.array([2.0, 0.0, 1.5, 0.0, 3.0, 0.0])  # standard deviations in pixels; 0 of stars
BLENDED = np.array([True, False, True, False, False, False])
HALF_LIGHT = np.sqrt(2 * np.log(2))  # of a Gaussian, in standard deviations


@pytest.fixture(scope="module")
def image():
    image = level2_image()
    y, x = np.mgrid[: image.data.shape[0], : image.data.shape[1]]
    for flux, width, *place in zip(FLUX, np.hypot(SIGMA["G2V"], WIDTH), X, Y, strict=True):
        light = gaussian_pixels(x - place[0], y - place[1], width)
        image.data += (flux * light).astype(np.float32)
    return image


@pytest.fixture(scope="module")
def reference(image, tmp_path_factory):
    """Path of the product of Kron apertures."""
    path = tmp_path_factory.mktemp("reference") / "reference.asdf"
    measured(image).save(path)
    return str(path)


def measured(image, **options):
    shapes = {"n": np.where(WIDTH > 0, 0.5, np.nan), "ba": np.ones(6), "pa": np.zeros(6)}
    shapes |= {"half_light_radius": WIDTH * HALF_LIGHT * SCALE}
    catalog = Table({"x": X, "y": Y, "type": np.where(WIDTH > 0, "SER", "PSF"), **shapes})
    given = {"override_epsf": epsf_model(), "override_apcorr": "N/A", "pixel_area": "none"}
    given |= {"aperture_correction": "epsf", "aperture_shape": "kron"}
    return run_step(image.copy(), catalog, **given | options)


def over_truth(product, name):
    unit = flux_scale(0.25, 2.8e-13)  # of tests/small.py
    return np.asarray(product.source_catalog[name]) / unit / FLUX


def test_forced_kron_apertures_are_the_same_beside_fits(image, reference):
    alone = measured(image, kron_from=reference).source_catalog
    together = measured(image, kron_from=reference, methods="aperture,psf,model")
    for name in ("kron_flux", "kron_flux_err", "kron_radius", "semimajor", "orientation_sky"):
        np.testing.assert_array_equal(together.source_catalog[name], alone[name])
    np.testing.assert_allclose(over_truth(together, "model_flux"), 1, atol=0.003)
    np.testing.assert_allclose(over_truth(together, "psf_flux")[WIDTH == 0], 1, atol=0.003)


@pytest.mark.parametrize("fit", ["psf", "model"])
def test_neighbors_are_subtracted_from_forced_kron_apertures(image, reference, fit):
    """An ellipse with another's light is too bright; without it, it has what it holds alone."""
    plain = measured(image, kron_from=reference)
    options = {"methods": f"aperture,{fit}", "subtract_neighbors": True}
    freed = measured(image, kron_from=reference, **options)
    assert (over_truth(plain, "kron_flux")[BLENDED] > 1.008).all()
    np.testing.assert_allclose(over_truth(freed, "kron_flux"), 1, atol=0.005)
    for name in ("kron_radius", "semimajor", "semiminor"):
        np.testing.assert_array_equal(freed.source_catalog[name], plain.source_catalog[name])


@pytest.mark.parametrize("shape", ["ellipse", "kron"])
def test_errors_are_not_scaled_by_circles_in_ellipses(image, shape):
    with pytest.raises(ValueError, match="error_calibration is 'empty_scale': expected none with"):
        measured(image, aperture_shape=shape, error_calibration="empty_scale")
