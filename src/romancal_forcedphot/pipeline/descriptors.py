"""Descriptors that parse a step's parameters of types that stpipe's configuration does not have.

The parameters themselves, their defaults and their descriptions are in the ``spec`` of `step`.
stpipe passes a list as strings (``3,5`` becomes ``['3', '5']``), a number or list from Python
unchanged, and accepts only strings as paths. The descriptors of this module parse each of these
when the attribute of the step is set, so that an invalid value is rejected before any work is done,
and the log shows plain values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

from astropy.coordinates import SkyCoord
from astropy.table import Table

from ..storage import refuse_credentials
from .command_line import check_texts

__all__ = [
    "CatalogParameter",
    "Extension",
    "InMemoryCatalog",
    "NameList",
    "NumberList",
    "RadiusList",
    "StorageOptions",
    "StorageOptionsParameter",
    "wrap_objects",
]


class _Parameter:
    """Attribute of a step whose values are parsed when they are set."""

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, step, owner=None):
        if step is None:
            return self
        try:
            return step.__dict__[self.name]
        except KeyError:
            raise AttributeError(self.name) from None

    def __set__(self, step, value):
        step.__dict__[self.name] = self.parse(value)

    def parse(self, value: Any) -> Any:
        """Parse a value.

        Parameters
        ----------
        value : object
            Value from the command line, a parameter file or Python.

        Returns
        -------
        object
            Value of the attribute.

        Raises
        ------
        ValueError
            The value is invalid.
        """
        raise NotImplementedError


class NumberList(_Parameter):
    """List of numbers: ``5``, ``3,5`` or ``[3, 5]``, as text, number, sequence or array."""

    def parse(self, value: Any) -> list[float]:
        """Return a list of float; see `_Parameter.parse`."""
        texts = list(_items(value))
        try:
            return [float(text) for text in texts]
        except (TypeError, ValueError):
            raise ValueError(
                f"{self.name} is {', '.join(map(str, texts))!r}: expected numbers separated by "
                "commas, such as 3,5"
            ) from None


class RadiusList(NumberList):
    """List of radii; if empty, the defaults for the step's ``radius_unit``, if that is a unit.

    Parameters
    ----------
    defaults : mapping
        Default radii by the parameter's name, then by unit.
    """

    def __init__(self, defaults: Mapping[str, Mapping[str, Iterable[float]]]):
        self.defaults = defaults

    def __get__(self, step, owner=None):
        radii = super().__get__(step, owner)
        return radii or list(self.defaults[self.name].get(step.radius_unit, ()))


class NameList(_Parameter):
    """List of names, separated by commas in a string."""

    def parse(self, value: Any) -> list[str]:
        """Return a list of str; see `_Parameter.parse`."""
        return [str(name) for name in _items(value)]


class Extension(_Parameter):
    """File extension of the product, of a format in which it can be written."""

    known = (".asdf", ".parquet")

    def parse(self, value: Any) -> str:
        """Return an extension with a dot; see `_Parameter.parse`."""
        extension = "." + str(value or "").strip().lower().removeprefix(".")
        if extension not in self.known:
            raise ValueError(
                f"{self.name} is {value!r}: expected {' or '.join(self.known)}; set one of them"
            )
        return extension


class InMemoryCatalog(str):
    """A catalog in memory (a table, a SkyCoord or a catalog model) as a string, its name.

    stpipe accepts it as a string parameter; the log and saved parameters show only the name.

    Parameters
    ----------
    table : astropy.table.Table, astropy.coordinates.SkyCoord or DataModel
        The catalog, attribute ``table``.
    name : str
        Its name.
    """

    __slots__ = ("table",)

    def __new__(cls, table: Any, name: str = "table in memory"):
        """Wrap a catalog under a name."""
        wrapped = super().__new__(cls, name)
        wrapped.table = table
        return wrapped

    def __getnewargs__(self):
        return self.table, str(self)

    @classmethod
    def wrap(cls, value: Any) -> Any:
        """Wrap a table, a SkyCoord or a catalog model.

        Parameters
        ----------
        value : object
            Value of the parameter ``catalog``.

        Returns
        -------
        InMemoryCatalog, str or object
            A path as a string; any other value unchanged.
        """
        if isinstance(value, PurePath):
            return str(value)
        name = cls._name(value)
        return cls(value, name) if name else value

    @staticmethod
    def _name(value: Any) -> str:
        """Name of a catalog in memory; empty for anything else."""
        if isinstance(value, str):
            return ""
        if isinstance(value, Table):
            return str(value.meta.get("name") or f"table of {len(value)} rows in memory")
        if isinstance(value, SkyCoord):
            return f"SkyCoord of {value.size} positions in memory"
        if isinstance(getattr(value, "source_catalog", None), Table):
            return str(getattr(value.meta, "filename", type(value).__name__))
        return ""


class CatalogParameter(_Parameter):
    """Path of a catalog, or a catalog in memory as an `InMemoryCatalog`."""

    def parse(self, value: Any) -> str:
        """Return a path or an in-memory catalog; see `_Parameter.parse`."""
        value = InMemoryCatalog.wrap(value)
        refuse_credentials(value, self.name)
        return value if isinstance(value, InMemoryCatalog) else str(value or "")


class StorageOptions(str):
    """Options of the file system for remote files, as an empty string.

    They may include a secret key: as an empty string they are part of the configuration, but never
    appear in a log, product or parameter file.

    Parameters
    ----------
    options : mapping, optional
        The options, attribute ``options``.
    """

    __slots__ = ("options",)

    def __new__(cls, options: Mapping[str, Any] | None = None):
        """Wrap options."""
        wrapped = super().__new__(cls)
        wrapped.options = dict(options or {})
        return wrapped

    def __reduce__(self):
        """Exclude the options from pickles, which may be stored or transferred."""
        return type(self), ()

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    @classmethod
    def wrap(cls, value: Any) -> Any:
        """Wrap a mapping or None.

        Parameters
        ----------
        value : object
            Value of the parameter ``storage_options``.

        Returns
        -------
        StorageOptions or object
            Any other value unchanged.
        """
        return cls(value) if value is None or isinstance(value, Mapping) else value


class StorageOptionsParameter(_Parameter):
    """Options of `s3fs.S3FileSystem` for an image or catalog on S3, a mapping in Python."""

    def parse(self, value: Any) -> StorageOptions:
        """Return options; see `_Parameter.parse`.

        The message for a string does not repeat it, because it may be secret.
        """
        value = StorageOptions.wrap(value)
        if isinstance(value, StorageOptions):
            return value
        if value == "":
            return StorageOptions()
        raise ValueError(
            f"{self.name} is a {type(value).__name__}: expected a dict, which only Python can "
            "give; elsewhere set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL, ..."
        )


_WRAPPERS = {"catalog": InMemoryCatalog.wrap, "storage_options": StorageOptions.wrap}


def wrap_objects(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return keyword arguments of a step with its objects wrapped as strings for stpipe.

    Parameters
    ----------
    parameters : mapping
        Values by name.

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        A text would be interpolated by stpipe.
    """
    check_texts(parameters)
    return {
        name: _WRAPPERS[name](value) if name in _WRAPPERS else value
        for name, value in parameters.items()
    }


def _items(value: Any) -> Iterable[Any]:
    """Yield the items of nested sequences and of comma-separated strings, without brackets."""
    if isinstance(value, str):
        yield from (item for part in _bare(value).split(",") if (item := part.strip()))
    elif isinstance(value, Iterable):
        for item in value:
            yield from _items(item)
    else:
        yield value


def _bare(text: str) -> str:
    """Remove brackets around a string, also if split at commas, but not those of ``flux (nJy)``."""
    text = text.strip()
    for opening, closing in ("[]", "()"):
        if text.startswith(opening) or (closing in text and opening not in text):
            text = text.removeprefix(opening).removesuffix(closing).strip()
    return text
