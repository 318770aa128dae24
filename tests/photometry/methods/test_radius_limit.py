"""Radii that exceed the image are refused before memory is asked for."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.time import Time

from romancal_forcedphot.photometry import CircularApertures, Exposure, Sources, measure
from small import tangent_wcs

SHAPE = (180, 200)


def exposure():
    return Exposure(
        data=np.full(SHAPE, 2.0, np.float32),
        err=np.full(SHAPE, 0.1, np.float32),
        saturated=None,
        wcs=tangent_wcs(SHAPE),
        conversion=0.25,
        pixel_area=2.8e-13,
        detector="WFI01",
        band="F106",
        mid_time=Time("2027-03-01T00:01:00"),
    )


def run(**parameters):
    sources = Sources(label=np.array([1]), x=np.array([100.0]), y=np.array([90.0]))
    return measure(exposure(), sources, [CircularApertures(**parameters)])


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"annulus_radii": (20, 1e5)}, "annulus_radii has 100000"),
        ({"aperture_radii": 1e5, "annulus_radii": (2e5, 3e5)}, "aperture_radii has 100000"),
        ({"aperture_radii": 270.0, "bkg_estimator": "none"}, "aperture_radii has 270"),
        (
            {"aperture_radii": 30, "annulus_radii": (40, 50), "radius_unit": "arcsec"},
            "aperture_radii has 30, which is 273 pixels on an image of 200 x 180",
        ),
    ],
)
def test_a_radius_beyond_the_image_is_refused(parameters, said):
    with pytest.raises(ValueError, match=said):
        run(**parameters)


def test_radii_up_to_the_diagonal_are_measured():
    table = run(aperture_radii=(3, 100), annulus_radii=(110, 269))
    assert np.isfinite(table["aper100pix_flux"]).all()
    assert np.isfinite(run(aperture_radii=269, bkg_estimator="none")["aper269pix_flux"]).all()
