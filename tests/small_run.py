"""Runs of the step on the small image, whose fluxes with two apertures are compared."""

from __future__ import annotations

import numpy as np
from astropy.table import Table

from romancal_forcedphot import ForcedPhotometryStep
from small import CENTER, save_image

RADIUS = {"aperture_radii": "2,4", "annulus_radii": "15,22"}


def write_inputs(directory):
    """Write an image and a catalog of seven sources on it."""
    save_image(directory / "image_cal.asdf")
    ra, dec = CENTER
    offsets = np.arange(-3, 4) / 3600
    Table({"ra": ra + 2 * offsets, "dec": dec + offsets}).write(directory / "catalog.ecsv")


def measured(**parameters):
    """Total fluxes and their fractions, (sources, apertures), and the product."""
    product = ForcedPhotometryStep.call(
        "image_cal.asdf", catalog="catalog.ecsv", **RADIUS, **parameters
    )
    table = product.source_catalog
    columns = {
        name: np.stack([table[f"aper{radius}pix_{name}"] for radius in (2, 4)], axis=1)
        for name in ("flux", "total_flux", "ee_fraction")
    }
    assert np.isfinite(columns["total_flux"]).all()
    return columns, product
