"""ePSFs computed by STPSF, the optical model of the telescope.

STPSF gives the light of a star on points a fraction of a pixel apart, at one place of a detector
at a time. `compute_grid` collects that, the optics alone, over a grid of places. What a pixel
collects of it is blurred three times more: by the jitter of the pointing, by the diffusion of
charges in the detector and by the area of the pixel itself. `OpticalGrid.on_pixels` does all three
in the Fourier domain, where a blur much narrower than the sampling is as exact as a wide one.

STPSF has a method for such grids, `psf_grid`. It computes the same optics, but in STPSF 2.2 its
Roman grids lack the charge diffusion that STPSF's own images of stars have (2 % of the light
within 2 pixels of the star in F106, 0.1 % within 3), and its pixel of four samples is a trapezium
five samples wide (another 0.2 % within 2 pixels). It also says nothing while it works.

STPSF is imported in functions, when an ePSF is computed: its import takes seconds, and asks a
server for news of another telescope.
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
from .jitter import Jitter, gaussian_transform

__all__ = ["GridRequest", "OpticalGrid", "compute_grid", "configured_data_path"]

DEFAULT_SED = "5700K"
_NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)\s*(k|um)")
_SPECTRAL_TYPE = re.compile(r"[OBAFGKM]\d(I|III|V)")
_LOGGERS = ("stpsf", "poppy", "pysiaf")


@dataclass(frozen=True)
class GridRequest:
    """What makes one grid of ePSFs differ from another, but for STPSF and its data.

    Attributes
    ----------
    detector, band : str
        Such as ``'WFI01'`` and ``'F106'``.
    n_psfs : int
        Places on the detector, a square number: its corners and evenly between them, or with 1
        its centre.
    sed : str
        Spectrum of the source: a black body (``'5700K'``, which is what ``''`` means, too), one
        wavelength (``'1.06um'``), constant flux per frequency (``'flat'``), or a spectral type
        (``'G2V'``, which needs stsynphot and its library of spectra).
    fov_pixels : int
        Side of a stamp, an odd number of pixels.
    oversample : int
        Samples per pixel.

    Raises
    ------
    PSFError
        If ``n_psfs`` or ``sed`` is none of these.
    """

    detector: str
    band: str
    n_psfs: int = 9
    sed: str = DEFAULT_SED
    fov_pixels: int = 91
    oversample: int = 4

    def __post_init__(self):
        object.__setattr__(self, "sed", _plain_sed(self.sed))
        if self.n_psfs < 1 or math.isqrt(self.n_psfs) ** 2 != self.n_psfs:
            raise PSFError(
                f"stpsf_n_psfs is {self.n_psfs}: expected a square number, such as 1, 4, 9 or 16"
            )

    @property
    def positions(self) -> tuple[NDArray, NDArray]:
        """Where the places are, x and y (n_psfs,): whole 0-indexed pixels of the L2 image."""
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
    """PSFs of the optics alone at some places of a detector.

    Attributes
    ----------
    samples : (k, ny, nx) ndarray of float32
        Fraction of a star's light, 1 at infinity, on each sample; the star is in the middle.
    x, y : (k,) ndarray of float64
        0-indexed positions on the L2 image.
    oversample : int
        Samples per pixel.
    pixel_arcsec : float
        Side of a pixel.
    charge_diffusion_mas, jitter_mas : float
        Standard deviations (Gaussian, per axis) that STPSF recommends for the detector and the
        telescope.
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
        """Return the ePSFs: what whole pixels collect.

        Parameters
        ----------
        jitter : Jitter or None
            Of the image; STPSF's for want of better.
        charge_diffusion_mas : float or None
            Standard deviation; STPSF's for want of better.

        Returns
        -------
        (k, ny, nx) ndarray of float64
            Fraction of a star's light on a pixel that is centred on each sample.
        """
        jitter = jitter or Jitter(self.jitter_mas, self.jitter_mas)
        if charge_diffusion_mas is None:
            charge_diffusion_mas = self.charge_diffusion_mas
        ny, nx = self.samples.shape[-2:]
        # Cycles per pixel; the last axis of a real transform holds no negative frequencies.
        v, u = np.fft.fftfreq(ny)[:, None], np.fft.rfftfreq(nx)
        v, u = v * self.oversample, u * self.oversample
        pixel = self.oversample**2 * np.sinc(u) * np.sinc(v)
        blurs = gaussian_transform(u, v, jitter, self.pixel_arcsec) * gaussian_transform(
            u, v, Jitter(charge_diffusion_mas, charge_diffusion_mas), self.pixel_arcsec
        )
        samples = self.samples.astype(np.float64)
        return np.fft.irfft2(np.fft.rfft2(samples) * pixel * blurs, s=(ny, nx))


def configured_data_path() -> Path | None:
    """Return where STPSF's own settings say that its data are, None if they name no place."""
    with _quiet_stpsf() as stpsf:
        path = stpsf.conf.STPSF_PATH
        if path == "from_environment_variable":
            path = Path.home() / "data" / "stpsf-data"  # where STPSF itself puts a download
        return Path(path) if Path(path).is_dir() else None


def compute_grid(
    request: GridRequest,
    *,
    data_path: Path,
    advance: Callable[[], object] = lambda: None,
) -> OpticalGrid:
    """Compute the PSFs of the optics on a grid of places.

    Parameters
    ----------
    request : GridRequest
        What is wanted.
    data_path : pathlib.Path
        STPSF's data.
    advance : callable
        Is called after each place.

    Returns
    -------
    OpticalGrid

    Raises
    ------
    CorrectionUnavailable
        STPSF's data are too old or incomplete, or do not know the filter or the spectrum.
    """
    with _quiet_stpsf() as stpsf, stpsf.conf.set_temp("STPSF_PATH", str(data_path)):
        source = _source(stpsf, request.sed)
        try:
            wfi = _wfi(stpsf, request)
            jitter_arcsec = float(wfi.options["jitter_sigma"] or 0.0)
            wfi.options.update(jitter=None, charge_diffusion_sigma=0, add_ipc=False)
            wfi.options["output_mode"] = "oversampled"
            stamps = []
            x, y = request.positions
            # STPSF counts the reference pixels, too.
            for place in zip(x + REFERENCE_BORDER, y + REFERENCE_BORDER, strict=True):
                wfi.detector_position = place
                psf = wfi.calc_psf(
                    fov_pixels=request.fov_pixels, oversample=request.oversample, **source
                )
                stamps.append(psf["OVERSAMP"].data.astype(np.float32))
                advance()
        except (OSError, KeyError, AssertionError) as error:
            raise CorrectionUnavailable(
                f"STPSF cannot work with the data in {data_path}: {_first_line(error)}; set the "
                "environment variable STPSF_PATH to a complete tree of the STPSF data that this "
                f"version of STPSF ({stpsf.__version__}) asks for"
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


def _wfi(stpsf: Any, request: GridRequest) -> Any:
    """STPSF's model of the instrument, set to the filter and the detector."""
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


def _plain_sed(text: str) -> str:
    """The one way to write a spectrum, or ValueError."""
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


def _source(stpsf: Any, sed: str) -> dict[str, Any]:
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
        spectrum.meta["name"] = "flat"  # STPSF keeps what it worked out by name
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
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@contextmanager
def _quiet_stpsf() -> Iterator[Any]:
    """Import STPSF for a while in which neither it nor what it stands on says anything.

    Its warnings are about itself (a server that it cannot reach, ways of Python that it should
    leave) or about data that it has to extrapolate by a few pixels.
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
