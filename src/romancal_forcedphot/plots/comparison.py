"""Plots of measurements compared with a reference."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from ..geometry import N_SCIENCE_PIXELS
from ..table.statistics import (
    bin_by_magnitude,
    format_signed,
    magnitude_edges,
    pull_width,
    robust_statistics,
)
from .style import (
    BLACK,
    BLUE,
    GRAY,
    ORANGE,
    SQUARE,
    VERMILION,
    axes_or_new,
    grid,
    magnitude_label,
)

__all__ = ["offset_against_magnitude", "offset_map", "pulls"]

MIN_PER_BIN = 5
MIN_PER_CELL = 3
PULL_LIMIT = 5.0


def offset_against_magnitude(
    magnitude: ArrayLike,
    offset: ArrayLike,
    *,
    band: str = "",
    bin_width: float = 0.5,
    limit: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Plot magnitude offsets (measured minus reference) against the reference magnitude.

    Points are sources. For each bin with at least five sources, the median with its standard error
    and the robust standard deviation (shaded) are plotted; the title gives those of all sources.

    Parameters
    ----------
    magnitude, offset : (n,) array_like
        Reference magnitude, and measured minus reference magnitude; NaN is ignored.
    band : str
        Filter, for the axis label.
    bin_width : float
        Width of the magnitude bins in mag.
    limit : float, optional
        Upper limit of the vertical axis in mag, which is symmetric; by default it includes 95 % of
        the points.
    ax : matplotlib.axes.Axes, optional
        Axes to plot into; new ones by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = axes_or_new(ax, SQUARE)
    magnitude, offset = (np.asarray(values, dtype=float) for values in (magnitude, offset))
    known = np.isfinite(magnitude) & ~np.isnan(offset)
    magnitude, offset = magnitude[known], offset[known]
    shown = np.isfinite(offset)
    limit = limit or _symmetric_limit(offset[shown], 95)
    points = ax.scatter(magnitude[shown], offset[shown], s=7, color=BLUE, alpha=0.3, linewidth=0)
    points.set_rasterized(True)
    _plot_bins(ax, magnitude, offset, bin_width)
    ax.axhline(0, color=BLACK, linewidth=0.8)
    ax.set_ylim(-limit, limit)
    ax.set_xlabel(magnitude_label(band, "reference"))
    ax.set_ylabel("Measured − reference (mag)")
    beyond = np.count_nonzero(np.abs(offset) > limit)
    whole = robust_statistics(offset)
    ax.set_title(
        f"{whole.n} sources: median {format_signed(whole.median, 4)} ± {whole.median_err:.4f} mag, "
        f"scatter {whole.scatter:.4f}",
        fontsize="medium",
    )
    if beyond:
        text = f"{beyond} beyond the frame"
        ax.text(0.02, 0.98, text, transform=ax.transAxes, va="top", fontsize="small")
    grid(ax)
    return ax


def _plot_bins(ax: Axes, magnitude: np.ndarray, offset: np.ndarray, bin_width: float) -> None:
    """Plot the median of each magnitude bin with its error, and the scatter around it."""
    bins = bin_by_magnitude(magnitude, offset, offset, list(magnitude_edges(magnitude, bin_width)))
    bins = bins[(bins["n"] >= MIN_PER_BIN) & np.isfinite(bins["offset"])]
    if not len(bins):
        return
    middle = 0.5 * (bins["bright"] + bins["faint"])
    low, high = bins["offset"] - bins["scatter"], bins["offset"] + bins["scatter"]
    ax.fill_between(middle, low, high, color=ORANGE, alpha=0.3, linewidth=0, label="scatter")
    ax.errorbar(
        middle,
        bins["offset"],
        bins["offset_err"],
        color=VERMILION,
        marker="o",
        markersize=5,
        capsize=3,
        label=f"median per {bin_width:g} mag and its error",
    )
    ax.legend(frameon=True, framealpha=0.85, edgecolor="none", loc="lower left")


def _symmetric_limit(values: np.ndarray, percent: float) -> float:
    """Return 1.25 times the percentile of the absolute values, as limit of a symmetric axis."""
    return 1.25 * float(np.percentile(np.abs(values), percent)) or 0.01 if values.size else 0.01


def pulls(pull: ArrayLike, *, ax: Axes | None = None) -> Axes:
    """Plot a histogram of pulls with the unit normal distribution expected for correct errors.

    Parameters
    ----------
    pull : (n,) array_like
        (Measured - reference) / error; values that are not finite are ignored.
    ax : matplotlib.axes.Axes, optional
        Axes to plot into; new ones by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = axes_or_new(ax)
    pull = np.asarray(pull, dtype=float)
    pull = pull[np.isfinite(pull)]
    edges = np.linspace(-PULL_LIMIT, PULL_LIMIT, 41)
    beyond = np.count_nonzero(np.abs(pull) > PULL_LIMIT)
    ax.hist(pull, list(edges), color=BLUE, alpha=0.35, label=f"{pull.size} sources")
    fine = np.linspace(-PULL_LIMIT, PULL_LIMIT, 201)
    normal = np.exp(-0.5 * fine**2) / np.sqrt(2 * np.pi) * pull.size * (edges[1] - edges[0])
    ax.plot(fine, normal, color=VERMILION, linewidth=2, label="normal, width 1")
    ax.set_xlim(-PULL_LIMIT, PULL_LIMIT)
    ax.set_xlabel("Pull: (measured − reference flux) / error")
    ax.set_ylabel("Sources")
    median = robust_statistics(pull)
    ax.set_title(
        f"pulls: median {format_signed(median.median, 2)} ± {median.median_err:.2f}, "
        f"width {pull_width(pull):.2f}" + (f"; {beyond} beyond ±{PULL_LIMIT:g}" if beyond else ""),
        fontsize="medium",
    )
    ax.legend(frameon=False, loc="upper right")
    grid(ax)
    return ax


