"""Log messages about the result of a run."""

from __future__ import annotations

import logging
from collections.abc import Mapping

__all__ = ["report"]

log = logging.getLogger(f"romancal.{__name__}")


def report(counts: Mapping[str, int], catalog_name: str) -> None:
    """Log the numbers of rows, with a warning if no source is on the image.

    Parameters
    ----------
    counts : mapping of str to int
        Result of `table.count_rows`.
    catalog_name : str
        Name of the catalog.
    """
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
