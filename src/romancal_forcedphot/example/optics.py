"""The optics of a simulated exposure: distortion, pixel area, point-spread function.

The exposure and its reference files are made from the same `Optics`, so that they are consistent.

The distortion is pysiaf's, because romanisim's own WCS without CRDS cannot be inverted by gwcs. The
point-spread function is romanisim's: GalSim's optical model at the four corners of the detector,
interpolated between them. The ePSF reference is drawn by the `draw_epsf` of the same object that
draws the stars.
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

CURVE_RADII_ARCSEC = np.arange(1, 201) * 0.025  # the radii of current apcorr files
_CURVE_OVERSAMPLE = 16
_DIFFERENCE_STEP_PIX = 0.5  # of the central differences of the WCS


@dataclass(frozen=True)
class Optics:
    """Distortion, pixel area and point-spread function of one exposure.

    Attributes
    ----------
    wcs : gwcs.wcs.WCS
        From 0-indexed pixels to ICRS degrees.
    area_steradian : (n_pixels, n_pixels) ndarray of float64
        Solid angle of each pixel in sr.
    central_area_steradian : float
        Solid angle of a pixel at the centre of the image in sr.
    psf : romanisim.psf.VariablePSF
        The point-spread function, see `ready_to_draw`.
    """

    wcs: Any
    area_steradian: np.ndarray
    central_area_steradian: float
    psf: Any

    @property
    def relative_area(self) -> np.ndarray:
        """Solid angle of each pixel relative to that at the centre of the image."""
        return self.area_steradian / self.central_area_steradian


@contextlib.contextmanager
def quiet_romanisim() -> Iterator[None]:
    """Context in which romanisim is imported and run without log messages.

    The root logger, which romanisim configures when it is imported, is restored.
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


def siaf_distortion(detector: str, *, first_pixel: tuple[float, float] = (0.0, 0.0)) -> Any:
    """Return the distortion of a detector from pysiaf, from pixels to V2, V3 in arcsec.

    Parameters
    ----------
    detector : str
        ``'WFI01'`` to ``'WFI18'``.
    first_pixel : (float, float)
        Detector coordinates x, y of the image's pixel (0, 0), for an image of a window.

    Returns
    -------
    astropy.modeling.CompoundModel
        Polynomial of fifth degree, rotation and shift, with pysiaf's own inverse polynomial
        (accurate to 0.002 pixel).
    """
    from astropy.modeling import models

    with quiet_romanisim(), no_log_lines():  # pysiaf compares JWST tables with a server
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
    x, y = first_pixel
    shift = models.Shift(x + 1 - aperture.XSciRef)  # pysiaf counts pixels from 1
    shift = shift & models.Shift(y + 1 - aperture.YSciRef)
    return shift | to_ideal | to_telescope


@contextlib.contextmanager
def no_log_lines() -> Iterator[None]:
    """Suppress log lines up to warnings, of whatever package."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(previous)


def _polynomial(degree: int, coefficients: np.ndarray) -> Any:
    """Return a polynomial of pysiaf's coefficients, in order of total degree, then power of y."""
    from astropy.modeling import models

    powers = [(total - j, j) for total in range(degree + 1) for j in range(total + 1)]
    named = {f"c{i}_{j}": value for (i, j), value in zip(powers, coefficients, strict=True)}
    return models.Polynomial2D(degree, **named)


def pixel_area_map(wcs: Any, n_pixels: int, *, n_nodes: int = 65) -> tuple[np.ndarray, float]:
    """Return the solid angle of each pixel, and that of a pixel at the centre of the image.

    The cross product of the two derivatives of the unit vector on the sky, on a grid of nodes,
    interpolated by a bicubic spline. (Independent of `romancal_forcedphot.geometry`, which the
    example tests.)

    Parameters
    ----------
    wcs : gwcs.wcs.WCS
        From 0-indexed pixels to ICRS degrees.
    n_pixels : int
        Side of the image.
    n_nodes : int
        Number of nodes per axis.

    Returns
    -------
    area : (n_pixels, n_pixels) ndarray of float64
        In sr.
    central_area : float
        In sr.
    """
    from scipy.interpolate import RectBivariateSpline

    nodes = np.linspace(0, n_pixels - 1, n_nodes)
    x, y = np.meshgrid(nodes, nodes)
    pixels = np.arange(n_pixels)
    area = RectBivariateSpline(nodes, nodes, _solid_angle(wcs, x, y))(pixels, pixels)
    centre = np.array((n_pixels - 1) / 2)
    return area, float(_solid_angle(wcs, centre, centre))


