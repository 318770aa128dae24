"""Errors of PSFs and aperture corrections."""

from __future__ import annotations

__all__ = ["CorrectionUnavailable", "PSFError"]


class PSFError(ValueError):
    """A PSF or an aperture correction is invalid, or does not cover what was requested of it."""


class CorrectionUnavailable(PSFError):
    """There is no aperture correction for this filter, or the data that it needs are missing."""
