"""Colours, sizes and axes common to all plots.

The colours are those of Okabe and Ito (2008), which can be distinguished with all common kinds of
colour blindness; so can matplotlib's colour maps ``cividis`` and ``PuOr``, used for maps.
"""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = [
    "BLACK",
    "BLUE",
    "GRAY",
    "GREEN",
    "ORANGE",
    "SQUARE",
    "VERMILION",
    "axes_or_new",
    "grid",
    "magnitude_label",
]

BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
BLACK, GRAY = "#000000", "#7F7F7F"

DPI = 144
SIZE = (7.0, 4.6)  # inches: 1008 pixels wide
SQUARE = (7.0, 5.9)


def axes_or_new(ax: Axes | None, size: tuple[float, float] = SIZE) -> Axes:
    """Return the given Axes, or those of a new Figure.

    Parameters
    ----------
    ax : matplotlib.axes.Axes or None
        The given Axes.
    size : (float, float)
        Width and height of a new Figure in inches.

    Returns
    -------
    matplotlib.axes.Axes
    """
    if ax is not None:
        return ax
    return Figure(figsize=size, dpi=DPI, layout="constrained").add_subplot()


def grid(ax: Axes) -> None:
    """Draw a grid beneath the data and remove the right and upper spines.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to change.
    """
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def magnitude_label(band: str, what: str = "") -> str:
    """Return the label of a magnitude axis, such as ``F106 reference magnitude (AB)``.

    Parameters
    ----------
    band : str
        Filter, may be empty.
    what : str
        Which magnitude, such as ``'reference'``; may be empty.

    Returns
    -------
    str
        Begins with a capital.
    """
    label = " ".join(part for part in (band, what, "magnitude (AB)") if part)
    return label[0].upper() + label[1:]
