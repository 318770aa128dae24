"""Parameters by name, as a command line or a mapping gives them: of settings, catalog, references.

The names are those of the step. What kind of value a setting has is taken from `Settings`, so that
a new setting needs nothing here.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from ...catalogs import read_sources, shape_options
from ...photometry import Settings
from ...references import REFERENCE_KINDS

__all__ = ["RunParameters", "parse_boolean"]

_TRUE, _FALSE = ("true", "yes", "1", "on"), ("false", "no", "0", "off")
#: Parameters of `read_sources` that follow from others or are given apart.
_NOT_OF_CATALOG = {
    "catalog",
    "proper_motion",
    "ref_epoch_wanted",
    "storage_options",
    "keep_columns",
}


@dataclass(frozen=True)
class RunParameters:
    """Parameters of a run by what they belong to.

    Attributes
    ----------
    settings : Settings
        Of the photometry.
    catalog : mapping
        Options of `catalogs.read_sources`.
    overrides : mapping of str to str
        Paths of reference files to use, by kind.
    verify_checksums : bool
        Whether images are compared with their own checksums.
    """

    settings: Settings = field(default_factory=Settings)
    catalog: Mapping[str, Any] = field(default_factory=dict)
    overrides: Mapping[str, str] = field(default_factory=dict)
    verify_checksums: bool = True

    def __post_init__(self):
        object.__setattr__(self, "settings", self.settings.resolved())  # the unit is that of images

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> RunParameters:
        """Sort parameters by what they belong to, texts turned into their values.

        Parameters
        ----------
        values : mapping
            By the step's names, such as ``{'aperture_radii': '3,5', 'select': 'mag < 22'}``.

        Returns
        -------
        RunParameters

        Raises
        ------
        ValueError
            There is no such parameter, or a value is none of its kind.
        """
        kinds = {each.name: each for each in fields(Settings)}
        of_catalog = set(inspect.signature(read_sources).parameters) - _NOT_OF_CATALOG
        overrides = {f"override_{kind}": kind for kind in REFERENCE_KINDS}
        sorted_by: dict[str, dict[str, Any]] = {"settings": {}, "catalog": {}, "overrides": {}}
        verify_checksums = True
        for name, value in values.items():
            if name in kinds:
                sorted_by["settings"][name] = _value_of(name, kinds[name], value)
            elif name in of_catalog:
                sorted_by["catalog"][name] = value
            elif name == "verify_checksums":
                verify_checksums = parse_boolean(name, value)
            elif name in overrides:
                sorted_by["overrides"][overrides[name]] = str(value)
            else:
                raise ValueError(_unknown(name, (*kinds, *of_catalog, *overrides)))
        return cls(
            Settings(**sorted_by["settings"]),
            sorted_by["catalog"],
            sorted_by["overrides"],
            verify_checksums,
        )

    @property
    def reading(self) -> dict[str, Any]:
        """Options of `read_sources` with those that follow from the settings."""
        return {
            "proper_motion": self.settings.proper_motion,
            "ref_epoch_wanted": self.settings.ref_epoch is None,
            **self.catalog,
            **shape_options(self.settings, self.catalog.get("kron_from", "")),
        }


def parse_boolean(name: str, text: Any) -> bool:
    """Return the truth value of a text.

    Raises
    ------
    ValueError
        It is none.
    """
    if isinstance(text, bool):
        return text
    word = str(text).strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise ValueError(f"{name} is {text!r}: expected true or false")


def _value_of(name: str, setting: Any, value: Any) -> Any:
    """Turn the text of a setting into its value; leave anything else to `Settings`."""
    if not isinstance(value, str):
        return value
    kind = str(setting.type)
    try:
        if kind.startswith("tuple"):
            texts = [text.strip() for text in value.strip("[]() ").split(",") if text.strip()]
            return tuple(map(float, texts)) if "float" in kind else tuple(texts)
        if "None" in kind and value.strip().lower() in ("", "none"):
            return None
        if kind.startswith("bool"):
            return parse_boolean(name, value)
        for word, convert in (("int", int), ("float", float)):
            if kind.startswith(word):
                return convert(value)
    except ValueError:
        raise ValueError(f"{name} is {value!r}: expected {_in_words(kind)}") from None
    return value


def _in_words(kind: str) -> str:
    words = {"bool": "true or false", "int": "a whole number", "float": "a number"}
    if kind.startswith("tuple"):
        return "numbers separated by commas, such as 3,5"
    return next((text for word, text in words.items() if kind.startswith(word)), kind)


def _unknown(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else "strun forced_phot --help lists them"
    return f"there is no parameter {name!r}: {hint}"
