"""Exposures as time-domain source catalogs of RAD, and light curves made of such catalogs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from astropy.time import Time, TimeDelta

from ..photometry import Sources
from ..product.time_domain import read_time_domain, require_time_domain, write_time_domain
from ..storage import check_output_directory
from ..table import Column, WarningFlag
from .dataset import Dataset
from .measuring.exposure_files import read_exposure
from .measuring.records import ExposureRecord, MeasuredExposure
from .measuring.times import barycentric_times, mid_exposure, observer_position
from .options import CurveOptions
from .running.exposure_list import find_exposures
from .running.run import Run, run_dataset

__all__ = [
    "export_time_domain",
    "from_time_domain",
    "import_time_domain",
    "to_time_domain",
]

_RAD_APERTURE = re.compile(r"aper\d\d")
_FORCED_APERTURE = re.compile(r"forced_(aper\d\d)_flux")
_NOT_FITTED = (
    *("ra_psf", "ra_psf_err", "dec_psf", "dec_psf_err"),
    *("x_psf", "x_psf_err", "y_psf", "y_psf_err", "psf_flux", "psf_flux_err", "psf_gof"),
)
_QUALITY = (
    Column("image_flags", "int32", "", "image_flags of the time-domain catalog"),
    Column("psf_flags", "int32", "", "forced_psf_flags of the time-domain catalog"),
    Column("gof", "float32", "", "forced_psf_gof of the time-domain catalog"),
)


def export_time_domain(
    dataset: Dataset, directory: str | os.PathLike, *, labels: Iterable[int | str] | None = None
) -> list[Path]:
    """Write each exposure as a time-domain source catalog, as it was measured.

    Parameters
    ----------
    dataset : Dataset
        The data set.
    directory : path-like
        Where to; files are ``EXPOSURE_tdcat.asdf``.
    labels : iterable of int or str, optional
        Labels of sources; all if not given.

    Returns
    -------
    list of pathlib.Path
    """
    require_time_domain()
    check_output_directory(directory)
    directory = Path(directory).expanduser()
    directory.mkdir(parents=True, exist_ok=True)
    sources = dataset.sources()
    wanted = None if labels is None else [int(label) for label in labels]
    written = []
    for name in dataset.state().done:
        measured = read_exposure(dataset.exposure_file(name))
        table = to_time_domain(measured, sources)
        if wanted is not None:
            table = table[np.isin(table["id"], wanted)]
        path = directory / f"{name}_tdcat.asdf"
        write_time_domain(path, table, _metadata(measured.record, path.name), sources.name)
        written.append(path)
    return written


def to_time_domain(measured: MeasuredExposure, sources: Sources) -> Table:
    """Return an exposure's rows with the columns of RAD's time-domain source catalogs.

    An aperture that RAD knows (``aper04``) goes to its own columns, as flux in the aperture. Any
    other flux is the total flux of a point source, and stands as ``forced_psf_flux`` with a
    description that says how it was measured. What needs a fit of positions is NaN.

    Parameters
    ----------
    measured : MeasuredExposure
        The exposure.
    sources : Sources
        The catalog.

    Returns
    -------
    astropy.table.Table
    """
    rows, columns, kind = measured.catalog_row, measured.columns, measured.record.flux
    nothing = np.full(len(rows), np.nan)
    flags = columns["warning_flags"].astype(np.int32)
    flux, flux_err = columns["flux"], columns["flux_err"]
    values: dict[str, Any] = {
        "id": sources.label[rows].astype(np.int64),
        "source_catalog_index": np.zeros(len(rows), dtype=np.int16),
        "ra": sources.ra[rows],
        "dec": sources.dec[rows],
        "x": columns.get("x", nothing),
        "y": columns.get("y", nothing),
        "image_flags": flags,
        **dict.fromkeys(_NOT_FITTED, nothing),
        "psf_flags": np.zeros(len(rows), dtype=np.int32),
        "forced_psf_flux": nothing,
        "forced_psf_flux_err": nothing,
        "forced_psf_flags": flags,
        "forced_psf_gof": columns.get("gof", nothing),
        "forced_aper_bkg_flux": columns.get("bkg_flux", nothing),
        "forced_aper_bkg_flux_err": columns.get("bkg_flux_err", nothing),
    }
    is_rads = bool(_RAD_APERTURE.fullmatch(kind)) and "ee_fraction" in columns
    share = columns["ee_fraction"] if is_rads else 1.0
    name = f"forced_{kind}" if is_rads else "forced_psf"
    values |= {f"{name}_flux": flux * share, f"{name}_flux_err": flux_err * share}
    if not is_rads:
        values |= {"forced_aper04_flux": nothing, "forced_aper04_flux_err": nothing}
    table = Table()
    for name, column in values.items():
        table[name] = column if column.dtype.kind == "i" else column.astype(_dtype(name))
        table[name].unit = _unit(name)
    if not is_rads:
        table[
            "forced_psf_flux"
        ].description = f"Total flux of a point source, by {kind or 'aperture'}"
    table["image_flags"].description = "warning_flags of romancal_forcedphot (0=good)"
    return table


def import_time_domain(
    files: str | os.PathLike | Iterable[str | os.PathLike],
    *,
    output_dir: str | os.PathLike,
    curve_options: CurveOptions | None = None,
    n_workers: int = 0,
) -> Run:
    """Make light curves of time-domain source catalogs.

    Parameters
    ----------
    files : str, path-like, or iterable of them
        Paths, globs, ``@list.txt``.
    output_dir : path-like
        The directory of the data set.
    curve_options : CurveOptions, optional
        How points become light curves.
    n_workers : int
        Processes; 0 for the cores that may be used.

    Returns
    -------
    Run

    Raises
    ------
    TimeDomainError
        roman_datamodels is older than 1.2.
    """
    require_time_domain()
    locations = find_exposures(files)
    return run_dataset(
        locations,
        _all_sources(locations),
        output_dir=output_dir,
        settings={"source": "time-domain source catalogs"},
        measure=_read,
        curve_options=curve_options,
        n_workers=n_workers,
    )


def from_time_domain(
    table: Table, metadata: Mapping[str, Any], sources: Sources, location: str
) -> MeasuredExposure:
    """Return the rows of a time-domain source catalog.

    The flux is that of the PSF where there is any, else that in the first aperture. Any bit of
    ``image_flags`` makes a point a flagged one.

    Parameters
    ----------
    table : astropy.table.Table
        The catalog.
    metadata : mapping
        Its ``meta``: ``exposure`` with start and end, ``instrument``.
    sources : Sources
        All sources, labels rising.
    location : str
        Its path.

    Returns
    -------
    MeasuredExposure
    """
    identity, first = np.unique(np.asarray(table["id"]), return_index=True)
    table = table[first]
    rows = np.searchsorted(sources.label, identity)
    exposure, instrument = metadata["exposure"], metadata["instrument"]
    middle = mid_exposure(Time(exposure["start_time"]), Time(exposure["end_time"]))
    observer = observer_position(metadata.get("ephemeris"), middle)
    exptime = float(exposure.get("exposure_time", np.nan))
    name = _flux_of(table)
    record = ExposureRecord(
        exposure=location,
        location=location,
        band=str(instrument["optical_element"]),
        detector=str(instrument["detector"]),
        mjd_tai=middle.mjd,
        exptime=exptime if exptime > 0 else np.nan,
        observer=observer.source,
        flux=name.removeprefix("forced_"),
    )
    image_flags = _numbers(table, "image_flags", 0).astype(np.int32)
    ra, dec = (_numbers(table, name, np.nan) for name in ("ra", "dec"))
    columns = {
        "bjd_tdb": barycentric_times(middle, observer, ra, dec),
        "x": _numbers(table, "x", np.nan),
        "y": _numbers(table, "y", np.nan),
        "flux": _numbers(table, f"{name}_flux", np.nan),
        "flux_err": _numbers(table, f"{name}_flux_err", np.nan),
        "bkg_flux": _numbers(table, "forced_aper_bkg_flux", np.nan),
        "bkg_flux_err": _numbers(table, "forced_aper_bkg_flux_err", np.nan),
        "warning_flags": np.where(image_flags != 0, int(WarningFlag.CENTER_UNUSABLE), 0),
        "image_flags": image_flags,
        "psf_flags": _numbers(table, "forced_psf_flags", 0).astype(np.int32),
        "gof": _numbers(table, "forced_psf_gof", np.nan),
    }
    columns["warning_flags"] = columns["warning_flags"].astype(np.int32)
    return MeasuredExposure(record, rows, columns, _QUALITY)


def _read(location: str, settings: Any, sources: Sources, finder: Any) -> MeasuredExposure:
    """Read a time-domain catalog instead of measuring an image."""
    table, metadata = read_time_domain(location)
    return from_time_domain(table, metadata, sources, location)


def _all_sources(locations: Sequence[str]) -> Sources:
    """Sources of all catalogs that can be read, by their id; the first position counts."""
    known: dict[int, tuple[float, float]] = {}
    for location in locations:
        try:
            table, _ = read_time_domain(location)
        except (ValueError, OSError):  # told of when it is measured
            continue
        for row in zip(*(np.asarray(table[n]).tolist() for n in ("id", "ra", "dec")), strict=True):
            known.setdefault(row[0], row[1:])
    label = np.array(sorted(known), dtype=np.int64)
    positions = np.array([known[each] for each in label.tolist()], dtype=float).reshape(-1, 2)
    ra, dec = positions.T.copy()
    return Sources(label=label, ra=ra, dec=dec, name="time-domain source catalogs")


def _flux_of(table: Table) -> str:
    """Beginning of the names of the flux to take."""
    apertures = [match[1] for match in map(_FORCED_APERTURE.fullmatch, table.colnames) if match]
    for name in ("forced_psf", *(f"forced_{aperture}" for aperture in apertures)):
        if f"{name}_flux" in table.colnames and np.isfinite(table[f"{name}_flux"]).any():
            return name
    return "forced_psf"


def _numbers(table: Table, name: str, missing: float) -> np.ndarray:
    if name not in table.colnames:
        return np.full(len(table), missing)
    return np.asarray(np.ma.filled(table[name], missing))


def _metadata(record: ExposureRecord, filename: str) -> dict[str, Any]:
    """What the record knows of ``meta``."""
    middle = Time(record.mjd_tai, format="mjd", scale="tai").utc
    half = TimeDelta(0.5 * (record.exptime if np.isfinite(record.exptime) else 0.0), format="sec")
    start, end = middle - half, middle + half
    for time in (start, end):
        time.format = "isot"
    exposure = {"start_time": start, "end_time": end}
    if np.isfinite(record.exptime):
        exposure["exposure_time"] = float(record.exptime)
    return {
        "filename": filename,
        "exposure": exposure,
        "instrument": {"detector": record.detector, "optical_element": record.band},
        "image": {"filename": Path(record.location).name},
    }


def _dtype(name: str) -> str:
    return "float64" if re.match(r"(ra|dec)(_psf)?$", name) else "float32"


def _unit(name: str) -> str | None:
    if "bkg" in name:
        return "nJy arcsec-2"
    if "flux" in name:
        return "nJy"
    if name.startswith(("ra", "dec")):
        return "arcsec" if name.endswith("_err") else "deg"
    return "pix" if name.startswith(("x", "y")) else None
