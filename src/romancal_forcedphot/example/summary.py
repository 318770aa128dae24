"""Comparison of a product of the step with the true fluxes of its simulated scene."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.table import Table

from .. import validate
from ..storage import open_asdf
from ..table.statistics import pull_width, robust_statistics
from .scene import Scene

ISOLATION_ARCSEC = 3.3  # 30 pixels
ISOLATION_MAGNITUDES = 3.5
BRIGHT = (17.0, 20.0)
FAINT = (20.0, 23.0)
MAX_MEDIAN_OFFSET = 0.003  # mag
PULL_WIDTHS = (0.9, 1.1)


@dataclass(frozen=True)
class Comparison:
    """Differences between measured and true fluxes, for the n rows of the catalog.

    Attributes
    ----------
    magnitude : (n,) ndarray of float64
        True AB magnitude.
    offset : (n,) ndarray of float64
        Measured minus true magnitude; NaN where nothing was measured.
    pull : (n,) ndarray of float64
        (Measured flux - true flux) / error; NaN where nothing was measured.
    flags : (n,) ndarray of int
        ``warning_flags``.
    isolated : (n,) ndarray of bool
        Stars without a significant neighbour, see `isolated_stars`.
    """

    magnitude: np.ndarray
    offset: np.ndarray
    pull: np.ndarray
    flags: np.ndarray
    isolated: np.ndarray

    def sample(self, magnitudes: tuple[float, float]) -> np.ndarray:
        """Return which rows are isolated stars without flags in a range of magnitudes.

        Parameters
        ----------
        magnitudes : (float, float)
            Bright limit (included) and faint limit (excluded).

        Returns
        -------
        (n,) ndarray of bool
        """
        low, high = magnitudes
        inside = (self.magnitude >= low) & (self.magnitude < high)
        return inside & self.isolated & (self.flags == 0) & np.isfinite(self.pull)


@dataclass(frozen=True)
class Summary:
    """Statistics of a comparison and their accepted ranges; NaN for samples without stars.

    Attributes
    ----------
    n_sources, n_measured, n_flagged : int
        Number of rows of the catalog, of those measured, and of those with flags.
    n_bright : int
        Number of isolated stars of 17 to 20 mag.
    median_offset, scatter : float
        Median magnitude offset of these and its robust standard deviation, in mag.
    n_faint : int
        Number of isolated stars of 20 to 23 mag.
    pull_width : float
        Width of the pulls of these, 1 for correct errors.
    """

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
        """Messages about statistics outside their accepted ranges."""
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
    """Compare the fluxes of a product in apertures of 3 pixels with the true ones of its scene.

    Parameters
    ----------
    product : str or path-like
        Product of the step.
    scene : Scene
        The scene.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        The product does not have one row for each row of the catalog.
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
    """Read the table of a product into memory.

    Parameters
    ----------
    product : str or path-like
        Product of the step.

    Returns
    -------
    astropy.table.Table
    """
    with open_asdf(product) as file:
        return Table(file["roman"]["source_catalog"], copy=True)


def isolated_stars(truth: Table, magnitude: np.ndarray) -> np.ndarray:
    """Return which sources are stars without a significant neighbour.

    Parameters
    ----------
    truth : astropy.table.Table
        The simulated sources, with columns ``ra``, ``dec`` (deg) and ``type``.
    magnitude : (n,) ndarray
        Their magnitudes.

    Returns
    -------
    (n,) ndarray of bool
        Stars without a source within 3.3 arcsec that is brighter, or fainter by less than 3.5 mag.
    """
    from scipy.spatial import cKDTree

    ra, dec = np.deg2rad(truth["ra"]), np.deg2rad(truth["dec"])
    directions = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)
    pairs = cKDTree(directions).query_pairs(
        np.deg2rad(ISOLATION_ARCSEC / 3600), output_type="ndarray"
    )
    isolated = np.asarray(truth["type"]) == "PSF"
    for one, other in (pairs.T, pairs.T[::-1]):
        blended = magnitude[other] < magnitude[one] + ISOLATION_MAGNITUDES
        isolated[one[blended]] = False
    return isolated


def summarize(comparison: Comparison) -> Summary:
    """Return the statistics of a comparison.

    Parameters
    ----------
    comparison : Comparison
        Result of `compare`.

    Returns
    -------
    Summary
    """
    bright, faint = comparison.sample(BRIGHT), comparison.sample(FAINT)
    offset, pull = comparison.offset[bright], comparison.pull[faint]
    found = robust_statistics(offset)
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
