"""What all pictures share: colours that everyone can tell apart, and new Axes.

The colours are those of Okabe and Ito (2008), distinct in every common kind of colour blindness;
maps use matplotlib's ``cividis`` and ``PuOr``, which are too.
"""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["BLACK", "BLUE", "GRAY", "GREEN", "ORANGE", "SKY", "VERMILION", "axes_or_new", "grid"]

BLUE, ORANGE, GREEN, VERMILION, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9"
BLACK, GRAY = "#000000", "#7F7F7F"

DPI = 144
SIZE = (7.0, 4.6)  # inches: 1008 pixels wide
SQUARE = (7.0, 5.9)


def axes_or_new(ax: Axes | None, size: tuple[float, float] = SIZE) -> Axes:
    """Return the given Axes, or the only Axes of a new Figure without a window."""
    if ax is not None:
        return ax
    return Figure(figsize=size, dpi=DPI, layout="constrained").add_subplot()


def grid(ax: Axes) -> None:
    """Draw a light grid beneath the data and take away the box's right and upper sides."""
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def magnitude_label(band: str, what: str = "") -> str:
    """Label of a magnitude axis, such as ``F106 reference magnitude (AB)``."""
    words = " ".join(part for part in (band, what, "magnitude (AB)") if part)
    return words[0].upper() + words[1:]
