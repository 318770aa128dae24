"""The page of pictures that a run leaves beside its product.

`plots` draws what it is given; here is what a run gives it, and where the page goes. matplotlib is
loaded only when a page is asked for.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
from astropy.table import Table

from ..photometry import CircularApertures, Exposure
from ..photometry.methods.radii import RadiiOnImage
from ..psfs import Correction
from ..storage import write_atomically
from ..table import apertures_in

__all__ = ["require_matplotlib", "save_summary"]

log = logging.getLogger(f"romancal.{__name__}")

N_CURVE = 60
CURVE_REACH = 4.0  # the curve ends at so many times the largest aperture


def require_matplotlib() -> None:
    """Raise an ImportError that names the remedy where matplotlib is missing."""
    from .. import plots  # noqa: F401


def save_summary(
    path: str | os.PathLike,
    exposure: Exposure,
    table: Table,
    method: CircularApertures,
    *,
    area: np.ndarray | None,
    correction: Correction | None,
) -> None:
    """Draw the summary page of a run and write it, whole or not at all.

    Parameters
    ----------
    path : path
        A ``.png``; the directory exists.
    exposure : Exposure
        The image.
    table : astropy.table.Table
        What was measured.
    method : CircularApertures
        How it was measured.
    area : ndarray or None
        (ny, nx) relative pixel area that was used.
    correction : Correction or None
        Aperture correction that was used.

    Raises
    ------
    StorageError
        The page cannot be written.
    """
    from .. import plots

    ny, nx = exposure.data.shape
    middle = np.array([(nx - 1) / 2]), np.array([(ny - 1) / 2])
    radii = RadiiOnImage.on(exposure, method.radius_unit)
    apertures, annulus = (
        [float(np.squeeze(radius)) for radius in radii.at(*middle, group)]
        for group in (method.aperture_radii, method.annulus_radii)
    )
    figure = plots.summary_page(
        table,
        exposure.data,
        aperture_radii=apertures,
        annulus_radii=annulus if method.background.is_subtracted else None,
        names=apertures_in(table.colnames),
        band=exposure.band,
        detector=exposure.detector,
        unit="MJy/sr" if exposure.conversion == 1 else "DN/s",
        area=area,
        curve=None
        if correction is None
        else _curve(correction, *middle, CURVE_REACH * max(apertures)),
        title=Path(path).stem,
    )
    with write_atomically(path) as file:
        figure.savefig(file, format="png")
    log.info("Saved pictures in %s", path)


def _curve(
    correction: Correction, x: np.ndarray, y: np.ndarray, reach: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return radii in pixels up to a reach and what apertures of these catch at a place (1,)."""
    radii = np.linspace(0, reach, N_CURVE + 1)[1:]
    caught = []
    for radius in radii:
        try:
            caught.append(float(correction.in_aperture(x, y, radius)[0]))
        except ValueError:  # beyond the end of what the correction knows
            break
    return radii[: len(caught)], np.array(caught)
