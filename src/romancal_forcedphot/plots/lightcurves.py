"""Pictures of light curves: one source over time, all sources by their scatter, cutouts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.stats import mad_std
from astropy.table import Table
from astropy.timeseries import TimeSeries
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from .style import BLUE, DPI, GRAY, GREEN, ORANGE, VERMILION, axes_or_new, grid, magnitude_label

__all__ = ["cutout_series", "light_curve", "rms_against_magnitude"]

_COLORS = (BLUE, VERMILION, GREEN, ORANGE, "#CC79A7", "#56B4E9", "#F0E442", GRAY)
_MARKERS = "os^Dv<>p"
_QUANTITIES = {
    "abmag": "Magnitude (AB)",
    "flux": "Flux (nJy)",
    "flux_difference": "Flux less that of the baseline (nJy)",
}
_MAGNITUDES_PER_RATIO = 2.5 / np.log(10)
_BINS = 24


def light_curve(
    series: TimeSeries,
    *,
    quantity: str = "abmag",
    period: float | None = None,
    epoch: float | None = None,
    sigma: float = 3.0,
    ax: Axes | None = None,
) -> Axes:
    """Draw a light curve, each band in its colour.

    Parameters
    ----------
    series : TimeSeries
        As `LightCurves.source` returns it.
    quantity : {'abmag', 'flux', 'flux_difference'}
        What to draw. As magnitudes, points below ``sigma`` times their error are arrows that begin
        at their limit.
    period : float, optional
        Days to fold with; two periods are drawn.
    epoch : float, optional
        MJD (TAI) of phase 0; the first point if not given.
    sigma : float
        Ratio of signal to noise from which a point is a detection.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        Flagged points are hollow.

    Raises
    ------
    ValueError
        The quantity is unknown or not there, or the period not positive.
    """
    if quantity not in _QUANTITIES or quantity not in series.colnames:
        known = [name for name in _QUANTITIES if name in series.colnames]
        raise ValueError(f"quantity is {quantity!r}: expected one of {', '.join(known)}")
    if period is not None and not period > 0:
        raise ValueError(f"period is {period}: expected days, more than 0")
    ax = axes_or_new(ax)
    when = _times(series, period, epoch)
    bands = np.asarray(series["band"]).astype(str)
    for number, band in enumerate(sorted(set(bands.tolist()))):
        mine = bands == band
        look = {
            "color": _COLORS[number % len(_COLORS)],
            "marker": _MARKERS[number % len(_MARKERS)],
        }
        _draw_band(ax, series[mine], when[mine], quantity, sigma, period is not None, band, look)
    if quantity == "abmag":
        ax.invert_yaxis()
    else:
        ax.axhline(0.0, color=GRAY, linewidth=0.8)
    if ax.get_legend_handles_labels()[0]:
        place: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0)}
        ax.legend(frameon=False, ncols=4, title=_title(series), **place)
    ax.set_xlabel("MJD (TAI)" if period is None else f"Phase ({period:g} d)")
    ax.set_ylabel(_QUANTITIES[quantity])
    grid(ax)
    return ax


def _title(series: TimeSeries) -> str | None:
    """Which source it is."""
    name = series.meta.get("source_name", series.meta.get("label"))
    return None if name is None else f"Source {name}"


def _times(series: TimeSeries, period: float | None, epoch: float | None) -> np.ndarray:
    """MJD, or the phase of a period."""
    mjd = series.time.tai.mjd
    if period is None:
        return mjd
    start = epoch if epoch is not None else mjd.min(initial=np.inf)
    return np.mod((mjd - start) / period, 1.0)


def _draw_band(
    ax: Axes,
    points: TimeSeries,
    when: np.ndarray,
    quantity: str,
    sigma: float,
    is_folded: bool,
    band: str,
    look: dict[str, str],
) -> None:
    """Draw the points of a band: detections with errors, others as limits."""
    value, error = (_plain(points[name]) for name in (quantity, f"{quantity}_err"))
    flagged = np.asarray(points["warning_flags"]) != 0
    is_limit, limits = np.zeros(len(points), dtype=bool), np.full(len(points), np.nan)
    if quantity == "abmag":
        is_limit, limits = ~(_plain(points["snr"]) >= sigma), _plain(points["limit_abmag"])
    is_shown = ~is_limit & np.isfinite(value), is_limit & ~flagged & np.isfinite(limits)
    n_points, n_limits = map(np.count_nonzero, is_shown)
    label, limit_label = f"{band}: {n_points}", f"{band}: {n_limits} limit{'s'[: n_limits - 1]}"
    for shift in (0.0, 1.0) if is_folded else (0.0,):
        for chosen, fill in ((~flagged, None), (flagged, "none")):
            shown = chosen & is_shown[0]
            if shown.any():
                style: dict[str, Any] = {
                    "linestyle": "none",
                    "markersize": 4,
                    "elinewidth": 0.8,
                    **look,
                }
                style |= {"label": label} | ({"markerfacecolor": fill} if fill else {})
                ax.errorbar(when[shown] + shift, value[shown], error[shown], **style)
                label = "_nolegend_"
        shown = is_shown[1]
        if shown.any():
            style = {"color": look["color"], "marker": "v", "linestyle": "none", "alpha": 0.6}
            style |= {"label": limit_label, "markersize": 5, "markerfacecolor": "none"}
            ax.plot(when[shown] + shift, limits[shown], **style)
            limit_label = "_nolegend_"


def rms_against_magnitude(table: Table, band: str, *, ax: Axes | None = None) -> Axes:
    """Draw the scatter of all light curves in a band against their magnitude.

    The scatter of a source is sqrt(χ²/(n − 1)) of constancy times its usual error; the line is the
    median of the usual errors, which constant sources scatter about.

    Parameters
    ----------
    table : astropy.table.Table
        `LightCurves.table`.
    band : str
        Such as ``'F106'``.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = axes_or_new(ax)
    name = band.lower()
    number = np.asarray(table[f"{name}_n_good"], dtype=float)
    mean, mean_err, chi2 = (
        np.asarray(table[f"{name}_{end}"], dtype=float)
        for end in ("mean_flux", "mean_flux_err", "chi2")
    )
    use = (number > 1) & (mean > 0) & (chi2 > 0)
    magnitude = 31.4 - 2.5 * np.log10(mean[use])
    expected = _MAGNITUDES_PER_RATIO * mean_err[use] * np.sqrt(number[use]) / mean[use]
    scatter = expected * np.sqrt(chi2[use] / (number[use] - 1))
    points = ax.scatter(magnitude, scatter, s=6, color=BLUE, linewidth=0, alpha=0.5)
    points.set_label(f"light curves: {np.count_nonzero(use)}")
    points.set_rasterized(True)
    if use.any():
        centers, medians = _running_median(magnitude, expected)
        ax.plot(centers, medians, color=VERMILION, linewidth=2, label="their errors")
        ax.set_yscale("log")
        ax.legend(frameon=False, loc="upper left")
    ax.set_xlabel(magnitude_label(band, "mean"))
    ax.set_ylabel("Scatter (mag)")
    grid(ax)
    return ax


