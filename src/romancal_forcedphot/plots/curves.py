"""Plots of magnitudes, their errors and encircled energy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from ..table.statistics import magnitude_edges
from .style import BLUE, GRAY, GREEN, ORANGE, VERMILION, axes_or_new, grid, magnitude_label

__all__ = ["encircled_energy", "magnitude_errors", "magnitude_histogram"]

TYPE_NAMES = {"PSF": "stars (PSF)", "SER": "galaxies (SER)"}
_LINE_STYLES = ((BLUE, "-"), (ORANGE, "--"), (GREEN, "-."), (GRAY, ":"))
_MARKERS = "os^Dv"
_OTHER = "other"


def magnitude_histogram(
    magnitude: ArrayLike,
    kind: ArrayLike | None = None,
    *,
    band: str = "",
    bin_width: float = 0.25,
    names: Mapping[str, str] = TYPE_NAMES,
    ax: Axes | None = None,
) -> Axes:
    """Plot a histogram of magnitudes by source type.

    Parameters
    ----------
    magnitude : (n,) array_like
        AB magnitudes; values that are not finite are ignored.
    kind : (n,) array_like of str, optional
        Type of each source. With more than four types the rarest are combined as 'other'.
    band : str
        Filter, for the axis label.
    bin_width : float
        Width of the bins in mag.
    names : mapping of str to str
        Names of the types in the legend.
    ax : matplotlib.axes.Axes, optional
        Axes to plot into; new ones by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = axes_or_new(ax)
    magnitude = np.asarray(magnitude, dtype=float)
    kind = np.full(magnitude.shape, "sources") if kind is None else np.asarray(kind).astype(str)
    known = np.isfinite(magnitude)
    edges = magnitude_edges(magnitude, bin_width)
    samples = _samples(kind[known])
    for (name, chosen), (color, line) in zip(samples, _LINE_STYLES, strict=False):
        values = magnitude[known][chosen]
        style: dict[str, Any] = {"color": color, "linestyle": line, "linewidth": 2}
        legend = f"{names.get(name, name)}: {values.size}"
        ax.hist(values, list(edges), histtype="step", label=legend, **style)
        ax.hist(values, list(edges), histtype="stepfilled", color=color, alpha=0.2)
    if known.any():
        ax.set_yscale("log")
        ax.set_ylim(bottom=0.7)
        _legend_above(ax, len(samples))
    ax.set_xlabel(magnitude_label(band))
    ax.set_ylabel(f"Sources per {bin_width:g} mag")
    grid(ax)
    return ax


def _samples(kind: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Types in order of frequency, each with the mask of its sources; the rarest combined."""
    found, counts = np.unique(kind, return_counts=True)
    order = found[np.argsort(-counts, kind="stable")]
    if len(order) <= len(_LINE_STYLES):
        return [(str(name), kind == name) for name in order]
    most = order[: len(_LINE_STYLES) - 1]
    samples = [(str(name), kind == name) for name in most]
    return [*samples, (_OTHER, ~np.isin(kind, most))]


def magnitude_errors(
    magnitude: ArrayLike,
    magnitude_err: ArrayLike,
    flags: ArrayLike | None = None,
    *,
    band: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Plot the errors of magnitudes against the magnitudes.

    Parameters
    ----------
    magnitude, magnitude_err : (n,) array_like
        In mag(AB); values that are not finite are ignored.
    flags : (n,) array_like of int, optional
        ``warning_flags``; flagged sources have another symbol.
    band : str
        Filter, for the axis label.
    ax : matplotlib.axes.Axes, optional
        Axes to plot into; new ones by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = axes_or_new(ax)
    magnitude, errors = (np.asarray(a, dtype=float) for a in (magnitude, magnitude_err))
    flagged = np.zeros(magnitude.shape, bool) if flags is None else np.asarray(flags) != 0
    shown = np.isfinite(magnitude) & np.isfinite(errors) & (errors > 0)
    for chosen, color, marker, name in (
        (shown & ~flagged, BLUE, ".", "good"),
        (shown & flagged, VERMILION, "x", "flagged"),
    ):
        if chosen.any():
            look: dict[str, Any] = {"color": color, "marker": marker, "linewidth": 0.8}
            look["label"] = f"{name}: {np.count_nonzero(chosen)}"
            points = ax.scatter(magnitude[chosen], errors[chosen], s=12, **look)
            points.set_rasterized(True)
    if shown.any():
        ax.set_yscale("log")
        _legend_above(ax, 2)
    ax.set_xlabel(magnitude_label(band, "measured"))
    ax.set_ylabel("Error (mag)")
    grid(ax)
    return ax


def encircled_energy(
    radius: ArrayLike,
    fraction: ArrayLike,
    *,
    used_radii: Sequence[float] = (),
    used_fractions: Sequence[float | None] = (),
    unit: str = "pixel",
    name: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Plot the encircled-energy fraction against radius, with the aperture radii marked.

    Parameters
    ----------
    radius, fraction : (n,) array_like
        The curve of growth, radii in `unit`.
    used_radii : sequence of float
        Aperture radii in `unit`.
    used_fractions : sequence of float or None
        Encircled-energy fractions by which the fluxes in these apertures were divided, None where
        unknown. If empty, those of the curve.
    unit : {'pixel', 'arcsec'}
        Unit of all radii.
    name : str
        Name of the curve in the legend.
    ax : matplotlib.axes.Axes, optional
        Axes to plot into; new ones by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = axes_or_new(ax)
    radius, fraction = (np.asarray(values, dtype=float) for values in (radius, fraction))
    ax.plot(radius, fraction, color=BLUE, linewidth=2, label=name or "encircled energy")
    if len(used_radii) and not len(used_fractions):
        used_fractions = np.interp(used_radii, radius, fraction)
    unit_name = "arcsec" if unit == "arcsec" else "pixels"
    for index, (used, value) in enumerate(zip(used_radii, used_fractions, strict=True)):
        _mark_radius(ax, float(used), value, unit_name, _MARKERS[index % len(_MARKERS)])
    ax.set_xlim(0, radius.max(initial=0.0, where=np.isfinite(radius)) or 1.0)
    ax.set_ylim(0, 1.04)
    ax.set_xlabel(f"Radius ({unit_name})")
    ax.set_ylabel("Encircled-energy fraction")
    ax.legend(frameon=False, loc="lower right")
    grid(ax)
    return ax


def _mark_radius(ax: Axes, radius: float, fraction: float | None, unit: str, marker: str) -> None:
    """Mark an aperture radius and its encircled-energy fraction, if known."""
    style: dict[str, Any] = {"color": VERMILION, "linestyle": ":", "linewidth": 1.3}
    if fraction is None or not np.isfinite(fraction):
        ax.axvline(radius, label=f"{radius:.4g} {unit}", **style)
        return
    ax.plot([radius, radius, 0], [0, fraction, fraction], **style)
    label = f"{radius:.4g} {unit}: {fraction:.4f}"
    ax.plot(radius, fraction, marker, color=VERMILION, markersize=7, label=label)


def _legend_above(ax: Axes, n_columns: int) -> None:
    """Put the legend above the axes, where it hides no data."""
    location: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0)}
    ax.legend(frameon=False, ncols=n_columns, borderaxespad=0.2, **location)
