"""Bits of the ``warning_flags`` column and their meanings."""

from __future__ import annotations

import enum
import numbers

__all__ = ["FLAG_MEANINGS", "WarningFlag"]


class WarningFlag(enum.IntFlag):
    """Bits of ``warning_flags``; 0 is good.

    A value of the table, of any integer type, gives the flags whose bits it has; as text they are
    names such as ``CENTER_UNUSABLE|EDGE``. A bit that was released never changes its meaning, see
    `FLAG_MEANINGS`.
    """

    CENTER_UNUSABLE = 1
    NOT_PLACED = 2
    EDGE = 4
    MASKED = 8
    SATURATED = 16
    FEW_BKG_PIXELS = 32
    NO_CORRECTION = 64
    NEIGHBOR = 128
    PSF_MASKED = 256
    PSF_DEGENERATE = 512
    PSF_POOR_FIT = 1024
    BAD_SHAPE = 2048

    @classmethod
    def _missing_(cls, value: object) -> WarningFlag | None:
        if isinstance(value, numbers.Integral) and not isinstance(value, int):
            return cls(int(value))
        return super()._missing_(value)

    def __str__(self) -> str:
        """Return the names of the flags, or 0 without any."""
        return self.name or "0"


#: One line per flag, for the documentation and the product's pages.
FLAG_MEANINGS: dict[WarningFlag, str] = {
    WarningFlag.CENTER_UNUSABLE: "centre pixel unusable: masked, not finite, or off the image",
    WarningFlag.NOT_PLACED: "not placed: no pixel of the aperture on the image",
    WarningFlag.EDGE: "aperture cut by the edge of the image",
    WarningFlag.MASKED: "masked pixel in the aperture",
    WarningFlag.SATURATED: "saturated pixel in the aperture",
    WarningFlag.FEW_BKG_PIXELS: "too few background pixels",
    WarningFlag.NO_CORRECTION: "no aperture correction available, total flux is NaN",
    WarningFlag.NEIGHBOR: "another source of the catalog inside the aperture",
    WarningFlag.PSF_MASKED: "too few usable pixels for the PSF or model fit, its flux is NaN",
    WarningFlag.PSF_DEGENERATE: "PSF or model flux degenerate with that of another source",
    WarningFlag.PSF_POOR_FIT: "poor PSF or model fit: residuals larger than the noise",
    WarningFlag.BAD_SHAPE: "shape in the catalog impossible, or Kron radius not measurable",
}