def offset_map(
    x: ArrayLike,
    y: ArrayLike,
    offset: ArrayLike,
    *,
    shape: tuple[int, int] = (N_SCIENCE_PIXELS, N_SCIENCE_PIXELS),
    n_cells: int = 8,
    limit: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Plot a map of the median magnitude offset in cells of the detector.

    Parameters
    ----------
    x, y : (n,) array_like
        0-indexed pixel positions.
    offset : (n,) array_like
        Measured minus reference magnitude.
    shape : (int, int)
        Shape (ny, nx) of the detector.
    n_cells : int
        Number of cells along each axis; cells with less than three sources are empty.
    limit : float, optional
        Limit of the symmetric colour scale in mag; by default the largest median of a cell.
    ax : matplotlib.axes.Axes, optional
        Axes to plot into; new ones by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = axes_or_new(ax, SQUARE)
    cells = _cell_medians(x, y, offset, shape, n_cells)
    limit = limit or float(np.nanmax(np.abs(cells), initial=0.001))
    ny, nx = shape
    picture = ax.imshow(
        cells,
        origin="lower",
        extent=(-0.5, nx - 0.5, -0.5, ny - 0.5),
        cmap="PuOr",
        vmin=-limit,
        vmax=limit,
    )
    ax.set_facecolor("#D9D9D9")
    ax.set_xlabel("x (pixel)")
    ax.set_ylabel("y (pixel)")
    ax.set_title(
        f"median offset in {n_cells}×{n_cells} cells (gray: too few sources)",
        fontsize="medium",
        color=BLACK if np.isfinite(cells).any() else GRAY,
    )
    ax.figure.colorbar(picture, ax=ax, label="Measured − reference (mag)", shrink=0.9)
    return ax


def _cell_medians(
    x: ArrayLike, y: ArrayLike, offset: ArrayLike, shape: tuple[int, int], n_cells: int
) -> np.ndarray:
    """Return the median offset in each cell (row, column), NaN where there are too few."""
    x, y, offset = (np.asarray(values, dtype=float) for values in (x, y, offset))
    ny, nx = shape
    known = np.isfinite(x) & np.isfinite(y) & np.isfinite(offset)
    column = np.floor((x[known] + 0.5) / nx * n_cells)
    row = np.floor((y[known] + 0.5) / ny * n_cells)
    cells = np.full((n_cells, n_cells), np.nan)
    for i, j in np.ndindex(cells.shape):
        inside = offset[known][(row == i) & (column == j)]
        if inside.size >= MIN_PER_CELL:
            cells[i, j] = np.median(inside)
    return cells
