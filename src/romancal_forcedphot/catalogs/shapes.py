"""The shapes that a catalog tells of its sources: `Shapes`, under the names that are usual.

What the columns mean, by who writes them:

- romanisim and the Roman notebooks: ``type`` (SER or PSF), ``n``, ``half_light_radius`` in arcsec,
  ``ba``, ``pa`` from north through east. The radius is circularised: romanisim shears a round
  profile by `galsim.Shear(q=ba)`, which keeps its area, so half of the light lies in the ellipse of
  half axes ``half_light_radius`` / sqrt(ba) and ``half_light_radius`` * sqrt(ba).
- RAD: ``semimajor``, ``semiminor`` in arcsec, of second moments (standard deviations along the
  axes), ``orientation_sky`` or ``orientation_pix``. ``kron_radius`` is photutils' number of half
  axes, which romancal multiplies by the pixel scale of the image.
- photutils: ``semimajor_axis`` (``semimajor_sigma`` before 3.0) and so on in pixels,
  ``orientation`` on the pixels, ``kron_radius`` in half axes.
- SExtractor: ``A_WORLD``, ``B_WORLD`` in degrees with ``THETA_J2000`` or ``THETA_SKY``, or
  ``A_IMAGE``, ``B_IMAGE``, ``THETA_IMAGE`` on the pixels. Its ``KRON_RADIUS`` is 2.5 times what the
  others call so (the first of its ``PHOT_AUTOPARAMS``).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from astropy import units as u
from numpy.typing import NDArray

from ..photometry.shapes import SERSIC_INDEX_RANGE, Shapes
from .columns import CatalogColumns
from .errors import CatalogError
from .identifiers import to_names
from .values import to_numbers

__all__ = ["USUAL_SHAPES", "read_shapes"]

log = logging.getLogger(f"romancal.{__name__}")

SERSIC = ("n", "half_light_radius", "ba", "pa")
AXIS_RATIO_RANGE = (0.05, 1.001)  # float32 columns may round a circle up
SIZE_RANGE_ARCSEC = (1e-6, 15.0)
SIZE_RANGE_PIX = (1e-5, 150.0)
ANGLE_RANGE = (-720.0, 720.0)  # beyond it are numbers such as -999 that stand for none
KRON_RANGE = (0.1, 20.0)

_WITHOUT = "measure without shapes, by --aperture_shape=circle and --methods other than model"
_REMEDY = f"correct it, or {_WITHOUT}"
_TYPES = "SER for galaxies and PSF for stars"


@dataclass(frozen=True)
class _Moments:
    """Columns of ellipses of one kind of catalog; of several names the first that is there."""

    axes: tuple[tuple[str, str], ...]
    unit: u.UnitBase
    sky_angle: tuple[str, ...] = ()
    pixel_angle: tuple[str, ...] = ()
    kron_scale: float = 1.0


_KINDS = (
    _Moments((("semimajor", "semiminor"),), u.arcsec, ("orientation_sky",), ("orientation_pix",)),
    _Moments((("a_world", "b_world"),), u.deg, ("theta_j2000", "theta_sky"), kron_scale=2.5),
    _Moments(
        (("semimajor_axis", "semiminor_axis"), ("semimajor_sigma", "semiminor_sigma")),
        u.pix,
        pixel_angle=("orientation",),
    ),
    _Moments((("a_image", "b_image"),), u.pix, pixel_angle=("theta_image",), kron_scale=2.5),
)

USUAL_SHAPES = frozenset(
    {"type", "kron_radius", *SERSIC}.union(
        *(sum(kind.axes, ()) + kind.sky_angle + kind.pixel_angle for kind in _KINDS)
    )
)
"""Names of columns, in lower case, that `read_shapes` looks for."""


def read_shapes(columns: CatalogColumns, *, pixel_scale_arcsec: float = 0.11) -> Shapes:
    """Read the shapes of a catalog's sources.

    Sérsic profiles win over ellipses of moments, and axes on the sky over axes on pixels.

    Parameters
    ----------
    columns : CatalogColumns
        The catalog, whose columns are looked for under their usual names in any case. Numbers
        without a unit are arcsec, pixels or degrees, as who writes these names means them.
    pixel_scale_arcsec : float
        Of the image that a RAD catalog was made from, for its ``kron_radius`` in arcsec.

    Returns
    -------
    Shapes

    Raises
    ------
    CatalogError
        There are no shapes, or parts of them only, or something else than numbers of their kind.
    """
    if columns.first(["half_light_radius"]):
        return _sersic(columns)
    for kind in _KINDS:
        for axes in kind.axes:
            if any(columns.first([name]) for name in axes):
                return _moments(columns, kind, axes, pixel_scale_arcsec)
    raise CatalogError(
        f"{columns.shown} has no shapes: looked for {', '.join(SERSIC)}, semimajor/semiminor/"
        "orientation_sky, A_WORLD/B_WORLD/THETA_J2000 and other usual names among its columns, "
        f"{columns.listed}; rename its columns, or {_WITHOUT}"
    )


def _sersic(columns: CatalogColumns) -> Shapes:
    """Return Sérsic profiles where ``type`` is SER, or all rows where there is no ``type``."""
    n, radius, ratio, angle = (
        _numbers(columns, name, unit)
        for name, unit in zip(SERSIC, (u.one, u.arcsec, u.one, u.deg), strict=True)
    )
    is_star, is_galaxy = _types(columns, n.size)
    semimajor = radius / np.sqrt(np.where(ratio > 0, ratio, np.nan))
    good = is_galaxy & _in_range(n, *SERSIC_INDEX_RANGE) & _in_range(angle, *ANGLE_RANGE)
    good &= _in_range(ratio, *AXIS_RATIO_RANGE) & _in_range(semimajor, *SIZE_RANGE_ARCSEC)
    ratio = np.minimum(np.where(good, ratio, 1.0), 1.0)
    return _checked(
        columns,
        ~is_star,
        good,
        {
            "semimajor": radius / np.sqrt(ratio),
            "semiminor": radius * np.sqrt(ratio),
            "angle_deg": angle,
            "sersic_index": n,
        },
    )


def _types(columns: CatalogColumns, n_sources: int) -> tuple[NDArray, NDArray]:
    """Which rows ``type`` calls stars and which galaxies, all of them galaxies without it."""
    column = columns.first(["type"])
    if not column:
        return np.zeros(n_sources, dtype=bool), np.ones(n_sources, dtype=bool)
    names = np.char.upper(to_names(*columns.get(column), f"{_TYPES}; {_REMEDY}"))
    unknown = ~np.isin(names, ["SER", "PSF", ""])
    if unknown.any():
        row = int(np.argmax(unknown))
        raise CatalogError(
            f"{columns.shown}: column {column!r} has {str(names[row])!r} in row {row + 1}: "
            f"expected {_TYPES}; {_REMEDY}"
        )
    return names == "PSF", names == "SER"


def _moments(
    columns: CatalogColumns, kind: _Moments, axes: tuple[str, str], scale: float
) -> Shapes:
    """Return ellipses of second moments."""
    angle_column = columns.first(kind.sky_angle) or columns.first(kind.pixel_angle)
    if not angle_column:
        wanted = " or ".join((*kind.sky_angle, *kind.pixel_angle))
        raise CatalogError(
            f"{columns.shown} has {columns.first(axes)!r} and no {wanted}: expected both axes and "
            f"the angle of an ellipse; {_REMEDY}"
        )
    in_pixels = _is_in_pixels(columns, axes[0], kind.unit)
    unit = u.pix if in_pixels else u.arcsec
    usual = kind.unit if kind.unit.is_equivalent(unit) else unit  # that of the other axis
    semimajor, semiminor = (_numbers(columns, name, usual, unit) for name in axes)
    angle = _numbers(columns, angle_column, u.deg)
    kron = _kron_radius(columns, kind, scale)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = semiminor / semimajor
    good = _in_range(semimajor, *(SIZE_RANGE_PIX if in_pixels else SIZE_RANGE_ARCSEC))
    good &= _in_range(ratio, *AXIS_RATIO_RANGE) & _in_range(angle, *ANGLE_RANGE)
    on_pixels = not columns.first(kind.sky_angle)
    if (in_pixels or on_pixels) and (sky := columns.first(["ra", "alpha_j2000"])):
        log.warning(
            "Shapes of %s are on the pixels of an image (%r, %r) and its positions on the sky "
            "(%r): they are right on that very image alone",
            columns.shown,
            columns.first(axes),
            angle_column,
            sky,
        )
    values = {"semimajor": semimajor, "semiminor": semiminor, "angle_deg": angle}
    if kron is not None:
        values["kron_radius"] = np.where(_in_range(kron, *KRON_RANGE), kron, np.nan)
    everywhere = np.ones(angle.shape, dtype=bool)
    shapes = _checked(columns, everywhere, good, values, in_pixels, on_pixels)
    return shapes


def _kron_radius(columns: CatalogColumns, kind: _Moments, scale: float) -> NDArray | None:
    """Return Kron radii in half axes, None where there are none."""
    name = columns.first(["kron_radius"])
    if not name:
        return None
    unit = _unit_of(columns, name)
    if unit is not None and unit.is_equivalent(u.arcsec):
        return _numbers(columns, name, u.arcsec) / scale
    counted = u.pix if unit is not None and unit.is_equivalent(u.pix) else u.one  # photutils: pix
    return _numbers(columns, name, counted) / kind.kron_scale


def _is_in_pixels(columns: CatalogColumns, name: str, usual: u.UnitBase) -> bool:
    """Whether a column of axes is in pixels, by its unit or by who writes such names."""
    return (_unit_of(columns, columns.first([name])) or usual).is_equivalent(u.pix)


def _unit_of(columns: CatalogColumns, name: str | None) -> u.UnitBase | None:
    """Return the unit of a column, None without one or without a column."""
    unit = getattr(columns.get(name)[0], "unit", None) if name else None
    text = str(unit or "").strip()
    return None if text in ("", "None") else u.Unit(unit, parse_strict="silent")


def _numbers(
    columns: CatalogColumns, name: str, usual: u.UnitBase, unit: u.UnitBase | None = None
) -> NDArray:
    """Return a column in a unit; without one of its own it is in the usual unit."""
    found = columns.first([name])
    if not found:
        raise CatalogError(
            f"{columns.shown} has shapes, but no column {name!r}: its columns are "
            f"{columns.listed}; {_REMEDY}"
        )
    values = to_numbers(*columns.get(found), unit or usual, _WITHOUT)
    if unit is None or _unit_of(columns, found) is not None:
        return values
    return values * usual.to(unit)


def _in_range(values: NDArray, least: float, most: float) -> NDArray[np.bool_]:
    """Which values are in a range; NaN is in none."""
    return (values >= least) & (values <= most)


def _checked(
    columns: CatalogColumns,
    wanted: NDArray,
    good: NDArray,
    values: dict[str, NDArray],
    in_pixels: bool = False,
    on_pixels: bool = False,
) -> Shapes:
    """Return shapes with NaN in rows without one, and say how many are impossible."""
    bad = wanted & ~good
    if bad.any():
        row = int(np.argmax(bad))
        shown = ", ".join(f"{name} {value[row]:g}" for name, value in values.items())
        log.warning(
            "%s: %d of %d shapes are impossible, the first in row %d (%s); they are flagged, and "
            "their model, ellipse and Kron fluxes are NaN",
            columns.shown,
            np.count_nonzero(bad),
            np.count_nonzero(wanted),
            row + 1,
            shown,
        )
    usable = wanted & good
    return Shapes(
        **{name: np.where(usable, value, np.nan) for name, value in values.items()},
        is_bad=bad,
        axes_in_pixels=in_pixels,
        angle_on_pixels=on_pixels,
    )
