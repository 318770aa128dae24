"""Errors of images."""

from __future__ import annotations

__all__ = ["ExposureError", "InputError"]


class InputError(ValueError):
    """The input is not a readable Roman image."""


class ExposureError(ValueError):
    """The image lacks data or metadata that photometry needs."""
