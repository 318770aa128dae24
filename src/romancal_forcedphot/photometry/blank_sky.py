"""Errors compared with the scatter of blank-sky apertures.

Each error is propagated from the errors of single pixels. What correlates pixels (read noise, the
flat's errors, faint sources) is not in them, but it is in the image: apertures on blank sky,
measured as the sources are, show it. The ratio of their scatter to their errors is 1 where the
errors are right.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..table import apertures_in
from ..table.statistics import pull_width
from .calibration import surface_brightness_scale
from .exposure import Exposure
from .measuring import available_cores, measure_columns
from .methods import CircularApertures
from .sources import Sources

__all__ = ["BlankSky", "blank_positions", "calibrate_errors", "measure_blank_sky", "scale_errors"]

log = logging.getLogger(f"romancal.{__name__}")

_SEED = 20240731
_CANDIDATES = 12  # tried for each one wanted
_FAR = 60.0  # pixels: beyond this distance from a source, farther is not better
_CLEAR = 8.0  # pixels between an aperture's edge and a source, at least
_MARGIN = 1.5  # pixels around an aperture that must be usable, too
_BRIGHT = 5.0  # errors above the local sky: a pixel with a source that no catalog has
_FEWEST = 100
_PIXELS_AT_ONCE = 2_000_000  # looked at around positions: large apertures have many
_NOT_INCLUDED = (
    "the uncertainties of the flux calibration, of the pixel areas and of the aperture correction, "
    "which sources of one exposure share"
)


@dataclass(frozen=True)
class BlankSky:
    """Statistics of blank-sky apertures; tuples hold one value per aperture.

    Attributes
    ----------
    n_apertures : int
        Positions measured.
    distance_pix : float or None
        Distance of the nearest of them to a source of the catalog.
    ratios, ratio_errs : tuple of float
        Scatter over error: half the range of the central 68.3 % of flux/error, and its standard
        error. Empty where there were too few positions.
    mean_fluxes_njy, mean_flux_errs_njy : tuple of float
        Mean flux, 0 for a background that is right.
    """

    n_apertures: int
    distance_pix: float | None = None
    ratios: tuple[float, ...] = ()
    ratio_errs: tuple[float, ...] = ()
    mean_fluxes_njy: tuple[float, ...] = ()
    mean_flux_errs_njy: tuple[float, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether there were positions enough for statistics."""
        return bool(self.ratios)

    def provenance(self) -> dict[str, Any]:
        """Return the figures for the product's metadata."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}


def calibrate_errors(
    table: Table,
    exposure: Exposure,
    *,
    mode: str,
    method: CircularApertures,
    area: NDArray | None = None,
    n_threads: int = 0,
) -> dict[str, Any]:
    """Compare the errors of a table with blank-sky apertures, and scale them if asked to.

    Parameters
    ----------
    table : astropy.table.Table
        What `measure` returned for this exposure, method and area; changed in place if scaled.
    exposure, area, n_threads
        As for `measure`.
    mode : {'none', 'empty', 'empty_scale'}
        Do nothing, compare, or compare and multiply the errors of all fluxes and magnitudes by
        the ratio of their aperture.
    method : CircularApertures
        How the table was measured.

    Returns
    -------
    dict
        What was found and done, for the product's metadata.
    """
    provenance = {"mode": mode, "scaled": False, "not_in_errors": _NOT_INCLUDED}
    if mode == "none":
        return provenance
    x, y = (np.asarray(table[axis], dtype=float) for axis in "xy")
    sky = measure_blank_sky(exposure, x, y, method=method, area=area, n_threads=n_threads)
    if mode == "empty_scale" and sky.is_known:
        scale_errors(table, sky)
        log.info("The errors of the sources are multiplied by these ratios")
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
) -> BlankSky:
    """Compare the scatter of blank-sky apertures with their errors, and log the result.

    Parameters
    ----------
    exposure : Exposure
        The image.
    x, y : (n,) ndarray
        Pixel positions of the sources to keep away from, NaN where there is none.
    method : CircularApertures
        How the sources are measured.
    area : (ny, nx) ndarray, optional
        Relative pixel area.
    n_apertures : int
        Number of positions wanted; the standard error of a ratio is about 1/√n.
    seed : int
        Of the positions: the same seed gives the same positions.
    n_threads : int
        As for `measure`.

    Returns
    -------
    BlankSky
    """
    reach = method.reach(exposure)
    places, distance = blank_positions(
        exposure.data, x, y, reach=reach, n_positions=n_apertures, seed=seed
    )
    sky = method.background.image(exposure.data, x, y)
    measured = _measure_at(exposure, places, method, area, sky, n_threads or available_cores())
    keep = measured["warning_flags"] == 0
    keep &= _is_dark(exposure, places, measured["aper_bkg_flux"], reach)
    distance = distance[keep]
    result = BlankSky(int(np.count_nonzero(keep)))
    if result.n_apertures >= _FEWEST:
        nearest = float(distance.min()) if np.isfinite(distance).all() else None
        kept = {name: column[keep] for name, column in measured.items()}
        result = BlankSky(result.n_apertures, nearest, *_figures(kept, method.names))
    _report(result, method.names)
    return result


def _measure_at(
    exposure: Exposure,
    places: NDArray,
    method: CircularApertures,
    area: NDArray | None,
    sky: NDArray,
    n_threads: int,
) -> dict[str, NDArray]:
    """Columns of apertures at places (n, 2), whose annuli see the image ``sky``."""
    x, y = places[:, 0], places[:, 1]
    sources = Sources(label=np.arange(len(places)), x=x, y=y, name="blank sky")
    bound = method.bind(exposure, sources, x, y, area=area, sky=sky, n_threads=n_threads)
    return measure_columns(
        [bound],
        method.columns(),
        np.arange(len(places)),
        batches=[list(bound.batches())],
        n_threads=n_threads,
    )


def blank_positions(
    data: NDArray, x: NDArray, y: NDArray, *, reach: float, n_positions: int, seed: int
) -> tuple[NDArray, NDArray]:
    """Choose positions on blank sky, those farthest from any source.

    Parameters
    ----------
    data : ndarray
        (ny, nx) image with NaN at pixels that may not be used.
    x, y : ndarray
        (n,) pixel positions of the sources.
    reach : float
        Radius of the apertures.
    n_positions : int
        Number wanted.
    seed : int
        Of the positions that are tried.

    Returns
    -------
    places : ndarray
        (m, 2) x and y, m not above ``n_positions``: at least 8 pixels from the edge of an
        aperture to a source, no unusable pixel and no edge of the image within 1.5 pixels of an
        aperture, and no two apertures with a common pixel.
    distance : ndarray
        (m,) distance to the nearest source, infinite where there is none at all.
    """
    rng = np.random.default_rng(seed)
    border = reach + _MARGIN
    high = np.array(data.shape[::-1]) - 1 - border
    if (high <= border).any():
        return np.empty((0, 2)), np.empty(0)
    places = rng.uniform(border, high, (_CANDIDATES * n_positions, 2))
    distance = _distance_to_sources(places, x, y)
    far = distance >= reach + _CLEAR
    places, distance = places[far], distance[far]
    kept = np.flatnonzero(_is_usable(data, places, border))
    kept = kept[_apart(places[kept], 2 * reach + 1.5)]
    best = np.argsort(-np.minimum(distance[kept], _FAR), kind="stable")[:n_positions]
    return places[kept[best]], distance[kept[best]]


def scale_errors(table: Table, sky: BlankSky) -> None:
    """Multiply the errors of fluxes and magnitudes by the ratio of their aperture, in place."""
    for aperture, ratio in zip(apertures_in(table.colnames), sky.ratios, strict=True):
        for kind in ("flux_err", "total_flux_err", "abmag_err"):
            table[f"{aperture}_{kind}"] *= np.float32(ratio)


def _distance_to_sources(places: NDArray, x: NDArray, y: NDArray) -> NDArray:
    known = np.isfinite(x) & np.isfinite(y)
    if not known.any():
        return np.full(len(places), np.inf)
    return cKDTree(np.column_stack([x[known], y[known]])).query(places)[0]


def _is_usable(data: NDArray, places: NDArray, radius: float) -> NDArray:
    """Whether all pixels with centres within a radius of each place are usable (bool)."""
    usable = np.empty(len(places), dtype=bool)
    for part in _parts(len(places), radius):
        usable[part] = np.isfinite(_pixels_around(data, places[part], radius)).all(axis=1)
    return usable


def _parts(n_places: int, radius: float) -> Iterator[slice]:
    """Parts of a list of places whose surroundings fit in memory together."""
    size = max(int(_PIXELS_AT_ONCE / (2 * radius + 1) ** 2), 1)
    return (slice(first, first + size) for first in range(0, n_places, size))


def _pixels_around(data: NDArray, places: NDArray, radius: float) -> NDArray:
    """Values (n, k) of the pixels around each place on the image; those off it repeat the edge."""
    half = math.ceil(radius)
    dy, dx = np.mgrid[-half : half + 1, -half : half + 1]
    near = np.hypot(dx, dy) <= radius
    columns, rows = np.rint(places).astype(int).T
    rows = np.clip(rows[:, np.newaxis] + dy[near], 0, data.shape[0] - 1)
    columns = np.clip(columns[:, np.newaxis] + dx[near], 0, data.shape[1] - 1)
    return data[rows, columns]


def _apart(places: NDArray, separation: float) -> NDArray:
    """Whether no earlier place lies closer than a separation (bool)."""
    apart = np.ones(len(places), dtype=bool)
    if len(places) > 1:
        pairs = cKDTree(places).query_pairs(separation, output_type="ndarray")
        apart[pairs.max(axis=1)] = False
    return apart


def _is_dark(
    exposure: Exposure, places: NDArray, background: NDArray, reach: float
) -> NDArray[np.bool_]:
    """Whether no pixel around each position stands out of the local background (nJy arcsec-2)."""
    radius = reach + _MARGIN
    sky = np.asarray(background, float) / surface_brightness_scale(exposure.conversion)
    dark = np.empty(len(places), dtype=bool)
    for part in _parts(len(places), radius):
        values = _pixels_around(exposure.data, places[part], radius).astype(float)
        errors = _pixels_around(exposure.err, places[part], radius).astype(float)
        level = np.where(np.isfinite(sky[part]), sky[part], np.median(values, axis=1))
        dark[part] = (values < level[:, np.newaxis] + _BRIGHT * errors).all(axis=1)
    return dark


def _figures(
    measured: Mapping[str, NDArray], apertures: list[str]
) -> tuple[tuple[float, ...], ...]:
    """Ratios, their errors, mean fluxes and their errors, each for all apertures.

    The standard error of the half range is that of two order statistics of a normal sample,
    √(0.925/n).
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


def _report(sky: BlankSky, apertures: list[str]) -> None:
    if not sky.is_known:
        log.warning(
            "Only %d apertures fit on blank sky: expected at least %d to judge the errors by; they "
            "stay as propagated",
            sky.n_apertures,
            _FEWEST,
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
