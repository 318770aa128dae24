"""Plots of pixels: area map, cutouts with apertures to scale, flagged sources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.table import Row, Table
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.patches import Circle, Ellipse
from numpy.typing import ArrayLike

from ..table import WarningFlag
from .stretch import asinh_stretch, brightness_bar, gray_colormap, window
from .style import BLACK, BLUE, SQUARE, VERMILION, axes_or_new

__all__ = ["cutout", "flagged_gallery", "pixel_area_map"]

MAX_MAP_SIDE = 512
MAX_LABELLED = 40
GAP_PIX = 3  # between stamps
TEXT_HEIGHT = 0.45  # of the text under a stamp, in units of the stamp's side


def pixel_area_map(area: ArrayLike, *, detector: str = "", ax: Axes | None = None) -> Axes:
    """Plot the map of pixel area relative to the nominal pixel.

    Parameters
    ----------
    area : (ny, nx) array_like
        Relative pixel area; large maps, which are smooth, are subsampled.
    detector : str
        Name of the detector for the title.
    ax : matplotlib.axes.Axes, optional
        Axes to plot into; new ones by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = axes_or_new(ax, SQUARE)
    area = np.asarray(area)
    ny, nx = area.shape
    step = max(1, int(np.ceil(max(ny, nx) / MAX_MAP_SIDE)))
    percent = 100 * (np.asarray(area[::step, ::step], dtype=float) - 1)
    picture = ax.imshow(
        percent, origin="lower", extent=(-0.5, nx - 0.5, -0.5, ny - 0.5), cmap="cividis"
    )
    if np.ptp(percent) > 0:
        lines = ax.contour(
            np.arange(percent.shape[1]) * step,
            np.arange(percent.shape[0]) * step,
            percent,
            levels=8,
            colors="white",
            linewidths=0.7,
        )
        ax.clabel(lines, fmt="%.2g %%", fontsize="small")
    ax.set_xlabel("x (pixel)")
    ax.set_ylabel("y (pixel)")
    ax.set_title(f"pixel area {detector and 'of ' + detector}".strip(), fontsize="medium")
    label = "Area relative to the nominal pixel, minus 1 (%)"
    ax.figure.colorbar(picture, ax=ax, label=label, shrink=0.9)
    return ax


def cutout(
    data: ArrayLike,
    sources: Table,
    *,
    label: int | None = None,
    center: tuple[float, float] | None = None,
    half_size: float = 60.0,
    aperture_radii: Sequence[float] = (3.0,),
    annulus_radii: Sequence[float] | None = (20.0, 25.0),
    ellipses: tuple[ArrayLike, ArrayLike, ArrayLike] | None = None,
    unit: str = "DN/s",
    ax: Axes | None = None,
) -> Axes:
    """Plot a cutout of the image with the apertures and annuli of its sources to scale.

    Parameters
    ----------
    data : (ny, nx) array_like
        The image, of which only the cutout is read; pixels that are not finite are orange.
    sources : astropy.table.Table
        With columns ``x``, ``y`` (0-indexed pixels) and ``label``, such as the product's.
    label : int, optional
        Label of the source at the centre.
    center : (float, float), optional
        Pixel position (x, y) of the centre; by default that of `label`, or of the image.
    half_size : float
        Half the side of the cutout in pixels.
    aperture_radii, annulus_radii : sequence of float
        Radii in pixels; no annulus is plotted if None or empty.
    ellipses : three (n,) array_like, optional
        Half axes in pixels, and angle in radian counterclockwise from the positive x axis, of the
        aperture of each source; in place of circles and annuli. NaN for none.
    unit : str
        Unit of the image.
    ax : matplotlib.axes.Axes, optional
        Axes to plot into; new ones by default.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        No source has the label, it has no position, or the cutout does not overlap the image.
    """
    ax = axes_or_new(ax, SQUARE)
    x_middle, y_middle = _cutout_center(np.shape(data), sources, label, center)
    pixels, extent = window(data, x_middle, y_middle, half_size)
    colors = gray_colormap()
    picture = ax.imshow(
        pixels, origin="lower", extent=extent, cmap=colors, norm=asinh_stretch(pixels)
    )
    frame = (x_middle - half_size, x_middle + half_size, y_middle - half_size, y_middle + half_size)
    if ellipses is None:
        _draw_apertures(ax, sources, frame, aperture_radii, annulus_radii or ())
    else:
        _draw_ellipses(ax, sources, *(np.asarray(each, dtype=float) for each in ellipses))
    ax.set_xlim(frame[:2])
    ax.set_ylim(frame[2:])
    ax.set_aspect("equal")
    ax.set_xlabel("x (pixel)")
    ax.set_ylabel("y (pixel)")
    described = _described(aperture_radii, annulus_radii or ())
    ax.set_title(described if ellipses is None else "elliptical apertures", fontsize="medium")
    brightness_bar(picture, unit, shrink=0.9)
    return ax


