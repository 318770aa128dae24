"""ePSFs computed with STPSF, the optical model of the telescope.

STPSF computes the oversampled optical PSF at one detector position at a time. `compute_grid`
calls it for a grid of positions. The ePSF is that PSF convolved with the pointing jitter, the
charge diffusion in the detector and the area of a pixel. `OpticalGrid.on_pixels` multiplies the
three transforms in the Fourier domain, where a kernel much narrower than the sampling is exact.

STPSF's own method for such grids, ``psf_grid``, computes the same optics. But in STPSF 2.2 its
Roman grids lack the charge diffusion that STPSF's images of stars include (2 % of the flux within
2 pixels in F106, 0.1 % within 3), its pixel of four samples is a trapezium five samples wide
(another 0.2 % within 2 pixels), and it reports no progress.

STPSF is imported inside functions, when an ePSF is computed: its import takes seconds, and queries
a server about another telescope.
"""

from __future__ import annotations

import logging
import math
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import N_SCIENCE_PIXELS, REFERENCE_BORDER
from .errors import CorrectionUnavailable, PSFError
from .fourier import pixel_transform, sample_frequencies
from .jitter import Jitter, gaussian_transform

__all__ = ["GridRequest", "OpticalGrid", "compute_grid", "configured_data_path"]

DEFAULT_SED = "5700K"
_NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)\s*(k|um)")
_SPECTRAL_TYPE = re.compile(r"[OBAFGKM]\d(I|III|V)")
_LOGGERS = ("stpsf", "poppy", "pysiaf")


