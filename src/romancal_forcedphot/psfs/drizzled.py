"""The ePSF of a mosaic, from that of a detector.

A pixel of a mosaic averages the PSF over the detector's pixel (which an ePSF has already), over the
square on which drizzling spread the flux of that pixel, and over its own area. The exposures of a
mosaic have several orientations and a source has another place on each: like romancal's PSF of
Level-3 images (``source_catalog.psf.create_l3_psf_model``), this one is averaged over all
directions. Unlike that one, which is of the middle of the detector, it is the mean over the grid of
positions.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy
from numpy.typing import NDArray

from .epsf import GriddedEPSF
from .fourier import sample_frequencies

__all__ = ["averaged_over_squares", "drizzled_epsf", "radial_mean"]

_N_DIRECTIONS = 720
_STEPS_PER_SAMPLE = 2


def drizzled_epsf(epsf: GriddedEPSF, *, detector_pixel: float, droplet: float) -> GriddedEPSF:
    """Return the azimuthally averaged ePSF on the pixels of a mosaic.

    Parameters
    ----------
    epsf : GriddedEPSF
        On the pixels of the detector.
    detector_pixel : float
        Side of a detector pixel in pixels of the mosaic.
    droplet : float
        Side of the square over which drizzling spread the flux of a detector pixel, in pixels of
        the mosaic.

    Returns
    -------
    GriddedEPSF
        With one position; as many samples per pixel, and stamps that reach as far on the sky. It
        has no wings, which are those of the detector's pixels.
    """
    ratio = 1 / detector_pixel
    mean = epsf.stamps.mean(axis=0)
    blurred = averaged_over_squares(mean, epsf.oversample, (droplet * ratio, ratio))
    profile = radial_mean(blurred)
    half = int(epsf.stamp_radius * epsf.oversample / ratio)
    offset = np.arange(-half, half + 1) * ratio
    stamp = profile(np.hypot(offset, offset[:, None])) * ratio**2
    provenance = {
        **epsf.provenance,
        "azimuthally_averaged": True,
        "averaged_over_positions": int(epsf.x.size),
        "convolved_with_squares": [side for side in (droplet, 1.0) if side > 0],
    }
    place = [np.median(epsf.x)], [np.median(epsf.y)]
    return replace(
        epsf, stamps=stamp[None], x=place[0], y=place[1], wings=None, provenance=provenance
    )


def averaged_over_squares(stamp: NDArray, oversample: int, sides: tuple[float, ...]) -> NDArray:
    """Convolve a well-sampled stamp with squares.

    Parameters
    ----------
    stamp : (ny, nx) ndarray
        The stamp.
    oversample : int
        Samples per pixel.
    sides : tuple of float
        Sides of the squares in pixels, of unit integral.

    Returns
    -------
    (ny, nx) ndarray of float64
    """
    u, v = sample_frequencies(*stamp.shape, oversample)
    transform = np.fft.rfft2(stamp)
    for side in sides:
        transform *= np.sinc(side * u) * np.sinc(side * v)
    return np.fft.irfft2(transform, s=stamp.shape)


def radial_mean(stamp: NDArray) -> scipy.interpolate.CubicSpline:
    """Return the mean of a stamp over all directions from its middle.

    Parameters
    ----------
    stamp : (n, n) ndarray
        The stamp, its middle at index (n - 1) / 2.

    Returns
    -------
    scipy.interpolate.CubicSpline
        Of the distance in samples, up to the corners, where it is the mean over those directions
        in which the stamp goes as far.
    """
    middle = (len(stamp) - 1) / 2
    n_radii = int(_STEPS_PER_SAMPLE * np.sqrt(2) * middle) + 1
    radius = np.linspace(0.0, np.sqrt(2) * middle, n_radii)
    angle = 2 * np.pi * np.arange(_N_DIRECTIONS) / _N_DIRECTIONS + np.pi / 4  # through the corners
    y, x = (radius[:, None] * function(angle) + middle for function in (np.sin, np.cos))
    values = scipy.ndimage.map_coordinates(stamp, [y, x], order=3, mode="nearest")
    tolerance = 1e-9 * len(stamp)
    inside = (np.maximum(abs(x - middle), abs(y - middle)) <= middle + tolerance).astype(float)
    return scipy.interpolate.CubicSpline(radius, (values * inside).sum(axis=1) / inside.sum(axis=1))
