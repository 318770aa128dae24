"""The image less all fitted sources and sky, as a file beside the product."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

from ..exposures import Inspection
from ..photometry.methods import BoundFit, BoundMethod
from ..product.images import write_image

__all__ = ["fit_of", "save_residual"]

log = logging.getLogger(f"romancal.{__name__}")


def fit_of(bound: Sequence[BoundMethod]) -> BoundFit | None:
    """Return the fit among bound methods: the model's, which knows galaxies, before the PSF's.

    Parameters
    ----------
    bound : sequence of BoundMethod
        What an exposure was measured with.

    Returns
    -------
    BoundFit or None
        None if no method fits fluxes.
    """
    fits = {each.method.name: each for each in bound if isinstance(each, BoundFit)}
    return fits.get("model", fits.get("psf"))


def save_residual(path: str | os.PathLike, inspection: Inspection) -> None:
    """Write the residual image of PSF or model photometry as an ASDF file, whole or not at all.

    Parameters
    ----------
    path : path
        Destination.
    inspection : Inspection
        What an exposure was measured with; see `fit_of`.

    Raises
    ------
    StorageError
        The file cannot be written.
    """
    bound = fit_of(inspection.bound)
    if bound is None:
        log.warning("There is no residual image: save_residual needs methods=psf or model")
        return
    images = {"data": bound.fit.residual_image(), "model": bound.fit.model_image()}
    write_image(path, images, wcs=inspection.exposure.wcs, name=inspection.exposure.name)
    log.info("Saved the image less all fitted sources in %s", path)
