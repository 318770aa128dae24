"""The page of plots that a run writes beside its product.

The plots are made by `plots`, from the data of a run. matplotlib is imported only if a page is
requested.
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
CURVE_REACH = 4.0  # largest radius of the curve, in units of the largest aperture radius


def require_matplotlib() -> None:
    """Import matplotlib; raise an ImportError with the remedy if it is missing."""
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
    """Plot the summary page of a run and write it atomically.

    Parameters
    ----------
    path : str or path-like
        A ``.png`` in an existing directory.
    exposure : Exposure
        The image.
    table : astropy.table.Table
        The photometry.
    method : CircularApertures
        The method of measurement.
    area : (ny, nx) ndarray or None
        Relative pixel area that was used.
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
    log.info("Saved plots in %s", path)


def _curve(
    correction: Correction, x: np.ndarray, y: np.ndarray, reach: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return aperture radii up to a reach (pixels), and encircled-energy fractions at (x, y).

    `x` and `y` have shape (1,). The curve ends where the correction does.
    """
    radii = np.linspace(0, reach, N_CURVE + 1)[1:]
    fractions = []
    for radius in radii:
        try:
            fractions.append(float(correction.in_aperture(x, y, radius)[0]))
        except ValueError:  # the aperture extends beyond the correction
            break
    return radii[: len(fractions)], np.array(fractions)
