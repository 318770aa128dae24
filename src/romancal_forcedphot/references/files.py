"""Opening of reference files, with checks of their kind, detector and filter."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from roman_datamodels import datamodels as rdm

from ..storage import StorageError, open_asdf, shown
from .errors import ReferenceFileError
from .finder import Reference, remedy_for

__all__ = ["check_instrument", "open_reference"]

#: What is raised where an entry is missing, or is something else than it should be.
_OF_DAMAGED_CONTENT = (
    *(AttributeError, IndexError, KeyError, OverflowError, RecursionError),
    *(TypeError, ValueError),
)


@contextlib.contextmanager
def open_reference(reference: Reference, expected: type) -> Iterator[Any]:
    """Open a reference as a model of the expected type, for the time of the context.

    Parameters
    ----------
    reference : Reference
        Result of a finder.
    expected : type
        Model class of ``roman_datamodels``.

    Yields
    ------
    roman_datamodels.datamodels.DataModel
        Closed at the end if `reference` holds a path; an open model stays open.

    Raises
    ------
    ReferenceFileError
        The file cannot be opened, holds a model of another type, or has content that the block
        inside the context cannot convert.
    """
    kind, content = reference.kind, reference.content
    if isinstance(content, rdm.DataModel):
        model, closing = content, contextlib.nullcontext()
    else:
        model = closing = _open_model(content, kind, expected)
    with closing:
        if not isinstance(model, expected):
            raise ReferenceFileError(
                f"{kind} reference {reference.shown} holds a model of type "
                f"{type(model).__name__}: expected {expected.__name__}; name another with "
                f"--override_{kind}=FILE"
            )
        try:
            yield model
        except (ReferenceFileError, StorageError, ConnectionError):
            raise
        except _OF_DAMAGED_CONTENT as error:
            raise ReferenceFileError(
                f"{kind} reference {reference.shown} has content that cannot be used "
                f"({type(error).__name__}: {error}): expected {expected.__name__} as RAD describes "
                f"it; it may be damaged, fetch it again or name another with --override_{kind}=FILE"
            ) from error


def _open_model(path: str, kind: str, expected: type) -> Any:
    """Open a file as a model, which closes the file when it is closed."""
    with contextlib.ExitStack() as stack:
        try:
            file = open_asdf(path, validate=False)  # a float64 map is as good as RAD's float32
            stack.callback(file.close)
            model = rdm.open(file)
        except Exception as error:
            raise ReferenceFileError(
                f"{kind} reference {shown(path)} cannot be opened ({error}): expected "
                f"an ASDF file that RAD describes as {expected.__name__}; name another with "
                f"--override_{kind}=FILE"
            ) from error
        stack.pop_all()
    return model


def check_instrument(reference: Reference, model: Any, **expected: str) -> None:
    """Check that a reference is for the detector and filter of the image.

    Parameters
    ----------
    reference : Reference
        The reference, for the message.
    model : roman_datamodels.datamodels.DataModel
        Its model.
    **expected : str
        Values of the image by name in ``meta.instrument``: ``detector``, ``optical_element``.

    Raises
    ------
    ReferenceFileError
        A value differs.
    """
    for name, of_image in expected.items():
        of_reference = model.meta.instrument.get(name, of_image)
        if of_reference != of_image:
            raise ReferenceFileError(
                f"{reference.kind} reference {reference.shown} is of {name} {of_reference}: "
                f"expected {of_image}, the image's; give the right one with "
                f"--override_{reference.kind}=FILE or set {remedy_for(reference.kind)}"
            )
