"""Finding reference files: by kind, for what an image tells of itself.

A `Finder` answers with a `Reference`, or None where there is none. Behind it may be CRDS without a
step (`CRDSFinder`, which a worker on another machine can use), files that the user names, or the
step's own mechanism (`pipeline.step_finder`). CRDS answers with a file, with "N/A", with one of
several errors, or, where it is out of reach, by ending the process: here each becomes one of three
things, a reference, none, or an error that names the remedy.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from crds.core.exceptions import CrdsError, CrdsLookupError, CrdsUnknownReftypeError

from .errors import ReferenceFileError

__all__ = [
    "CRDS_OUT_OF_REACH",
    "OBSERVATORY",
    "REFERENCE_KINDS",
    "CRDSFinder",
    "Finder",
    "Reference",
    "asked",
    "quiet_crds",
    "remedy_for",
    "require",
]

log = logging.getLogger(f"romancal.{__name__}")

OBSERVATORY = "roman"
#: Kinds of reference files that this package uses.
REFERENCE_KINDS = ("area", "apcorr", "epsf", "gain")
#: What CRDS raises where it cannot work at all (it exits where it finds neither server nor cache).
CRDS_OUT_OF_REACH = (CrdsError, OSError, SystemExit)


@dataclass(frozen=True)
class Reference:
    """A reference file.

    Attributes
    ----------
    kind : str
        Such as ``'area'``.
    content : str or roman_datamodels.datamodels.DataModel
        Path of the file, or an open model of it.
    name : str
        Name for the metadata, such as ``'crds://roman_wfi_area_0001.asdf'``.
    """

    kind: str
    content: Any
    name: str

    @property
    def shown(self) -> str:
        """How a message names the reference."""
        return repr(getattr(self.content, "override_handle", self.content))


class Finder(Protocol):
    """Finds reference files by kind."""

    def find(self, kind: str, parameters: Mapping[str, Any]) -> Reference | None:
        """Find a reference file.

        Parameters
        ----------
        kind : str
            One of `REFERENCE_KINDS`.
        parameters : mapping
            What CRDS selects by: metadata of the image, such as
            ``{'roman.meta.instrument.detector': 'WFI01', ...}``.

        Returns
        -------
        Reference or None
            None where there is none for the image.

        Raises
        ------
        ReferenceFileError
            CRDS is out of reach, or a file is not there.
        """
        ...


@dataclass(frozen=True)
class CRDSFinder:
    """Finds references by CRDS without a step; can be pickled.

    Attributes
    ----------
    overrides : mapping of str to str
        Paths of files to use instead of what CRDS would choose, by kind; ``'N/A'`` for none.
    """

    overrides: Mapping[str, str] = field(default_factory=dict)

    def find(self, kind: str, parameters: Mapping[str, Any]) -> Reference | None:
        """Find a reference file; see `Finder.find`."""
        override = self.overrides.get(kind)
        path = asked(kind, lambda: self._path(kind, parameters), override=override)
        if path in (None, "N/A", ""):
            return None
        name = os.path.abspath(path) if override else f"crds://{os.path.basename(path)}"
        reference = Reference(kind, path, name)
        log.info("The %s reference is %s", kind, reference.shown)
        return reference

    def _path(self, kind: str, parameters: Mapping[str, Any]) -> str:
        from stpipe import crds_client

        if override := self.overrides.get(kind):
            path = override.strip()
        else:
            path = crds_client.get_reference_file(dict(parameters), kind, OBSERVATORY)
        return crds_client.check_reference_open(path)


def asked(kind: str, ask: Callable[[], Any], *, override: Any = None) -> Any:
    """Ask for a reference file, with the errors of CRDS explained.

    Parameters
    ----------
    kind : str
        Such as ``'area'``.
    ask : callable
        Returns what is found.
    override : object
        The file that the user gave instead, if any.

    Returns
    -------
    object
        What ``ask`` returns; None where CRDS has no match.

    Raises
    ------
    ReferenceFileError
        CRDS is out of reach, or the file is not there.
    """
    try:
        with quiet_crds():
            return ask()
    except (CrdsLookupError, CrdsUnknownReftypeError):
        return None
    except CRDS_OUT_OF_REACH as error:
        if override is not None:
            raise ReferenceFileError(
                f"{kind} reference {override!r} (override_{kind}) cannot be "
                f"read ({error}): give the path of a file, or set {remedy_for(kind)}"
            ) from error
        raise ReferenceFileError(
            f"CRDS gave no {kind} reference ({_reason(error)}): set CRDS_SERVER_URL, "
            f"CRDS_PATH and, for a fixed context, CRDS_CONTEXT; or give a file with "
            f"--override_{kind}=FILE; or do without one by {remedy_for(kind)}"
        ) from error


def require(finder: Finder, kind: str, parameters: Mapping[str, Any], *, what: str) -> Reference:
    """Find a reference file that cannot be done without.

    Parameters
    ----------
    finder : Finder
        Who is asked.
    kind, parameters
        See `Finder.find`.
    what : str
        What it is for, such as ``'F106 on WFI01'``.

    Returns
    -------
    Reference

    Raises
    ------
    ReferenceFileError
        There is none.
    """
    reference = finder.find(kind, parameters)
    if reference is None:
        raise ReferenceFileError(
            f"there is no {kind} reference for {what}: give one with --override_{kind}=FILE, or "
            f"set {remedy_for(kind)}"
        )
    return reference


#: Options that do without a kind of reference.
_REMEDIES = {
    "area": "--pixel_area=wcs",
    "apcorr": "--aperture_correction=none",
    "epsf": "--aperture_correction=apcorr",
    "gain": "--gain_correction=False",
}


def remedy_for(kind: str) -> str:
    """Return the option that does without a kind of reference file."""
    return _REMEDIES[kind]


@contextlib.contextmanager
def quiet_crds() -> Iterator[None]:
    """Keep CRDS from logging errors for what its caller handles and reports itself.

    Lines of other threads are not affected.
    """
    logger, this = logging.getLogger("CRDS"), threading.get_ident()

    def of_others(record: logging.LogRecord) -> bool:
        return record.thread != this

    logger.addFilter(of_others)
    try:
        yield
    finally:
        logger.removeFilter(of_others)


def _reason(error: BaseException) -> str:
    """One line on why CRDS failed."""
    if isinstance(error, SystemExit):
        return "it reaches no server and finds no cache"
    return " ".join(str(error).split())
