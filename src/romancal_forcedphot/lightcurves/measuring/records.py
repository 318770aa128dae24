"""What the measurement of one exposure gave: a record of the exposure, and its rows."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from ...table import Column
from .rows import MEASURED_COLUMNS

__all__ = ["ExposureRecord", "MeasuredExposure"]

_NEEDED = ("flux", "flux_err", "warning_flags")


@dataclass(frozen=True)
class ExposureRecord:
    """What holds for a whole exposure.

    Attributes
    ----------
    exposure : str
        Its name.
    location : str
        Path or URI of its image.
    band, detector : str
        Such as ``'F106'``, ``'WFI01'``.
    mjd_tai : float
        Middle of the exposure.
    exptime : float
        In s.
    observer : str
        Where the telescope was for barycentric times: ``'spacecraft'`` or ``'Earth: why'``.
    flux : str
        Beginning of the names of the columns that the flux was taken of, such as ``'aper3pix'``.
    flux_scale : float
        C·Ω₀, nJy per image unit (DN/s).
    sky_rms : float
        Scatter of the sky from pixel to pixel, image units.
    pixel_scale : float
        In arcsec, at the detector's centre.
    offset_x, offset_y : float
        Median offset of the centroids of bright sources from the catalog in pixels.
    offset_scatter : float
        Robust scatter of these offsets along one axis in pixels.
    n_offset : int
        Number of sources that they were taken of.
    shift_x, shift_y : float
        By how much all positions were moved before the measurement (``align``), pixels.
    warnings : tuple of str
        What should be known about the exposure.
    """

    exposure: str
    location: str
    band: str
    detector: str
    mjd_tai: float
    exptime: float
    observer: str = ""
    flux: str = ""
    flux_scale: float = math.nan
    sky_rms: float = math.nan
    pixel_scale: float = math.nan
    offset_x: float = math.nan
    offset_y: float = math.nan
    offset_scatter: float = math.nan
    n_offset: int = 0
    shift_x: float = 0.0
    shift_y: float = 0.0
    warnings: tuple[str, ...] = ()

    def __post_init__(self):
        for name, dtype in (("band", str), ("detector", str), ("mjd_tai", float)):
            object.__setattr__(self, name, dtype(getattr(self, name)))
        if not math.isfinite(self.mjd_tai):
            raise ValueError(
                f"exposure {self.exposure!r} has the time {self.mjd_tai}: expected the MJD of its "
                "middle; mend meta.exposure.start_time and end_time"
            )
        if not self.band or not self.detector:
            raise ValueError(
                f"exposure {self.exposure!r} has band {self.band!r} and detector "
                f"{self.detector!r}: expected names such as F106 and WFI01"
            )

    def as_json(self) -> str:
        """Return the record as JSON, NaN as null."""
        values = {name: _plain(value) for name, value in asdict(self).items()}
        return json.dumps(values, sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> ExposureRecord:
        """Read a record as `as_json` writes it; what later versions add is left out."""
        values = json.loads(text)
        known = {}
        for item in fields(cls):
            if item.name in values:
                value = values[item.name]
                known[item.name] = math.nan if value is None else value
        known["warnings"] = tuple(known.get("warnings", ()))
        return cls(**known)


@dataclass(frozen=True, eq=False)
class MeasuredExposure:
    """What the measurement of one exposure gave; n rows.

    Attributes
    ----------
    record : ExposureRecord
        What holds for all rows.
    catalog_row : (n,) ndarray of int64
        Row in the catalog of each source on the exposure, rising.
    columns : mapping of str to (n,) ndarray
        Values of `rows.MEASURED_COLUMNS`, those that are missing are NaN, and of ``quality``.
    quality : tuple of Column
        What the method of measurement tells besides.
    """

    record: ExposureRecord
    catalog_row: np.ndarray
    columns: Mapping[str, np.ndarray]
    quality: tuple[Column, ...] = ()

    def __post_init__(self):
        rows = np.asarray(self.catalog_row, dtype=np.int64)
        object.__setattr__(self, "catalog_row", rows)
        if rows.ndim != 1 or (np.diff(rows) <= 0).any():
            raise ValueError(
                f"catalog_row of exposure {self.record.exposure!r} does not rise: expected each "
                "source at most once, in the catalog's order"
            )
        quality = [column.name for column in self.quality]
        if clashes := {column.name for column in MEASURED_COLUMNS} & set(quality):
            raise ValueError(f"quality columns {sorted(clashes)} have names of measured columns")
        if missing := [name for name in (*_NEEDED, *quality) if name not in self.columns]:
            raise ValueError(f"exposure {self.record.exposure!r} lacks the columns {missing}")
        for name, values in self.columns.items():
            if np.shape(values) != rows.shape:
                raise ValueError(
                    f"column {name!r} of exposure {self.record.exposure!r} has the shape "
                    f"{np.shape(values)}: expected {rows.shape}"
                )

    def named(self, name: str, location: str, warnings: Sequence[str] = ()) -> MeasuredExposure:
        """Return this under the name and location of a run, with what it was warned of."""
        said = tuple(dict.fromkeys((*self.record.warnings, *warnings)))
        record = replace(self.record, exposure=name, location=location, warnings=said)
        return replace(self, record=record)


def _plain(value: Any) -> Any:
    """Value as JSON takes it."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return list(value) if isinstance(value, tuple) else value