def _running_median(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Medians of y in bins of x that hold values, and the bins' centres."""
    edges = np.linspace(x.min(), np.nextafter(x.max(), np.inf) + 1e-9, _BINS + 1)
    number = np.digitize(x, edges) - 1
    filled = [each for each in range(_BINS) if (number == each).any()]
    centers = 0.5 * (edges[:-1] + edges[1:])
    return centers[filled], np.array([np.median(y[number == each]) for each in filled])


def cutout_series(
    stamps: Sequence[ArrayLike], titles: Sequence[str], *, n_columns: int = 8
) -> Figure:
    """Draw cutouts of one source over time, all on one grey scale.

    Parameters
    ----------
    stamps : sequence of (ny, nx) array_like
        The cutouts, NaN where the image ends; the source at their middle.
    titles : sequence of str
        One line above each.
    n_columns : int
        Cutouts in a row.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        There is no cutout.
    """
    arrays = [np.asarray(stamp, dtype=float) for stamp in stamps]
    if not arrays:
        raise ValueError("there is no cutout to draw: the source is on no image that can be read")
    n_columns = min(n_columns, len(arrays))
    n_rows = -(-len(arrays) // n_columns)
    size = (1.25 * n_columns, 1.45 * n_rows)
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    values = np.concatenate([stamp[np.isfinite(stamp)] for stamp in arrays])
    sky = float(np.median(values)) if values.size else 0.0
    noise = float(mad_std(values)) if values.size else 1.0
    low, high = sky - 3 * noise, max(float(values.max(initial=sky)), sky + 10 * noise)
    for number, (stamp, title) in enumerate(zip(arrays, titles, strict=True), 1):
        ax = figure.add_subplot(n_rows, n_columns, number)
        ax.imshow(
            np.arcsinh((stamp - low) / max(noise, 1e-30)),
            cmap="gray",
            origin="lower",
            vmin=0,
            vmax=np.arcsinh((high - low) / max(noise, 1e-30)),
        )
        ax.set_title(title, fontsize=6, pad=2)
        ax.set_axis_off()
    return figure


def _plain(column: object) -> np.ndarray:
    """Numbers of a column, whether it has a unit or not."""
    return np.asarray(getattr(column, "value", column), dtype=float)
