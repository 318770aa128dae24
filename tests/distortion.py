"""pysiaf's own Roman distortion and attitude, and WCS that hold the same distortion.

pysiaf shares no code with gwcs: its polynomials, its V2/V3 frame and its attitude matrix give sky
positions and pixel areas on their own.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.polynomial.polynomial import polyder, polyval2d

SHAPE = (4088, 4088)
ARCSEC = np.radians(1 / 3600)
# right ascension, declination and roll of the boresight: plain, across the wrap, at the poles
POINTINGS = {
    "plain": (270.0, 66.0, 33.0),
    "wrap": (0.1, -0.4, 120.0),
    "north pole": (80.0, 89.6, -20.0),
    "south pole": (200.0, -89.7, 250.0),
}


def roman_siaf():
    """Apertures of Roman by their names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pysiaf

        return pysiaf.Siaf("Roman")


def coefficients(aperture, axis):
    """The aperture's polynomial to ideal coordinates as c[i, j] of x**i y**j."""
    degree = aperture.Sci2IdlDeg
    matrix = np.zeros((degree + 1, degree + 1))
    for total in range(degree + 1):
        for power in range(total + 1):
            value = getattr(aperture, f"Sci2Idl{axis}{total}{power}")
            matrix[total - power, power] = value
    return matrix


def distortion_of(aperture):
    """Pixel to V2/V3 as astropy models, as a CRDS distortion reference holds it."""
    from astropy.modeling import models

    polynomials = []
    for axis in "XY":
        matrix = coefficients(aperture, axis)
        polynomial = models.Polynomial2D(aperture.Sci2IdlDeg)
        for i, j in np.argwhere(matrix != 0):
            setattr(polynomial, f"c{i}_{j}", matrix[i, j])
        polynomials.append(polynomial)
    angle, parity = np.radians(aperture.V3IdlYAngle), aperture.VIdlParity
    rotation = models.AffineTransformation2D(
        [[parity * np.cos(angle), np.sin(angle)], [-parity * np.sin(angle), np.cos(angle)]],
        translation=[aperture.V2Ref, aperture.V3Ref],
    )
    shift = models.Shift(1 - aperture.XSciRef) & models.Shift(1 - aperture.YSciRef)
    return shift | models.Mapping((0, 1, 0, 1)) | (polynomials[0] & polynomials[1]) | rotation


def make_wcs(distortion, pointing):
    """An L2 WCS: detector to V2/V3 to sky, with the bounding box that romancal gives it."""
    import gwcs
    from astropy import coordinates, units
    from astropy.modeling import models
    from gwcs import coordinate_frames
    from gwcs.geometry import CartesianToSpherical, SphericalToCartesian

    ra, dec, roll = pointing
    to_sky = (
        (models.Scale(1 / 3600) & models.Scale(1 / 3600))
        | SphericalToCartesian(wrap_lon_at=180)
        | models.RotationSequence3D([0, 0, roll, dec, -ra], "zyxyz")
        | CartesianToSpherical(wrap_lon_at=360)
    )
    detector = coordinate_frames.Frame2D(name="detector", unit=(units.pix, units.pix))
    v2v3 = coordinate_frames.Frame2D(name="v2v3", unit=(units.arcsec, units.arcsec))
    world = coordinate_frames.CelestialFrame(reference_frame=coordinates.ICRS(), name="world")
    wcs = gwcs.WCS([(detector, distortion), (v2v3, to_sky), (world, None)])
    wcs.bounding_box = ((-0.5, SHAPE[1] - 0.5), (-0.5, SHAPE[0] - 0.5))
    return wcs


def siaf_sky(aperture, pointing, x, y):
    """Sky positions of 0-indexed pixels by pysiaf alone."""
    from pysiaf.utils import rotations

    attitude = rotations.attitude_matrix(0.0, 0.0, *pointing)
    v2, v3 = aperture.sci_to_tel(np.asarray(x) + 1, np.asarray(y) + 1)
    ra, dec = rotations.tel_to_sky(attitude, v2, v3)
    return np.asarray(ra.to_value("deg")), np.asarray(dec.to_value("deg"))


def siaf_solid_angle(aperture, x, y):
    """Steradian per pixel: the polynomials' determinant times cos(V3)."""
    u, v = x + 1 - aperture.XSciRef, y + 1 - aperture.YSciRef
    first, second = coefficients(aperture, "X"), coefficients(aperture, "Y")
    slope = [[polyval2d(u, v, polyder(c, axis=k)) for k in (0, 1)] for c in (first, second)]
    determinant = slope[0][0] * slope[1][1] - slope[0][1] * slope[1][0]
    _, v3 = aperture.sci_to_tel(x + 1, y + 1)
    return np.abs(determinant) * ARCSEC**2 * np.cos(v3 * ARCSEC)


def random_pixels(n, low=-0.5, high=SHAPE[0] - 0.5):
    return np.random.default_rng(7).uniform(low, high, (2, n))


def tangent_wcs(scale, ra, dec):
    """A plain tangent projection of `scale` degrees per pixel about the pixel (50, 40)."""
    import gwcs
    from astropy import coordinates
    from astropy.modeling import models
    from gwcs import coordinate_frames

    transform = (
        (models.Shift(-50.0) & models.Shift(-40.0))
        | (models.Scale(scale) & models.Scale(scale))
        | models.Pix2Sky_TAN()
        | models.RotateNative2Celestial(ra, dec, 180.0)
    )
    frame = coordinate_frames.CelestialFrame(reference_frame=coordinates.ICRS())
    return gwcs.WCS([(coordinate_frames.Frame2D(name="detector"), transform), (frame, None)])
