"""Pages of several plots: a summary of a run, and its comparison with a reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from astropy.table import Table
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import ArrayLike

from ..geometry import N_SCIENCE_PIXELS
from ..table import aperture_name, median_ee_fractions
from .comparison import offset_against_magnitude, offset_map, pulls
from .curves import encircled_energy, magnitude_errors, magnitude_histogram
from .images import cutout, flagged_gallery, pixel_area_map
from .residuals import psf_residual

__all__ = ["ellipse_page", "fit_page", "summary_page", "validation_page"]

DPI = 100
CUTOUT_PERCENTILE = 95  # the source at the centre of the cutout is brighter than so many percent


def summary_page(
    table: Table,
    data: ArrayLike,
    *,
    aperture_radii: Sequence[float],
    annulus_radii: Sequence[float] | None = (20.0, 25.0),
    names: Sequence[str] = (),
    band: str = "",
    detector: str = "",
    unit: str = "DN/s",
    area: ArrayLike | None = None,
    curve: tuple[ArrayLike, ArrayLike] | None = None,
    model: ArrayLike | None = None,
    title: str = "",
) -> Figure:
    """Plot a summary of a run: magnitudes, errors, image, pixel area, correction and flags.

    With a model of the image, a row shows what PSF or model photometry left of it.

    Parameters
    ----------
    table : astropy.table.Table
        The product's ``source_catalog``.
    data : (ny, nx) array_like
        The image.
    aperture_radii, annulus_radii : sequence of float
        Radii in pixels.
    names : sequence of str
        Names of the apertures in `table`; by default those of radii in pixels, such as
        ``aper3pix``.
    band, detector, unit : str
        Filter, detector and unit of the image.
    area : (ny, nx) array_like, optional
        Relative pixel area.
    curve : (array_like, array_like), optional
        Radii in pixels, and the encircled-energy fractions of apertures of these radii.
    model : (ny, nx) array_like, optional
        Model of the image, fitted to it.
    title : str
        Title of the page, such as the name of the product.

    Returns
    -------
    matplotlib.figure.Figure
    """
    names = list(names) or [aperture_name(radius) for radius in aperture_radii]
    figure, panels = _page(3 if model is None else 4, title)
    center = _magnitudes(table, names[0], band, panels[0])
    cutout(
        data,
        table,
        center=center,
        aperture_radii=aperture_radii,
        annulus_radii=annulus_radii,
        unit=unit,
        ax=panels[1, 0],
    )
    if area is None:
        _write_text(panels[1, 1], "no pixel-area map was used")
    else:
        pixel_area_map(area, detector=detector, ax=panels[1, 1])
    if curve is None:
        _write_text(panels[2, 0], "no aperture correction was used")
    else:
        fractions = median_ee_fractions(table, names)
        encircled_energy(
            *curve,
            used_radii=aperture_radii,
            used_fractions=fractions,
            name="apertures on pixels",
            ax=panels[2, 0],
        )
    flagged_gallery(data, table, aperture_radius=aperture_radii[0], ax=panels[2, 1])
    if model is not None:
        psf_residual(data, model, center=center, unit=unit, ax=_row(panels, 3))
    return figure


def fit_page(
    table: Table,
    data: ArrayLike,
    model: ArrayLike,
    *,
    name: str = "psf",
    band: str = "",
    unit: str = "DN/s",
    title: str = "",
) -> Figure:
    """Plot a summary of PSF or model photometry: magnitudes, errors, the residual image and flags.

    Parameters
    ----------
    table : astropy.table.Table
        The product's ``source_catalog``.
    data, model : (ny, nx) array_like
        The image and its model.
    name : {'psf', 'model'}
        Whose columns of `table`.
    band, unit : str
        Filter and unit of the image.
    title : str
        Title of the page, such as the name of the product.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, panels = _page(3, title)
    center = _magnitudes(table, name, band, panels[0])
    psf_residual(data, model, center=center, unit=unit, ax=_row(panels, 1))
    flagged_gallery(data, table, n_columns=8, n_rows=2, ax=_row(panels, 2))
    return figure


