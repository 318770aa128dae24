"""Reading of S3 objects through s3fs: who asks, how patiently, and what went wrong.

The first request fetches the beginning of the object and tells its size and its version (ETag);
all later ones ask for ranges of that version, so that an object which is replaced meanwhile is an
error and not a mixture. A request is repeated a few times if the network or the server fails; s3fs
and botocore, which would each repeat the other's repetitions, are told not to.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import RemoteError
from .ranges import FIRST_BYTES, RangeFile

__all__ = ["open_s3"]

log = logging.getLogger(f"romancal.{__name__}")

#: Seconds to wait before each repetition of a request that failed.
_WAITS_S = (0.5, 2.0)
_TIMEOUTS_S = {"connect_timeout": 10, "read_timeout": 30}
#: A piece that comes slower than this many bytes per second is given up.
_SLOWEST = 50_000

_ENDPOINT = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_REGION = ("AWS_REGION", "AWS_DEFAULT_REGION")
_KEYS = {
    "key": "AWS_ACCESS_KEY_ID",
    "secret": "AWS_SECRET_ACCESS_KEY",
    "token": "AWS_SESSION_TOKEN",
    "profile": "AWS_PROFILE",
}
_OTHER_CREDENTIALS = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
#: Options that settle who asks.
_WHO = {"anon", "key", "secret", "token", "profile", "session", "username", "password"}

_MISSING = {"NoSuchKey", "NoSuchBucket", "NoSuchVersion", "404"}
_REFUSED_STATUS = (401, 403)


def open_s3(uri: str, storage_options: Mapping[str, Any] | None = None) -> RangeFile:
    """Open an object; see `storage.open_remote`, which is this for every kind of URI.

    Raises
    ------
    RemoteError
        The object is missing, or may not be read, or the server cannot be reached.
    """
    attempts = _ways_in(storage_options or {})
    for options in attempts:
        try:
            connection = _Object.connect(uri, options)
            return connection.open()
        except Exception as error:
            if _status(error) in _REFUSED_STATUS and options is not attempts[-1]:
                log.debug("%s may not be read anonymously: asking with credentials", uri)
                continue
            raise _explained(uri, options, error) from error
    raise AssertionError("there is always one way in")


def _ways_in(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Options of `s3fs.S3FileSystem` to try, one after the other."""
    common: dict[str, Any] = {"use_listings_cache": False, **given}
    common["config_kwargs"] = {
        **_TIMEOUTS_S,
        "retries": {"total_max_attempts": 1},
        **dict(given.get("config_kwargs") or {}),
    }
    client = dict(given.get("client_kwargs") or {})
    endpoint, region = _first_set(_ENDPOINT), _first_set(_REGION)
    if endpoint and "endpoint_url" not in client:
        common.setdefault("endpoint_url", endpoint)
    if region:
        client.setdefault("region_name", region)
    common["client_kwargs"] = client
    if _WHO & set(given):
        return [common]
    anonymous = {**common, "anon": True}
    keys = {option: os.environ[name] for option, name in _KEYS.items() if os.environ.get(name)}
    if not (keys or _first_set(_OTHER_CREDENTIALS) or _has_credentials_file()):
        return [anonymous]
    return [anonymous, {**common, **(keys if "key" in keys else _only(keys, "profile"))}]


def _first_set(names: Sequence[str]) -> str:
    return next((os.environ[name] for name in names if os.environ.get(name)), "")


def _only(keys: Mapping[str, str], name: str) -> dict[str, str]:
    return {name: keys[name]} if name in keys else {}


def _has_credentials_file() -> bool:
    chosen = os.environ.get("AWS_SHARED_CREDENTIALS_FILE")
    return Path(chosen or "~/.aws/credentials").expanduser().is_file()


