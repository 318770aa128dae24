"""Methods of measurement: one module each, with the interface of `contract`.

A new method is a new module and a line in `METHODS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..settings import Settings
from .aperture import CircularApertures
from .contract import BoundMethod, Method
from .psf import PSFPhotometry

__all__ = [
    "METHODS",
    "BoundMethod",
    "CircularApertures",
    "Method",
    "PSFPhotometry",
    "methods_for",
]

#: Functions that make a method from settings, by its name.
METHODS: Mapping[str, Callable[[Settings], Method]] = {
    "aperture": CircularApertures.from_settings,
    "psf": PSFPhotometry.from_settings,
}


def methods_for(settings: Settings) -> list[Method]:
    """Make the methods that settings name.

    Parameters
    ----------
    settings : Settings
        With at least one name in ``methods``.

    Returns
    -------
    list of Method
        In the order of the names; repeated names count once.

    Raises
    ------
    ValueError
        A name is unknown, there is none, or a parameter is invalid.
    """
    unknown = [name for name in settings.methods if name not in METHODS]
    if unknown or not settings.methods:
        raise ValueError(
            f"methods is {', '.join(settings.methods)!r}: expected one or more of "
            f"{', '.join(METHODS)}, separated by commas"
        )
    return [METHODS[name](settings) for name in dict.fromkeys(settings.methods)]
