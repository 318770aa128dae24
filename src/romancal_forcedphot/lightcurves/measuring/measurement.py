"""One exposure becomes rows of light curves: measured, timed, compared with the catalog.

`measure_image` wraps `exposures.measure_exposure` for many exposures: it keeps the rows that are on
the image, and adds what light curves need beside fluxes (times, offsets from the catalog, noise of
the sky, noise-equivalent area).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from astropy import units as u
from astropy.stats import mad_std
from astropy.table import Table
from astropy.time import Time
from numpy.typing import NDArray

from ...exposures import Inspection, measure_exposure, open_image
from ...photometry import Exposure, Settings, Sources
from ...photometry.calibration import flux_scale
from ...references import Finder
from ...table import Column, WarningFlag
from ..options import MeasureOptions
from .offsets import Offset, median_offset, vote
from .psf_sample import PSFSample
from .records import ExposureRecord, MeasuredExposure
from .times import barycentric_times, mid_exposure, observer_position

__all__ = ["flux_prefix", "measure_image"]

_APERTURES = (r"aper\w+?(pix|arcsec|\d\d)", r"ellipse", r"kron")
#: Prefixes of the flux columns that are meant, the one to be preferred first; '' if none is named.
_PATTERNS = {"": (r"psf", r"model", *_APERTURES), "aperture": _APERTURES}
_NO_QUALITY = re.compile(r"(total_)?flux(_err)?|abmag(_err)?|bkg_flux(_err)?")
_BRIGHT_SNR, _MOST_BRIGHT = 30.0, 200
#: Offsets that centroids alone can be believed to find: so far, with so much scatter.
_NEAR_PIX, _SCATTER_PIX = 1.5, 0.3
_SKY_STEP = 16
_PLACEHOLDER = -999999.0


def measure_image(
    location: str,
    settings: Settings,
    sources: Sources,
    finder: Finder,
    *,
    options: MeasureOptions | None = None,
    storage_options: Mapping[str, Any] | None = None,
    verify_checksums: bool = True,
) -> MeasuredExposure:
    """Measure the sources of a catalog on one image.

    Parameters
    ----------
    location : str
        Path or URI of a Level-2 image.
    settings : Settings
        Every parameter that shapes a number.
    sources : Sources
        n sources with sky positions.
    finder : Finder
        Finds the reference files.
    options : MeasureOptions, optional
        Which flux, and whether positions follow the sources.
    storage_options : mapping, optional
        How to reach an image that is not local. See `storage.open_remote`.
    verify_checksums : bool
        Whether the image's arrays are compared with its own checksums.

    Returns
    -------
    MeasuredExposure
        A row for each source on the image.

    Raises
    ------
    ValueError, OSError
        As `exposures.measure_exposure` does.
    """
    options = options or MeasureOptions()
    # The table has labels and no row numbers: let the row numbers be the labels.
    numbered = replace(sources, label=np.arange(len(sources)), columns=None, source_name=None)
    model = open_image(
        location,
        storage_options=storage_options,
        verify_checksums=verify_checksums,
        mosaics=False,
        validate=False,  # what is used of it is checked by its readers
        n_threads=1,
    )
    try:
        measure = partial(_measured, model, settings, finder, options.flux)
        result = measure(numbered)
        offset, shift = result.offset, (0.0, 0.0)
        if options.align and np.isfinite(offset.x):
            shift = (offset.x, offset.y)
            result = measure(_moved(numbered, result.table, shift), psf=result.psf)
        return _as_rows(location, result, offset, shift)
    finally:
        model.close()


@dataclass(frozen=True, eq=False)
class _Result:
    """What one measurement of an image gave, and what was looked at while it was open."""

    table: Table
    metadata: Mapping[str, Any]
    prefix: str
    mid_time: Time
    band: str
    detector: str
    psf: PSFSample
    offset: Offset
    flux_scale: float
    sky_rms: float
    pixel_scale: float
    nea: NDArray


def _measured(
    model: Any,
    settings: Settings,
    finder: Finder,
    flux: str,
    sources: Sources,
    *,
    psf: PSFSample | None = None,
) -> _Result:
    """Measure sources whose labels are row numbers on an open image.

    Offsets are looked for unless the PSF is known from an earlier look.
    """
    looks: dict[str, Any] = {}

    def look(inspection: Inspection) -> None:
        exposure, table = inspection.exposure, inspection.table
        prefix = flux_prefix(table.colnames, flux)
        sample = psf or PSFSample.of(inspection.psf or inspection.correction, exposure.shape)
        offset = Offset() if psf else _offset(exposure, table, prefix, sample)
        looks.update(
            psf=sample,
            offset=offset,
            prefix=prefix,
            mid_time=exposure.mid_time,
            band=exposure.band,
            detector=exposure.detector,
            flux_scale=flux_scale(exposure.conversion, exposure.pixel_area),
            sky_rms=_sky_rms(exposure.data),
            pixel_scale=float((exposure.pixel_area * u.sr).to_value(u.arcsec**2)) ** 0.5,
            nea=sample.noise_equivalent_area(np.array(table["x"]), np.array(table["y"])),
        )

    measurement = measure_exposure(
        model, settings, sources, finder, on_image_only=True, n_threads=1, inspect=look
    )
    return _Result(measurement.table, measurement.metadata, **looks)


def _as_rows(
    location: str, result: _Result, offset: Offset, shift: tuple[float, float]
) -> MeasuredExposure:
    """Put what was measured in the columns of light curves."""
    table, prefix = result.table, result.prefix
    about = result.metadata.get("exposure") or {}
    start, end = about.get("start_time"), about.get("end_time")
    middle = mid_exposure(Time(start), Time(end)) if start and end else result.mid_time.tai
    observer = observer_position(result.metadata.get("ephemeris"), middle)
    record = ExposureRecord(
        exposure=str(location),
        location=str(location),
        band=result.band,
        detector=result.detector,
        mjd_tai=middle.mjd,
        exptime=_known(about.get("exposure_time")),
        observer=observer.source,
        flux=prefix,
        flux_scale=result.flux_scale,
        sky_rms=result.sky_rms,
        pixel_scale=result.pixel_scale,
        offset_x=offset.x,
        offset_y=offset.y,
        offset_scatter=offset.scatter,
        n_offset=offset.n_sources,
        shift_x=shift[0],
        shift_y=shift[1],
    )
    flux = f"{prefix}_total_flux" if f"{prefix}_total_flux" in table.colnames else f"{prefix}_flux"
    background = next((p for p in (prefix, "aper") if f"{p}_bkg_flux" in table.colnames), None)
    columns = {
        "bjd_tdb": barycentric_times(
            middle, observer, np.array(table["ra"]), np.array(table["dec"])
        ),
        "x": np.array(table["x"]),
        "y": np.array(table["y"]),
        "flux": np.array(table[flux]),
        "flux_err": np.array(table[f"{flux}_err"]),
        "nea": result.nea,
        "warning_flags": np.array(table["warning_flags"]),
    }
    for name in ("bkg_flux", "bkg_flux_err") if background else ():
        columns[name] = np.array(table[f"{background}_{name}"])
    quality = _quality(table, prefix)
    columns |= {column.name: np.array(table[f"{prefix}_{column.name}"]) for column in quality}
    return MeasuredExposure(record, np.array(table["label"]), columns, quality)


def flux_prefix(names: Sequence[str], wanted: str = "") -> str:
    """Return the beginning of the names of the columns that light curves are made of.

    Parameters
    ----------
    names : sequence of str
        Columns of a table.
    wanted : str
        Such as ``'psf'``, ``'model'`` or ``'aper3pix'``, or ``'aperture'`` for the first aperture;
        if not given, the PSF's, a model's, the first circle's, or that of ellipses, whichever was
        measured.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        There is no such flux.
    """
    found = [name.removesuffix("_flux") for name in names if name.endswith("_flux")]
    found = [name.removesuffix("_total") for name in found if not name.endswith("_bkg")]
    found = list(dict.fromkeys(found))
    if wanted in found:
        return wanted
    for pattern in _PATTERNS.get(wanted, ()):
        matches = [name for name in found if re.fullmatch(pattern, name)]
        if matches:
            return matches[0]
    raise ValueError(
        f"flux {wanted!r} is not measured: expected one of {', '.join(found)}; correct --flux, or "
        "measure it with --methods or --aperture_radii"
    )


def _quality(table: Table, prefix: str) -> tuple[Column, ...]:
    """What a method tells beside flux, magnitude and background."""
    names = [
        name.removeprefix(f"{prefix}_") for name in table.colnames if name.startswith(f"{prefix}_")
    ]
    columns = []
    for name in names:
        if not _NO_QUALITY.fullmatch(name):
            about = table[f"{prefix}_{name}"]
            unit, text = str(about.unit or ""), about.description or name
            columns.append(Column(name, about.dtype.name, unit, text))
    return tuple(columns)


def _moved(sources: Sources, table: Table, shift: tuple[float, float]) -> Sources:
    """Sources on the image, by pixel positions, moved."""
    on_image = sources.take(np.array(table["label"]))
    x, y = np.array(table["x"]) + shift[0], np.array(table["y"]) + shift[1]
    return replace(on_image, ra=None, dec=None, motion=None, x=x, y=y)


def _offset(exposure: Exposure, table: Table, prefix: str, psf: PSFSample) -> Offset:
    """Offset of the sources from the catalog, less that of the PSF's own centroid."""
    x, y = np.array(table["x"]), np.array(table["y"])
    flux = np.array(table[f"{prefix}_flux"], dtype=np.float64)
    snr = flux / np.array(table[f"{prefix}_flux_err"], dtype=np.float64)
    flags = np.array(table["warning_flags"]) & ~np.int32(WarningFlag.PSF_POOR_FIT)  # by the offset
    bright = np.flatnonzero((snr >= _BRIGHT_SNR) & (flags == 0))
    bright = bright[np.argsort(-flux[bright], kind="stable")[:_MOST_BRIGHT]]
    found = median_offset(exposure.data, x[bright], y[bright])
    if not (np.hypot(found.x, found.y) < _NEAR_PIX and found.scatter < _SCATTER_PIX):
        far = vote(exposure.data, x, y)
        found = far if np.isfinite(far.x) else found
    own_x, own_y = psf.centroid
    return replace(found, x=found.x - own_x, y=found.y - own_y)


def _sky_rms(data: NDArray) -> float:
    """Scatter of the sky from pixel to pixel, by a sample of pixels."""
    sample = data[::_SKY_STEP, ::_SKY_STEP]
    sample = sample[np.isfinite(sample)]
    return float(mad_std(sample)) if sample.size else np.nan


def _known(value: Any) -> float:
    """A number of the metadata, NaN for RAD's placeholder or nothing."""
    number = np.nan if value is None else float(value)
    return np.nan if number == _PLACEHOLDER else number
