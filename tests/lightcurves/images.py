"""Small Level-2 images of Gaussian stars at known places, as files."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from astropy import units as u
from astropy.table import Table
from astropy.time import Time

from small import CENTER, SCALE_DEG, level2_image, tangent_wcs

SHAPE = (180, 200)
SIGMA_PIX = 1.1
#: nJy per DN/s of `small.level2_image`: 0.25 MJy/sr times 2.8e-13 sr.
NJY_PER_DN = 0.25 * 2.8e-13 * 1e15
#: No reference files, no corrections: an aperture of 6 pixels holds all of such a star.
PLAIN = {
    "pixel_area": "none",
    "aperture_correction": "none",
    "aperture_radii": "6",
    "annulus_radii": "10,16",
}


@dataclass
class Field:
    """Isolated stars on a grid, a catalog of them, and images of it."""

    n_stars: int = 30
    seed: int = 20
    noise: float = 0.05
    flux: np.ndarray = field(init=False)
    x: np.ndarray = field(init=False)
    y: np.ndarray = field(init=False)

    def __post_init__(self):
        rng = np.random.default_rng(self.seed)
        places = [(x, y) for y in range(22, 170, 27) for x in range(22, 190, 31)][: self.n_stars]
        self.x, self.y = np.array(places).T + rng.uniform(-2, 2, (2, self.n_stars))
        self.flux = 10 ** rng.uniform(1.6, 2.6, self.n_stars)  # DN/s

    @property
    def catalog(self):
        """The stars by their places on the sky."""
        ra, dec = tangent_wcs(SHAPE)(self.x, self.y)
        return Table(
            {"label": np.arange(101, 101 + self.n_stars), "ra": ra * u.deg, "dec": dec * u.deg},
            meta={"name": "field"},
        )

    def save(self, path, mjd, *, factor=1.0, scale=1.0, drift=(0.0, 0.0), band="F106", seed=0):
        """Write an image of the stars, times a factor each, and the whole times a scale."""
        image = level2_image(SHAPE, seed)
        rng = np.random.default_rng(seed)
        data = 0.5 + rng.normal(0, self.noise, SHAPE)
        rows, columns = np.indices(SHAPE)
        for x, y, flux in zip(
            self.x + drift[0], self.y + drift[1], self.flux * factor, strict=True
        ):
            r2 = (columns - x) ** 2 + (rows - y) ** 2
            data += flux * np.exp(-r2 / (2 * SIGMA_PIX**2)) / (2 * np.pi * SIGMA_PIX**2)
        image.data = (scale * data).astype(np.float32)
        image.err = np.full(SHAPE, scale * self.noise, dtype=np.float16)
        start = Time(mjd, format="mjd", scale="utc")
        image.meta.exposure.start_time = Time(start.isot)
        image.meta.exposure.end_time = Time((start + 120 * u.s).isot)
        image.meta.exposure.exposure_time = 107.0
        image.meta.instrument.optical_element = band
        image.meta.filename = path.name
        image.save(path)
        return path


def pixel_scale_arcsec():
    """Side of a pixel by the images' own nominal area."""
    return float((2.8e-13 * u.sr).to_value(u.arcsec**2)) ** 0.5


__all__ = ["CENTER", "NJY_PER_DN", "PLAIN", "SCALE_DEG", "SHAPE", "Field", "pixel_scale_arcsec"]