@dataclass
class _Object:
    """One object, and the connection that reads it."""

    uri: str
    filesystem: Any
    address: dict[str, str]

    @classmethod
    def connect(cls, uri: str, options: Mapping[str, Any]) -> _Object:
        """Make (or find) the connection; the server is not asked yet."""
        import s3fs

        filesystem = s3fs.S3FileSystem(**options)
        filesystem.retries = 1
        bucket, key, version = filesystem.split_path(uri)
        if not bucket or not key:
            raise RemoteError(
                f"'{uri}' names no file: expected s3://bucket/key, such as "
                "s3://bucket/directory/image_cal.asdf; complete it"
            )
        address = {"Bucket": bucket, "Key": key} | ({"VersionId": version} if version else {})
        return cls(uri, filesystem, address)

    def open(self) -> RangeFile:
        """Ask for the beginning of the object, which tells its size and version."""
        try:
            response, head = self._in_loop(self._get, 0, FIRST_BYTES)
        except Exception as error:
            if _status(error) == 416:  # an empty object has no first byte
                return RangeFile(self.uri, b"", 0, self._fetch)
            raise
        if "ContentRange" not in response:
            raise RemoteError(
                f"'{self.uri}' comes from a server that does not serve parts of files: expected "
                "an S3 server; download the file and give its path"
            )
        size = int(response["ContentRange"].rpartition("/")[2])
        self.address["IfMatch"] = response["ETag"]
        return RangeFile(self.uri, head, size, self._fetch)

    def _fetch(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Fetch ranges at the same time."""
        try:
            return self._in_loop(self._get_all, ranges)
        except Exception as error:
            start, stop = ranges[0][0], ranges[-1][1]
            raise _explained(self.uri, {}, error, f"bytes {start} to {stop} ") from error

    def _in_loop(self, function, *args):
        """Run a coroutine in s3fs' thread and wait for it."""
        from fsspec.asyn import sync

        return sync(self.filesystem.loop, function, *args)

    async def _get_all(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Fetch ranges; when all have ended, the first error is raised."""
        jobs = [self._get(start, stop) for start, stop in ranges]
        results = await asyncio.gather(*jobs, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return [content for _, content in results]

    async def _get(self, start: int, stop: int) -> tuple[dict, bytes]:
        """Fetch one range, repeatedly if need be."""
        timeout = sum(_TIMEOUTS_S.values()) + (stop - start) / _SLOWEST
        for wait in _WAITS_S:
            try:
                return await asyncio.wait_for(self._get_once(start, stop), timeout)
            except Exception as error:
                if not _passes(error):
                    raise
                log.warning(
                    "Reading %s failed (%s): trying again in %g s", self.uri, _reason(error), wait
                )
            await asyncio.sleep(wait)
        return await asyncio.wait_for(self._get_once(start, stop), timeout)

    async def _get_once(self, start: int, stop: int) -> tuple[dict, bytes]:
        response = await self.filesystem._call_s3(
            "get_object", Range=f"bytes={start}-{stop - 1}", **self.address
        )
        body = response["Body"]
        try:
            content = await body.read()
        finally:
            body.close()
        if "IfMatch" in self.address and len(content) != stop - start:
            raise ConnectionError(f"{len(content)} of {stop - start} bytes came")
        return response, content


def _response(error: BaseException | None) -> dict:
    """The server's answer behind an error, which s3fs hides; empty if there was none."""
    while error is not None:
        response = getattr(error, "response", None)
        if isinstance(response, dict):
            return response
        error = error.__cause__
    return {}


def _status(error: BaseException) -> int:
    """HTTP status of the server's answer, 0 if there was none."""
    return int(_response(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _code(error: BaseException) -> str:
    """S3's word for what is wrong, such as ``'NoSuchKey'``."""
    return str(_response(error).get("Error", {}).get("Code", ""))


def _passes(error: BaseException) -> bool:
    """Whether a request that failed like this may succeed when it is repeated."""
    status = _status(error)
    if status:
        return status >= 500 or status == 429 or _code(error) in ("RequestTimeout", "SlowDown")
    return isinstance(error, _network_errors())


def _network_errors() -> tuple[type[BaseException], ...]:
    from aiohttp import ClientError
    from botocore import exceptions
    from botocore.parsers import ResponseParserError

    ours = (exceptions.HTTPClientError, exceptions.ConnectionError, ResponseParserError)
    return (*ours, ClientError, ConnectionError, TimeoutError, asyncio.TimeoutError)


def _reason(error: BaseException) -> str:
    """One line on an error."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) < 200 else text[:200] + "..."


def _explained(
    uri: str, options: Mapping[str, Any], error: BaseException, part: str = ""
) -> RemoteError:
    """The error that the user sees."""
    if isinstance(error, RemoteError):
        return error
    for explain in (_missing, _refused, _changed, _unreachable):
        message = explain(uri, options, error, part)
        if message:
            return RemoteError(message)
    return RemoteError(
        f"'{uri}' cannot be read from S3 ({_reason(error)}): check the URI, the AWS_... variables "
        "and storage_options"
    )


def _missing(uri: str, options: Mapping[str, Any], error: BaseException, part: str) -> str:
    if _code(error) == "NoSuchBucket":
        bucket = uri.removeprefix("s3://").partition("/")[0]
        return (
            f"'{uri}' does not exist: there is no bucket '{bucket}' at {_endpoint(options)}; "
            "check its name, and AWS_ENDPOINT_URL if it is not at AWS"
        )
    if _status(error) == 404 or _code(error) in _MISSING:
        return (
            f"'{uri}' does not exist: its bucket at {_endpoint(options)} has no such key; check "
            "its name (a directory cannot be read, give a file)"
        )
    return ""


def _refused(uri: str, options: Mapping[str, Any], error: BaseException, part: str) -> str:
    if _status(error) not in _REFUSED_STATUS:
        return ""
    if options.get("anon"):
        return (
            f"'{uri}' may not be read anonymously ({_reason(error)}): it is private, or does not "
            "exist; check its name, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or "
            "AWS_PROFILE"
        )
    return (
        f"'{uri}' may not be read with your credentials ({_reason(error)}): it belongs to "
        "others, or does not exist; check its name, and "
        "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN or AWS_PROFILE, or "
        "storage_options in Python"
    )


def _changed(uri: str, options: Mapping[str, Any], error: BaseException, part: str) -> str:
    if _status(error) != 412:
        return ""
    return f"'{uri}' was replaced while it was read: expected it to stay as it is; run again"


def _unreachable(uri: str, options: Mapping[str, Any], error: BaseException, part: str) -> str:
    n_attempts = len(_WAITS_S) + 1
    if _status(error) >= 500 or (part and _passes(error)):
        return (
            f"'{uri}' could not be read to its end: {part}failed {n_attempts} times "
            f"({_reason(error)}); run again, or download the file and give its path"
        )
    if _passes(error):
        return (
            f"'{uri}' cannot be reached at {_endpoint(options)}: {n_attempts} attempts failed "
            f"({_reason(error)}); check the network, and AWS_ENDPOINT_URL if it is not at AWS"
        )
    return ""


def _endpoint(options: Mapping[str, Any]) -> str:
    """Where the server is, for messages."""
    client = options.get("client_kwargs") or {}
    return options.get("endpoint_url") or client.get("endpoint_url") or "AWS"
