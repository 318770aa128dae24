"""Sums over circular apertures with exact pixel overlaps, for many sources at once.

A batch of sources is cut out of the image as small square stamps, flattened to one row of pixels
per source. Weighting and summing are then products and row sums of such tables. Stamps cut for
the largest radius serve all smaller ones. Data are float32 with NaN at pixels that may not be
used, errors may be float16: sums are taken in float64.

What is summed over the pixels i, with w the fraction of the pixel inside the circle, m = 1 where
it may be used, d the data, e their error and a the relative pixel area:
flux = sum(w m d a), variance = sum(w² m e² a²), area = sum(w m a). The background b is left to
the caller, who has flux - b * area.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...geometry import circle_overlap, ellipse_overlap, stamp_reach
from .cutouts import neighbor_values, neighbors_on_image, split_position

__all__ = [
    "ApertureSums",
    "Stamps",
    "aperture_sums",
    "cut_stamps",
    "sum_in_circle",
    "sum_in_ellipse",
]


@dataclass(frozen=True)
class ApertureSums:
    """What the circles of n sources hold. All arrays have one row per source.

    Attributes
    ----------
    flux : float64 array (n,)
        Sum of w m d a, in units of the image times pixels; 0 where no pixel is usable.
    variance : float64 array (n,)
        Sum of w² m e² a².
    area : float64 array (n,)
        Sum of w m a, in pixels.
    weights : float64 array (n, s, s)
        w m on the stamp, indexed [source, y, x]. The stamp's odd side s holds the circle and its
        central pixel is (rint(y), rint(x)).
    full_weights : float64 array (n, s, s)
        w on the stamp, masked pixels and those off the image included.
    masked : bool array (n,)
        A pixel on the image that touches the circle may not be used.
    saturated : bool array (n,)
        A saturated pixel, used or not, touches the circle.
    cut_by_edge : bool array (n,)
        Part of the circle is off the image.
    off_image : bool array (n,)
        No pixel that touches the circle is on the image: the source was not placed.
    center_unusable : bool array (n,)
        The pixel that the position lies in is masked or off the image.
    """

    flux: np.ndarray
    variance: np.ndarray
    area: np.ndarray
    weights: np.ndarray
    full_weights: np.ndarray
    masked: np.ndarray
    saturated: np.ndarray
    cut_by_edge: np.ndarray
    off_image: np.ndarray
    center_unusable: np.ndarray


@dataclass(frozen=True)
class Stamps:
    """Square cutouts around n sources, flattened: arrays (n, s * s), float64 or bool.

    `data` and `variance` are multiplied by the relative pixel area and its square, and are 0
    where `usable` is False; `area` is the relative pixel area, None for 1 everywhere.
    """

    reach: int
    x_fraction: np.ndarray
    y_fraction: np.ndarray
    data: np.ndarray
    variance: np.ndarray
    area: np.ndarray | None
    usable: np.ndarray
    on_image: np.ndarray
    saturated: np.ndarray

    def central(self, pixels: np.ndarray, reach: int) -> np.ndarray:
        """The part of some of the stamps' pixels within `reach` of the central one: (n, t * t)."""
        if reach == self.reach:
            return pixels
        side, margin = 2 * self.reach + 1, self.reach - reach
        square = pixels.reshape(-1, side, side)[:, margin : side - margin, margin : side - margin]
        return square.reshape(-1, (2 * reach + 1) ** 2)


def aperture_sums(data, err, saturated, area, x, y, radius: float) -> ApertureSums:
    """Sum data, variance and area over a circle around each position.

    Parameters
    ----------
    data : float32 array (ny, nx)
        Image with NaN at pixels that may not be used.
    err : float array (ny, nx)
        Standard error of `data`, of any float type; not looked at where `data` is NaN.
    saturated : bool array (ny, nx) or None
        Saturated pixels; None where that is not known.
    area : float array (ny, nx) or None
        Relative pixel area; None for 1 everywhere. Not looked at where `data` is NaN.
    x, y : float64 array (n,)
        Finite 0-indexed positions, on the image or not.
    radius : float
        Radius of the circles in pixels.

    Returns
    -------
    ApertureSums
    """
    return sum_in_circle(cut_stamps(data, err, saturated, area, x, y, radius), radius)


