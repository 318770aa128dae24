"""The ePSF on the pixels of a mosaic, against GalSim's convolutions with squares."""

from __future__ import annotations

import galsim
import numpy as np
import pytest

from romancal_forcedphot.psfs import GriddedEPSF
from romancal_forcedphot.psfs.drizzled import drizzled_epsf, radial_mean

OVERSAMPLE = 4
HALF_SIZE = 10  # detector pixels


def stamp_of(*profiles, scale, half_size):
    """Flux in a whole pixel of unit area on each sample, scale in detector pixels."""
    side = 2 * half_size * OVERSAMPLE + 1
    profile = galsim.Convolve(*profiles)
    drawn = profile.drawImage(
        nx=side, ny=side, scale=scale / OVERSAMPLE, method="no_pixel", dtype=float
    )
    return drawn.array * OVERSAMPLE**2


@pytest.mark.parametrize(("ratio", "pixfrac"), [(1.0, 1.0), (0.5, 0.8), (1.3, 0.0)])
def test_it_is_convolved_with_the_squares_of_drizzling(ratio, pixfrac):
    star = galsim.Gaussian(sigma=0.9)
    stamps = [stamp_of(star, galsim.Pixel(1.0), scale=1.0, half_size=HALF_SIZE)] * 2
    epsf = GriddedEPSF(np.array(stamps), [10.0, 4000.0], [10.0, 10.0], OVERSAMPLE)
    drizzled = drizzled_epsf(epsf, detector_pixel=1 / ratio, droplet=pixfrac / ratio)
    squares = [galsim.Pixel(side) for side in (1.0, pixfrac, ratio) if side]
    half_size = int(HALF_SIZE * OVERSAMPLE / ratio) / OVERSAMPLE
    expected = stamp_of(star, *squares, scale=ratio, half_size=half_size)
    assert drizzled.stamps.shape == (1, *expected.shape)
    # squares are not round: what directions differ by is averaged
    difference = np.abs(drizzled.stamps[0] - radial_average(expected)).max()
    assert difference < 1e-3 * expected.max()
    assert drizzled.stamp_flux_fractions[0] == pytest.approx(1, abs=1e-4)
    assert drizzled.description["averaged_over_positions"] == 2


def radial_average(stamp):
    """Mean over rotations, by GalSim's interpolation."""
    image = galsim.InterpolatedImage(
        galsim.Image(stamp, scale=1.0), x_interpolant=galsim.Lanczos(15)
    )
    angles = np.arange(0, 90, 5) * galsim.degrees
    side = len(stamp)
    drawn = [
        image.rotate(angle)
        .drawImage(nx=side, ny=side, scale=1.0, method="no_pixel", dtype=float)
        .array
        for angle in angles
    ]
    return np.mean(drawn, axis=0)


def test_what_depends_on_direction_alone_averages_to_nothing():
    offset = np.arange(-30, 31)
    x, y = np.meshgrid(offset, offset)
    stamp = np.exp(-(x**2 + y**2) / 50) * (1 + 0.3 * np.cos(4 * np.arctan2(y, x)))
    stamp[30, 30] = 1
    mean = radial_mean(stamp)
    radius = np.arange(4, 25)
    np.testing.assert_allclose(mean(radius), np.exp(-(radius**2) / 50), atol=2e-3)
