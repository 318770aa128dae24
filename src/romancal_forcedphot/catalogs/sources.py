"""Reading of a catalog as `photometry.Sources`: an id and a position for each of its rows."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table

from ..photometry import Sources
from .columns import CatalogColumns, open_catalog
from .identifiers import to_labels, to_names
from .kept import kept_columns
from .kron import kron_apertures
from .motion import read_motion
from .names import ID_COLUMNS, USUAL_COLUMNS, folded
from .positions import positions_of
from .selection import Selection
from .shapes import USUAL_SHAPES, read_shapes
from .tables import WantedColumns

__all__ = ["read_sources"]

# Below romancal's logger, whose handlers every romancal pipeline sets up.
log = logging.getLogger(f"romancal.{__name__}")


def read_sources(
    catalog: str | os.PathLike | Table | SkyCoord | CatalogColumns,
    *,
    ra_column: str = "",
    dec_column: str = "",
    x_column: str = "",
    y_column: str = "",
    label_column: str = "",
    keep_columns: Sequence[str] = (),
    proper_motion: bool = False,
    ref_epoch_wanted: bool = True,
    select: str = "",
    spectral_type_column: str = "",
    shapes: bool = False,
    kron_from: str = "",
    storage_options: Mapping[str, Any] | None = None,
) -> Sources:
    """Read the positions and ids of a catalog.

    Sky positions take precedence over pixel positions where a catalog has both. Numbers without a
    unit are ICRS degrees or 0-indexed pixels; units of angle are converted, and positions in
    another frame (coordinate objects, or columns of a VOTable with a COOSYS) are transformed to
    ICRS.

    Parameters
    ----------
    catalog : str, path-like, Table, SkyCoord, model or CatalogColumns
        An ECSV, FITS, CSV, Parquet, VOTable or ASDF file, local or at an ``s3://`` URI, or the
        directory of a HATS catalog; or the table itself, alone or as ``source_catalog`` of a data
        model, which is left as it is (and not copied where its numbers can be used as they are),
        a `SkyCoord`, or a catalog that `open_catalog` has opened.
    ra_column, dec_column, x_column, y_column, label_column : str
        Names of columns in any case; '' looks for the usual ones (``ra``/``dec``, ``x``/``y``,
        ``label``, ``id`` or ``source_id``, and those of romancal's, photutils', SExtractor's and
        VizieR's catalogs; `names` lists them). `ra_column` alone may name a column of coordinate
        objects.
    keep_columns : sequence of str
        More columns to hold on to, as ``Sources.columns``.
    proper_motion : bool
        Whether proper motions, where there are any, are read as ``Sources.motion``.
    ref_epoch_wanted : bool
        Whether the epochs of the positions are read with them.
    select : str
        Condition on the columns that a row must meet, such as ``type == 'PSF' and F106 > 1e-9``;
        see `Selection`. Rows without an id keep the number they have in the whole catalog.
    spectral_type_column : str
        Column of spectral types, read as ``Sources.spectral_type``.
    shapes : bool
        Whether the shapes of the sources are read as ``Sources.shapes``; see `read_shapes`.
    kron_from : str
        Product or other catalog with Kron apertures, to be read as ``Sources.kron``.
    storage_options : mapping, optional
        How to reach a file that is not local. See `storage.open_remote`.

    Returns
    -------
    Sources
        A row for each row of the catalog, in its order, that `select` selects.

    Raises
    ------
    CatalogError
        If the catalog cannot be read, has no positions, lacks a named column or has several of
        its name, or has something else than one number in a row of a column of positions, or
        `select` is no condition on its columns, or there are no shapes where they are wanted.
    """
    selection = Selection.parse(select) if select.strip() else None
    given = {"ra": ra_column, "dec": dec_column, "x": x_column, "y": y_column}
    named = (*given.values(), label_column, spectral_type_column, *keep_columns)
    wanted = _wanted([*named, *(selection.columns if selection else ())], label_column)
    wanted = wanted.including(USUAL_SHAPES) if shapes else wanted
    columns = open_catalog(catalog, wanted, storage_options)
    found = {axis: columns.find(name, f"{axis}_column") for axis, name in given.items() if name}
    keep = [columns.find(name, "keep_columns") for name in keep_columns]
    label, source_name = _ids(columns, label_column)
    positions: dict[str, Any] = positions_of(columns, found)
    moving = proper_motion and "ra" in positions
    sources = Sources(
        label=label,
        source_name=source_name,
        name=columns.name,
        columns=kept_columns(columns.table, keep, columns.shown) if keep else None,
        n_read=len(columns.table),
        motion=read_motion(columns, found, with_epoch=ref_epoch_wanted) if moving else None,
        spectral_type=_spectral_types(columns, spectral_type_column),
        shapes=read_shapes(columns) if shapes else None,
        **positions,
    )
    sources = sources.take(_selected(columns, selection)) if selection else sources
    if not kron_from:
        return sources
    reference = read_sources(kron_from, shapes=True, storage_options=storage_options)
    return replace(sources, kron=kron_apertures(sources, reference))


def _wanted(named: Sequence[str], label_column: str) -> WantedColumns:
    """Columns that may be needed: those that are named, and the usual ones."""
    ids = frozenset(map(folded, [label_column] if label_column else ID_COLUMNS))
    return WantedColumns(USUAL_COLUMNS | {folded(name) for name in named if name}, ids)


def _ids(columns: CatalogColumns, label_column: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Labels and names of the rows; numbers from 1 where the catalog has no ids."""
    name = columns.find(label_column, "label_column") if label_column else None
    name = name or columns.first(ID_COLUMNS)
    if name is None:
        return np.arange(1, len(columns.table) + 1, dtype=np.int64), None
    return to_labels(*columns.get(name))


def _spectral_types(columns: CatalogColumns, wanted: str) -> np.ndarray | None:
    """Names in a column of spectral types, None for no column."""
    if not wanted:
        return None
    column = columns.get(columns.find(wanted, "spectral_type_column"))
    return to_names(*column, "name another with --spectral_type_column")


def _selected(columns: CatalogColumns, selection: Selection) -> np.ndarray:
    """Which rows meet a condition; log how many."""
    table = columns.table
    rows = selection.rows(lambda name: table[columns.find(name, "select")], len(table))
    n_rows = (np.count_nonzero(rows), len(rows))
    log.info("%d of %d rows of %s meet %s", *n_rows, columns.shown, selection.text)
    return rows
