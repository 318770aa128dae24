"""Reading of a Roman Level-2 model as an `Exposure`.

Only this module depends on the structure of such models (and `level3` on that of mosaics). It
applies the data-quality mask: from then on an unusable pixel is NaN. The model itself is not
changed.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from roman_datamodels import dqflags
from roman_datamodels.datamodels import MosaicModel

from ..photometry import Exposure
from ..product.plain import plain
from .checks import (
    explained,
    file_name_of,
    required,
    section,
    shown_name,
    time_of_exposure,
    usable_wcs,
)
from .dq import ANY_FLAG, dq_bits
from .errors import ExposureError
from .planes import INTEGERS, NUMBERS, read_plane

__all__ = ["read_level2"]

log = logging.getLogger(f"romancal.{__name__}")

_ROWS_AT_ONCE = 64
_N_POSITIVE_FLOAT16 = np.float16(np.inf).view(np.uint16) - np.uint16(1)
#: Arrays that are read, with the kinds of their types.
_PLANES = {"data": NUMBERS, "err": NUMBERS, "dq": INTEGERS}
#: Parts of the metadata that a product has no use for, or that take long to copy.
_NOT_COPIED = ("wcs", "cal_logs", "background", "outlier_detection", "statistics")


def read_level2(model: Any, *, dq_mask: str | Sequence[str] = "DO_NOT_USE") -> Exposure:
    """Read an exposure from a Level-2 model, which is not changed.

    Parameters
    ----------
    model : roman_datamodels.datamodels.ImageModel
        The image. Keep it open while the exposure is in use: its WCS is read from it.
    dq_mask : str or sequence of str
        Names of the flags (`roman_datamodels.dqflags.pixel`) that make a pixel unusable; ``'ANY'``
        for all of them, ``'NONE'`` for none. The bits of a ``dq2`` array (RAD 1.2) have no names
        yet: they exclude a pixel only with ``'ANY'``, because unusable pixels have DO_NOT_USE in
        ``dq`` as well. Pixels whose data are not finite, or whose err is not finite and positive,
        are never usable.

    Returns
    -------
    Exposure

    Raises
    ------
    ExposureError
        The model is a mosaic, has no WCS or no usable photometric calibration, lacks metadata, or
        is damaged.
    ValueError
        A name in ``dq_mask`` is not a DQ flag.
    """
    bits = dq_bits(dq_mask)
    if isinstance(model, MosaicModel):
        raise ExposureError(
            f"{file_name_of(model)} is a mosaic: expected a Level-2 image (ImageModel); read "
            "mosaics with read_level3"
        )
    with explained(model, "metadata"):
        conversion, pixel_area, sign = _calibration(model)
        start, end = (time_of_exposure(model, name) for name in ("start_time", "end_time"))
        meta = model.meta
        entries = {
            "detector": str(required(model, "instrument", "detector")),
            "band": str(required(model, "instrument", "optical_element")),
            "name": file_name_of(model),
            "guide_star": plain(section(model, "guide_star")),
            "is_flat_fielded": section(model, "cal_step").get("flat_field") == "COMPLETE",
            "reference_parameters": plain(model.get_crds_parameters()),
            "metadata": {key: plain(meta[key]) for key in meta if key not in _NOT_COPIED},
        }
    data, err, saturated = _read_planes(model, bits, sign)
    return Exposure(
        data=data,
        err=err,
        saturated=saturated,
        wcs=usable_wcs(model, data.shape),
        conversion=conversion,
        pixel_area=pixel_area,
        mid_time=start + 0.5 * (end - start),
        **entries,
    )


def _calibration(model: Any) -> tuple[float, float, float]:
    """C (MJy/sr per image unit), Ω₀ (sr), both positive, and the sign to multiply the image by.

    romanisim and early references have both numbers negative: their product is correct, but an
    image that ``FluxStep`` multiplied by a negative C has the wrong sign.
    """
    photometry = section(model, "photometry")
    conversion = _number(model, photometry, "conversion_megajanskys")
    pixel_area = _number(model, photometry, "pixel_area")
    if conversion * pixel_area <= 0:
        raise ExposureError(
            f"{shown_name(model)} has meta.photometry.conversion_megajanskys={conversion:g} and "
            f"pixel_area={pixel_area:g}: expected two positive numbers; run romancal's photom "
            "step with a current reference file"
        )
    negative = conversion < 0
    if negative:
        log.warning(
            "meta.photometry of %s has a negative conversion_megajanskys and a negative "
            "pixel_area: their product is right and is used",
            shown_name(model),
        )
    if section(model, "cal_step").get("flux") == "COMPLETE":
        return 1.0, abs(pixel_area), -1.0 if negative else 1.0
    return abs(conversion), abs(pixel_area), 1.0


def _number(model: Any, photometry: Any, key: str) -> float:
    """Entry of ``meta.photometry``; raise an ExposureError unless finite and not 0."""
    value = photometry.get(key)
    try:
        number = float(getattr(value, "value", value))
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or number == 0:
        raise ExposureError(
            f"{shown_name(model)} has meta.photometry.{key}={value}: expected a finite number "
            "other than 0; images without photometric calibration (grism, prism, dark) cannot be "
            "measured, others need romancal's photom step"
        )
    return number


def _read_planes(model: Any, bits: int, sign: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Data with NaN at unusable pixels, err, and the mask of saturated pixels, each (ny, nx)."""
    data, err, dq = (read_plane(model, name, kinds) for name, kinds in _PLANES.items())
    if data.ndim != 2 or err.shape != data.shape or dq.shape != data.shape:
        raise ExposureError(
            f"{shown_name(model)} has data, err and dq of shapes {data.shape}, {err.shape}, "
            f"{dq.shape}: expected three images of one shape"
        )
    err = err if err.dtype.kind == "f" else err.astype(np.float32)
    err = -err if sign < 0 else err
    usable_data, saturated = np.empty(data.shape, np.float32), np.empty(data.shape, dtype=bool)
    for first in range(0, data.shape[0], _ROWS_AT_ONCE):  # keeps the temporaries in the cache
        rows = slice(first, first + _ROWS_AT_ONCE)
        saturated[rows] = (dq[rows] & np.uint32(dqflags.pixel.SATURATED.value)) != 0
        values = usable_data[rows]
        values[...] = data[rows]
        if sign < 0:
            np.negative(values, out=values)
        unusable = (dq[rows] & np.uint32(bits)) != 0
        unusable |= ~(_is_error(err[rows]) & np.isfinite(values))
        np.copyto(values, np.nan, where=unusable)
    if bits == ANY_FLAG and "dq2" in model:
        usable_data[read_plane(model, "dq2", INTEGERS) != 0] = np.nan
    return usable_data, err, saturated


def _is_error(err: np.ndarray) -> np.ndarray:
    """Whether standard deviations are finite and positive."""
    if err.dtype != np.float16:
        return np.isfinite(err) & (err > 0)
    # float16 is compared in software; the bits of its positive numbers count them from 1.
    return err.view(np.uint16) - np.uint16(1) < _N_POSITIVE_FLOAT16
