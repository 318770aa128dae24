"""PSF photometry at fixed positions: every source is a point, and all are fitted at once.

See `joint_fit`, where the profile of each source is the PSF at its own place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ...table import Column, psf_columns
from .joint_fit import FittedPhotometry

__all__ = ["PSFPhotometry"]


@dataclass(frozen=True)
class PSFPhotometry(FittedPhotometry):
    """Joint fit of the PSF at all positions; parameters as in `photometry.Settings`.

    Raises
    ------
    ValueError
        A parameter is out of range.
    """

    name: ClassVar[str] = "psf"

    def columns(self) -> Sequence[Column]:
        """Return the columns of PSF photometry."""
        return psf_columns()