def cut_stamps(data, err, saturated, area, x, y, radius: float) -> Stamps:
    """Cut out what circles of up to `radius` pixels can touch; parameters as `aperture_sums`."""
    reach = stamp_reach(radius)
    y_pixel, y_fraction = split_position(y, data.shape[0], reach)
    x_pixel, x_fraction = split_position(x, data.shape[1], reach)
    dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1)
    around = (y_pixel, x_pixel, dy, dx)
    on_image = neighbors_on_image(data.shape, *around)
    values = neighbor_values(data, *around, fill=np.nan).astype(np.float64)
    errors = neighbor_values(err, *around, fill=0).astype(np.float64)
    usable = np.isfinite(values)
    values, errors = np.where(usable, values, 0.0), np.where(usable, errors, 0.0)
    areas = None
    if area is not None:
        areas = np.where(usable, neighbor_values(area, *around, fill=0), 0.0)
        values, errors = values * areas, errors * areas
    return Stamps(
        reach=reach,
        x_fraction=x_fraction,
        y_fraction=y_fraction,
        data=values,
        variance=errors * errors,
        area=areas,
        usable=usable,
        on_image=on_image,
        saturated=np.zeros_like(usable)
        if saturated is None
        else neighbor_values(saturated, *around, fill=False),
    )


def sum_in_circle(stamps: Stamps, radius) -> ApertureSums:
    """Sum stamps over circles of radii up to the one that they were cut for.

    With a radius for each source (n,) the sums are taken over the whole stamps, so that rounding,
    too, does not depend on the other sources' radii.
    """
    largest = np.max(radius, initial=0.0)
    reach = stamps.reach if np.ndim(radius) else stamp_reach(radius)
    if stamp_reach(largest) > stamps.reach:
        raise ValueError(
            f"radius {largest} pixels does not fit stamps of reach {stamps.reach}: "
            "cut the stamps for the largest radius"
        )
    return _sums(stamps, circle_overlap(stamps.x_fraction, stamps.y_fraction, radius, reach))


def sum_in_ellipse(stamps: Stamps, semimajor, semiminor, theta) -> ApertureSums:
    """Sum stamps over ellipses, which must fit them.

    Parameters
    ----------
    stamps : Stamps
        Of n sources.
    semimajor, semiminor : float64 array (n,)
        Half axes in pixels.
    theta : float64 array (n,)
        Angle of the major axis in radian, counterclockwise from the positive x axis.

    Returns
    -------
    ApertureSums
    """
    ellipses = (semimajor, semiminor, theta)
    overlap = ellipse_overlap(stamps.x_fraction, stamps.y_fraction, *ellipses, stamps.reach)
    return _sums(stamps, overlap)


def _sums(stamps: Stamps, full_weights: np.ndarray) -> ApertureSums:
    """Sum stamps with weights (n, t, t) of their central pixels."""
    reach = full_weights.shape[-1] // 2
    w = full_weights.reshape(-1, (2 * reach + 1) ** 2)
    touched = w > 0
    usable = stamps.central(stamps.usable, reach)
    on_image = stamps.central(stamps.on_image, reach)
    used = w * usable
    area = used if stamps.area is None else used * stamps.central(stamps.area, reach)
    center = w.shape[1] // 2
    return ApertureSums(
        flux=(used * stamps.central(stamps.data, reach)).sum(axis=1),
        variance=(used * used * stamps.central(stamps.variance, reach)).sum(axis=1),
        area=area.sum(axis=1),
        weights=used.reshape(full_weights.shape),
        full_weights=full_weights,
        masked=(touched & on_image & ~usable).any(axis=1),
        saturated=(touched & stamps.central(stamps.saturated, reach)).any(axis=1),
        cut_by_edge=(touched & ~on_image).any(axis=1),
        off_image=~(touched & on_image).any(axis=1),
        center_unusable=~usable[:, center],
    )
