"""Locations: local paths and URIs, their names, and how messages show them."""

from __future__ import annotations

import os
import re

from .errors import StorageError

__all__ = ["file_name", "is_uri", "printable", "refuse_credentials", "shown"]

_URI = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")
#: Query parameters of signed URLs.
_SIGNED = re.compile(
    r"[?&](X-Amz-[A-Za-z-]+|AWSAccessKeyId|Signature|Security-?Token|sig|token)=", re.IGNORECASE
)
_HIDDEN = "***"


def is_uri(location: str | os.PathLike) -> bool:
    """Return whether a location is a URI such as ``s3://bucket/key`` and not a local path.

    Parameters
    ----------
    location : str or path-like
        Path or URI.

    Returns
    -------
    bool
    """
    return bool(_URI.match(os.fspath(location)))


def file_name(location: str | os.PathLike) -> str:
    """Return the last part of a location, for logs and metadata.

    Parameters
    ----------
    location : str or path-like
        Path or URI.

    Returns
    -------
    str
        The file name, without credentials and without characters that cannot be written as UTF-8
        (see `printable`).
    """
    return printable(_without_credentials(location).rstrip("/").rsplit("/", 1)[-1])


def printable(text: str) -> str:
    r"""Return a text that can be encoded as UTF-8.

    Parameters
    ----------
    text : str
        Such as a file name. Python represents bytes of a name that are not UTF-8 by lone
        surrogates, which no file or terminal accepts.

    Returns
    -------
    str
        The same text, or with ``\udcff`` and the like written out.
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def refuse_credentials(location: object, name: str) -> None:
    """Raise where a location is a URI with a user name, key or signature in it.

    Parameters
    ----------
    location : object
        Path or URI; anything but text and paths contains none. ``s3://KEY:SECRET@bucket/key`` and
        URIs with a signed query contain credentials.
    name : str
        What the location is, for the message: ``'catalog'``.

    Raises
    ------
    StorageError
        It contains credentials; the message does not.
    """
    if not isinstance(location, str | os.PathLike):
        return
    if _without_credentials(location) != os.fspath(location):
        raise StorageError(
            f"{name} {shown(location)} contains credentials, which would appear in logs and "
            "products: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead, or "
            "storage_options in Python"
        )


def shown(location: str | os.PathLike) -> str:
    r"""Return how messages and logs show a location.

    Parameters
    ----------
    location : str or path-like
        Path or URI.

    Returns
    -------
    str
        In quotes, on one line: newlines and undecodable bytes are written as ``\n``, ``\udcff``;
        credentials in a URI are replaced by ``***``.
    """
    return repr(_without_credentials(location))


def _without_credentials(location: str | os.PathLike) -> str:
    text = os.fspath(location)
    scheme = _URI.match(text)
    if scheme is None:
        return text
    prefix, rest = scheme.group(), text[scheme.end() :]
    query = _SIGNED.search(rest)
    if query:
        rest = rest[: query.start() + 1] + _HIDDEN
    authority = rest.partition("/")[0]
    # A secret may contain a slash; a bucket's name contains neither @ nor, but for an ARN, colons.
    if "@" in authority or (":" in authority and not authority.startswith("arn:")):
        host = rest.rpartition("@")[2] if "@" in rest else ""
        is_port = prefix != "s3://" and "@" not in authority
        if not is_port:
            rest = f"{_HIDDEN}@{host}"
    return prefix + rest
