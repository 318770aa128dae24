"""Reading of a Roman Level-3 mosaic as an `Exposure`.

A mosaic is surface brightness in MJy/sr on a tangent plane, so that the flux of a pixel is its
value times its solid angle on the sky, which the WCS gives. There are no DQ flags: a pixel
without weight, without an exposure in its context, or not finite, is unusable. The model itself is
not changed.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from astropy.time import Time

from ..geometry import solid_angle
from ..photometry import Coverage, Exposure, Resampling
from ..product.plain import plain
from .checks import explained, file_name_of, required, section, shown_name, usable_wcs
from .errors import ExposureError
from .planes import INTEGERS, NUMBERS, read_plane

__all__ = ["read_level3"]

log = logging.getLogger(f"romancal.{__name__}")

_ROWS_AT_ONCE = 256
_FROM_RESAMPLE = "as romancal's resample step writes it; make the mosaic again with it"
#: Parts of the metadata that a product has no use for, or that take long to copy.
_NOT_COPIED = ("wcs", "cal_logs", "individual_image_meta", "statistics")
#: What weights by the variance of each pixel do (docs/measured/mosaics.md).
_LOSSES = {
    "ivm": "stars were 1 % (22 mag) to 4 % (18 mag) too faint on three exposures, 5 to 14 % on one",
    "ivm-sky": "stars were 1 to 3 % too faint on three exposures, 4 to 7 % on one",
}


def read_level3(model: Any) -> Exposure:
    """Read a mosaic from a Level-3 model, which is not changed.

    Parameters
    ----------
    model : roman_datamodels.datamodels.MosaicModel
        The mosaic, in MJy/sr. Keep it open while the exposure is in use: its WCS is read from it.

    Returns
    -------
    Exposure
        Without `saturated`; `pixel_area` is the solid angle of the central pixel by the WCS,
        `mid_time` the mean of the exposures' (of their starts if their times are not recorded),
        `detector` the most frequent one.

    Raises
    ------
    ExposureError
        The mosaic is in DN/s, has no WCS or no weights, lacks metadata, or is damaged.
    """
    with explained(model, "metadata"):
        _check_unit(model)
        tables = section(model, "individual_image_meta")
        detector = _most_frequent(tables, "instrument", "detector")
        meta = model.meta
        entries = {
            "detector": detector,
            "band": str(required(model, "instrument", "optical_element")),
            "mid_time": _mean_time(model, tables),
            "name": file_name_of(model),
            "is_flat_fielded": True,
            "reference_parameters": plain(model.get_crds_parameters())
            | _parameters_of_exposures(model, tables, detector),
            "metadata": {key: plain(meta[key]) for key in meta if key not in _NOT_COPIED},
            "resampling": _resampling(model, tables),
        }
    data, err, coverage = _read_planes(model)
    ny, nx = data.shape
    wcs = usable_wcs(model, data.shape)
    exposure = Exposure(
        data=data,
        err=err,
        saturated=None,
        wcs=wcs,
        conversion=1.0,
        pixel_area=float(solid_angle(wcs, (nx - 1) / 2, (ny - 1) / 2)),
        coverage=coverage,
        **entries,
    )
    _warn_of_weights(exposure)
    return exposure


def _check_unit(model: Any) -> None:
    """Raise an ExposureError for a mosaic of exposures in DN/s."""
    state = section(model, "cal_step").get("flux")
    if state != "COMPLETE":
        raise ExposureError(
            f"{shown_name(model)} is a mosaic in DN/s (meta.cal_step.flux is {str(state)!r}): "
            "expected MJy/sr; run romancal's flux step on the exposures before resampling"
        )


def _column(tables: Mapping[str, Any], table: str, name: str) -> Any:
    """Return a column of the exposures' metadata, None if it is not recorded."""
    found = tables.get(table)
    return found[name] if found is not None and name in getattr(found, "colnames", ()) else None


def _most_frequent(tables: Mapping[str, Any], table: str, name: str) -> str:
    """Return the most frequent text of a column, of equally frequent ones the first; '' if none."""
    texts = _column(tables, table, name)
    counts = Counter(map(str, texts if texts is not None else ()))
    return max(sorted(counts), key=counts.__getitem__, default="")


def _parameters_of_exposures(
    model: Any, tables: Mapping[str, Any], detector: str
) -> dict[str, str]:
    """Return parameters by which CRDS selects and which mosaics have for their exposures alone."""
    found = {
        "roman.meta.instrument.detector": detector,
        "roman.meta.exposure.type": _most_frequent(tables, "exposure", "type"),
        "roman.meta.exposure.start_time": section(model, "coadd_info").get("time_first"),
    }
    return {key: str(value) for key, value in found.items() if value}


