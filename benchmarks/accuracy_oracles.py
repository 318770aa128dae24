"""Two other ways to the same fluxes, written with photutils and without our package.

`notebook_recipe` is what an astronomer gets from the Roman aperture-photometry notebook;
`slow_oracle` does by the book, one source after the other, what the step does fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import roman_datamodels as rdm
from astropy.nddata import NDData
from astropy.stats import SigmaClip
from photutils.aperture import CircularAnnulus, CircularAperture
from photutils.psf import GriddedPSFModel

ANNULUS = (20.0, 25.0)
NOMINAL_SCALE_ARCSEC = 0.11
DO_NOT_USE = 1

Fluxes = dict[float, tuple[np.ndarray, np.ndarray]]
"""Total flux and its error (nJy), for each aperture radius."""


@dataclass(frozen=True)
class Pixels:
    """The arrays of an image, and what turns their units into nJy."""

    data: np.ndarray
    err: np.ndarray
    usable: np.ndarray
    wcs: Any
    zero_point: float

    @classmethod
    def read(cls, model: Any) -> Pixels:
        """Read an open model, which must stay open."""
        photometry = model.meta.photometry
        data, err = np.array(model.data, float), np.array(model.err, float)
        usable = (np.array(model.dq) & DO_NOT_USE == 0) & np.isfinite(data) & (err > 0)
        zero_point = 1e15 * photometry.conversion_megajanskys * photometry.pixel_area
        return cls(data, err, usable, model.meta.wcs, zero_point)


def notebook_recipe(
    pixels: Pixels, curve: Any, ra: np.ndarray, dec: np.ndarray, radii: Sequence[float]
) -> Fluxes:
    """Return fluxes as the Roman notebook makes them.

    The WCS's own inverse, the median of the annulus as it is, errors of the aperture's pixels
    alone, no pixel area, masked pixels kept, and one aperture correction for the whole detector:
    the encircled energy at the radius in pixels of 0.11 arcsec.
    """
    x, y = pixels.wcs.invert(ra, dec, with_bounding_box=False)
    places = np.column_stack([x, y])
    background = []
    for mask in CircularAnnulus(places, *ANNULUS).to_mask(method="center"):
        values = mask.get_values(pixels.data)
        background.append(np.median(values) if values.size else np.nan)
    result, squared = {}, pixels.err**2
    for radius in radii:
        masks = CircularAperture(places, radius).to_mask(method="exact")
        sums = [
            (_sum(mask, pixels.data) - level * np.pi * radius**2, _sum(mask, squared))
            for mask, level in zip(masks, background, strict=True)
        ]
        flux, variance = np.array(sums).T
        caught = np.interp(radius * NOMINAL_SCALE_ARCSEC, curve["ee_radii"], curve["ee_fractions"])
        scale = pixels.zero_point / caught
        result[radius] = (scale * flux, scale * np.sqrt(variance))
    return result


def _sum(mask: Any, image: np.ndarray) -> float:
    """Sum of an image under a mask, NaN off the image."""
    weighted = mask.multiply(image)
    return np.nan if weighted is None else weighted.sum()


def slow_oracle(
    pixels: Pixels,
    epsf: GriddedPSFModel,
    ra: np.ndarray,
    dec: np.ndarray,
    radii: Sequence[float],
) -> tuple[Fluxes, np.ndarray, np.ndarray]:
    """Return fluxes by photutils' pixels, the WCS's pixel areas and the ePSF, and x and y.

    One source after the other; NaN within 28 pixels of the image's edge.
    """
    x, y = _by_newton(pixels.wcs, ra, dec)
    central = _solid_angles(pixels.wcs, *(np.array([(n - 1) / 2]) for n in pixels.data.shape))[0]
    result = {radius: (np.full(len(x), np.nan), np.full(len(x), np.nan)) for radius in radii}
    for row, place in enumerate(zip(x, y, strict=True)):
        if not _is_inside(place, pixels.data.shape):
            continue
        for radius, answer in _one_source(pixels, epsf, place, central, radii).items():
            result[radius][0][row], result[radius][1][row] = answer
    return result, x, y


def read_epsf(path: Path) -> GriddedPSFModel:
    """Return the ePSF reference, first spectral type, in focus, as photutils' model."""
    with rdm.open(path) as reference:
        meta = reference.meta
        places = list(zip(meta.pixel_x, meta.pixel_y, strict=True))
        stamps = np.array(reference.psf[0, 0], dtype=float)
        return GriddedPSFModel(
            NDData(stamps, meta={"grid_xypos": places, "oversampling": int(meta.oversample)})
        )


