"""What shapes light curves beside the settings of the photometry."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .measuring.rows import BAD_FLAGS

__all__ = ["CurveOptions", "MeasureOptions"]


@dataclass(frozen=True)
class MeasureOptions:
    """How an exposure is measured for light curves; to change it is to measure anew.

    Attributes
    ----------
    flux : str
        Which of several measured fluxes: ``'psf'``, ``'model'``, ``'aperture'`` (the first one), or
        the beginning of its columns' names, such as ``'aper5pix'``. If empty, the PSF's, else a
        model's, else that of the first aperture.
    align : bool
        Whether positions are moved by the median offset of bright sources from the catalog.
    limit_sigma : float
        How many times the error the limiting magnitude is.
    """

    flux: str = ""
    align: bool = False
    limit_sigma: float = 3.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.limit_sigma) and self.limit_sigma > 0):
            raise ValueError(
                f"limit_sigma is {self.limit_sigma}: expected how many times the error a limit "
                "is, such as 3"
            )


@dataclass(frozen=True)
class CurveOptions:
    """How measured points become light curves; may change without measuring anew.

    Attributes
    ----------
    relative_calibration : bool
        Whether fluxes are divided by the relative zero point of their exposure.
    baseline : (float, float) or None
        Interval of MJD (TAI) whose mean flux, per source and band, is subtracted into
        ``flux_difference``.
    rescale_errors : bool
        Whether all errors of a source and band are rescaled by the χ² of its baseline.
    bad_flags : int
        Bits of ``warning_flags`` that keep a point out of means.
    """

    relative_calibration: bool = False
    baseline: tuple[float, float] | None = None
    rescale_errors: bool = False
    bad_flags: int = BAD_FLAGS

    def __post_init__(self) -> None:
        if self.baseline is not None:
            interval = tuple(float(limit) for limit in self.baseline)
            object.__setattr__(self, "baseline", interval)
            if len(interval) != 2 or not all(map(math.isfinite, interval)):
                raise ValueError(f"baseline is {interval}: expected two MJDs, such as 61500,61600")
            if not interval[0] < interval[1]:
                raise ValueError(
                    f"baseline is {interval[0]:g},{interval[1]:g}: expected an earlier MJD and a "
                    "later one; swap them"
                )
        if self.rescale_errors and self.baseline is None:
            raise ValueError(
                "rescale_errors needs a baseline, whose scatter errors are rescaled by: give "
                "--baseline=MJD1,MJD2"
            )
