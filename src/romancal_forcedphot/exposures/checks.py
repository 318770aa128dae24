"""Checks of the metadata of Roman models, for the readers of images.

Metadata and WCS are converted from the file when they are first used; damage of the file then
causes errors of many kinds. Each is converted to an `ExposureError` that names the file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from astropy.time import Time

from ..geometry import pixel_to_sky
from .errors import ExposureError

__all__ = [
    "explained",
    "file_name_of",
    "required",
    "section",
    "shown_name",
    "time_of_exposure",
    "usable_wcs",
]

_N_TRIED = 3  # positions along each axis at which a WCS is evaluated
_MAX_REASON = 200
#: Errors whose text says something to programmers alone.
_OF_PROGRAMS = (AttributeError, LookupError, TypeError)


def file_name_of(model: Any) -> str:
    """Return the file name of a model.

    Parameters
    ----------
    model : roman_datamodels.datamodels.DataModel
        An image or mosaic.

    Returns
    -------
    str
        ``meta.filename``; '' if it has none that is text.
    """
    meta = model.get("meta")
    name = meta.get("filename") if isinstance(meta, Mapping) else None
    return str(name) if isinstance(name, str) else ""


def shown_name(model: Any) -> str:
    """Return the name of a model for messages.

    Parameters
    ----------
    model : roman_datamodels.datamodels.DataModel
        An image or mosaic.

    Returns
    -------
    str
        Its file name in quotes.
    """
    return repr(file_name_of(model) or "the model")


@contextlib.contextmanager
def explained(model: Any, what: str) -> Iterator[None]:
    """Context that converts errors of damaged files to an `ExposureError` with the file's name.

    Parameters
    ----------
    model : roman_datamodels.datamodels.DataModel
        An image or mosaic.
    what : str
        Part of the model that is read in the context, such as ``'metadata'``.

    Raises
    ------
    ExposureError
        For any error except those of the network.
    """
    try:
        yield
    except (ExposureError, ConnectionError):
        raise
    except Exception as error:
        reason = type(error).__name__
        if not isinstance(error, _OF_PROGRAMS):
            reason += ": " + " ".join(str(error).split())[:_MAX_REASON]
        raise ExposureError(
            f"{shown_name(model)} has {what} that cannot be used ({reason}): expected a whole file "
            "as romancal writes it; it is damaged, fetch it again"
        ) from error


def section(model: Any, group: str) -> Mapping[str, Any]:
    """Return a section of the metadata.

    Parameters
    ----------
    model : roman_datamodels.datamodels.DataModel
        An image or mosaic.
    group : str
        Its name in ``meta``.

    Returns
    -------
    mapping
        Empty if there is none.

    Raises
    ------
    ExposureError
        It is not a mapping.
    """
    entries = model.meta.get(group)
    if entries is None:
        return {}
    if not isinstance(entries, Mapping):
        raise ExposureError(
            f"{shown_name(model)} has meta.{group}={str(entries)[:_MAX_REASON]!r}: expected "
            "several entries by name, as romancal writes them; correct it"
        )
    return entries


def required(model: Any, group: str, key: str) -> Any:
    """Return a required entry of the metadata.

    Parameters
    ----------
    model : roman_datamodels.datamodels.DataModel
        An image or mosaic.
    group, key : str
        Names of the entry: ``meta.<group>.<key>``.

    Returns
    -------
    object

    Raises
    ------
    ExposureError
        It is missing.
    """
    value = section(model, group).get(key)
    if value is None:
        raise ExposureError(
            f"{shown_name(model)} has no meta.{group}.{key}: expected the metadata that romancal "
            "writes; take the image from its pipeline, or set the entry in the model"
        )
    return value


def time_of_exposure(model: Any, key: str) -> Time:
    """Return a time of the exposure.

    Parameters
    ----------
    model : roman_datamodels.datamodels.DataModel
        An image.
    key : str
        Name in ``meta.exposure``, such as ``'start_time'``.

    Returns
    -------
    astropy.time.Time

    Raises
    ------
    ExposureError
        It is missing, or not a valid time.
    """
    value = required(model, "exposure", key)
    try:
        time = Time(value)
        if not time.isscalar or not np.isfinite(time.jd):
            raise ValueError("it is no single finite time")
    except (ValueError, TypeError) as error:
        raise ExposureError(
            f"{shown_name(model)} has meta.exposure.{key}={str(value)!r}: expected a time such as "
            "2027-03-01T00:00:00; mend it"
        ) from error
    return time


def usable_wcs(model: Any, shape: tuple[int, int]) -> Any:
    """Return the WCS of a model, after a check at several positions of the image.

    Parameters
    ----------
    model : roman_datamodels.datamodels.DataModel
        An image or mosaic.
    shape : (int, int)
        Shape (ny, nx) of its image.

    Returns
    -------
    gwcs.wcs.WCS

    Raises
    ------
    ExposureError
        It is missing, cannot be read, or gives no sky positions.
    """
    with explained(model, "a WCS (meta.wcs)"):
        wcs = model.meta.get("wcs")
        if wcs is None:
            raise ExposureError(
                f"{shown_name(model)} has no WCS (meta.wcs): expected the gwcs object that "
                "romancal's assign_wcs step adds; run the image through the exposure pipeline first"
            )
        if not callable(wcs):
            raise ExposureError(
                f"{shown_name(model)} has a {type(wcs).__name__} for its WCS (meta.wcs): expected "
                "the gwcs object that romancal's assign_wcs step adds; the file is damaged, or of "
                "another program"
            )
        y, x = np.meshgrid(*(np.linspace(0, n - 1, _N_TRIED) for n in shape), indexing="ij")
        ra, dec = pixel_to_sky(wcs, x, y)
        if not (np.isfinite(ra) & (np.abs(dec) <= 90)).all():
            raise ValueError("it gives no sky position for some pixels of the image")
    return wcs
