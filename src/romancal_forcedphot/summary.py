"""What a run tells of its table: counts for the log and the metadata."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from astropy.table import Table

from .columns import WarningFlag, aperture_name

__all__ = ["count_rows", "report", "typical_fractions"]

log = logging.getLogger(f"romancal.{__name__}")


def count_rows(table: Table) -> dict[str, int]:
    """Count rows: all, with a pixel of the aperture on the image, with any flag."""
    flags = np.asarray(table["warning_flags"])
    return {
        "n_rows": len(table),
        "n_on_image": int(np.count_nonzero((flags & WarningFlag.NOT_PLACED) == 0)),
        "n_flagged": int(np.count_nonzero(flags)),
    }


def typical_fractions(table: Table, aperture_radii: Sequence[float]) -> list[float | None]:
    """Return the median over the sources of E at each radius, None where there is none."""
    fractions = [
        np.asarray(table[f"{aperture_name(radius)}_ee_fraction"]) for radius in aperture_radii
    ]
    known = [values[np.isfinite(values)] for values in fractions]
    return [float(np.median(values)) if len(values) else None for values in known]


def report(counts: dict[str, int], catalog_name: str) -> None:
    """Log what was measured, with a warning where nothing was."""
    log.info(
        "Measured %(n_on_image)d of %(n_rows)d sources on the image, %(n_flagged)d rows flagged",
        counts,
    )
    if counts["n_on_image"] == 0:
        log.warning(
            "No source of catalog %s lies on the image: the product has %d rows without fluxes",
            catalog_name,
            counts["n_rows"],
        )
