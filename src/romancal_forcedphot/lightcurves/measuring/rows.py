"""The rows of a light curve, one per source and exposure: each column defined once.

Whatever measures an exposure gives `MEASURED_COLUMNS`; what follows from flux and error alone
(magnitude, signal-to-noise ratio, limit) is computed in one place, `derived_columns`, so that a
flux that is calibrated anew takes them along. `light_curve_columns` lists what a point of a
finished light curve holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from ...photometry.calibration import AB_ZERO_POINT, ab_magnitude
from ...table import Column, WarningFlag

__all__ = [
    "BAD_FLAGS",
    "CATALOG_ROW",
    "CONSTANT_COLUMNS",
    "DERIVED_COLUMNS",
    "DIFFERENCE_COLUMNS",
    "MEASURED_COLUMNS",
    "derived_columns",
    "exposure_columns",
    "is_good",
    "light_curve_columns",
    "limiting_magnitude",
    "noise_equivalent_area",
    "signal_to_noise",
]

#: Flags that keep a point out of means: all but that of a neighbour, which every epoch has.
BAD_FLAGS = int(~WarningFlag.NEIGHBOR & 0x7FFFFFFF)

CATALOG_ROW = Column("catalog_row", "int64", "", "Row of the source in the catalog (0 indexed)")
LABEL = Column("label", "int64", "", "Integer id of the source in the catalog")
SOURCE_NAME = Column("source_name", "str", "", "Text id of the source in the catalog")

#: The same for all rows of an exposure.
CONSTANT_COLUMNS = (
    Column("exposure", "str", "", "Name of the exposure"),
    Column("band", "str", "", "Optical element"),
    Column("detector", "str", "", "Detector"),
    Column("mjd_tai", "float64", "d", "Middle of the exposure, MJD, TAI"),
    Column("exptime", "float32", "s", "Exposure time"),
)

#: What a measurement gives for each source on an exposure.
MEASURED_COLUMNS = (
    Column("bjd_tdb", "float64", "d", "Middle of the exposure at the solar-system barycentre, TDB"),
    Column("x", "float32", "pix", "Column coordinate of the measured position (0 indexed)"),
    Column("y", "float32", "pix", "Row coordinate of the measured position (0 indexed)"),
    Column("flux", "float32", "nJy", "Total flux of a point source, background subtracted"),
    Column("flux_err", "float32", "nJy", "Uncertainty in flux"),
    Column("bkg_flux", "float32", "nJy arcsec-2", "Local background"),
    Column("bkg_flux_err", "float32", "nJy arcsec-2", "Uncertainty in bkg_flux"),
    Column("nea", "float32", "pix2", "Noise-equivalent area of the PSF, 1 over the sum of P^2"),
    Column("warning_flags", "int32", "", "Warning bit flags (0=good)"),
)

#: What follows from flux and error.
DERIVED_COLUMNS = (
    Column("abmag", "float32", "mag(AB)", "AB magnitude of flux"),
    Column("abmag_err", "float32", "mag(AB)", "Uncertainty in abmag"),
    Column("snr", "float32", "", "flux / flux_err"),
    Column("limit_abmag", "float32", "mag(AB)", "AB magnitude of limit_sigma times flux_err"),
)

#: What a baseline gives.
DIFFERENCE_COLUMNS = (
    Column("flux_difference", "float32", "nJy", "flux less the mean of the baseline"),
    Column("flux_difference_err", "float32", "nJy", "Uncertainty in flux_difference"),
)


def exposure_columns(quality: Iterable[Column] = (), *, source_names: bool = False) -> list[Column]:
    """List the columns of the file of one exposure in their order.

    Parameters
    ----------
    quality : iterable of Column
        Columns that the method of measurement adds.
    source_names : bool
        Whether the catalog has text ids.

    Returns
    -------
    list of Column
    """
    identity = [CATALOG_ROW, LABEL, *([SOURCE_NAME] if source_names else []), *CONSTANT_COLUMNS]
    *measured, flags = MEASURED_COLUMNS
    return [*identity, *measured, *DERIVED_COLUMNS, *quality, flags]


def light_curve_columns(quality: Iterable[Column] = (), *, baseline: bool = False) -> list[Column]:
    """List what a point of a light curve holds, in order.

    Parameters
    ----------
    quality : iterable of Column
        Columns that the method of measurement adds.
    baseline : bool
        Whether there is a baseline, and so `DIFFERENCE_COLUMNS`.

    Returns
    -------
    list of Column
    """
    known = {column.name: column for column in (*CONSTANT_COLUMNS, *MEASURED_COLUMNS)}
    order = ("mjd_tai", "bjd_tdb", "band", "exposure", "detector", "exptime", "x", "y")
    first = [known.pop(name) for name in (*order, "flux", "flux_err")]
    flags = known.pop("warning_flags")
    difference = DIFFERENCE_COLUMNS if baseline else ()
    more = [*difference, *DERIVED_COLUMNS, *known.values(), *quality]
    return [*first, *more, flags]


def signal_to_noise(flux: np.ndarray, flux_err: np.ndarray) -> np.ndarray:
    """Return flux / error, NaN where the error is not positive.

    Parameters
    ----------
    flux, flux_err : ndarray
        In one unit.

    Returns
    -------
    ndarray of float64
    """
    return np.asarray(flux, dtype=np.float64) / _positive(flux_err)


def limiting_magnitude(flux_err: np.ndarray, sigma: float = 3.0) -> np.ndarray:
    """Return the AB magnitude of a source whose flux is so many times the error.

    m = 31.4 − 2.5 log₁₀(k σ/nJy): what a point that shows nothing excludes at k σ.

    Parameters
    ----------
    flux_err : ndarray
        In nJy.
    sigma : float
        k.

    Returns
    -------
    ndarray of float64
        In mag(AB); NaN where the error is not positive.

    Raises
    ------
    ValueError
        ``sigma`` is not positive.
    """
    if not (np.isfinite(sigma) and sigma > 0):
        raise ValueError(
            f"limit_sigma is {sigma!r}: expected how many times the error a limit is, such as 3"
        )
    return AB_ZERO_POINT - 2.5 * np.log10(sigma * _positive(flux_err))


def noise_equivalent_area(psf: np.ndarray) -> np.ndarray:
    """Return the noise-equivalent area of PSFs in pixels.

    1 / Σᵢ Pᵢ², the number of background-limited pixels whose noise a fit of the PSF sees (King
    1983, PASP 95, 163).

    Parameters
    ----------
    psf : ndarray
        (n, ny, nx) fraction of a star's light on each pixel, 1 at infinity.

    Returns
    -------
    (n,) ndarray of float64
        In pixels; NaN where a stamp is empty or not finite.
    """
    squares = np.einsum("kij,kij->k", psf, psf, dtype=np.float64)
    return 1.0 / np.where(squares > 0, squares, np.nan)


def derived_columns(
    flux: np.ndarray, flux_err: np.ndarray, *, limit_sigma: float = 3.0
) -> dict[str, np.ndarray]:
    """Return `DERIVED_COLUMNS` of fluxes and errors in nJy.

    A flux that is not positive has no magnitude but a limit.

    Parameters
    ----------
    flux, flux_err : (n,) ndarray
        In nJy.
    limit_sigma : float
        How many times the error a limit is.

    Returns
    -------
    dict of str to (n,) ndarray of float32
    """
    flux, flux_err = np.asarray(flux, dtype=np.float64), _positive(flux_err)
    magnitude, magnitude_err = ab_magnitude(flux, flux_err)
    columns = {
        "abmag": magnitude,
        "abmag_err": magnitude_err,
        "snr": flux / flux_err,
        "limit_abmag": limiting_magnitude(flux_err, limit_sigma),
    }
    return {name: values.astype(np.float32) for name, values in columns.items()}


def is_good(columns: Mapping[str, np.ndarray], bad_flags: int = BAD_FLAGS) -> np.ndarray:
    """Return which points count in means, (n,) bool.

    Parameters
    ----------
    columns : mapping
        ``flux``, ``flux_err`` and ``warning_flags``.
    bad_flags : int
        Bits that keep a point out.

    Returns
    -------
    (n,) ndarray of bool
        Points of finite flux and positive error without any of these flags.
    """
    flux, flux_err = columns["flux"], columns["flux_err"]
    good = np.isfinite(flux) & np.isfinite(flux_err) & (flux_err > 0)
    return good & ((columns["warning_flags"] & bad_flags) == 0)


def _positive(values: np.ndarray) -> np.ndarray:
    """Values in double precision, NaN where they are not positive."""
    values = np.asarray(values, dtype=np.float64)
    return np.where(values > 0, values, np.nan)
