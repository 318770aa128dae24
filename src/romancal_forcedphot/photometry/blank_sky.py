"""Comparison of errors with the scatter of blank-sky apertures.

Errors of fluxes are propagated from those of single pixels, as if these were independent. Noise
that is correlated between pixels (read noise, errors of the flat, faint sources) is not included in
them, but contributes to the scatter of apertures on blank sky that are measured like the sources.
The ratio of this scatter to the propagated errors is 1 where the errors are correct.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..table import apertures_in, error_columns
from ..table.statistics import pull_width
from .blank_positions import MARGIN_PIX, blank_positions, chunks_of_positions, pixels_around
from .calibration import surface_brightness_scale
from .exposure import Exposure
from .measuring import available_cores, measure_columns
from .methods import CircularApertures
from .noise_correlation import measure_noise_correlation
from .sources import Sources

__all__ = ["BlankSky", "calibrate_errors", "measure_blank_sky", "scale_errors"]

log = logging.getLogger(f"romancal.{__name__}")

_SEED = 20240731
_SOURCE_THRESHOLD = 5.0  # standard deviations above the background: an uncatalogued source
_MIN_APERTURES = 100  # for statistics
_N_NEARBY = 9
_NOT_INCLUDED = (
    "the uncertainties of the flux calibration, of the pixel areas and of the aperture correction, "
    "which sources of one exposure share"
)


@dataclass(frozen=True)
class BlankSky:
    """Statistics of blank-sky apertures; tuples hold one value per aperture radius.

    Attributes
    ----------
    n_apertures : int
        Number of positions measured.
    distance_pix : float or None
        Smallest distance in pixels of any of them to a source of the catalog.
    ratios, ratio_errs : tuple of float
        Scatter over error: half the width of the central 68.3 % of flux/error, and its standard
        error. Empty where there were too few positions.
    mean_fluxes_njy, mean_flux_errs_njy : tuple of float
        Mean flux and its standard error in nJy; consistent with 0 for an unbiased background.
    positions : (n, 2) ndarray of float64
        x and y of the apertures.
    flux_errs : (n, number of radii) ndarray of float64
        Errors of their fluxes in nJy.
    """

    n_apertures: int
    distance_pix: float | None = None
    ratios: tuple[float, ...] = ()
    ratio_errs: tuple[float, ...] = ()
    mean_fluxes_njy: tuple[float, ...] = ()
    mean_flux_errs_njy: tuple[float, ...] = ()
    positions: NDArray = field(default_factory=lambda: np.empty((0, 2)), compare=False, repr=False)
    flux_errs: NDArray = field(default_factory=lambda: np.empty((0, 0)), compare=False, repr=False)

    @property
    def is_known(self) -> bool:
        """Whether there were enough positions for statistics."""
        return bool(self.ratios)

    def provenance(self) -> dict[str, Any]:
        """Return the statistics as a dict of plain values for the product's metadata."""
        plain = {key: v for key, v in asdict(self).items() if not isinstance(v, np.ndarray)}
        return {key: list(v) if isinstance(v, tuple) else v for key, v in plain.items()}


def calibrate_errors(
    table: Table,
    exposure: Exposure,
    *,
    mode: str,
    method: CircularApertures,
    area: NDArray | None = None,
    n_threads: int = 0,
) -> dict[str, Any]:
    """Compare the errors of a table with blank-sky apertures, and scale them if requested.

    Parameters
    ----------
    table : astropy.table.Table
        Result of `measure` for this exposure, method and area; changed in place if scaled.
    exposure, area, n_threads
        As for `measure`.
    mode : {'none', 'empty', 'empty_scale'}
        Do nothing, compare, or compare and scale the errors of all fluxes and magnitudes, see
        `scale_errors`.
    method : CircularApertures
        The method that the table was measured with.

    Returns
    -------
    dict
        Statistics and whether errors were scaled, for the product's metadata.
    """
    provenance = {"mode": mode, "scaled": False, "not_in_errors": _NOT_INCLUDED}
    if mode == "none":
        return provenance
    x, y = (np.asarray(table[axis], dtype=float) for axis in "xy")
    sky = measure_blank_sky(exposure, x, y, method=method, area=area, n_threads=n_threads)
    noise = measure_noise_correlation(exposure, x, y)
    if noise is not None:
        provenance["noise_correlation"] = noise.provenance()
    if mode == "empty_scale" and sky.is_known:
        scale_errors(table, sky, None if noise is None else noise.of_light)
        log.info("The errors of the sources are scaled by these ratios")
        provenance["scaled"] = True
    return provenance | sky.provenance()


