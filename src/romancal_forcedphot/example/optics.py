"""The optics of a simulated exposure: distortion, pixel area, point-spread function.

Everything a simulated star owes to the telescope is made here, and the reference files that
describe the exposure are made from the same objects, so that scene and calibration cannot
disagree.

The distortion is pysiaf's, because romanisim's own WCS without CRDS can not be inverted by gwcs.
The point-spread function is romanisim's (GalSim's optical model at the four corners of the
detector, interpolated between them), and `draw_epsf` of the very object that draws the stars is
what the ePSF reference holds.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..geometry import N_SCIENCE_PIXELS

if TYPE_CHECKING:
    from collections.abc import Iterator

CURVE_RADII_ARCSEC = np.arange(1, 201) * 0.025  # the radii of the apcorr files delivered now
_CURVE_OVERSAMPLE = 16
_STEP_PIX = 0.5  # half the baseline over which the WCS is differentiated


@dataclass(frozen=True)
class Optics:
    """What the telescope does to the sky of one exposure.

    Attributes
    ----------
    wcs : gwcs.WCS
        Pixel (0-indexed) to ICRS, degrees.
    area_steradian : ndarray (n_pixels, n_pixels), float64
        Solid angle of every pixel.
    central_area_steradian : float
        Solid angle of a pixel at the centre of the image.
    psf : romanisim.psf.VariablePSF
        The point-spread function; `ready_to_draw` makes it ready to draw many stars.
    """

    wcs: Any
    area_steradian: np.ndarray
    central_area_steradian: float
    psf: Any

    @property
    def relative_area(self) -> np.ndarray:
        """Solid angle of every pixel in units of that at the centre of the image."""
        return self.area_steradian / self.central_area_steradian


@contextlib.contextmanager
def quiet_romanisim() -> Iterator[None]:
    """Import and run romanisim without its log lines, and leave the root logger as it was.

    romanisim configures the root logger when it is imported and reports every step at INFO.
    """
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    own = logging.getLogger("romanisim")
    own.propagate, propagated = False, own.propagate
    silence = logging.NullHandler()
    own.addHandler(silence)
    try:
        import romanisim  # noqa: F401

        root.handlers[:] = handlers
        root.setLevel(level)
        yield
    finally:
        own.propagate = propagated
        own.removeHandler(silence)


def siaf_distortion(detector: str, *, first_pixel: float = 0.0) -> Any:
    """Return the distortion of a detector from pysiaf: pixel to V2, V3 in arcsec.

    Parameters
    ----------
    detector : str
        `WFI01` to `WFI18`.
    first_pixel : float
        Detector coordinate (both axes) of the image's pixel 0, for an image that is a window.

    Returns
    -------
    astropy.modeling.CompoundModel
        Polynomial of fifth degree, rotation and shift, with pysiaf's own inverse polynomial (good
        to 0.002 pixel).
    """
    from astropy.modeling import models

    with quiet_romanisim(), _quiet_pysiaf():
        import pysiaf

        aperture = pysiaf.Siaf("Roman")[f"{detector}_FULL"]
    coefficients = aperture.get_polynomial_coefficients()

    def polynomials(name: str) -> Any:
        x, y = (_polynomial(aperture.Sci2IdlDeg, coefficients[name + axis]) for axis in "XY")
        return models.Mapping((0, 1, 0, 1)) | x & y

    to_ideal = polynomials("Sci2Idl")
    to_ideal.inverse = polynomials("Idl2Sci")
    angle, parity = np.deg2rad(aperture.V3IdlYAngle), aperture.VIdlParity
    to_telescope = models.AffineTransformation2D(
        matrix=[
            [parity * np.cos(angle), np.sin(angle)],
            [-parity * np.sin(angle), np.cos(angle)],
        ],
        translation=[aperture.V2Ref, aperture.V3Ref],
    )
    shift = models.Shift(first_pixel + 1 - aperture.XSciRef)  # pysiaf counts pixels from 1
    shift = shift & models.Shift(first_pixel + 1 - aperture.YSciRef)
    return shift | to_ideal | to_telescope


@contextlib.contextmanager
def _quiet_pysiaf() -> Iterator[None]:
    """Silence pysiaf's attempt to compare its (JWST) tables with a server when it is imported."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(previous)


