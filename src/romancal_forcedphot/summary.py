"""What a run tells of its table: counts for the log and the metadata."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from astropy.table import Table

from .columns import aperture_name
from .tables import on_image

__all__ = ["count_rows", "report", "typical_fractions"]

log = logging.getLogger(f"romancal.{__name__}")


def count_rows(
    table: Table, n_read: int | None = None, n_selected: int | None = None
) -> dict[str, int]:
    """Count rows, for the log and ``meta.forced_phot.catalog``.

    Parameters
    ----------
    table : astropy.table.Table
        The product's table.
    n_read, n_selected : int, optional
        Rows of the catalog, and those of them that were selected; the table's if not given.

    Returns
    -------
    dict of str to int
        Rows read, selected, in the table, with a pixel of the aperture on the image, with a flag.
    """
    n_selected = len(table) if n_selected is None else n_selected
    return {
        "n_read": n_selected if n_read is None else n_read,
        "n_selected": n_selected,
        "n_rows": len(table),
        "n_on_image": int(np.count_nonzero(on_image(table))),
        "n_flagged": int(np.count_nonzero(table["warning_flags"])),
    }


def typical_fractions(
    table: Table, aperture_radii: Sequence[float], radius_unit: str = "pixel"
) -> list[float | None]:
    """Return the median over the sources of E at each radius, None where there is none."""
    names = [aperture_name(radius, radius_unit) for radius in aperture_radii]
    fractions = [np.asarray(table[f"{name}_ee_fraction"]) for name in names]
    known = [values[np.isfinite(values)] for values in fractions]
    return [float(np.median(values)) if len(values) else None for values in known]


def report(counts: dict[str, int], catalog_name: str) -> None:
    """Log what was measured, with a warning where nothing was."""
    log.info(
        "Catalog %s: %d rows read, %d selected, %d on the detector",
        catalog_name,
        *(counts[name] for name in ("n_read", "n_selected", "n_on_image")),
    )
    log.info(
        "Measured %d of %d sources on the image, %d rows flagged",
        *(counts[name] for name in ("n_on_image", "n_selected", "n_flagged")),
    )
    if left_out := counts["n_selected"] - counts["n_rows"]:
        log.info("on_image_only left out %d rows that are not on the image", left_out)
    if counts["n_on_image"] == 0:
        log.warning(
            "No source of catalog %s lies on the image: the product has %d rows without fluxes",
            catalog_name,
            counts["n_rows"],
        )