def _solid_angle(wcs: Any, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Solid angle (sr) of a pixel at each position, by central differences of the WCS."""

    def direction(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        ra, dec = (np.deg2rad(angle) for angle in wcs(x, y, with_bounding_box=False))
        return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)

    along_x = direction(x + _DIFFERENCE_STEP_PIX, y) - direction(x - _DIFFERENCE_STEP_PIX, y)
    along_y = direction(x, y + _DIFFERENCE_STEP_PIX) - direction(x, y - _DIFFERENCE_STEP_PIX)
    return np.linalg.norm(np.cross(along_x, along_y), axis=-1) / (2 * _DIFFERENCE_STEP_PIX) ** 2


def make_optics(
    metadata: dict,
    *,
    n_pixels: int = N_SCIENCE_PIXELS,
    dither: tuple[float, float] = (0.0, 0.0),
    psf: Any = None,
) -> Optics:
    """Return the optics of an exposure from its romanisim metadata.

    Parameters
    ----------
    metadata : dict
        Result of `romanisim.ris_make_utils.set_metadata`: detector, filter, pointing.
    n_pixels : int
        Side of the image; less than 4088 is a window at the centre of the detector.
    dither : (float, float)
        By how many pixels in x and y the image begins later on the sky.
    psf : romanisim.psf.VariablePSF, optional
        That of an exposure of the same detector and filter, which takes 15 s to make.

    Returns
    -------
    Optics
    """
    detector = metadata["instrument"]["detector"]
    band = metadata["instrument"]["optical_element"]
    first_pixel = tuple((N_SCIENCE_PIXELS - n_pixels) / 2 + shift for shift in dither)
    distortion = siaf_distortion(detector, first_pixel=first_pixel)
    with quiet_romanisim():
        import romanisim.models.wcs
        import romanisim.psf

        galsim_wcs = romanisim.models.wcs.get_wcs(metadata, usecrds=False, distortion=distortion)
        galsim_wcs.wcs.bounding_box = ((-0.5, n_pixels - 0.5), (-0.5, n_pixels - 0.5))
        if psf is None:
            psf = romanisim.psf.make_psf(int(detector[3:]), band, wcs=galsim_wcs, variable=True)
    area, central_area = pixel_area_map(galsim_wcs.wcs, n_pixels)
    return Optics(galsim_wcs.wcs, area, central_area, psf)


def ready_to_draw(optics: Optics) -> Any:
    """Return the PSF with the interpolation tables of its `draw_epsf`, made by the first call.

    Second order and 12 nodes per pixel take a third of the time of romanisim's own choice (first
    order, 50 nodes) and are as accurate.

    Parameters
    ----------
    optics : Optics
        Optics of the scene.

    Returns
    -------
    romanisim.psf.VariablePSF
    """
    if optics.psf.psfinterpolators is None:
        import galsim
        from romanisim.models.wcs import GWCS

        image = galsim.ImageF(2, 2, wcs=GWCS(optics.wcs))
        optics.psf.build_epsf_interpolator(image, oversamp_taylor=12, order=2)
    return optics.psf


def encircled_energy(optics: Optics, radii_arcsec: np.ndarray = CURVE_RADII_ARCSEC) -> np.ndarray:
    """Return the encircled energy of the optical PSF at the centre of the image.

    The optical PSF is that before the integration over pixels, as in `stpsf.measure_ee`. The
    circles are in pixel coordinates, with radii r/√Ω.

    Parameters
    ----------
    optics : Optics
        Optics of the scene.
    radii_arcsec : (n,) ndarray
        Radii of the circles in arcsec.

    Returns
    -------
    (n,) ndarray of float64
        Fraction of the total flux (1 at infinity).
    """
    import galsim
    from romanisim.models.wcs import GWCS

    centre = (len(optics.area_steradian) - 1) / 2
    pixel_arcsec = np.rad2deg(np.sqrt(optics.central_area_steradian)) * 3600
    radii = np.asarray(radii_arcsec) / pixel_arcsec * _CURVE_OVERSAMPLE
    reach = int(np.ceil(radii.max())) + 1
    side = 4 * reach + 1  # twice the summed area, so that little of the far flux is aliased
    local = GWCS(optics.wcs).local(galsim.PositionD(centre, centre))
    fine = galsim.JacobianWCS(*(local.getMatrix() / _CURVE_OVERSAMPLE).ravel())
    profile = optics.psf.at_position(centre, centre)
    image = profile.drawImage(nx=side, ny=side, wcs=fine, method="no_pixel", dtype=float).array
    return _sums_in_circles(image[reach:-reach, reach:-reach], radii)


def _sums_in_circles(image: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Return the sums of an image (odd side) within circles around its centre.

    A sample at distance d has the weight clip(r - d + 1/2, 0, 1); cumulative sums over sorted
    distances give all radii at once.
    """
    offsets = np.arange(len(image)) - len(image) // 2
    distance = np.hypot(*np.meshgrid(offsets, offsets)).ravel()
    order = np.argsort(distance)
    distance, flux = distance[order], image.ravel()[order]
    total = np.concatenate([[0.0], np.cumsum(flux)])
    moment = np.concatenate([[0.0], np.cumsum(flux * distance)])
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
        Optics of the scene.
    x, y : float
        0-indexed pixel position of the star.
    oversample : int
        Samples per pixel along one axis.
    half_size : int
        Half the side of the stamp in pixels.

    Returns
    -------
    (s, s) ndarray of float32, s = 2·half_size·oversample + 1
        Fraction of a star's flux (1 at infinity) in a whole pixel centred on each sample; the
        samples sum to a little less than `oversample`².
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
