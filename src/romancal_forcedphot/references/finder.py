"""Finding reference files by kind, for the metadata of an image.

A `Finder` returns a `Reference`, or None where there is none for the image. It may use CRDS without
a step (`CRDSFinder`, which a worker on another machine can use), files given by the user, or the
step's own mechanism (`pipeline.step_finder`). CRDS returns a file or "N/A", raises one of several
errors, or exits the process where it is unreachable; a finder returns a reference or None, or
raises a `ReferenceFileError` that names the remedy.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
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
    "crds_context",
    "query_reference",
    "quiet_crds",
    "remedy_for",
    "require",
]

log = logging.getLogger(f"romancal.{__name__}")

OBSERVATORY = "roman"
#: Kinds of reference files that this package uses.
REFERENCE_KINDS = ("area", "apcorr", "epsf", "gain")
#: Exceptions of CRDS where it is unreachable (it exits without server and cache).
CRDS_OUT_OF_REACH = (CrdsError, OSError, SystemExit)


@dataclass(frozen=True)
class Reference:
    """A reference file.

    Attributes
    ----------
    kind : str
        One of `REFERENCE_KINDS`.
    content : str or roman_datamodels.datamodels.DataModel
        Path of the file, or an open model of it.
    name : str
        Name for the metadata, such as ``'crds://roman_wfi_area_0001.asdf'``.
    made : dict
        What readers made of the content; a finder that keeps contents keeps it with them.
    """

    kind: str
    content: Any
    name: str
    made: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def shown(self) -> str:
        """Name of the reference in messages, in quotes."""
        return repr(getattr(self.content, "override_handle", self.content))


class Finder(Protocol):
    """Interface of finders of reference files."""

    def find(self, kind: str, parameters: Mapping[str, Any]) -> Reference | None:
        """Find a reference file.

        Parameters
        ----------
        kind : str
            One of `REFERENCE_KINDS`.
        parameters : mapping
            Metadata of the image by which CRDS selects, such as
            ``{'roman.meta.instrument.detector': 'WFI01', ...}``.

        Returns
        -------
        Reference or None
            None if there is none for the image.

        Raises
        ------
        ReferenceFileError
            CRDS is unreachable, or a file does not exist.
        """
        ...


@dataclass(frozen=True)
class CRDSFinder:
    """Finder that uses CRDS without a step; can be pickled.

    Attributes
    ----------
    overrides : mapping of str to str
        Paths of files by kind, to be used instead of those that CRDS selects; ``'N/A'`` for none.
    """

    overrides: Mapping[str, str] = field(default_factory=dict)

    def find(self, kind: str, parameters: Mapping[str, Any]) -> Reference | None:
        """Find a reference file; see `Finder.find`."""
        override = self.overrides.get(kind)
        path = query_reference(kind, lambda: self._path(kind, parameters), override=override)
        if path in (None, "N/A", ""):
            return None
        name = os.path.abspath(path) if override else f"crds://{os.path.basename(path)}"
        reference = Reference(kind, path, name)
        log.info("The %s reference is %s", kind, reference.shown)
        return reference

    def _path(self, kind: str, parameters: Mapping[str, Any]) -> str:
        """Path of the override, or of the file that CRDS selects; it exists."""
        from stpipe import crds_client

        if override := self.overrides.get(kind):
            path = override.strip()
        else:
            path = crds_client.get_reference_file(dict(parameters), kind, OBSERVATORY)
        return crds_client.check_reference_open(path)


def crds_context() -> str:
    """Return the name of the CRDS context that is in use.

    Returns
    -------
    str
        That of ``CRDS_CONTEXT`` or of the server; empty where CRDS cannot tell.
    """
    from stpipe import crds_client

    if chosen := os.environ.get("CRDS_CONTEXT"):
        return chosen
    try:
        with quiet_crds():
            return str(crds_client.get_context_used(OBSERVATORY))
    except CRDS_OUT_OF_REACH:
        return ""


def query_reference(kind: str, query: Callable[[], Any], *, override: Any = None) -> Any:
    """Query CRDS for a reference file, and translate its errors.

    Parameters
    ----------
    kind : str
        One of `REFERENCE_KINDS`.
    query : callable
        Function of no arguments that returns the result of CRDS.
    override : object
        The file that the user gave instead, if any; for messages.

    Returns
    -------
    object
        Result of ``query``; None where CRDS has no match.

    Raises
    ------
    ReferenceFileError
        CRDS is unreachable, or the file does not exist or is not a regular one.
    """
    if isinstance(override, str) and _is_special(override):  # opening a pipe would wait
        raise ReferenceFileError(
            f"{kind} reference {override!r} (override_{kind}) is not a regular file: give the path "
            f"of a file, or set {remedy_for(kind)}"
        )
    try:
        with quiet_crds():
            return query()
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


def _is_special(path: str) -> bool:
    """Whether a path is a pipe, a device or a socket."""
    try:
        mode = os.stat(path.strip()).st_mode
    except (OSError, ValueError):
        return False  # whoever opens it says why
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def require(finder: Finder, kind: str, parameters: Mapping[str, Any], *, what: str) -> Reference:
    """Find a reference file that is required.

    Parameters
    ----------
    finder : Finder
        The finder.
    kind, parameters
        See `Finder.find`.
    what : str
        Filter and detector for the message, such as ``'F106 on WFI01'``.

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


#: Options that make a kind of reference unnecessary.
_REMEDIES = {
    "area": "--pixel_area=wcs",
    "apcorr": "--aperture_correction=none",
    "epsf": "--aperture_correction=apcorr and --methods=aperture",
    "gain": "--gain_correction=False",
}


def remedy_for(kind: str) -> str:
    """Return the option that makes a kind of reference file unnecessary.

    Parameters
    ----------
    kind : str
        One of `REFERENCE_KINDS`.

    Returns
    -------
    str
        Such as ``'--pixel_area=wcs'``.
    """
    return _REMEDIES[kind]


@contextlib.contextmanager
def quiet_crds() -> Iterator[None]:
    """Context in which CRDS logs nothing: the caller handles and reports its errors.

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
    """The reason of a failure of CRDS, in one line."""
    if isinstance(error, SystemExit):
        return "it reaches no server and finds no cache"
    return " ".join(str(error).split())
