"""Reference files: how CRDS is asked, and what its answers mean here.

stpipe asks CRDS and honours the overrides; CRDS answers with a file, with "N/A", with one of
several errors, or, where it is out of reach, by ending the process. Here each becomes one of
three things: a reference, none, or an error that says what to set.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import asdf
import numpy as np
from crds.core.exceptions import CrdsError, CrdsLookupError, CrdsUnknownReftypeError
from roman_datamodels import datamodels as rdm

__all__ = [
    "AreaReference",
    "ReferenceFileError",
    "find",
    "opened_reference",
    "quiet_crds",
    "read_apcorr",
    "read_area",
    "read_gain",
    "reference_handle",
]

log = logging.getLogger(f"romancal.{__name__}")

#: What CRDS raises where it cannot work at all (it exits where it finds neither server nor cache).
CRDS_OUT_OF_REACH = (CrdsError, OSError, SystemExit)


class ReferenceFileError(RuntimeError):
    """A reference file is not to be had, or is not what it should be."""


@dataclass(frozen=True)
class AreaReference:
    """Content of a pixel-area reference file.

    Attributes
    ----------
    data : ndarray
        (ny, nx) area of each pixel: relative, in sr or in arcsec².
    nominal_steradian, nominal_arcsecsq : float or None
        Nominal area of a pixel as the file's ``meta.photometry`` gives it.
    """

    data: np.ndarray
    nominal_steradian: float | None
    nominal_arcsecsq: float | None


@contextlib.contextmanager
def quiet_crds() -> Iterator[None]:
    """Keep CRDS from logging errors for what its caller handles and reports itself."""
    logger = logging.getLogger("CRDS")
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before


def find(step: Any, model: Any, reference_type: str, *, remedy: str) -> Any:
    """Find the reference file of a type for a model, by override or by CRDS.

    Parameters
    ----------
    step : stpipe.Step
        The step, whose overrides count and which records the file.
    model : roman_datamodels.datamodels.DataModel
        The image.
    reference_type : str
        Such as ``'area'``.
    remedy : str
        Option that does without this reference, for messages.

    Returns
    -------
    str, DataModel or None
        Path or model of the reference; None for "N/A" and where CRDS has no match.

    Raises
    ------
    ReferenceFileError
        CRDS is out of reach, or the file is not there.
    """
    override = step.get_ref_override(reference_type)
    try:
        with quiet_crds():
            found = step.get_reference_file(model, reference_type)
    except (CrdsLookupError, CrdsUnknownReftypeError):
        return None
    except CRDS_OUT_OF_REACH as error:
        if override is not None:
            raise ReferenceFileError(
                f"{reference_type} reference {override!r} (override_{reference_type}) cannot be "
                f"read ({error}): give the path of a file, or set {remedy}"
            ) from error
        raise ReferenceFileError(
            f"CRDS gave no {reference_type} reference ({_reason(error)}): set CRDS_SERVER_URL, "
            f"CRDS_PATH and, for a fixed context, CRDS_CONTEXT; or give a file with "
            f"--override_{reference_type}=FILE; or do without one by {remedy}"
        ) from error
    if found in ("N/A", ""):
        return None
    log.info("The %s reference is %s", reference_type, reference_handle(found))
    return found


def _reason(error: BaseException) -> str:
    """One line on why CRDS failed."""
    if isinstance(error, SystemExit):
        return "it reaches no server and finds no cache"
    return " ".join(str(error).split())


def read_area(reference: Any, *, detector: str) -> AreaReference:
    """Read a pixel-area reference.

    Parameters
    ----------
    reference : str or PixelareaRefModel
        Path or model.
    detector : str
        The image's detector, which the file's must match.

    Returns
    -------
    AreaReference

    Raises
    ------
    ReferenceFileError
        The file is no area reference or belongs to another detector.
    """
    with opened_reference(reference, rdm.PixelareaRefModel, "area") as model:
        _check_detector(reference, model, "area", detector, remedy="--pixel_area=wcs")
        photometry = model.meta.get("photometry") or {}
        return AreaReference(
            data=np.asarray(model.data),  # not memory-mapped: it outlives the file
            nominal_steradian=photometry.get("pixelarea_steradians"),
            nominal_arcsecsq=photometry.get("pixelarea_arcsecsq"),
        )


def read_apcorr(reference: Any, *, band: str) -> dict[str, Any]:
    """Read the aperture corrections of one filter.

    Parameters
    ----------
    reference : str or ApcorrRefModel
        Path or model.
    band : str
        Name of the optical element.

    Returns
    -------
    dict
        The file's entries for the filter (``ee_radii``, ``ee_fractions``, ...), each an array, a
        number or None; empty where the file has none for it.

    Raises
    ------
    ReferenceFileError
        The file is no aperture-correction reference.
    """
    with opened_reference(reference, rdm.ApcorrRefModel, "apcorr") as model:
        entry = model.data.get(band) or {}
        return {
            key: np.array(value) if np.ndim(value) else value for key, value in dict(entry).items()
        }


def read_gain(reference: Any, *, detector: str) -> np.ndarray:
    """Read a gain reference.

    Parameters
    ----------
    reference : str or GainRefModel
        Path or model.
    detector : str
        The image's detector, which the file's must match.

    Returns
    -------
    ndarray
        (ny, nx) gain in e/DN as the file has it, perhaps with a border of reference pixels.

    Raises
    ------
    ReferenceFileError
        The file is no gain reference or belongs to another detector.
    """
    with opened_reference(reference, rdm.GainRefModel, "gain") as model:
        _check_detector(reference, model, "gain", detector, remedy="--gain_correction=False")
        return np.array(model.data)


def _check_detector(
    reference: Any, model: Any, reference_type: str, detector: str, *, remedy: str
) -> None:
    """Raise where a reference is of another detector than the image."""
    theirs = model.meta.instrument.get("detector", detector)
    if theirs != detector:
        raise ReferenceFileError(
            f"{reference_type} reference {reference_handle(reference)} is of detector {theirs}: "
            f"expected {detector}, the image's; give the right one with "
            f"--override_{reference_type}=FILE or set {remedy}"
        )


@contextlib.contextmanager
def opened_reference(reference: Any, expected: type, reference_type: str) -> Iterator[Any]:
    """The reference as a model of the expected type; closed again if it was a path."""
    if isinstance(reference, rdm.DataModel):
        model, closing = reference, contextlib.nullcontext()
    else:
        try:
            with asdf.config_context() as config:
                config.validate_on_read = False  # a float64 map is as good as RAD's float32
                model = closing = rdm.open(reference)
        except Exception as error:
            raise ReferenceFileError(
                f"{reference_type} reference {reference!r} cannot be opened ({error}): expected "
                f"an ASDF file that RAD describes as {expected.__name__}; name another with "
                f"--override_{reference_type}=FILE"
            ) from error
    with closing:
        if not isinstance(model, expected):
            raise ReferenceFileError(
                f"{reference_type} reference {reference_handle(reference)} holds a model of type "
                f"{type(model).__name__}: expected {expected.__name__}; name another with "
                f"--override_{reference_type}=FILE"
            )
        yield model


def reference_handle(reference: Any) -> str:
    """How a message names a reference."""
    return repr(getattr(reference, "override_handle", reference))
