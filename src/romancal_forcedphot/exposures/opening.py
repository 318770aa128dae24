"""Opening of a path, URI or model as a Roman image or mosaic, with clear errors for the rest."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import asdf
from roman_datamodels import datamodels as rdm

from ..storage import (
    RemoteError,
    StorageError,
    expect_blocks,
    file_name,
    is_uri,
    open_asdf,
    shown,
)
from .errors import InputError

__all__ = ["check_is_input", "open_image", "opened_for_metadata"]

log = logging.getLogger(f"romancal.{__name__}")

_IMAGE = "expected a Level-2 image (ImageModel, *_cal.asdf)"
_EXPECTED = f"{_IMAGE} or a mosaic (MosaicModel, *_coadd.asdf)"
_OTHER = "; give the image that romancal's pipelines write"
_LONGEST = 100  # characters of a list of names
_PLANES = ("data", "err", "dq", "weight", "context")


def open_image(
    dataset: Any,
    *,
    storage_options: Mapping[str, Any] | None = None,
    verify_checksums: bool = True,
    mosaics: bool = True,
    validate: bool = True,
    n_threads: int = 0,
) -> rdm.ImageModel | rdm.MosaicModel:
    """Open a Level-2 image or a Level-3 mosaic.

    Parameters
    ----------
    dataset : str, pathlib.Path, ImageModel or MosaicModel
        Path or ``s3://`` URI of a ``*_cal.asdf`` or ``*_coadd.asdf`` file, or a model, which is
        returned as it is.
    storage_options : mapping, optional
        Options of the file system for a remote file, see `storage.open_remote`.
    verify_checksums : bool
        Whether the arrays are compared with the checksums in the file when they are read.
    mosaics : bool
        Whether mosaics are accepted.
    validate : bool
        Whether the tree of a file is validated against the schemas of its tags.
    n_threads : int
        1 computes checksums in the thread that reads.

    Returns
    -------
    roman_datamodels.datamodels.ImageModel or MosaicModel
        The image, to be closed by the caller; ``meta.filename`` is the name of the file. Its arrays
        are read when they are used; of a remote file, only these are transferred.

    Raises
    ------
    InputError
        There is no such file, it is not readable, or it is neither an image nor a mosaic.
    """
    is_location = isinstance(dataset, str | Path)
    options = {
        "storage_options": storage_options,
        "verify_checksums": verify_checksums,
        "validate": validate,
        "n_threads": n_threads,
    }
    model = _open(dataset, options) if is_location else dataset
    if isinstance(model, rdm.ImageModel) or (mosaics and isinstance(model, rdm.MosaicModel)):
        return model
    kind = type(model).__name__
    name = shown(dataset) if is_location else repr(kind)
    if is_location:
        model.close()
    expected = _EXPECTED if mosaics else f"{_IMAGE}, as a mosaic has no single time"
    raise InputError(f"input {name} is a {kind}: {expected}{_OTHER}")


@contextlib.contextmanager
def opened_for_metadata(
    dataset: Any, storage_options: Mapping[str, Any] | None = None
) -> Iterator[Any]:
    """Context that opens a path or URI for its metadata, and yields anything else unchanged.

    stpipe itself opens images by their paths for the parameters of CRDS, but misinterprets some: it
    reads ``night#2/image.asdf`` as ``night``, and removes a slash from ``s3://``.

    Parameters
    ----------
    dataset : object
        Path or ``s3://`` URI of an image or mosaic, or anything else.
    storage_options : mapping, optional
        Options of the file system for a remote file, see `storage.open_remote`.

    Yields
    ------
    object
        The open model, or `dataset`.

    Raises
    ------
    InputError
        See `open_image`.
    """
    if not isinstance(dataset, str | Path):
        yield dataset
        return
    with open_image(dataset, storage_options=storage_options, validate=False) as model:
        yield model


def check_is_input(dataset: Any) -> None:
    """Check that an object is a location, a model, or a collection of these.

    Parameters
    ----------
    dataset : object
        Input from the user.

    Raises
    ------
    InputError
        It is of another type, such as an array or a table.
    """
    is_library = hasattr(dataset, "borrow")
    if is_library or isinstance(dataset, str | Path | list | tuple | rdm.DataModel):
        return
    kind = type(dataset).__name__
    raise InputError(
        f"input {kind!r} is a {kind}: expected a Level-2 image, as a path, an ImageModel or "
        "several of them; to measure arrays without a file see romancal_forcedphot.measure"
    )


def _open(location: str | Path, options: Mapping[str, Any]) -> Any:
    """Open a file as a Roman model, which closes the file when it is closed."""
    try:
        file = open_asdf(location, **options)
    except StorageError as error:
        raise InputError(_unreadable_message(location, error)) from error
    try:
        _check_is_roman(location, file)
        model = rdm.open(file)
        _give_name(model, file_name(location))
        _check_planes(file, model)
    except Exception as error:
        file.close()
        if isinstance(error, RemoteError):
            raise InputError(f"input {error}") from error
        if isinstance(error, InputError):
            raise
        raise _not_a_model(location, error) from error
    return model


def _check_is_roman(location: str | Path, file: asdf.AsdfFile) -> None:
    """Raise an InputError for an ASDF file of another mission or program."""
    if "roman" not in file.tree:
        found = sorted(str(key) for key in file.tree if key not in ("asdf_library", "history"))
        raise InputError(
            f"input {shown(location)} has no Roman model (tree 'roman'), but "
            f"{', '.join(found)[:_LONGEST] or 'nothing'}: {_EXPECTED}; it is of another mission or "
            "program"
        )


def _give_name(model: Any, name: str) -> None:
    """Set ``meta.filename`` to the name of the file, as roman_datamodels does for a path."""
    meta = model.get("meta")
    if meta is None or meta.get("filename", name) == name:
        return
    log.info("meta.filename is %r: the name of the file, %r, is used", str(meta["filename"]), name)
    meta["filename"] = name


def _check_planes(file: asdf.AsdfFile, model: Any) -> None:
    """Raise a ValueError for arrays in a common block; announce the blocks that will be read."""
    # asdf stores the number of its block in an array.
    found = {name: getattr(model.get(name), "_source", None) for name in _PLANES}
    found = {name: block for name, block in found.items() if isinstance(block, int)}
    blocks = list(found.values())
    if len(set(blocks)) < len(blocks):
        raise ValueError(f"{', '.join(found)} are in blocks {blocks}: expected one for each")
    expect_blocks(file, blocks)


def _unreadable_message(location: str | Path, error: StorageError) -> str:
    """Message about a file that cannot be read."""
    if isinstance(error, RemoteError):
        return f"input {error}"
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.strerror and not is_uri(location):
        return (
            f"input {shown(location)} is not a file ({cause.strerror}): expected the path of a "
            "Level-2 image (*_cal.asdf) or a mosaic (*_coadd.asdf); check name and directory"
        )
    return f"input {error}; {_EXPECTED}, as romancal writes it"


def _not_a_model(location: str | Path, error: Exception) -> InputError:
    """The error of an ASDF file that is not a Roman model."""
    reason = " ".join(str(error).split())[:200]
    return InputError(
        f"input {shown(location)} cannot be opened as a Roman model ({reason}): {_EXPECTED}; it "
        "may be truncated, incomplete or of another mission, fetch it again"
    )
