"""Opening of a path, URI or model as a Roman image, with clear errors for anything else."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from asdf.generic_io import get_file
from roman_datamodels import datamodels as rdm

from ..storage import StorageError, is_uri, open_remote
from .errors import InputError

__all__ = ["open_image", "opened_if_remote"]


_MOSAIC = "; mosaics cannot be measured yet, measure the exposures they were made from"
_OTHER = "; give the image that romancal's exposure pipeline writes"
_PLANES = ("data", "err", "dq")


def open_image(dataset: Any, *, storage_options: Mapping[str, Any] | None = None) -> rdm.ImageModel:
    """Open a Level-2 image.

    Parameters
    ----------
    dataset : str, pathlib.Path or ImageModel
        Path or ``s3://`` URI of a ``*_cal.asdf`` file, or a model, which is returned as it is.
    storage_options : mapping, optional
        Options of the file system for a remote file, see `storage.open_remote`.

    Returns
    -------
    roman_datamodels.datamodels.ImageModel
        The image, to be closed by the caller. Its arrays are read when they are used; of a remote
        file, only these are transferred.

    Raises
    ------
    InputError
        There is no such file, it is not readable, or it is not a Level-2 image.
    """
    is_location = isinstance(dataset, str | Path)
    if is_location:
        remote = is_uri(dataset)
        model = _open_remote(str(dataset), storage_options) if remote else _open(Path(dataset))
    else:
        model = dataset
    if isinstance(model, rdm.ImageModel):
        return model
    kind = type(model).__name__
    name = dataset if is_location else kind
    if is_location:
        model.close()
    raise InputError(
        f"input {str(name)!r} is a {kind}: expected a Level-2 image (ImageModel, *_cal.asdf)"
        + (_MOSAIC if "Mosaic" in kind else _OTHER)
    )


@contextlib.contextmanager
def opened_if_remote(
    dataset: Any, storage_options: Mapping[str, Any] | None = None
) -> Iterator[Any]:
    """Context that opens a URI for its metadata, and yields anything else unchanged.

    roman_datamodels and stpipe cannot open URIs: stpipe treats them as paths, and removes a slash.

    Parameters
    ----------
    dataset : object
        A URI of a Level-2 image, or anything else.
    storage_options : mapping, optional
        Options of the file system, see `storage.open_remote`.

    Yields
    ------
    object
        The open image, or `dataset`.
    """
    if not (isinstance(dataset, str) and is_uri(dataset)):
        yield dataset
        return
    with open_image(dataset, storage_options=storage_options) as model:
        yield model


def _open(path: Path) -> Any:
    """Open a local file as a Roman model."""
    if not path.is_file():
        raise InputError(
            f"input {str(path)!r} is not a file: expected the path of a Level-2 image "
            "(*_cal.asdf); check the name and the directory"
        )
    with path.open("rb") as file:
        _check_magic(file, path)
    try:
        return rdm.open(path)
    except Exception as error:
        raise _not_a_model(path, error) from error


def _open_remote(uri: str, storage_options: Mapping[str, Any] | None) -> Any:
    """Open a remote file as a Roman model, which closes the file when it is closed."""
    try:
        file = open_remote(uri, storage_options)
    except StorageError as error:
        raise InputError(f"input {error}") from error
    try:
        _check_magic(file, uri)
        file.seek(0)
        model = rdm.open(get_file(file, mode="r", close=True))
    except InputError:
        file.close()
        raise
    except StorageError as error:
        file.close()
        raise InputError(f"input {error}") from error
    except Exception as error:
        file.close()
        raise _not_a_model(uri, error) from error
    # An array that asdf reads from a block knows the block's number.
    blocks = {getattr(model.get(name), "_source", None) for name in _PLANES}
    file.expect(sum(file.block_bytes(block) for block in blocks if isinstance(block, int)))
    return model


def _check_magic(file: Any, location: str | Path) -> None:
    """Raise an InputError for a file that does not begin as an ASDF file."""
    if file.read(5) != b"#ASDF":
        raise InputError(
            f"input {str(location)!r} is not an ASDF file: expected a Level-2 image "
            "(*_cal.asdf) as romancal writes it"
        )


def _not_a_model(location: str | Path, error: Exception) -> InputError:
    """The error of an ASDF file that is not a Roman model."""
    reason = " ".join(str(error).split())[:200]
    return InputError(
        f"input {str(location)!r} cannot be opened as a Roman model ({reason}): expected a "
        "Level-2 image (*_cal.asdf); it may be truncated or of another mission, fetch it again"
    )