def ellipse_page(
    table: Table,
    data: ArrayLike,
    ellipses: tuple[ArrayLike, ArrayLike, ArrayLike],
    *,
    name: str = "ellipse",
    model: ArrayLike | None = None,
    band: str = "",
    unit: str = "DN/s",
    title: str = "",
) -> Figure:
    """Plot a summary of elliptical apertures: magnitudes, errors, the image with them and flags.

    With a model of the image, a row shows what PSF or model photometry left of it.

    Parameters
    ----------
    table : astropy.table.Table
        The product's ``source_catalog``.
    data : (ny, nx) array_like
        The image.
    ellipses : three (n,) array_like
        Half axes and angles of the apertures, see `cutout`.
    name : {'ellipse', 'kron'}
        Whose columns of `table`.
    model : (ny, nx) array_like, optional
        Model of the image, fitted to it.
    band, unit : str
        Filter and unit of the image.
    title : str
        Title of the page, such as the name of the product.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, panels = _page(2 if model is None else 3, title)
    center = _magnitudes(table, name, band, panels[0])
    cutout(data, table, center=center, ellipses=ellipses, unit=unit, ax=panels[1, 0])
    flagged_gallery(data, table, ax=panels[1, 1])
    if model is not None:
        psf_residual(data, model, center=center, unit=unit, ax=_row(panels, 2))
    return figure


def validation_page(
    magnitude: ArrayLike,
    offset: ArrayLike,
    pull: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    *,
    kind: ArrayLike | None = None,
    band: str = "",
    shape: tuple[int, int] = (N_SCIENCE_PIXELS, N_SCIENCE_PIXELS),
    title: str = "",
) -> Figure:
    """Plot the comparison of a product with a reference: offsets, pulls, map and magnitudes.

    Parameters
    ----------
    magnitude : (n,) array_like
        Reference magnitude.
    offset : (n,) array_like
        Measured minus reference magnitude.
    pull : (n,) array_like
        (Measured - reference flux) / error of the measured flux.
    x, y : (n,) array_like
        0-indexed pixel positions.
    kind : (n,) array_like of str, optional
        Type of each source, for the histogram.
    band : str
        Filter.
    shape : (int, int)
        Shape (ny, nx) of the detector.
    title : str
        Title of the page, such as the name of the product.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, panels = _page(2, title)
    offset_against_magnitude(magnitude, offset, band=band, ax=panels[0, 0])
    pulls(pull, ax=panels[0, 1])
    offset_map(x, y, offset, shape=shape, ax=panels[1, 0])
    magnitude_histogram(magnitude, kind, band=f"{band} reference".strip(), ax=panels[1, 1])
    return figure


def _page(n_rows: int, title: str) -> tuple[Figure, np.ndarray]:
    """Return a figure with two columns of panels, and its Axes (n_rows, 2)."""
    figure = Figure(
        figsize=(12, 0.6 + 4.6 * n_rows),
        dpi=DPI,
        layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1),
    )  # inches
    if title:
        figure.suptitle(title, fontsize="x-large")
    return figure, figure.subplots(n_rows, 2, squeeze=False)


def _row(panels: np.ndarray, row: int) -> Axes:
    """Return one panel in place of the two of a row."""
    figure, place = panels[row, 0].figure, panels[row, 0].get_gridspec()[row, :]
    for panel in panels[row]:
        panel.remove()
    return figure.add_subplot(place)


def _magnitudes(
    table: Table, name: str, band: str, panels: np.ndarray
) -> tuple[float, float] | None:
    """Plot magnitudes and errors of an aperture or fit; return where to look at the image."""
    flags = np.asarray(table["warning_flags"])
    magnitude, magnitude_err = (
        np.asarray(table[f"{name}_{column}"], dtype=float) for column in ("abmag", "abmag_err")
    )
    kind = np.where(flags == 0, "good", "flagged")
    magnitude_histogram(magnitude, kind, band=band, ax=panels[0])
    panels[0].set_xlabel(f"{band} magnitude in {name} (AB)".strip())
    magnitude_errors(magnitude, magnitude_err, flags, band=band, ax=panels[1])
    return _cutout_position(table, magnitude)


def _write_text(ax: Axes, text: str) -> None:
    """Write a text in a panel without data."""
    ax.set_axis_off()
    ax.text(0.5, 0.5, text, ha="center", transform=ax.transAxes)


def _cutout_position(table: Table, magnitude: np.ndarray) -> tuple[float, float] | None:
    """Return the position of a bright source without flags; None (the centre) without any."""
    good = np.flatnonzero(np.isfinite(magnitude) & (np.asarray(table["warning_flags"]) == 0))
    if not good.size:
        return None
    wanted = np.percentile(magnitude[good], 100 - CUTOUT_PERCENTILE)
    row = good[np.argmin(np.abs(magnitude[good] - wanted))]
    return float(table["x"][row]), float(table["y"][row])