def _cutout_center(
    shape: tuple[int, int],
    sources: Table,
    label: int | str | None,
    center: Sequence[float] | None,
) -> tuple[float, float]:
    """Return the centre (x, y) of a cutout; raise a ValueError for an unknown source."""
    if center is not None:
        return float(center[0]), float(center[1])
    if label is None:
        return (shape[1] - 1) / 2, (shape[0] - 1) / 2
    rows = np.flatnonzero(np.asarray(sources["label"]) == label)
    if not rows.size:
        raise ValueError(
            f"label {label} is not in the table of {len(sources)} sources: give one of its labels, "
            "or center=(x, y)"
        )
    x, y = float(sources["x"][rows[0]]), float(sources["y"][rows[0]])
    if not (np.isfinite(x) and np.isfinite(y)):
        raise ValueError(f"source {label} has no pixel position: give another, or center=(x, y)")
    return x, y


def _described(aperture_radii: Sequence[float], annulus_radii: Sequence[float]) -> str:
    """Return the radii of circles in words."""
    radii = f"apertures of {', '.join(f'{radius:.4g}' for radius in aperture_radii)} pixels"
    if len(annulus_radii):
        radii += f", annulus {annulus_radii[0]:.4g} to {annulus_radii[1]:.4g}"
    return radii


def _draw_ellipses(
    ax: Axes, sources: Table, semimajor: np.ndarray, semiminor: np.ndarray, theta: np.ndarray
) -> None:
    """Draw one ellipse for each source that has one."""
    x, y = (np.asarray(sources[axis], dtype=float) for axis in "xy")
    values = np.column_stack([x, y, 2 * semimajor, 2 * semiminor, np.degrees(theta)])
    known = values[np.isfinite(values).all(axis=1)]
    patches = [Ellipse((at_x, at_y), a, b, angle=angle) for at_x, at_y, a, b, angle in known]
    style: dict[str, Any] = {"edgecolor": BLUE, "linewidth": 1.1}
    ax.add_collection(PatchCollection(patches, facecolor="none", **style))


def _draw_apertures(
    ax: Axes,
    sources: Table,
    frame: tuple[float, float, float, float],
    aperture_radii: Sequence[float],
    annulus_radii: Sequence[float],
) -> None:
    """Draw the circles of the sources that overlap a frame; label the sources if they are few."""
    x, y = (np.asarray(sources[axis], dtype=float) for axis in "xy")
    reach = max([*aperture_radii, *annulus_radii])
    near = (x > frame[0] - reach) & (x < frame[1] + reach)
    near &= (y > frame[2] - reach) & (y < frame[3] + reach)
    positions = list(zip(x[near], y[near], strict=True))
    for radii, color, line in ((aperture_radii, BLUE, "-"), (annulus_radii, VERMILION, ":")):
        circles = [Circle(position, radius) for position in positions for radius in radii]
        style: dict[str, Any] = {"edgecolor": color, "linestyle": line, "linewidth": 1.1}
        ax.add_collection(PatchCollection(circles, facecolor="none", **style))
    if len(positions) > MAX_LABELLED or "label" not in sources.colnames:
        return
    lift = max(aperture_radii) * 1.1
    for (at_x, at_y), name in zip(positions, np.asarray(sources["label"])[near], strict=True):
        ax.text(at_x + lift, at_y + lift, str(name), color=BLUE, fontsize="small", clip_on=True)