@dataclass(frozen=True)
class GridRequest:
    """Parameters of a grid of optical PSFs, apart from the versions of STPSF and its data.

    Attributes
    ----------
    detector, band : str
        Detector and filter, such as ``'WFI01'`` and ``'F106'``.
    n_psfs : int
        Number of detector positions, a square number: a regular grid that includes the corners, or
        the centre of the detector for 1.
    sed : str
        Spectrum of the source: a black body (``'5700K'``; also if empty), one wavelength
        (``'1.06um'``), constant flux per frequency (``'flat'``), or a spectral type (``'G2V'``,
        which needs stsynphot and its library of spectra).
    fov_pixels : int
        Side of a stamp, an odd number of pixels.
    oversample : int
        Samples per pixel.

    Raises
    ------
    PSFError
        ``n_psfs`` or ``sed`` is none of these.
    """

    detector: str
    band: str
    n_psfs: int = 9
    sed: str = DEFAULT_SED
    fov_pixels: int = 91
    oversample: int = 4

    def __post_init__(self):
        object.__setattr__(self, "sed", _normalized_sed(self.sed))
        if self.n_psfs < 1 or math.isqrt(self.n_psfs) ** 2 != self.n_psfs:
            raise PSFError(
                f"stpsf_n_psfs is {self.n_psfs}: expected a square number, such as 1, 4, 9 or 16"
            )

    @property
    def positions(self) -> tuple[NDArray, NDArray]:
        """Coordinates x and y of the grid, each (n_psfs,): whole 0-indexed pixels."""
        n_along = math.isqrt(self.n_psfs)
        along = (
            np.array([N_SCIENCE_PIXELS // 2])
            if n_along == 1
            else np.linspace(0, N_SCIENCE_PIXELS - 1, n_along)
        )
        x, y = np.meshgrid(np.rint(along), np.rint(along))
        return x.ravel(), y.ravel()


@dataclass(frozen=True, eq=False)
class OpticalGrid:
    """PSFs of the optics alone at several positions of a detector.

    Attributes
    ----------
    samples : (k, ny, nx) ndarray of float32
        Fraction of a star's flux (1 at infinity) in each sample; the star is in the middle.
    x, y : (k,) ndarray of float64
        0-indexed positions on the L2 image.
    oversample : int
        Samples per pixel.
    pixel_arcsec : float
        Side of a pixel in arcsec.
    charge_diffusion_mas, jitter_mas : float
        Standard deviations (Gaussian, per axis) in mas that STPSF recommends for the detector and
        the telescope.
    """

    samples: NDArray
    x: NDArray
    y: NDArray
    oversample: int
    pixel_arcsec: float
    charge_diffusion_mas: float
    jitter_mas: float

    def on_pixels(
        self, *, jitter: Jitter | None = None, charge_diffusion_mas: float | None = None
    ) -> NDArray:
        """Return the ePSFs: the optical PSFs with jitter and charge diffusion, per pixel.

        Parameters
        ----------
        jitter : Jitter or None
            Jitter of the image; STPSF's recommendation if None.
        charge_diffusion_mas : float or None
            Standard deviation of the charge diffusion in mas; STPSF's recommendation if None.

        Returns
        -------
        (k, ny, nx) ndarray of float64
            Fraction of a star's flux in a whole pixel centred on each sample.
        """
        jitter = jitter or Jitter(self.jitter_mas, self.jitter_mas)
        if charge_diffusion_mas is None:
            charge_diffusion_mas = self.charge_diffusion_mas
        ny, nx = self.samples.shape[-2:]
        u, v = sample_frequencies(ny, nx, self.oversample)
        pixel = pixel_transform(u, v, self.oversample)
        kernels = gaussian_transform(u, v, jitter, self.pixel_arcsec) * gaussian_transform(
            u, v, Jitter(charge_diffusion_mas, charge_diffusion_mas), self.pixel_arcsec
        )
        samples = self.samples.astype(np.float64)
        return np.fft.irfft2(np.fft.rfft2(samples) * pixel * kernels, s=(ny, nx))


def configured_data_path() -> Path | None:
    """Return the data directory of STPSF's own settings.

    Returns
    -------
    pathlib.Path or None
        None if there is no such directory.
    """
    with _quiet_stpsf() as stpsf:
        path = stpsf.conf.STPSF_PATH
        if path == "from_environment_variable":
            path = Path.home() / "data" / "stpsf-data"  # STPSF's own default for downloads
        return Path(path) if Path(path).is_dir() else None


def compute_grid(
    request: GridRequest,
    *,
    data_path: Path,
    advance: Callable[[], object] = lambda: None,
) -> OpticalGrid:
    """Compute the optical PSFs on a grid of detector positions.

    Parameters
    ----------
    request : GridRequest
        Detector, filter, positions, spectrum and sampling.
    data_path : pathlib.Path
        Directory of STPSF's data.
    advance : callable
        Called after each position.

    Returns
    -------
    OpticalGrid

    Raises
    ------
    CorrectionUnavailable
        STPSF's data are too old or incomplete, or lack the filter or the spectrum.
    """
    with _quiet_stpsf() as stpsf, stpsf.conf.set_temp("STPSF_PATH", str(data_path)):
        source = _source_arguments(stpsf, request.sed)
        try:
            wfi = _configured_wfi(stpsf, request)
            jitter_arcsec = float(wfi.options["jitter_sigma"] or 0.0)
            wfi.options.update(jitter=None, charge_diffusion_sigma=0, add_ipc=False)
            wfi.options["output_mode"] = "oversampled"
            stamps = []
            x, y = request.positions
            # STPSF's detector positions include the reference pixels.
            for position in zip(x + REFERENCE_BORDER, y + REFERENCE_BORDER, strict=True):
                wfi.detector_position = position
                psf = wfi.calc_psf(
                    fov_pixels=request.fov_pixels, oversample=request.oversample, **source
                )
                stamps.append(psf["OVERSAMP"].data.astype(np.float32))
                advance()
        except (OSError, KeyError, AssertionError) as error:
            raise CorrectionUnavailable(
                f"STPSF cannot work with the data in {data_path}: {_first_line(error)}; set the "
                "environment variable STPSF_PATH to a complete tree of the STPSF data that this "
                f"version of STPSF ({stpsf.__version__}) requires"
            ) from error
        diffusion = stpsf.constants.INSTRUMENT_DETECTOR_CHARGE_DIFFUSION_DEFAULT_PARAMETERS
        return OpticalGrid(
            samples=np.array(stamps),
            x=x,
            y=y,
            oversample=request.oversample,
            pixel_arcsec=float(wfi.pixelscale),
            charge_diffusion_mas=1000 * float(diffusion.get("WFI", 0.0)),
            jitter_mas=1000 * jitter_arcsec,
        )


def _configured_wfi(stpsf: Any, request: GridRequest) -> Any:
    """STPSF's model of the WFI, configured for the filter and the detector."""
    wfi = stpsf.WFI()
    for name, wanted, available in (
        ("filter", request.band, list(map(str, wfi.filter_list))),
        ("detector", request.detector, list(map(str, wfi.detector_list))),
    ):
        if wanted not in available:
            raise CorrectionUnavailable(
                f"STPSF knows no {name} {wanted}: expected one of {', '.join(available)}"
            )
        setattr(wfi, name, wanted)
    return wfi


# --- the spectrum of the source ------------------------------------------------------------------


def _normalized_sed(text: str) -> str:
    """The normal form of a spectrum's name; raises a PSFError for any other text."""
    text = text.strip() or DEFAULT_SED
    number = _NUMBER.fullmatch(text.lower())
    if number and float(number[1]) > 0:
        return f"{float(number[1]):g}{'K' if number[2] == 'k' else 'um'}"
    if text.lower() == "flat":
        return "flat"
    if _SPECTRAL_TYPE.fullmatch(text.upper()):
        return text.upper()
    raise PSFError(
        f"stpsf_sed is {text!r}: expected a temperature such as 5700K, a wavelength such as "
        "1.06um, flat (constant flux per frequency), or a spectral type such as G2V"
    )


def _source_arguments(stpsf: Any, sed: str) -> dict[str, Any]:
    """The spectrum as arguments of STPSF's `calc_psf`."""
    import synphot
    from astropy import units as u

    number = _NUMBER.fullmatch(sed.lower())
    if number and number[2] == "um":
        return {"monochromatic": float(number[1]) * 1e-6}
    if number:
        black_body = synphot.models.BlackBodyNorm1D
        temperature = float(number[1]) * u.K
        return {"source": synphot.SourceSpectrum(black_body, temperature=temperature)}
    if sed == "flat":  # photons per wavelength fall with the wavelength
        wavelength = np.linspace(3000, 30000, 541) * u.AA
        photons = 1e4 / wavelength.value * synphot.units.PHOTLAM
        spectrum = synphot.SourceSpectrum(
            synphot.models.Empirical1D, points=wavelength, lookup_table=photons
        )
        spectrum.meta["name"] = "flat"  # STPSF caches by name
        return {"source": spectrum}
    try:
        return {"source": stpsf.specFromSpectralType(sed)}
    except (ImportError, OSError, LookupError) as error:
        raise CorrectionUnavailable(
            f"stpsf_sed is {sed!r}, and STPSF cannot find its spectrum ({_first_line(error)}): "
            "spectral types need the package stsynphot and its library, which the environment "
            f"variable PYSYN_CDBS names; give a temperature instead, such as {DEFAULT_SED}"
        ) from error


def _first_line(error: BaseException) -> str:
    """The first line of an error's message, its class if it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@contextmanager
def _quiet_stpsf() -> Iterator[Any]:
    """Import STPSF; within the context it and its dependencies issue no log messages or warnings.

    The warnings are about STPSF itself (a server that it cannot reach, deprecated Python) or about
    optical data that it extrapolates by a few pixels.
    """
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            for module in (*_LOGGERS, "synphot"):
                warnings.filterwarnings("ignore", module=rf"{module}(\.|$)")
            import stpsf

            yield stpsf
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
