"""Images of stars whose PSF is known in closed form: Gaussians, integrated over pixels.

A narrow core, a halo and far wings; the core is wider towards larger x, the halo towards larger y.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from romancal_forcedphot.psfs import GriddedEPSF

OVERSAMPLE = 4
HALF_SIZE = 30
NODES = (0.0, 100.0, 199.0)
READ_VARIANCE = 0.04
GAIN = 20.0  # counts per unit of data


def along(offset, sigma):
    """Light of a Gaussian of unit flux within half a pixel of an offset."""
    return ndtr((offset + 0.5) / sigma) - ndtr((offset - 0.5) / sigma)


def components(x, y):
    """Shares and widths of the PSF at a place of the detector."""
    return (0.78, 0.62 + 0.0004 * x), (0.17, 1.6 + 0.001 * y), (0.05, 6.0)


def star(dx, dy, x=100.0, y=100.0):
    """Light on pixels at offsets (ny, 1) and (1, nx), or the like, from a star."""
    return sum(share * along(dx, sigma) * along(dy, sigma) for share, sigma in components(x, y))


def make_epsf():
    """Return the ePSF on a grid of three by three positions."""
    offset = np.arange(-HALF_SIZE * OVERSAMPLE, HALF_SIZE * OVERSAMPLE + 1) / OVERSAMPLE
    x, y = (axis.ravel() for axis in np.meshgrid(NODES, NODES))
    stamps = [star(offset, offset[:, None], *place) for place in zip(x, y, strict=True)]
    return GriddedEPSF(np.array(stamps), x, y, OVERSAMPLE)


@dataclass(frozen=True)
class Simulated:
    """An image and the truth of it."""

    data: np.ndarray
    err: np.ndarray
    variance: np.ndarray
    light: np.ndarray
    sky: np.ndarray
    x: np.ndarray
    y: np.ndarray
    flux: np.ndarray


def render(x, y, flux, shape, epsf, area=None):
    """Return the surface brightness of stars, each on all pixels that its stamp holds."""
    ny, nx = shape
    half = HALF_SIZE - 2
    image = np.zeros((ny + 4 * half, nx + 4 * half))
    column, row = np.rint(x).astype(int), np.rint(y).astype(int)
    for k in np.flatnonzero((abs(x - nx / 2) < nx / 2 + half) & (abs(y - ny / 2) < ny / 2 + half)):
        stamp = epsf.on_pixels(x[k : k + 1], y[k : k + 1], 2 * half + 1)[0]
        rows = slice(row[k] + half, row[k] + 3 * half + 1)
        image[rows, column[k] + half : column[k] + 3 * half + 1] += flux[k] * stamp
    image = image[2 * half : 2 * half + ny, 2 * half : 2 * half + nx]
    return image if area is None else image / area


def simulate(epsf, x, y, flux, *, shape=(200, 200), sky=1.0, area=None, seed=0, noise=True):
    """Return an image of stars on a sky (number or image), with Poisson and read noise."""
    rng = np.random.default_rng(seed)
    light = render(x, y, flux, shape, epsf, area)
    sky = np.broadcast_to(np.asarray(sky, dtype=float), shape)
    expected = light + sky
    variance = READ_VARIANCE + expected / GAIN
    data = expected.copy()
    err = np.sqrt(variance)
    if noise:
        counted = rng.poisson(np.maximum(expected, 0) * GAIN) / GAIN
        data = counted + rng.normal(0, np.sqrt(READ_VARIANCE), shape)
        err = np.sqrt(READ_VARIANCE + np.maximum(counted, 0) / GAIN)
    return Simulated(
        data.astype(np.float32), err.astype(np.float32), variance, light, sky, x, y, flux
    )


def field(n, *, shape=(200, 200), margin=5.0, decades=(0.3, 3.5), seed=1):
    """Return random positions, on the image and a little beyond, and fluxes uniform in the log."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-margin, shape[1] - 1 + margin, n)
    y = rng.uniform(-margin, shape[0] - 1 + margin, n)
    return x, y, 10 ** rng.uniform(*decades, n)
