"""Forced photometry: a pure function of an exposure and positions that returns a table.

`measure` does what all methods have in common: positions, batches on threads, and the table in the
order of the catalog. The result of a batch depends on its own sources only, so that the values are
the same for any number of threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..geometry import pixel_to_sky, sky_to_pixel
from ..psfs import PSF, Correction, PSFMatching
from ..table import (
    Column,
    WarningFlag,
    check_catalog_columns,
    coverage_columns,
    make_table,
    on_image,
    table_columns,
)
from .coverage import coverage_at
from .exposure import Exposure
from .methods import BoundMethod, CircularApertures, Method
from .sources import Sources

__all__ = ["available_cores", "measure", "measure_columns"]


def measure(
    exposure: Exposure,
    sources: Sources,
    methods: Sequence[Method] | None = None,
    *,
    area: np.ndarray | None = None,
    psf: PSF | None = None,
    correction: Correction | None = None,
    matching: PSFMatching | None = None,
    on_image_only: bool = False,
    n_threads: int = 0,
    progress: Callable[[int], object] = lambda n_rows: None,
    inspect: Callable[[Sequence[BoundMethod]], object] = lambda bound: None,
) -> Table:
    """Measure every source of a catalog on one exposure.

    Parameters
    ----------
    exposure : Exposure
        The image.
    sources : Sources
        n positions: sky positions, or pixel positions if there are none.
    methods : sequence of Method, optional
        Methods of measurement; `CircularApertures` with its defaults if not given.
    area : (ny, nx) ndarray, optional
        Relative pixel area, 1 at the nominal pixel; 1 everywhere if not given.
    psf : PSF, optional
        The PSF on pixels, for methods that fit it.
    correction : Correction, optional
        Encircled-energy fractions, for methods that sum pixels. Without it the total flux of an
        aperture is the flux inside it.
    matching : PSFMatching, optional
        Matching of the PSF to that of another filter, for methods that sum pixels.
    on_image_only : bool
        Whether to omit the rows of sources that are not on the image.
    n_threads : int
        Number of threads over batches of sources; 0 for the cores available to this process.
    progress : callable, optional
        Called in this thread with the number of rows that were completed since the last call, n in
        total for each method.

    inspect : callable, optional
        Called with the bound methods, such as for the model image of a `BoundFit`.

    Returns
    -------
    astropy.table.Table
        n rows (without those off the image with ``on_image_only``) in the order of the catalog: id
        and positions, the columns of the methods (fluxes in nJy), those of the coverage of a
        mosaic, ``warning_flags``, then ``sources.columns``.

    Raises
    ------
    ValueError
        A column of ``sources.columns`` has the name of one of the table's own, the parameters of a
        method are not valid for the image, or ``n_threads`` is negative.
    """
    methods = [CircularApertures()] if methods is None else list(methods)
    n_threads = _n_threads(n_threads)
    of_methods = [column for method in methods for column in method.columns()]
    of_mosaic = [] if exposure.coverage is None else coverage_columns()
    columns = table_columns([*of_methods, *of_mosaic], source_names=sources.source_name is not None)
    check_catalog_columns(sources.columns.colnames if sources.columns is not None else (), columns)
    x, y, ra, dec = _positions(exposure, sources)
    given: dict[str, Any] = {
        "area": area,
        "psf": psf,
        "correction": correction,
        "n_threads": n_threads,
    }
    bound = []
    for method in methods:
        extra: dict[str, Any] = {"matching": matching} if "matching" in method.uses else {}
        bound.append(method.bind(exposure, sources, x, y, **given, **extra))
    batches = [list(each.batches()) for each in bound]
    rows = np.arange(len(sources))
    if on_image_only:  # a large catalog may have few rows on the image
        rows = np.unique(np.concatenate([rows[:0], *(batch for each in batches for batch in each)]))
    inspect(bound)
    values = measure_columns(
        bound, of_methods, rows, batches=batches, n_threads=n_threads, progress=progress
    )
    sources = sources.take(rows) if on_image_only else sources
    values["label"] = sources.label
    if sources.source_name is not None:
        values["source_name"] = sources.source_name
    values |= {"ra": ra[rows], "dec": dec[rows], "x": x[rows], "y": y[rows]}
    if exposure.coverage is not None:
        values |= coverage_at(exposure.coverage, x[rows], y[rows])
    table = make_table(columns, values, sources.columns)
    return table[on_image(table)] if on_image_only else table


def measure_columns(
    bound: Sequence[BoundMethod],
    columns: Sequence[Column],
    rows: NDArray[np.intp],
    *,
    batches: Sequence[Sequence[NDArray[np.intp]]],
    n_threads: int = 1,
    progress: Callable[[int], object] = lambda n_rows: None,
) -> dict[str, NDArray]:
    """Measure the batches of bound methods on threads.

    Parameters
    ----------
    bound : sequence of BoundMethod
        Methods bound to one exposure and the same n sources.
    columns : sequence of Column
        Columns of all these methods.
    rows : (m,) ndarray of intp
        Rows of the sources to be returned, increasing; they include those of all batches.
    batches : sequence of sequence of ndarray
        The batches of each method.
    n_threads : int
        Number of threads over batches.
    progress : callable
        Called with each number of completed rows, including those that are in no batch.

    Returns
    -------
    dict of str to (m,) ndarray
        Values of the columns, NaN where nothing was measured, and ``warning_flags``.
    """
    values = {c.name: np.full(len(rows), np.nan, dtype=c.dtype) for c in columns}
    values["warning_flags"] = np.zeros(len(rows), dtype=np.int32)
    is_placed = np.zeros(len(rows), dtype=bool)  # by any method
    for method, its_batches in zip(bound, batches, strict=True):
        flags = method.unmeasured_flags
        progress(len(flags) - sum(map(len, its_batches)))
        place = np.empty(len(flags), dtype=np.intp)
        place[rows] = np.arange(len(rows))
        flags = flags[rows]
        with ThreadPoolExecutor(n_threads) as pool:
            measured = pool.map(method.measure, its_batches)
            for batch, result in zip(its_batches, measured, strict=True):
                indices = place[batch]
                result = dict(result)
                flags[indices] = result.pop("warning_flags")
                for name, column in result.items():
                    values[name][indices] = column
                progress(len(batch))
        values["warning_flags"] |= flags
        is_placed |= (flags & WarningFlag.NOT_PLACED) == 0
    values["warning_flags"][is_placed] &= ~np.int32(WarningFlag.NOT_PLACED)
    return values


def _n_threads(requested: int) -> int:
    """Number of threads, all available cores for 0; raise a ValueError for a negative one."""
    if requested < 0:
        raise ValueError(
            f"n_threads is {requested}: expected a number of threads, or 0 for all cores that the "
            "process may use"
        )
    return requested or available_cores()


def available_cores() -> int:
    """Return the number of CPU cores available to this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _positions(exposure: Exposure, sources: Sources) -> tuple[NDArray, ...]:
    """Pixel and sky coordinates x, y, ra, dec (n,) of the sources, one pair from the other."""
    if sources.ra is None or sources.dec is None:
        x, y = np.asarray(sources.x), np.asarray(sources.y)
        ra, dec = pixel_to_sky(exposure.wcs, x, y)
    else:
        ra, dec = sources.ra, sources.dec
        x, y = sky_to_pixel(exposure.wcs, ra, dec, exposure.shape)
    return x, y, ra, dec
