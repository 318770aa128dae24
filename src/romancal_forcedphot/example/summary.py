"""A product of the step against the truth of its simulated scene."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.table import Table

from .. import validate
from ..storage import open_asdf
from ..table.statistics import pull_width, spread
from .scene import Scene

ISOLATION_ARCSEC = 3.3  # 30 pixels
ISOLATION_MAGNITUDES = 3.5
BRIGHT = (17.0, 20.0)
FAINT = (20.0, 23.0)
MAX_MEDIAN_OFFSET = 0.003  # mag
PULL_WIDTHS = (0.9, 1.1)


@dataclass(frozen=True)
class Comparison:
    """Measured against true, a row for each row of the catalog.

    Attributes
    ----------
    magnitude : ndarray (n,)
        True AB magnitude.
    offset : ndarray (n,)
        Measured minus true, mag; NaN where nothing was measured.
    pull : ndarray (n,)
        (Measured flux - true flux) / its error; NaN where nothing was measured.
    flags : ndarray (n,), int
        `warning_flags`.
    isolated : ndarray (n,), bool
        Stars without a neighbour within 3.3 arcsec that is brighter than 3.5 mag fainter; from the
        truth alone.
    """

    magnitude: np.ndarray
    offset: np.ndarray
    pull: np.ndarray
    flags: np.ndarray
    isolated: np.ndarray

    def sample(self, magnitudes: tuple[float, float]) -> np.ndarray:
        """Tell which rows are isolated, unflagged stars between two magnitudes (bool)."""
        low, high = magnitudes
        inside = (self.magnitude >= low) & (self.magnitude < high)
        return inside & self.isolated & (self.flags == 0) & np.isfinite(self.pull)


@dataclass(frozen=True)
class Summary:
    """The figures by which the example is judged; magnitudes and widths are nan without stars."""

    n_sources: int
    n_measured: int
    n_flagged: int
    n_bright: int
    median_offset: float
    scatter: float
    n_faint: int
    pull_width: float

    @property
    def problems(self) -> list[str]:
        """What is out of bounds, in words; empty if all is well."""
        found = []
        if not abs(self.median_offset) <= MAX_MEDIAN_OFFSET:
            found.append(
                f"median offset {self.median_offset:.4f} mag, expected within {MAX_MEDIAN_OFFSET}"
            )
        if not PULL_WIDTHS[0] <= self.pull_width <= PULL_WIDTHS[1]:
            found.append(
                f"pull width {self.pull_width:.3f}, expected {PULL_WIDTHS[0]} to {PULL_WIDTHS[1]}"
            )
        return found

    def __str__(self) -> str:
        return "\n".join(
            [
                f"sources                     {self.n_sources} in the catalog, "
                f"{self.n_measured} measured, {self.n_flagged} flagged",
                "isolated stars 17 to 20 mag "
                f"{self.n_bright}: median offset {self.median_offset:+.4f} mag, "
                f"robust scatter {self.scatter:.4f} mag",
                f"isolated stars 20 to 23 mag {self.n_faint}: pull width {self.pull_width:.3f}",
            ]
        )


def compare(product: str | Path, scene: Scene) -> Comparison:
    """Compare a product of the step (3-pixel aperture) with the truth of its scene.

    Raises
    ------
    ValueError
        If the product does not have a row for each row of the catalog.
    """
    found = validate.compare(
        product,
        scene.catalog,
        aperture="aper3pix",
        reference_column=scene.recipe.band,
        reference_unit="maggy",
    )
    truth = found.reference.table
    if not np.array_equal(found.row, np.arange(len(truth))):
        raise ValueError(
            f"{product} has {found.n_rows} rows and its catalog {scene.catalog} has {len(truth)}: "
            "expected a row for each source, in order; was it made from this catalog?"
        )
    return Comparison(
        magnitude=found.magnitude,
        offset=np.where(np.isfinite(found.offset), found.offset, np.nan),
        pull=found.pull,
        flags=found.flags,
        isolated=isolated_stars(truth, found.magnitude),
    )


def read_source_catalog(product: str | Path) -> Table:
    """Return the table of a product, in memory."""
    with open_asdf(product) as file:
        return Table(file["roman"]["source_catalog"], copy=True)


def isolated_stars(truth: Table, magnitude: np.ndarray) -> np.ndarray:
    """Tell which sources are stars without a neighbour that disturbs them (bool)."""
    from scipy.spatial import cKDTree

    ra, dec = np.deg2rad(truth["ra"]), np.deg2rad(truth["dec"])
    directions = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)
    pairs = cKDTree(directions).query_pairs(
        np.deg2rad(ISOLATION_ARCSEC / 3600), output_type="ndarray"
    )
    isolated = np.asarray(truth["type"]) == "PSF"
    for one, other in (pairs.T, pairs.T[::-1]):
        disturbed = magnitude[other] < magnitude[one] + ISOLATION_MAGNITUDES
        isolated[one[disturbed]] = False
    return isolated


def summarize(comparison: Comparison) -> Summary:
    """Return the figures of a comparison."""
    bright, faint = comparison.sample(BRIGHT), comparison.sample(FAINT)
    offset, pull = comparison.offset[bright], comparison.pull[faint]
    found = spread(offset)
    return Summary(
        n_sources=len(comparison.flags),
        n_measured=int(np.isfinite(comparison.pull).sum()),
        n_flagged=int((comparison.flags != 0).sum()),
        n_bright=int(bright.sum()),
        median_offset=found.median,
        scatter=found.scatter,
        n_faint=int(faint.sum()),
        pull_width=pull_width(pull),
    )
