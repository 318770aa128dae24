"""The image less all fitted sources and sky, as a file beside the product."""

from __future__ import annotations

import logging
import os

from ..exposures import Inspection
from ..photometry.methods.joint_fit import BoundFit
from ..product.images import write_image

__all__ = ["save_residual"]

log = logging.getLogger(f"romancal.{__name__}")


def save_residual(path: str | os.PathLike, inspection: Inspection) -> None:
    """Write the residual image of PSF or model photometry as an ASDF file, whole or not at all.

    With both it is that of the model, which knows what galaxies look like.

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
    fits = {each.method.name: each.fit for each in inspection.bound if isinstance(each, BoundFit)}
    fit = fits.get("model", fits.get("psf"))
    if fit is None:
        log.warning("There is no residual image: save_residual needs methods=psf or model")
        return
    images = {"data": fit.residual_image(), "model": fit.model_image()}
    write_image(path, images, wcs=inspection.exposure.wcs, name=inspection.exposure.name)
    log.info("Saved the image less all fitted sources in %s", path)
