"""The page of plots that a run writes beside its product.

The plots are made by `plots`, from the data of a run. matplotlib is imported only if a page is
requested.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np

from ..exposures import Inspection
from ..photometry.methods import BoundApertures, BoundEllipses
from ..psfs import Correction
from ..storage import write_atomically
from ..table import apertures_in
from .residual import fit_of

__all__ = ["require_matplotlib", "save_summary"]

log = logging.getLogger(f"romancal.{__name__}")

N_CURVE = 60
CURVE_REACH = 4.0  # largest radius of the curve, in units of the largest aperture radius


def require_matplotlib() -> None:
    """Import matplotlib; raise an ImportError with the remedy if it is missing."""
    from .. import plots  # noqa: F401


def save_summary(path: str | os.PathLike, inspection: Inspection) -> None:
    """Plot the summary page of a run and write it atomically.

    The page is that of apertures, with the residual image of a fit if there is one; that of the fit
    where there are no apertures; none, but a warning, where there is neither.

    Parameters
    ----------
    path : str or path-like
        A ``.png`` in an existing directory.
    inspection : Inspection
        What an exposure was measured with.

    Raises
    ------
    StorageError
        The page cannot be written.
    """
    from .. import plots

    exposure, fit = inspection.exposure, fit_of(inspection.bound)
    named = {"band": exposure.band, "title": Path(path).stem}
    named["unit"] = "MJy/sr" if exposure.conversion == 1 else "DN/s"
    model = None if fit is None else fit.model_image()
    table, data = inspection.table, exposure.data
    circles = [each for each in inspection.bound if isinstance(each, BoundApertures)]
    of_ellipses = [each for each in inspection.bound if isinstance(each, BoundEllipses)]
    if circles:
        apertures = _of_apertures(circles[0], inspection)
        figure = plots.summary_page(table, data, model=model, **apertures, **named)
    elif of_ellipses:
        ellipses, name = of_ellipses[0].apertures_on_pixels(table), of_ellipses[0].method.name
        figure = plots.ellipse_page(table, data, ellipses, name=name, model=model, **named)
    elif fit is not None:
        figure = plots.fit_page(table, data, model, name=fit.method.name, **named)
    else:
        log.warning("There is no page of plots: save_plots draws apertures and fits alone")
        return
    with write_atomically(path) as file:
        figure.savefig(file, format="png")
    log.info("Saved plots in %s", path)


def _of_apertures(bound: BoundApertures, inspection: Inspection) -> dict[str, Any]:
    """Return what `plots.summary_page` wants to know of circular apertures."""
    exposure, method, correction = inspection.exposure, bound.method, inspection.correction
    ny, nx = exposure.data.shape
    middle = np.array([(nx - 1) / 2]), np.array([(ny - 1) / 2])
    apertures, annulus = (
        [float(np.squeeze(radius)) for radius in bound.radii.at(*middle, group)]
        for group in (method.aperture_radii, method.annulus_radii)
    )
    return {
        "aperture_radii": apertures,
        "annulus_radii": annulus if method.background.is_subtracted else None,
        "names": apertures_in(inspection.table.colnames),
        "detector": exposure.detector,
        "area": inspection.area,
        "curve": None
        if correction is None
        else _curve(correction, *middle, CURVE_REACH * max(apertures)),
    }


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
