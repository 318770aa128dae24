"""Light curves in the forms that others read: a file per source, or per source and band."""

from __future__ import annotations

import io
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import QTable, Table
from astropy.timeseries import TimeSeries

from ..photometry.calibration import AB_ZERO_POINT
from ..storage import check_output_directory, write_atomically
from .reading import LightCurves

__all__ = ["chosen", "export_ecsv", "export_snappl", "snappl_table"]

_DETECTOR_AND_BAND = re.compile(r"_wfi\d\d_.*$", re.IGNORECASE)
#: What a light curve of snappl tells, where nothing is known here: all of it must be there.
_NOT_KNOWN = (
    *("provenance_id", "diaobject_id", "diaobject_position_id", "iau_name"),
    *("ra_err", "dec_err", "ra_dec_covar"),
)


def export_ecsv(curves: Iterable[TimeSeries], directory: str | os.PathLike) -> list[Path]:
    """Write each light curve as ECSV, from which `TimeSeries.read` restores it.

    Parameters
    ----------
    curves : iterable of TimeSeries
        As `LightCurves.source` returns them.
    directory : path-like
        Where to; files are ``LABEL.ecsv``.

    Returns
    -------
    list of pathlib.Path
    """
    directory = _directory(directory)
    written = []
    for name, series in _named(curves):
        text = io.StringIO()
        series.write(text, format="ascii.ecsv")
        with write_atomically(directory / f"{name}.ecsv") as file:
            file.write(text.getvalue().encode())
        written.append(directory / f"{name}.ecsv")
    return written


def export_snappl(
    curves: Iterable[TimeSeries], exposures: Table, directory: str | os.PathLike
) -> list[Path]:
    """Write light curves as those of the Roman supernova teams' ``snappl``, a file per band.

    Parameters
    ----------
    curves : iterable of TimeSeries
        As `LightCurves.source` returns them.
    exposures : astropy.table.Table
        `LightCurves.exposures`.
    directory : path-like
        Where to; files are ``LABEL.BAND.ltcv.parquet``.

    Returns
    -------
    list of pathlib.Path
    """
    directory = _directory(directory)
    of_exposures = {str(row["exposure"]): dict(row) for row in exposures}
    written = []
    for name, series in _named(curves):
        for band in sorted(set(series["band"].tolist())):
            final = directory / f"{name}.{band}.ltcv.parquet"
            with write_atomically(final) as file:
                file.write(_as_parquet(snappl_table(series, band, of_exposures)))
            written.append(final)
    return written


def snappl_table(
    series: TimeSeries, band: str, exposures: Mapping[str, Mapping[str, Any]]
) -> QTable:
    """Return the points of one band as snappl's ``Lightcurve`` takes them.

    Fluxes are in DN/s of their exposure: F/nJy = DN/s · C·Ω₀, so that
    m(AB) = −2.5 log₁₀(DN/s) + zpt with zpt = 31.4 − 2.5 log₁₀(C·Ω₀/nJy).

    Parameters
    ----------
    series : TimeSeries
        A light curve.
    band : str
        Which points.
    exposures : mapping of str to mapping
        ``flux_scale`` (nJy per DN/s) and ``sky_rms`` (DN/s) of each exposure, by name.

    Returns
    -------
    astropy.table.QTable
        Points of finite flux, with snappl's columns, units and metadata. MJD is UTC, as the
        images have it; the local surface brightness of a galaxy is not known, NaN.
    """
    points = series[(series["band"] == band) & np.isfinite(np.asarray(series["flux"]))]
    names = [str(name) for name in points["exposure"]]
    scale, sky = (
        np.array([float(exposures[name][key]) for name in names], dtype=float)
        for key in ("flux_scale", "sky_rms")
    )
    rate, pixel = u.count / u.s, u.pix
    table = QTable(
        {
            "mjd": points.time.utc.mjd * u.d,
            "flux": np.asarray(points["flux"], dtype=float) / scale * rate,
            "flux_err": np.asarray(points["flux_err"], dtype=float) / scale * rate,
            "zpt": (AB_ZERO_POINT - 2.5 * np.log10(scale)) * u.mag,
            "NEA": np.asarray(points["nea"], dtype=float) * pixel**2,
            "sky_rms": sky * rate,
            "observation_id": np.array([_DETECTOR_AND_BAND.sub("", name) for name in names], str),
            "sca": np.array([_sca(str(name)) for name in points["detector"]], dtype=np.int64),
            "pix_x": np.asarray(points["x"], dtype=float) * pixel,
            "pix_y": np.asarray(points["y"], dtype=float) * pixel,
            "warning_flags": np.asarray(points["warning_flags"]),
        }
    )
    table.meta = dict.fromkeys(_NOT_KNOWN) | {
        "band": band,
        "ra": float(series.meta["ra"]),
        "dec": float(series.meta["dec"]),
        f"local_surface_brightness_{band}": float("nan"),
        "label": int(series.meta["label"]),
        "mjd_scale": "utc",
    }
    return table


def _as_parquet(table: QTable) -> bytes:
    """Content of a table's Parquet file, which astropy writes to paths alone."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "table.parquet"
        table.write(path, format="parquet")
        return path.read_bytes()


def _sca(detector: str) -> int:
    """Number of a detector, 1 of WFI01."""
    digits = re.sub(r"\D", "", detector)
    return int(digits) if digits else 0


def _named(curves: Iterable[TimeSeries]) -> Iterable[tuple[str, TimeSeries]]:
    """Light curves with names for their files; labels that repeat are numbered."""
    seen: dict[int, int] = {}
    for series in curves:
        label = int(series.meta["label"])
        number = seen[label] = seen.get(label, 0) + 1
        yield (str(label) if number == 1 else f"{label}_{number}"), series


def _directory(directory: str | os.PathLike) -> Path:
    check_output_directory(directory)
    path = Path(directory).expanduser()
    path.mkdir(parents=True, exist_ok=True)
    return path


def chosen(curves: LightCurves, labels: Iterable[int | str] | None) -> Iterable[TimeSeries]:
    """Light curves of some labels, or all."""
    return curves if labels is None else (curves.source(label) for label in labels)