def measure_blank_sky(
    exposure: Exposure,
    x: NDArray,
    y: NDArray,
    *,
    method: CircularApertures,
    area: NDArray | None = None,
    n_apertures: int = 4000,
    seed: int = _SEED,
    n_threads: int = 0,
    quiet: bool = False,
) -> BlankSky:
    """Compare the scatter of blank-sky apertures with their errors, and log the result.

    Parameters
    ----------
    exposure : Exposure
        The image.
    x, y : (n,) ndarray
        0-indexed pixel positions of the sources to avoid, NaN where there is none.
    method : CircularApertures
        The method that the sources are measured with.
    area : (ny, nx) ndarray, optional
        Relative pixel area.
    n_apertures : int
        Number of positions wanted; the relative standard error of a ratio is about 1/√n.
    seed : int
        Seed of the random positions.
    n_threads : int
        As for `measure`.
    quiet : bool
        Whether to leave the result out of the log.

    Returns
    -------
    BlankSky
    """
    reach = method.reach(exposure)
    positions, distance = blank_positions(
        exposure.data, x, y, reach=reach, n_positions=n_apertures, seed=seed
    )
    sky = method.background.masked_image(exposure.data, x, y)
    measured = _measure_at(exposure, positions, method, area, sky, n_threads or available_cores())
    keep = measured["warning_flags"] == 0
    keep &= _is_source_free(exposure, positions, measured["aper_bkg_flux"], reach)
    distance = distance[keep]
    result = BlankSky(int(np.count_nonzero(keep)))
    if result.n_apertures >= _MIN_APERTURES:
        nearest = float(distance.min()) if np.isfinite(distance).all() else None
        kept = {name: column[keep] for name, column in measured.items()}
        errs = np.column_stack([kept[f"{name}_flux_err"] for name in method.names])
        statistics = _statistics(kept, method.names)
        result = BlankSky(result.n_apertures, nearest, *statistics, positions[keep], errs)
    if not quiet:
        _log_result(result, method.names)
    return result


def _measure_at(
    exposure: Exposure,
    positions: NDArray,
    method: CircularApertures,
    area: NDArray | None,
    sky: NDArray,
    n_threads: int,
) -> dict[str, NDArray]:
    """Columns of apertures at positions (n, 2) with backgrounds from the masked image ``sky``."""
    x, y = positions[:, 0], positions[:, 1]
    sources = Sources(label=np.arange(len(positions)), x=x, y=y, name="blank sky")
    method = replace(method, neighbors=None)  # there is nothing to be fitted
    bound = method.bind(exposure, sources, x, y, area=area, sky=sky, n_threads=n_threads)
    return measure_columns(
        [bound],
        method.columns(),
        np.arange(len(positions)),
        batches=[list(bound.batches())],
        n_threads=n_threads,
    )