def _times(tables: Mapping[str, Any]) -> tuple[Time, Time] | None:
    """Return the start and end times of the exposures, None if they are not recorded."""
    start, end = (_column(tables, "exposure", name) for name in ("start_time", "end_time"))
    return None if start is None or end is None else (Time(start), Time(end))


def _mean_time(model: Any, tables: Mapping[str, Any]) -> Time:
    """Return the mean of the middles of the exposures.

    ``coadd_info.time_mean`` is that of their starts; it is used if their times are not recorded.
    """
    if times := _times(tables):
        start, end = times
        middle = start + 0.5 * (end - start)
        return middle if middle.isscalar else middle[0] + (middle - middle[0]).mean()
    return Time(required(model, "coadd_info", "time_mean"))


def _resampling(model: Any, tables: Mapping[str, Any]) -> Resampling:
    """Return how the mosaic was resampled; raise an ExposureError for impossible numbers."""
    ratio = float(required(model, "resample", "pixel_scale_ratio"))
    pixfrac = float(required(model, "resample", "pixfrac"))
    if not (0 < ratio < np.inf and 0 <= pixfrac < np.inf):
        raise ExposureError(
            f"{shown_name(model)} has meta.resample.pixel_scale_ratio={ratio:g} and "
            f"pixfrac={pixfrac:g}: expected a positive ratio and a fraction, {_FROM_RESAMPLE}"
        )
    areas = _column(tables, "photometry", "pixel_area")
    members = section(model, "resample").get("members") or ()
    times = _times(tables)
    return Resampling(
        pixel_scale_ratio=ratio,
        pixfrac=pixfrac,
        weight_type=str(section(model, "resample").get("weight_type") or ""),
        n_exposures=len(members),
        exposure_pixel_area=None if areas is None else float(np.median(np.asarray(areas, float))),
        span_years=0.0 if times is None else float(np.max(times[1].jyear) - np.min(times[0].jyear)),
    )


def _read_planes(model: Any) -> tuple[np.ndarray, np.ndarray, Coverage]:
    """Data with NaN at unusable pixels, and err, each (ny, nx), and the coverage."""
    for name in ("data", "err", "weight"):
        if name not in model:
            raise ExposureError(
                f"{shown_name(model)} has no {name} array: expected a mosaic {_FROM_RESAMPLE}"
            )
    data, err, weight = (read_plane(model, name, NUMBERS) for name in ("data", "err", "weight"))
    context = read_plane(model, "context", INTEGERS) if "context" in model else None
    shapes = {data.shape, err.shape, weight.shape}
    if data.ndim != 2 or len(shapes) > 1 or (context is not None and _grid(context) != data.shape):
        raise ExposureError(
            f"{shown_name(model)} has data, err, weight and context of shapes {data.shape}, "
            f"{err.shape}, {weight.shape} and {None if context is None else context.shape}: "
            f"expected arrays of one grid, {_FROM_RESAMPLE}"
        )
    err = err if err.dtype.kind == "f" else err.astype(np.float32)
    return _masked(data, err, weight, context), err, Coverage(weight, context)


def _masked(
    data: np.ndarray, err: np.ndarray, weight: np.ndarray, context: np.ndarray | None
) -> np.ndarray:
    """Return data (float32) with NaN at unusable pixels: a copy, unless it has NaN there already.

    romancal's mosaics have, and a copy of a large one takes as long as all else here.
    """
    masked = data.astype(np.float32, copy=False)
    for first in range(0, data.shape[0], _ROWS_AT_ONCE):  # keeps the temporaries in the cache
        rows = slice(first, first + _ROWS_AT_ONCE)
        usable = (weight[rows] > 0) & np.isfinite(err[rows]) & (err[rows] > 0)
        if context is not None:
            usable &= (context[:, rows] != 0).any(axis=0)
        unusable = ~usable & ~np.isnan(masked[rows])
        unusable |= np.isinf(masked[rows])
        if unusable.any():
            if np.may_share_memory(masked, data):
                masked = data.astype(np.float32)
            masked[rows][unusable] = np.nan
    return masked


def _grid(context: np.ndarray) -> tuple[int, ...] | None:
    """Return the shape of the planes of a context array, None if it has none."""
    return context.shape[1:] if context.ndim == 3 else None


def _warn_of_weights(exposure: Exposure) -> None:
    """Warn of weights that take light from the cores of stars."""
    resampling = exposure.resampling
    if resampling is None:
        return
    if loss := _LOSSES.get(resampling.weight_type.lower()):
        log.warning(
            "The exposures of mosaic %s were weighted by %s (meta.resample.weight_type), which "
            "takes light from the cores of stars, whose variance is larger: in a test %s, and no "
            "aperture correction repairs it; resample with weight_type='exptime'",
            exposure.name,
            resampling.weight_type,
            loss,
        )