def read_curve(path: Path, band: str) -> dict[str, np.ndarray]:
    """Return encircled energies and their radii (arcsec) of the apcorr reference."""
    with rdm.open(path) as reference:
        entry = reference.data[band]
        return {key: np.array(entry[key]) for key in ("ee_radii", "ee_fractions")}


def _by_newton(wcs: Any, ra: np.ndarray, dec: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return pixel positions by Newton's method on the forward transform.

    gwcs' own `numerical_inverse` does not converge for a third of the sources.
    """

    def missed(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        found = wcs(x, y, with_bounding_box=False)
        return np.array([(found[0] - ra) * np.cos(np.deg2rad(dec)), found[1] - dec])

    x, y = wcs.invert(ra, dec, with_bounding_box=False)
    for _ in range(3):
        here = missed(x, y)
        along_x, along_y = missed(x + 0.5, y) - here, missed(x, y + 0.5) - here
        jacobian = 2 * np.stack([along_x, along_y], axis=1).transpose(2, 0, 1)
        step = np.linalg.solve(jacobian, here.T[..., np.newaxis])[..., 0]
        x, y = x - step[:, 0], y - step[:, 1]
    return x, y


def _is_inside(place: tuple[float, float], shape: tuple[int, int]) -> bool:
    reach = ANNULUS[1] + 3
    return all(reach < at < n - 1 - reach for at, n in zip(place, shape[::-1], strict=True))


def _one_source(
    pixels: Pixels,
    epsf: GriddedPSFModel,
    place: tuple[float, float],
    central_area: float,
    radii: Sequence[float],
) -> dict[float, tuple[float, float]]:
    """Total flux and error of one source by DESIGN.md, section 4."""
    half = int(ANNULUS[1]) + 2
    column, row = (round(float(at)) for at in place)
    box = (slice(row - half, row + half + 1), slice(column - half, column + half + 1))
    data, err, usable = pixels.data[box], pixels.err[box], pixels.usable[box]
    dy, dx = np.mgrid[-half : half + 1, -half : half + 1]
    local = (place[0] - column + half, place[1] - row + half)
    light = epsf.evaluate(dx + column, dy + row, 1.0, *place)

    ring = CircularAnnulus(local, *ANNULUS).to_mask(method="center").to_image(data.shape) > 0
    clipped = SigmaClip(3.0, maxiters=5)(data[ring & usable], masked=False)
    level = np.median(clipped)
    level_err = np.sqrt(np.pi / 2) * clipped.std() / np.sqrt(clipped.size)
    in_ring = light[ring].mean()

    answers = {}
    for radius in radii:
        w = CircularAperture(local, radius).to_mask(method="exact").to_image(data.shape)
        inside = w > 0
        area = np.zeros(data.shape)
        area[inside] = (
            _solid_angles(pixels.wcs, dx[inside] + column, dy[inside] + row) / central_area
        )
        w = w * usable
        used = np.where(w > 0, data - level, 0.0)
        flux = (w * used * area).sum()
        variance = (w**2 * np.where(w > 0, err, 0.0) ** 2 * area**2).sum()
        variance += (level_err * (w * area).sum()) ** 2
        caught = (w * light).sum() - (w * area).sum() * in_ring
        scale = pixels.zero_point / caught
        answers[radius] = (scale * flux, scale * np.sqrt(variance))
    return answers


def _solid_angles(wcs: Any, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Solid angle (sr) of pixels, from the diagonals between their four corners on the sky."""
    corner_x = x + np.array([[-0.5], [0.5], [0.5], [-0.5]])
    corner_y = y + np.array([[-0.5], [-0.5], [0.5], [0.5]])
    ra, dec = (np.deg2rad(angle) for angle in wcs(corner_x, corner_y, with_bounding_box=False))
    corner = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)
    cross = np.cross(corner[2] - corner[0], corner[3] - corner[1])
    return np.linalg.norm(cross, axis=-1) / 2