def scale_errors(table: Table, sky: BlankSky, of_light: float | None = None) -> None:
    """Scale the errors of fluxes and magnitudes by what blank sky says of them, in place.

    The part of a variance that the sky makes, which is that of the nearest blank-sky apertures, is
    multiplied by the squared ratio of the aperture. The rest is noise of the source's own light,
    which stays within the aperture whatever its correlation, and of which blank sky says nothing.

    Parameters
    ----------
    table : astropy.table.Table
        Result of `measure`.
    sky : BlankSky
        With one ratio for each aperture of the table.
    of_light : float, optional
        What errors by a source's own light are multiplied by, such as
        `NoiseCorrelation.of_light`; the ratio of the aperture if not given.
    """
    of_sky = _errors_nearby(table, sky)
    for index, (aperture, ratio) in enumerate(
        zip(apertures_in(table.colnames), sky.ratios, strict=True)
    ):
        err = np.asarray(table[f"{aperture}_flux_err"], dtype=np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.minimum((of_sky[:, index] / err) ** 2, 1.0)
        own = ratio if of_light is None else of_light
        factor = np.sqrt(share * ratio**2 + (1 - share) * own**2)
        for name in error_columns(aperture):
            table[name] *= factor.astype(np.float32)


def _errors_nearby(table: Table, sky: BlankSky) -> NDArray:
    """Medians (n, number of radii) of the errors of the blank-sky apertures nearest to sources."""
    places = np.column_stack([np.asarray(table[axis], dtype=np.float64) for axis in "xy"])
    placed = np.isfinite(places).all(axis=1)
    nearby = np.full((len(places), sky.flux_errs.shape[1]), np.nan)
    _, nearest = cKDTree(sky.positions).query(places[placed], k=_N_NEARBY)
    nearby[placed] = np.median(sky.flux_errs[nearest], axis=1)
    return nearby


def _is_source_free(
    exposure: Exposure, positions: NDArray, background: NDArray, reach: float
) -> NDArray[np.bool_]:
    """Whether no pixel around each position is significantly above the background (bool).

    `background` (n,) is the local background in nJy arcsec-2; where it is NaN the median of the
    pixels replaces it.
    """
    radius = reach + MARGIN_PIX
    sky = np.asarray(background, float) / surface_brightness_scale(exposure.conversion)
    source_free = np.empty(len(positions), dtype=bool)
    for chunk in chunks_of_positions(len(positions), radius):
        values = pixels_around(exposure.data, positions[chunk], radius).astype(float)
        errors = pixels_around(exposure.err, positions[chunk], radius).astype(float)
        level = np.where(np.isfinite(sky[chunk]), sky[chunk], np.median(values, axis=1))
        limit = level[:, np.newaxis] + _SOURCE_THRESHOLD * errors
        source_free[chunk] = (values < limit).all(axis=1)
    return source_free


def _statistics(
    measured: Mapping[str, NDArray], apertures: list[str]
) -> tuple[tuple[float, ...], ...]:
    """Ratios, their standard errors, mean fluxes and their standard errors, per aperture radius.

    The relative standard error of the half width is √(0.925/n), that of the difference of these two
    order statistics of a normal sample.
    """
    ratios, means, mean_errs = [], [], []
    root_n = math.sqrt(len(measured["warning_flags"]))
    for aperture in apertures:
        flux, flux_err = (
            np.asarray(measured[f"{aperture}_{kind}"], float) for kind in ("flux", "flux_err")
        )
        ratios.append(pull_width(flux / flux_err))
        means.append(float(flux.mean()))
        mean_errs.append(float(flux.std() / root_n))
    ratio_errs = tuple(ratio * math.sqrt(0.925) / root_n for ratio in ratios)
    return tuple(ratios), ratio_errs, tuple(means), tuple(mean_errs)


def _log_result(sky: BlankSky, apertures: list[str]) -> None:
    """Log the ratios, or a warning without them."""
    if not sky.is_known:
        log.warning(
            "Only %d apertures fit on blank sky: expected at least %d to compare the errors with; "
            "these stay as propagated",
            sky.n_apertures,
            _MIN_APERTURES,
        )
        return
    figures = ", ".join(
        f"{ratio:.3f} ± {err:.3f} ({aperture})"
        for aperture, ratio, err in zip(apertures, sky.ratios, sky.ratio_errs, strict=True)
    )
    log.info(
        "Blank sky: %d apertures scatter by these multiples of their errors: %s",
        sky.n_apertures,
        figures,
    )
