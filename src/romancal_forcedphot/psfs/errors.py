"""The errors of PSFs and aperture corrections."""

from __future__ import annotations

__all__ = ["CorrectionUnavailable", "PSFError"]


class PSFError(ValueError):
    """A PSF or a correction is not what it should be, or cannot serve what is asked of it."""


class CorrectionUnavailable(PSFError):
    """There is no aperture correction for this filter, or what it needs is missing."""
