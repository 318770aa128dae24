"""Forced photometry: one pure function from an exposure and positions to a table.

`measure` is as usable in a notebook as in the step. It knows what all methods have in common and
nothing of any: positions, batches on threads, and the table in the catalog's order. What a batch
yields depends on its sources alone, so the numbers are the same for any number of threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..geometry import pixel_to_sky, sky_to_pixel
from ..psfs import PSF, Correction
from ..table import Column, check_catalog_columns, make_table, on_image, table_columns
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
    on_image_only: bool = False,
    n_threads: int = 0,
    progress: Callable[[int], object] = lambda n_rows: None,
) -> Table:
    """Measure every source of a catalog on one exposure.

    Parameters
    ----------
    exposure : Exposure
        The image.
    sources : Sources
        n positions, on the sky or, where the catalog has no sky positions, on the detector.
    methods : sequence of Method, optional
        How to measure; `CircularApertures` with its defaults if not given.
    area : (ny, nx) ndarray, optional
        Relative pixel area aᵢ, 1 at the nominal pixel; 1 everywhere if not given.
    psf : PSF, optional
        The PSF on pixels, for methods that fit it.
    correction : Correction, optional
        Encircled-energy fractions, for methods that sum pixels. Without one the total flux of an
        aperture is the flux in it.
    on_image_only : bool
        Whether to leave out the rows of sources that are not on the image.
    n_threads : int
        Threads over batches of sources; 0 for the cores that this process may use. The numbers are
        the same for any.
    progress : callable, optional
        Is told, in this thread, of every number of rows that is done: n rows for each method.

    Returns
    -------
    astropy.table.Table
        n rows (less those off the image with ``on_image_only``) in the catalog's order: id and
        positions, the columns of the methods (fluxes in nJy), ``warning_flags``, then
        ``sources.columns``.

    Raises
    ------
    ValueError
        A column of ``sources.columns`` has a name of the table's own, or a method does not fit the
        image.
    """
    methods = [CircularApertures()] if methods is None else list(methods)
    n_threads = _n_threads(n_threads)
    of_methods = [column for method in methods for column in method.columns()]
    columns = table_columns(of_methods, source_names=sources.source_name is not None)
    check_catalog_columns(sources.columns.colnames if sources.columns is not None else (), columns)
    x, y, ra, dec = _positions(exposure, sources)
    given = {"area": area, "psf": psf, "correction": correction, "n_threads": n_threads}
    bound = [method.bind(exposure, sources, x, y, **given) for method in methods]
    batches = [list(each.batches()) for each in bound]
    rows = np.arange(len(sources))
    if on_image_only:  # a large catalog may have few rows here
        rows = np.unique(np.concatenate([rows[:0], *(batch for each in batches for batch in each)]))
    values = measure_columns(
        bound, of_methods, rows, batches=batches, n_threads=n_threads, progress=progress
    )
    sources = sources.take(rows) if on_image_only else sources
    values |= {"label": sources.label, "source_name": sources.source_name}
    values |= {"ra": ra[rows], "dec": dec[rows], "x": x[rows], "y": y[rows]}
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
        All on one exposure and the same n sources.
    columns : sequence of Column
        Columns of all of them.
    rows : (m,) ndarray of intp
        Rows of the sources that are wanted, in rising order; those of all batches are among them.
    batches : sequence of sequence of ndarray
        The batches of each method.
    n_threads : int
        Threads over batches.
    progress : callable
        Is told of every number of rows that is done, those in no batch included.

    Returns
    -------
    dict of str to (m,) ndarray
        The columns, NaN where nothing was measured, and ``warning_flags``.
    """
    values = {c.name: np.full(len(rows), np.nan, dtype=c.dtype) for c in columns}
    values["warning_flags"] = np.zeros(len(rows), dtype=np.int32)
    for method, its_batches in zip(bound, batches, strict=True):
        flags = method.unmeasured_flags
        progress(len(flags) - sum(map(len, its_batches)))
        flags = flags[rows]
        with ThreadPoolExecutor(n_threads) as pool:
            measured = pool.map(method.measure, its_batches)
            for batch, result in zip(its_batches, measured, strict=True):
                places = np.searchsorted(rows, batch)
                result = dict(result)
                flags[places] = result.pop("warning_flags")
                for name, column in result.items():
                    values[name][places] = column
                progress(len(batch))
        values["warning_flags"] |= flags
    return values


def _n_threads(asked: int) -> int:
    if asked < 0:
        raise ValueError(
            f"n_threads is {asked}: expected a number of threads, or 0 for all cores that the "
            "process may use"
        )
    return asked or available_cores()


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _positions(exposure: Exposure, sources: Sources) -> tuple[NDArray, ...]:
    """Pixel and sky coordinates of the sources, each from the other."""
    if sources.ra is None:
        x, y = sources.x, sources.y
        ra, dec = pixel_to_sky(exposure.wcs, x, y)
    else:
        ra, dec = sources.ra, sources.dec
        x, y = sky_to_pixel(exposure.wcs, ra, dec, exposure.shape)
    return x, y, ra, dec
