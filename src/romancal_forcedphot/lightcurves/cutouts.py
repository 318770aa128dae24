"""Cutouts of one source from the images that its light curve was measured on."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..exposures import open_image
from .reading import LightCurves

__all__ = ["cutouts"]

log = logging.getLogger(f"romancal.{__name__}")


def cutouts(
    curves: LightCurves,
    label: int | str,
    *,
    side: int = 25,
    most: int = 40,
    band: str = "",
    number: int | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> tuple[list[NDArray], list[str]]:
    """Read cutouts of a source over time.

    Parameters
    ----------
    curves : LightCurves
        The light curves, whose images must still be where they were.
    label : int or str
        The source's label or text id.
    side : int
        Odd side of a cutout in pixels.
    most : int
        Most cutouts; of more points, some spread evenly over time.
    band : str
        Only of this band; all if empty.
    number : int, optional
        Which of several sources of one label.
    storage_options : mapping, optional
        How to reach images that are not local. See `storage.open_remote`.

    Returns
    -------
    stamps : list of (side, side) ndarray of float32
        Image units; NaN beyond the image's edge. Images that cannot be read are left out.
    titles : list of str
        Band and MJD of each.
    """
    series = curves.source(label, number=number)
    if band:
        series = series[np.asarray(series["band"]).astype(str) == band]
    chosen = np.unique(np.linspace(0, max(len(series) - 1, 0), min(most, len(series))).astype(int))
    places = dict(zip(curves.exposures["exposure"], curves.exposures["location"], strict=True))
    stamps, titles = [], []
    for row in series[chosen]:
        location = str(places[str(row["exposure"])])
        x, y = (int(np.rint(getattr(row[axis], "value", row[axis]))) for axis in "xy")
        try:
            with open_image(location, storage_options=storage_options) as model:
                stamps.append(_stamp(np.asarray(model.data), x, y, side // 2))
        except (OSError, ValueError) as error:
            log.warning("No cutout of %s: %s", location, error)
            continue
        titles.append(f"{row['band']} {row['time'].mjd:.2f}")
    return stamps, titles


def _stamp(data: NDArray, x: int, y: int, half: int) -> NDArray:
    """Pixels around a place, NaN beyond the image."""
    ny, nx = data.shape
    stamp = np.full((2 * half + 1, 2 * half + 1), np.nan, dtype=np.float32)
    bottom, left = max(y - half, 0), max(x - half, 0)
    part = data[
        bottom : max(min(y + half + 1, ny), bottom), left : max(min(x + half + 1, nx), left)
    ]
    if part.size:
        row, column = bottom - (y - half), left - (x - half)
        stamp[row : row + part.shape[0], column : column + part.shape[1]] = part
    return stamp
