"""A simulated series: the same stars on many small exposures, some of which vary.

The first exposure is a scene of romanisim (see `scene`), whose metadata, WCS and references the
whole series shares. The stars of each epoch are drawn with the scene's own ePSF reference, with
Poisson and read noise, so that the truth of every pixel is known. The zero point drifts by some
percent, and in the last third of the series the stars drift off the positions that the WCS gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import get_body_barycentric_posvel
from astropy.table import Table
from astropy.time import Time
from numpy.typing import NDArray

from ..psfs import GriddedEPSF
from .crds_cache import make_crds_cache
from .files import Record, Renamed, plain_directory
from .scene import Scene, make_scene
from .simulation import GAIN, Report

__all__ = ["Series", "SeriesRecipe", "make_series", "true_flux"]

RECIPE = 1  # count up whenever the same parameters give other files
_FIRST_MJD = 61465.0  # 2027-03-01
_EXPOSURE_S = 107.0
_READ_NOISE_ELECTRON = 12.0
_SKY_DN_S = 0.3
_STAMP_SIDE = 61
_MARGIN_PIX = 30.0
#: Roman beyond the Earth, in km and km/s: somewhere about L2.
_BEYOND_EARTH = ((1.2e6, 8.0e5, 3.0e5), (0.1, -0.2, 0.05))


@dataclass(frozen=True)
class SeriesRecipe:
    """Everything that decides what a series looks like.

    Attributes
    ----------
    n_epochs, n_sources, n_pixels : int
        Exposures, stars, pixels along one side.
    seed : int
        Of stars and noise.
    days : float
        Between exposures.
    zero_point_drift : float
        Amplitude of the zero point, which follows a sine of 25 epochs.
    wcs_drift : (float, float)
        By how many pixels in x and y the stars are off at the end.
    magnitudes : (float, float)
        Bright and faint limit, AB.
    """

    n_epochs: int = 40
    n_sources: int = 64
    n_pixels: int = 256
    seed: int = 1974
    days: float = 5.0
    zero_point_drift: float = 0.03
    wcs_drift: tuple[float, float] = (0.5, -0.3)
    magnitudes: tuple[float, float] = (18.0, 23.5)

    @property
    def mjd(self) -> NDArray:
        """Middle of each exposure, MJD, TAI."""
        return _FIRST_MJD + self.days * np.arange(self.n_epochs)

    @property
    def zero_points(self) -> NDArray:
        """What the fluxes of each exposure are too large by."""
        phase = 2 * np.pi * np.arange(self.n_epochs) / 25
        return 1 + self.zero_point_drift * np.sin(phase)

    @property
    def offsets(self) -> NDArray:
        """(n_epochs, 2) offset of the stars in x and y."""
        epoch, last_third = np.arange(self.n_epochs), 2 * self.n_epochs / 3
        share = np.clip((epoch - last_third) / max(self.n_epochs - 1 - last_third, 1), 0, 1)
        return share[:, None] * np.array(self.wcs_drift)


@dataclass(frozen=True)
class Series:
    """Where a simulated series is.

    Attributes
    ----------
    directory : Path
        Holds the files below.
    images : tuple of Path
        The exposures.
    catalog : Path
        The truth, ECSV: label, ra, dec (deg), kind (constant, sinusoid or transient), flux (nJy),
        amplitude, period (d), start (MJD).
    crds : Path
        The CRDS cache.
    recipe : SeriesRecipe
        What it was made from.
    """

    directory: Path
    images: tuple[Path, ...]
    catalog: Path
    crds: Path
    recipe: SeriesRecipe


def make_series(
    directory: str | Path,
    recipe: SeriesRecipe | None = None,
    *,
    report: Report = lambda stage: None,
) -> Series:
    """Make a simulated series, or find the one made before.

    Parameters
    ----------
    directory : path
        Where ``series/`` goes, and the scene it begins with (``small/``).
    recipe : SeriesRecipe, optional
        What it looks like.
    report : callable
        Is told the name of each stage as it begins.

    Returns
    -------
    Series
    """
    recipe = recipe or SeriesRecipe()
    directory = plain_directory(directory)
    scene = _template(directory / "small", recipe, report)
    cache = make_crds_cache(scene.directory / "crds", [scene])
    room = directory / "series"
    room.mkdir(parents=True, exist_ok=True)
    program = scene.recipe.name.partition("_")[0]
    end = scene.image.name.split("_", 2)[2]
    images = tuple(room / f"{program}_{n + 1:04d}_{end}" for n in range(recipe.n_epochs))
    series = Series(room, images, room / "catalog.ecsv", cache, recipe)
    record = Record(
        room / "recipe.json", {"recipe": RECIPE, "scene": repr(scene.recipe), **asdict(recipe)}
    )
    if not record.matches(series.catalog, *images):
        report("epochs")
        _simulate(series, scene)
        record.write()
    return series


def _template(directory: Path, recipe: SeriesRecipe, report: Report) -> Scene:
    """The scene whose metadata, WCS and references the series shares."""
    return make_scene(
        directory,
        detector="WFI09",
        band="F158",
        n_pixels=recipe.n_pixels,
        n_stars=30,
        n_galaxies=3,
        seed=5,
        report=report,
    )


def true_flux(catalog: Table, mjd: float | NDArray) -> NDArray:
    """Return the flux of each star at some times.

    Parameters
    ----------
    catalog : astropy.table.Table
        The catalog of a series, n stars.
    mjd : float or (m,) ndarray
        Times, TAI.

    Returns
    -------
    (n, m) ndarray
        In nJy.
    """
    flux, amplitude, period, start = (
        np.asarray(catalog[name], dtype=float)[:, None]
        for name in ("flux", "amplitude", "period", "start")
    )
    kind = np.asarray(catalog["kind"]).astype(str)[:, None]
    days = np.atleast_1d(mjd)[None, :] - start
    with np.errstate(divide="ignore", invalid="ignore"):
        sinusoid = 1 + amplitude * np.sin(2 * np.pi * days / period)
    # a transient rises with its square root to its peak after ten days and falls within thirty
    rise = np.sqrt(np.clip(days / 10, 0, 1))
    fall = np.exp(-np.clip(days - 10, 0, None) / 30)
    shape = np.where(kind == "sinusoid", sinusoid, np.where(kind == "transient", rise * fall, 1.0))
    return flux * shape


def _make_catalog(recipe: SeriesRecipe, wcs: Any) -> tuple[Table, NDArray, NDArray]:
    """Stars on a jittered grid, so that none is another's neighbour; and their pixels x and y."""
    rng = np.random.default_rng(recipe.seed)
    side = int(np.ceil(np.sqrt(recipe.n_sources)))
    step = (recipe.n_pixels - 1 - 2 * _MARGIN_PIX) / max(side - 1, 1)
    places = rng.permutation(side**2)[: recipe.n_sources]
    x, y = (_MARGIN_PIX + step * axis for axis in (places % side, places // side))
    x, y = (axis + rng.uniform(-0.2, 0.2, recipe.n_sources) * step for axis in (x, y))
    ra, dec = wcs(x, y, with_bounding_box=False)
    n_sinusoids, n_transients = max(recipe.n_sources // 10, 1), max(recipe.n_sources // 60, 1)
    kind = np.full(recipe.n_sources, "constant", dtype="<U9")
    kind[:n_sinusoids] = "sinusoid"
    kind[n_sinusoids : n_sinusoids + n_transients] = "transient"
    magnitude = rng.uniform(*recipe.magnitudes, recipe.n_sources)
    magnitude[kind != "constant"] = rng.uniform(20.0, 21.5, n_sinusoids + n_transients)
    start = np.full(recipe.n_sources, recipe.mjd[0])
    start[kind == "transient"] = recipe.mjd[int(0.45 * recipe.n_epochs)] + 1.0
    catalog = Table(
        {
            "label": np.arange(1, recipe.n_sources + 1),
            "ra": ra * u.deg,
            "dec": dec * u.deg,
            "kind": kind,
            "flux": 10 ** (-0.4 * (magnitude - 31.4)) * u.nJy,
            "amplitude": np.where(kind == "sinusoid", rng.uniform(0.1, 0.4, recipe.n_sources), 0.0),
            "period": rng.uniform(12, 60, recipe.n_sources) * u.d,
            "start": start * u.d,
        },
        meta={"name": "catalog.ecsv"},
    )
    return catalog, x, y


def _simulate(series: Series, scene: Scene) -> None:
    """Write the images and the catalog."""
    from roman_datamodels import datamodels as rdm

    with rdm.open(scene.image) as model:
        template = model.copy()
        template.data, template.err, template.dq = (
            np.array(getattr(model, name)) for name in ("data", "err", "dq")
        )
    recipe, meta = series.recipe, template.meta
    catalog, x, y = _make_catalog(recipe, meta.wcs)
    scale = meta.photometry.conversion_megajanskys * meta.photometry.pixel_area * 1e15
    flux = true_flux(catalog, recipe.mjd) / scale
    psf, area = _psf(series.crds, scene), _area(series.crds, scene)
    for epoch, path in enumerate(series.images):
        rng = np.random.default_rng([recipe.seed, epoch])
        dx, dy = recipe.offsets[epoch]
        stars = _drawn(psf, x + dx, y + dy, flux[:, epoch], (recipe.n_pixels,) * 2)
        data, err = _exposed(stars / area + _SKY_DN_S, rng)
        template.data = (recipe.zero_points[epoch] * data).astype(np.float32)
        template.err = (recipe.zero_points[epoch] * err).astype(template.err.dtype)
        template.dq = np.zeros(data.shape, dtype=np.uint32)
        _date(template, recipe.mjd[epoch], path.name)
        with Renamed(path) as partial:
            template.save(partial)
    with Renamed(series.catalog) as partial:
        catalog.write(partial, format="ascii.ecsv")


def _references(cache: Path, kind: str, scene: Scene) -> Iterator[Path]:
    """Files of a kind for the scene's detector."""
    number = scene.recipe.detector[3:]
    yield from sorted((cache / "references" / "roman").glob(f"roman_wfi_{kind}_{number}*.asdf"))


def _psf(cache: Path, scene: Scene) -> GriddedEPSF:
    """The ePSF of the scene's reference, continued to the light at infinity."""
    from roman_datamodels import datamodels as rdm

    with rdm.open(next(_references(cache, "epsf", scene))) as model:
        stamps = np.array(model.psf[0, 0], dtype=np.float64)
        x, y = (np.array(model.meta[name], dtype=float) for name in ("pixel_x", "pixel_y"))
        return GriddedEPSF(stamps, x, y, int(model.meta.oversample))


def _area(cache: Path, scene: Scene) -> NDArray:
    """Relative pixel area of the scene's reference."""
    from roman_datamodels import datamodels as rdm

    with rdm.open(next(_references(cache, "area", scene))) as model:
        return np.array(model.data, dtype=np.float64)


def _drawn(
    psf: GriddedEPSF, x: NDArray, y: NDArray, flux: NDArray, shape: tuple[int, int]
) -> NDArray:
    """The stars alone: flux times the ePSF on the pixels around each."""
    half = _STAMP_SIDE // 2
    padded = np.zeros((shape[0] + 2 * half, shape[1] + 2 * half))
    left, low = np.rint(x).astype(int), np.rint(y).astype(int)  # of the stamp, when padded
    for first in range(0, len(x), 256):
        some = slice(first, first + 256)
        stamps = psf.on_pixels(x[some], y[some], _STAMP_SIDE) * flux[some, None, None]
        for stamp, column, row in zip(stamps, left[some], low[some], strict=True):
            padded[row : row + _STAMP_SIDE, column : column + _STAMP_SIDE] += stamp
    return padded[half:-half, half:-half]


def _exposed(rate: NDArray, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Rates in DN/s with the noise of electrons and of reading, and its standard deviation."""
    electrons = GAIN * _EXPOSURE_S
    variance = (np.maximum(rate, 0) * electrons + _READ_NOISE_ELECTRON**2) / electrons**2
    return rate + np.sqrt(variance) * rng.normal(size=rate.shape), np.sqrt(variance)


def _date(model: Any, mjd_tai: float, name: str) -> None:
    """Give an image the time of an epoch, and a place near the Earth."""
    middle = Time(mjd_tai, format="mjd", scale="tai").utc
    middle.format = "isot"
    half = 0.5 * _EXPOSURE_S * u.s
    meta = model.meta
    meta.filename = name
    meta.exposure.start_time, meta.exposure.end_time = middle - half, middle + half
    meta.exposure.exposure_time = _EXPOSURE_S
    position, velocity = get_body_barycentric_posvel("earth", middle, ephemeris="builtin")
    vectors = {
        "spatial": position.xyz.to_value("km") + _BEYOND_EARTH[0],
        "velocity": velocity.xyz.to_value("km/s") + _BEYOND_EARTH[1],
    }
    meta.ephemeris.time = float(middle.mjd)
    meta.ephemeris.ephemeris_reference_frame = "ICRS"
    for vector, values in vectors.items():
        for axis, value in zip("xyz", values, strict=True):
            meta.ephemeris[f"{vector}_{axis}"] = float(value)
