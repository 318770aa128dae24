"""The errors of images."""

from __future__ import annotations

__all__ = ["ExposureError", "InputError"]


class InputError(ValueError):
    """The input is not a Roman image that can be read."""


class ExposureError(ValueError):
    """The image lacks something that photometry needs."""