def _polynomial(degree: int, coefficients: np.ndarray) -> Any:
    """Return pysiaf's coefficients, ordered by total degree and then by power of y, as a model."""
    from astropy.modeling import models

    powers = [(total - j, j) for total in range(degree + 1) for j in range(total + 1)]
    named = {f"c{i}_{j}": value for (i, j), value in zip(powers, coefficients, strict=True)}
    return models.Polynomial2D(degree, **named)


def pixel_area_map(wcs: Any, n_pixels: int, *, n_nodes: int = 65) -> tuple[np.ndarray, float]:
    """Return the solid angle of every pixel (sr), and that of a pixel at the image's centre.

    The cross product of the two derivatives of the unit vector on the sky, at a grid of nodes,
    with a cubic spline between them.
    """
    from scipy.interpolate import RectBivariateSpline

    nodes = np.linspace(0, n_pixels - 1, n_nodes)
    x, y = np.meshgrid(nodes, nodes)
    pixels = np.arange(n_pixels)
    area = RectBivariateSpline(nodes, nodes, _solid_angle(wcs, x, y))(pixels, pixels)
    centre = np.array((n_pixels - 1) / 2)
    return area, float(_solid_angle(wcs, centre, centre))


def _solid_angle(wcs: Any, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    def direction(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        ra, dec = (np.deg2rad(angle) for angle in wcs(x, y, with_bounding_box=False))
        return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)

    along_x = direction(x + _STEP_PIX, y) - direction(x - _STEP_PIX, y)
    along_y = direction(x, y + _STEP_PIX) - direction(x, y - _STEP_PIX)
    return np.linalg.norm(np.cross(along_x, along_y), axis=-1) / (2 * _STEP_PIX) ** 2


def make_optics(metadata: dict, *, n_pixels: int = N_SCIENCE_PIXELS) -> Optics:
    """Return the optics of the exposure that romanisim metadata describe.

    Parameters
    ----------
    metadata : dict
        As `romanisim.ris_make_utils.set_metadata` returns it: detector, filter, pointing.
    n_pixels : int
        Side of the image; less than 4088 is a window at the centre of the detector.
    """
    detector = metadata["instrument"]["detector"]
    band = metadata["instrument"]["optical_element"]
    distortion = siaf_distortion(detector, first_pixel=(N_SCIENCE_PIXELS - n_pixels) / 2)
    with quiet_romanisim():
        import romanisim.models.wcs
        import romanisim.psf

        galsim_wcs = romanisim.models.wcs.get_wcs(metadata, usecrds=False, distortion=distortion)
        galsim_wcs.wcs.bounding_box = ((-0.5, n_pixels - 0.5), (-0.5, n_pixels - 0.5))
        psf = romanisim.psf.make_psf(int(detector[3:]), band, wcs=galsim_wcs, variable=True)
    area, central_area = pixel_area_map(galsim_wcs.wcs, n_pixels)
    return Optics(galsim_wcs.wcs, area, central_area, psf)


def ready_to_draw(optics: Optics) -> Any:
    """Return the PSF with the tables from which `draw_epsf` draws stars, made at the first call.

    Second order and 12 nodes per pixel take a third of the time of romanisim's own choice (first
    order, 50 nodes) and are no less exact.
    """
    if optics.psf.psfinterpolators is None:
        import galsim
        from romanisim.models.wcs import GWCS

        image = galsim.ImageF(2, 2, wcs=GWCS(optics.wcs))
        optics.psf.build_epsf_interpolator(image, oversamp_taylor=12, order=2)
    return optics.psf


def encircled_energy(optics: Optics, radii_arcsec: np.ndarray = CURVE_RADII_ARCSEC) -> np.ndarray:
    """Return the light of the optical PSF within circles, at the image's centre.

    Optical means before the integration over pixels, as `stpsf.measure_ee` counts it; the light at
    infinity is 1. The circles are drawn in pixel coordinates and have the radius r/√Ω.

    Parameters
    ----------
    optics : Optics
        The scene's optics.
    radii_arcsec : ndarray (n,)
        Radii of the circles.

    Returns
    -------
    ndarray (n,), float64
    """
    import galsim
    from romanisim.models.wcs import GWCS

    centre = (len(optics.area_steradian) - 1) / 2
    pixel_arcsec = np.rad2deg(np.sqrt(optics.central_area_steradian)) * 3600
    radii = np.asarray(radii_arcsec) / pixel_arcsec * _CURVE_OVERSAMPLE
    reach = int(np.ceil(radii.max())) + 1
    side = 4 * reach + 1  # twice what is summed, so that little of the far light folds back
    local = GWCS(optics.wcs).local(galsim.PositionD(centre, centre))
    fine = galsim.JacobianWCS(*(local.getMatrix() / _CURVE_OVERSAMPLE).ravel())
    profile = optics.psf.at_position(centre, centre)
    image = profile.drawImage(nx=side, ny=side, wcs=fine, method="no_pixel", dtype=float).array
    return _sums_in_circles(image[reach:-reach, reach:-reach], radii)


def _sums_in_circles(image: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Return the sums of an image (odd side) within circles about its middle.

    A sample at distance d counts as clip(r - d + 1/2, 0, 1); sums over sorted distances give all
    radii at once.
    """
    offsets = np.arange(len(image)) - len(image) // 2
    distance = np.hypot(*np.meshgrid(offsets, offsets)).ravel()
    order = np.argsort(distance)
    distance, light = distance[order], image.ravel()[order]
    total = np.concatenate([[0.0], np.cumsum(light)])
    moment = np.concatenate([[0.0], np.cumsum(light * distance)])
    inner, outer = np.searchsorted(distance, radii - 0.5), np.searchsorted(distance, radii + 0.5)
    edge = (radii + 0.5) * (total[outer] - total[inner]) - (moment[outer] - moment[inner])
    return total[inner] + edge


def epsf_stamp(
    optics: Optics, x: float, y: float, *, oversample: int, half_size: int
) -> np.ndarray:
    """Return the pixel-integrated PSF at a position of the image.

    Parameters
    ----------
    optics : Optics
        The scene's optics.
    x, y : float
        Position of the star, pixels.
    oversample : int
        Samples per pixel along one axis.
    half_size : int
        Half the side of the stamp, pixels.

    Returns
    -------
    ndarray (2·half_size·oversample + 1,)², float32
        Each sample is the fraction of a star's light (1 at infinity) that falls on a whole pixel
        with its centre there, so the samples add up to a little under `oversample`².
    """
    side = 2 * half_size * oversample + 1
    stamp = np.zeros((side, side), dtype=np.float32)
    x, y = round(x), round(y)
    psf = ready_to_draw(optics)
    reach = half_size + 1
    for row in range(oversample):
        for column in range(oversample):
            drawn = psf.draw_epsf(x - column / oversample, y - row / oversample)
            left, bottom = x - drawn.bounds.xmin - reach, y - drawn.bounds.ymin - reach
            pixels = drawn.array[bottom : bottom + 2 * reach, left : left + 2 * reach]
            # Pixel k of the cut is k - reach + phase from the star; the stamp begins at -half_size.
            samples = np.arange(2 * reach) * oversample - oversample
            rows, columns = samples + row, samples + column
            keep_y, keep_x = (rows >= 0) & (rows < side), (columns >= 0) & (columns < side)
            stamp[np.ix_(rows[keep_y], columns[keep_x])] = pixels[np.ix_(keep_y, keep_x)]
    return stamp
