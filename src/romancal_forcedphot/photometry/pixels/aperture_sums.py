"""Sums over circular apertures with exact pixel overlaps, for many sources at once.

The sums are those of photutils' `~photutils.aperture.CircularAperture` with ``method='exact'``.
Square stamps around a batch of sources are cut out of the image and flattened to one row of pixels
per source; the weighted sums are row sums of products of such arrays. Stamps cut for the largest
radius serve all smaller ones. Data are float32 with NaN at unusable pixels, errors may be float16:
sums are in float64.

With the fraction w of a pixel inside the circle, m = 1 for usable pixels and 0 for others, data d,
error e and relative pixel area a, the sums over pixels are: flux = sum(w m d a),
variance = sum(w² m e² a²), area = sum(w m a). With a background b per pixel, the
background-subtracted flux is flux - b * area.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...geometry import circle_overlap, ellipse_overlap, stamp_reach
from .cutouts import Cutouts, split_position

__all__ = [
    "ApertureSums",
    "Stamps",
    "aperture_sums",
    "cut_stamps",
    "sum_in_circle",
    "sum_in_ellipse",
    "sum_with_weights",
]


@dataclass(frozen=True)
class ApertureSums:
    """Sums over the circular apertures of n sources, and properties of their pixels.

    Attributes
    ----------
    flux : (n,) ndarray of float64
        Sum of w m d a, in image units times pixels; 0 where no pixel is usable.
    variance : (n,) ndarray of float64
        Sum of w² m e² a².
    area : (n,) ndarray of float64
        Sum of w m a, in pixels.
    weights : (n, s, s) ndarray of float64
        w m on stamps of odd side s centred on pixel (rint(y), rint(x)), indexed [source, y, x].
    full_weights : (n, s, s) ndarray of float64
        w on the stamps, for masked pixels and those off the image, too.
    masked : (n,) ndarray of bool
        Whether an unusable pixel on the image overlaps the circle.
    saturated : (n,) ndarray of bool
        Whether a saturated pixel, usable or not, overlaps the circle.
    cut_by_edge : (n,) ndarray of bool
        Whether part of the circle is off the image.
    off_image : (n,) ndarray of bool
        Whether no pixel that overlaps the circle is on the image.
    center_unusable : (n,) ndarray of bool
        Whether the central pixel is unusable or off the image.
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
    """Square cutouts around n sources, flattened to arrays (n, s * s) with s = 2 * reach + 1.

    Attributes
    ----------
    reach : int
        Half width of the stamps in pixels.
    x_fraction, y_fraction : (n,) ndarray of float64
        Positions of the sources relative to the centre of the central pixel, -0.5 to 0.5.
    data, variance : (n, s * s) ndarray of float64
        Data times relative pixel area, and its variance; 0 where not usable.
    area : (n, s * s) ndarray of float64 or None
        Relative pixel area, 0 where not usable; None for 1 everywhere.
    usable, on_image, saturated : (n, s * s) ndarray of bool
        Properties of the pixels.
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

    def crop(self, pixels: np.ndarray, reach: int) -> np.ndarray:
        """Crop one of the arrays to a smaller half width.

        Parameters
        ----------
        pixels : (n, s * s) ndarray
            One of the stamps' arrays.
        reach : int
            Half width in pixels, not larger than that of the stamps.

        Returns
        -------
        (n, t * t) ndarray
            With t = 2 * reach + 1.
        """
        if reach == self.reach:
            return pixels
        side, margin = 2 * self.reach + 1, self.reach - reach
        square = pixels.reshape(-1, side, side)[:, margin : side - margin, margin : side - margin]
        return square.reshape(-1, (2 * reach + 1) ** 2)

    @cached_property
    def flaws(self) -> Flaws:
        """The pixels that are not usable or saturated, which are few."""
        row, pixel = np.divmod(np.flatnonzero(~self.usable | self.saturated), self.usable.shape[1])
        y, x = np.divmod(pixel, 2 * self.reach + 1)
        properties = (each[row, pixel] for each in (self.usable, self.on_image, self.saturated))
        return Flaws(row, y - self.reach, x - self.reach, *properties)


@dataclass(frozen=True)
class Flaws:
    """Pixels of stamps that are not usable or saturated.

    Attributes
    ----------
    row : (m,) ndarray of intp
        Which stamp.
    dy, dx : (m,) ndarray of intp
        Pixels from its central pixel.
    usable, on_image, saturated : (m,) ndarray of bool
        Properties of the pixels.
    """

    row: np.ndarray
    dy: np.ndarray
    dx: np.ndarray
    usable: np.ndarray
    on_image: np.ndarray
    saturated: np.ndarray

    def within(self, reach: int) -> Flaws:
        """Return those in the central part of the stamps, of a half width in pixels."""
        near = np.maximum(np.abs(self.dy), np.abs(self.dx)) <= reach
        return Flaws(*(each[near] for each in vars(self).values()))


def aperture_sums(data, err, saturated, area, x, y, radius: float) -> ApertureSums:
    """Sum data, variance and area over a circular aperture at each position.

    Parameters
    ----------
    data : (ny, nx) ndarray of float32
        Image with NaN at unusable pixels.
    err : (ny, nx) ndarray of float
        Standard deviation of `data`; ignored where `data` is NaN.
    saturated : (ny, nx) ndarray of bool or None
        Saturated pixels; None if unknown.
    area : (ny, nx) ndarray of float or None
        Relative pixel area; None for 1 everywhere. Ignored where `data` is NaN.
    x, y : (n,) ndarray of float64
        Finite 0-indexed pixel positions, on the image or off it.
    radius : float
        Radius of the apertures in pixels.

    Returns
    -------
    ApertureSums
    """
    return sum_in_circle(cut_stamps(data, err, saturated, area, x, y, radius), radius)


def cut_stamps(data, err, saturated, area, x, y, radius: float) -> Stamps:
    """Cut out the pixels that apertures of up to a radius can overlap.

    Parameters
    ----------
    data, err, saturated, area, x, y
        As for `aperture_sums`.
    radius : float
        Largest radius in pixels.

    Returns
    -------
    Stamps
    """
    reach = stamp_reach(radius)
    y_pixel, y_fraction = split_position(y, data.shape[0], reach)
    x_pixel, x_fraction = split_position(x, data.shape[1], reach)
    dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1)
    cutouts = Cutouts.around(data.shape, y_pixel, x_pixel, dy, dx)
    values = cutouts.values(data, fill=np.nan)
    usable = np.isfinite(values)
    unusable = np.flatnonzero(~usable)
    planes = [values.astype(np.float64), cutouts.values(err, fill=0).astype(np.float64)]
    planes += [] if area is None else [cutouts.values(area, fill=0).astype(np.float64)]
    for plane in planes:
        plane.reshape(-1)[unusable] = 0.0
    values, errors, *areas = planes
    for relative in areas:
        values *= relative
        errors *= relative
    return Stamps(
        reach=reach,
        x_fraction=x_fraction,
        y_fraction=y_fraction,
        data=values,
        variance=np.square(errors, out=errors),
        area=areas[0] if areas else None,
        usable=usable,
        on_image=cutouts.are_on_image,
        saturated=np.zeros_like(usable)
        if saturated is None
        else cutouts.values(saturated, fill=False),
    )


def sum_in_circle(stamps: Stamps, radius) -> ApertureSums:
    """Sum stamps over circular apertures.

    With one radius per source the sums are over the whole stamps, so that even their rounding does
    not depend on the radii of other sources.

    Parameters
    ----------
    stamps : Stamps
        Cutouts of n sources.
    radius : float or (n,) ndarray
        Radius in pixels, up to the one that the stamps were cut for; common to all sources or one
        per source.

    Returns
    -------
    ApertureSums

    Raises
    ------
    ValueError
        A radius is too large for the stamps.
    """
    largest = np.max(radius, initial=0.0)
    reach = stamps.reach if np.ndim(radius) else stamp_reach(radius)
    if stamp_reach(largest) > stamps.reach:
        raise ValueError(
            f"radius {largest} pixels does not fit stamps of reach {stamps.reach}: "
            "cut the stamps for the largest radius"
        )
    overlap = circle_overlap(stamps.x_fraction, stamps.y_fraction, radius, reach)
    return sum_with_weights(stamps, overlap)


def sum_in_ellipse(stamps: Stamps, semimajor, semiminor, theta) -> ApertureSums:
    """Compute the sums over ellipses that fit the stamps.

    Parameters
    ----------
    stamps : Stamps
        Stamps of n sources.
    semimajor, semiminor : (n,) ndarray of float64
        Half axes in pixels.
    theta : (n,) ndarray of float64
        Angle of the major axis in radian, counterclockwise from the positive x axis.

    Returns
    -------
    ApertureSums
    """
    ellipses = (semimajor, semiminor, theta)
    overlap = ellipse_overlap(stamps.x_fraction, stamps.y_fraction, *ellipses, stamps.reach)
    return sum_with_weights(stamps, overlap)


def sum_with_weights(
    stamps: Stamps, full_weights: np.ndarray, *, least: float = 0.0
) -> ApertureSums:
    """Compute sums with any weights.

    Parameters
    ----------
    stamps : Stamps
        Stamps of n sources.
    full_weights : (n, t, t) ndarray of float64
        Weights of the pixels in the central part of the stamps, t odd.
    least : float
        Weight above which a pixel counts as part of the aperture, in what the result says of masked
        and saturated pixels and of the edge.

    Returns
    -------
    ApertureSums
    """
    reach = full_weights.shape[-1] // 2
    full = full_weights.reshape(-1, (2 * reach + 1) ** 2)
    flaws = stamps.flaws.within(reach)
    places = flaws.row, (flaws.dy + reach) * (2 * reach + 1) + flaws.dx + reach
    overlaps = full[places] > least
    used = full
    if not flaws.usable.all():
        used = full.copy()
        used[places] *= flaws.usable

    def has(some: np.ndarray) -> np.ndarray:
        found = np.zeros(len(full), dtype=bool)
        found[flaws.row[some]] = True
        return found

    cut = has(overlaps & ~flaws.on_image)
    off_image = ~(full > least).any(axis=1)
    off_image[cut] = ~((full[cut] > least) & stamps.crop(stamps.on_image[cut], reach)).any(axis=1)
    area = () if stamps.area is None else (stamps.crop(stamps.area, reach),)
    return ApertureSums(
        flux=_sum_of_products(used, stamps.crop(stamps.data, reach)),
        variance=_sum_of_products(used * used, stamps.crop(stamps.variance, reach)),
        area=_sum_of_products(used, *area),
        weights=used.reshape(full_weights.shape),
        full_weights=full_weights,
        masked=has(overlaps & flaws.on_image & ~flaws.usable),
        saturated=has(overlaps & flaws.saturated),
        cut_by_edge=cut,
        off_image=off_image,
        center_unusable=~stamps.usable[:, stamps.usable.shape[1] // 2],
    )


def _sum_of_products(*factors: np.ndarray) -> np.ndarray:
    """Sums (n,) of the products of arrays (n, k), without arrays of products."""
    return np.einsum(",".join(["ij"] * len(factors)) + "->i", *factors)
