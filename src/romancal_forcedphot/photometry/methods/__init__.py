"""Methods of measurement: one module each, with the interface of `contract`.

A new method is a new module and a line in `METHODS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ..settings import Settings
from .aperture import BoundApertures, CircularApertures
from .contract import BoundMethod, Method
from .ellipse import BoundEllipses, EllipticalApertures
from .joint_fit import BoundFit
from .kron import KronApertures
from .model import ModelPhotometry
from .psf import PSFPhotometry

__all__ = [
    "APERTURE_SHAPES",
    "METHODS",
    "BoundApertures",
    "BoundEllipses",
    "BoundFit",
    "BoundMethod",
    "CircularApertures",
    "EllipticalApertures",
    "KronApertures",
    "Method",
    "ModelPhotometry",
    "PSFPhotometry",
    "methods_for",
]

#: Apertures by their shape.
APERTURE_SHAPES: Mapping[str, Callable[[Settings], Method]] = {
    "circle": CircularApertures.from_settings,
    "ellipse": EllipticalApertures.from_settings,
    "kron": KronApertures.from_settings,
}


def _apertures(settings: Settings) -> Method:
    """Make the apertures of the shape that settings name."""
    if settings.aperture_shape not in APERTURE_SHAPES:
        raise ValueError(
            f"aperture_shape {settings.aperture_shape!r} is unknown: use one of "
            f"{', '.join(APERTURE_SHAPES)}"
        )
    if settings.aperture_shape != "circle" and settings.error_calibration != "none":
        raise ValueError(
            f"error_calibration is {settings.error_calibration!r}: expected none with "
            f"aperture_shape {settings.aperture_shape}, as blank sky is measured in circles"
        )
    if settings.match_psf_to and settings.error_calibration != "none":
        raise ValueError(
            f"error_calibration is {settings.error_calibration!r}: expected none with "
            f"match_psf_to={settings.match_psf_to}, as blank sky is measured in plain circles"
        )
    method = APERTURE_SHAPES[settings.aperture_shape](settings)
    if settings.match_psf_to and "matching" not in method.uses:
        raise ValueError(
            f"match_psf_to is {settings.match_psf_to!r}: expected none with aperture_shape "
            f"{settings.aperture_shape}, whose sums cannot be matched"
        )
    return method


#: Functions that make a method from settings, by its name.
METHODS: Mapping[str, Callable[[Settings], Method]] = {
    "aperture": _apertures,
    "psf": PSFPhotometry.from_settings,
    "model": ModelPhotometry.from_settings,
}


def methods_for(settings: Settings) -> list[Method]:
    """Make the methods that settings name.

    Parameters
    ----------
    settings : Settings
        With at least one name in ``methods``. A ``radius_unit`` of ``'auto'`` is that of images;
        for a mosaic pass the settings' `resolved`.

    Returns
    -------
    list of Method
        In the order of the names; repeated names count once.

    Raises
    ------
    ValueError
        A name is unknown, there is none, or a parameter is invalid.
    """
    settings = settings.resolved()
    unknown = [name for name in settings.methods if name not in METHODS]
    if unknown or not settings.methods:
        raise ValueError(
            f"methods is {', '.join(settings.methods)!r}: expected one or more of "
            f"{', '.join(METHODS)}, separated by commas"
        )
    methods = {name: METHODS[name](settings) for name in dict.fromkeys(settings.methods)}
    if settings.match_psf_to and "aperture" not in methods:
        raise ValueError(
            f"match_psf_to is {settings.match_psf_to!r} and methods is {', '.join(methods)!r}: "
            "expected aperture among them, as it is apertures that see the sky through another PSF"
        )
    if settings.subtract_neighbors:
        methods |= _without_neighbors(methods)
    return list(methods.values())


def _without_neighbors(methods: Mapping[str, Method]) -> dict[str, Method]:
    """Return the apertures among methods, with the method whose fit is subtracted from them."""
    fitted = methods.get("model", methods.get("psf"))
    if "aperture" not in methods or fitted is None:
        raise ValueError(
            f"subtract_neighbors is on and methods is {', '.join(methods)!r}: expected aperture "
            "with psf or model, whose fit is subtracted, such as aperture,psf"
        )
    apertures: Any = methods["aperture"]
    return {"aperture": replace(apertures, neighbors=fitted)}
