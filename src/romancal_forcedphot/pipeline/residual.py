"""The image less all fitted sources and sky, as a file beside the product."""

from __future__ import annotations

import logging
import os

from ..exposures import Inspection
from ..photometry.methods.psf import BoundPSFPhotometry
from ..product.images import write_image

__all__ = ["save_residual"]

log = logging.getLogger(f"romancal.{__name__}")


def save_residual(path: str | os.PathLike, inspection: Inspection) -> None:
    """Write the residual image of PSF photometry as an ASDF file, whole or not at all.

    Parameters
    ----------
    path : path
        Destination.
    inspection : Inspection
        What an exposure was measured with.

    Raises
    ------
    StorageError
        The file cannot be written.
    """
    for bound in inspection.bound:
        if isinstance(bound, BoundPSFPhotometry):
            model = bound.fit.model_image()
            images = {"data": bound.fit.residual_image(), "model": model}
            write_image(path, images, wcs=inspection.exposure.wcs, name=inspection.exposure.name)
            log.info("Saved the image less all fitted sources in %s", path)
            return
    log.warning("There is no residual image: save_residual needs methods=psf")