def flagged_gallery(
    data: ArrayLike,
    sources: Table,
    *,
    half_size: int = 12,
    n_columns: int = 4,
    n_rows: int = 3,
    aperture_radius: float = 3.0,
    ax: Axes | None = None,
) -> Axes:
    """Plot stamps of flagged sources, each with its own stretch.

    Sources are chosen such that all flags occur, beginning with the rarest flag. Sources that are
    not on the image are not shown.

    Parameters
    ----------
    data : (ny, nx) array_like
        The image; pixels that are not finite are orange.
    sources : astropy.table.Table
        With columns ``label``, ``x``, ``y`` and ``warning_flags``.
    half_size : int
        Half width of the stamps in pixels.
    n_columns, n_rows : int
        Maximum number of columns and rows of stamps.
    aperture_radius : float
        Radius of the plotted aperture in pixels.
    ax : matplotlib.axes.Axes, optional
        Axes to plot into; new ones by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = axes_or_new(ax, SQUARE)
    rows = _varied_rows(sources, np.shape(data), n_columns * n_rows)
    ax.set_axis_off()
    if not rows:
        ax.text(0.5, 0.5, "no flagged source on the image", ha="center", transform=ax.transAxes)
        return ax
    side = 2 * half_size + 1
    width, height = side + GAP_PIX, side * (1 + TEXT_HEIGHT) + GAP_PIX
    for index, row in enumerate(rows):
        line, column = divmod(index, n_columns)
        _draw_stamp(
            ax, data, sources[row], half_size, aperture_radius, column * width, line * height
        )
    ax.set_xlim(-0.5, n_columns * width)
    ax.set_ylim(((len(rows) - 1) // n_columns + 1) * height, -0.5)
    ax.set_aspect("equal")
    n_flagged = np.count_nonzero(_flagged_on_image(sources, np.shape(data)))
    ax.set_title(f"{len(rows)} of {n_flagged} flagged sources on the image", fontsize="medium")
    return ax


def _flagged_on_image(sources: Table, shape: tuple[int, int]) -> np.ndarray:
    """Return which sources are flagged and have their central pixel on the image (bool)."""
    x, y = (np.asarray(sources[axis], dtype=float) for axis in "xy")
    on_image = (x > -0.5) & (x < shape[1] - 0.5) & (y > -0.5) & (y < shape[0] - 0.5)
    return on_image & (np.asarray(sources["warning_flags"]) != 0)


def _varied_rows(sources: Table, shape: tuple[int, int], n_max: int) -> list[int]:
    """Choose rows of flagged sources on the image such that every flag occurs."""
    flags, shown = np.asarray(sources["warning_flags"]), _flagged_on_image(sources, shape)
    by_flag = [list(np.flatnonzero(shown & ((flags & flag) != 0))) for flag in WarningFlag]
    queues = sorted((queue for queue in by_flag if queue), key=len)
    chosen: list[int] = []
    while any(queues) and len(chosen) < n_max:
        for queue in queues:
            while queue and queue[0] in chosen:
                queue.pop(0)
            if queue and len(chosen) < n_max:
                chosen.append(int(queue.pop(0)))
    return chosen


def _draw_stamp(
    ax: Axes, data: ArrayLike, source: Row, half_size: int, radius: float, left: float, top: float
) -> None:
    """Plot one stamp with its aperture and flags, its upper left corner at (left, top)."""
    x, y = float(source["x"]), float(source["y"])
    column, row = int(np.rint(x)), int(np.rint(y))
    pixels, (first, last, low, high) = window(data, column, row, half_size)
    # The gallery's y axis points downwards: the extent flips it to point upwards in each stamp.
    extent = (
        left + first - (column - half_size) + 0.5,
        left + last - (column - half_size) + 0.5,
        top + (row + half_size) - low + 0.5,
        top + (row + half_size) - high + 0.5,
    )
    ax.imshow(
        pixels, origin="lower", extent=extent, cmap=gray_colormap(), norm=asinh_stretch(pixels)
    )
    center = (left + x - column + half_size + 0.5, top + row + half_size - y + 0.5)
    ax.add_patch(Circle(center, radius, facecolor="none", edgecolor=BLUE, linewidth=1.3))
    flags = WarningFlag(int(source["warning_flags"]))
    flag_names = "\n".join(str(flag.name).lower().replace("_", " ") for flag in flags)
    name = f"{source['label']}" if "label" in source.colnames else ""
    side = 2 * half_size + 1
    ax.text(left, top + side + 1, f"{name}\n{flag_names}", va="top", fontsize=7.5, color=BLACK)
