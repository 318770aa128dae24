"""Finds the columns of a catalog and makes `Sources` of them: an id and a position per row."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import QTable, Table

from ..photometry import Sources
from ..storage import file_name
from .errors import CatalogError
from .files import read_table
from .kept import kept_columns
from .motion import USUAL_MOTION, read_motion
from .positions import PIXEL_PAIRS, SKY_PAIRS, SKYCOORDS, positions_of
from .selection import Selection
from .shapes import USUAL_SHAPES, read_shapes
from .values import to_labels, to_names

__all__ = ["read_sources"]

# Below romancal's logger, whose handlers every romancal pipeline sets up.
log = logging.getLogger(f"romancal.{__name__}")

_LABELS = ("label", "id", "source_id")
_USUAL = frozenset(sum((*SKY_PAIRS, *PIXEL_PAIRS), (*_LABELS, *SKYCOORDS)))


def read_sources(
    catalog: str | os.PathLike | Table | SkyCoord,
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
    storage_options: Mapping[str, Any] | None = None,
) -> Sources:
    """Read the positions and ids of a catalog.

    Sky positions win over pixel positions where a catalog has both. Numbers without a unit are
    ICRS degrees or 0-indexed pixels; units of angle are converted, and coordinate objects of any
    frame are transformed to ICRS.

    Parameters
    ----------
    catalog : str, path-like, astropy.table.Table, astropy.coordinates.SkyCoord or model
        An ECSV, FITS, CSV, Parquet, VOTable or ASDF file, local or at an ``s3://`` URI, or the
        directory of a HATS catalog; or the table itself, alone or as ``source_catalog`` of a data
        model, which is left as it is (and not copied where its numbers can be used as they are).
    ra_column, dec_column, x_column, y_column, label_column : str
        Names of columns in any case; '' looks for the usual ones (``ra``/``dec``, ``x``/``y``,
        ``label``, ``id`` or ``source_id``, and those of romancal's, photutils', SExtractor's and
        VizieR's catalogs). `ra_column` alone may name a column of coordinate objects.
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
    storage_options : mapping, optional
        How to reach a file that is not local. See `storage.open_remote`.

    Returns
    -------
    Sources

    Raises
    ------
    CatalogError
        If the catalog cannot be read, has no positions, lacks a named column, or has something
        else than numbers in a column of positions, or `select` is no condition on its columns, or
        it has no shapes where they are wanted.
    """
    selection = Selection.parse(select) if select.strip() else None
    given = {"ra": ra_column, "dec": dec_column, "x": x_column, "y": y_column}
    named = (*given.values(), label_column, spectral_type_column, *keep_columns)
    named = [name for name in named if name]
    named += selection.columns if selection else ()
    wanted = {_folded(name) for name in named} | _USUAL | USUAL_MOTION
    wanted |= USUAL_SHAPES if shapes else frozenset()
    columns = _open(catalog, wanted, storage_options)
    found = {axis: columns.find(name, f"{axis}_column") for axis, name in given.items() if name}
    keep = [columns.find(name, "keep_columns") for name in keep_columns]
    label = columns.find(label_column, "label_column") if label_column else columns.first(_LABELS)
    numbers, source_name = (
        to_labels(*columns.get(label))
        if label
        else (np.arange(1, len(columns.table) + 1, dtype=np.int64), None)
    )
    positions = positions_of(columns, found)
    moving = proper_motion and "ra" in positions
    sources = Sources(
        label=numbers,
        source_name=source_name,
        name=columns.name,
        columns=kept_columns(columns.table, keep, columns.shown) if keep else None,
        n_read=len(columns.table),
        motion=read_motion(columns, with_epoch=ref_epoch_wanted) if moving else None,
        spectral_type=columns.spectral_types(spectral_type_column),
        shapes=read_shapes(columns) if shapes else None,
        **positions,
    )
    return sources.take(columns.selected(selection)) if selection else sources


@dataclass(frozen=True)
class _Columns:
    """A catalog's table with what is needed to find columns in it and to speak of them."""

    table: Table
    names: list[str]
    name: str
    shown: str

    def first(self, usual: Sequence[str]) -> str | None:
        """Return the first column that has one of the usual names, in any case."""
        return next((name for name in map(self._match, usual) if name), None)

    def find(self, wanted: str, parameter: str) -> str:
        """Return the column that the user named, or raise."""
        name = self._match(wanted)
        if name is None:
            hint = f"; text goes in quotes, '{wanted}'" if parameter == "select" else ""
            raise CatalogError(
                f"{self.shown} has no column {wanted!r}, named by {parameter}: "
                f"expected one of its columns, {self.listed}{hint}; correct --{parameter}"
            )
        return name

    def get(self, name: str) -> tuple[object, str]:
        """Return a column and the words for it in an error."""
        return self.table[name], f"{self.shown}: column {name!r}"

    def spectral_types(self, wanted: str) -> np.ndarray | None:
        """Return the names in a column of spectral types, None for no column."""
        if not wanted:
            return None
        column = self.get(self.find(wanted, "spectral_type_column"))
        return to_names(*column, "name another with --spectral_type_column")

    def selected(self, selection: Selection) -> np.ndarray:
        """Return which rows meet a condition, and log how many."""
        rows = selection.rows(lambda name: self.table[self.find(name, "select")], len(self.table))
        n_rows = (np.count_nonzero(rows), len(rows))
        log.info("%d of %d rows of %s meet %s", *n_rows, self.shown, selection.text)
        return rows

    def skycoords(self) -> list[str]:
        return [n for n in self.table.colnames if isinstance(self.table[n], SkyCoord)]

    @property
    def listed(self) -> str:
        shown = ", ".join(self.names[:40]) or "none at all"
        return shown + (f", and {len(self.names) - 40} more" if len(self.names) > 40 else "")

    def _match(self, wanted: str) -> str | None:
        if wanted in self.names:
            return wanted
        return next((name for name in self.names if _folded(name) == _folded(wanted)), None)


def _folded(name: str) -> str:
    return name.strip().casefold()


def _open(catalog: object, wanted: set[str], storage_options: Mapping[str, Any] | None) -> _Columns:
    if isinstance(catalog, SkyCoord):
        table = QTable([catalog.ravel()], names=["skycoord"])
        return _Columns(table, table.colnames, "SkyCoord", "the catalog (a SkyCoord)")
    if isinstance(catalog, Table):
        name = str(catalog.meta.get("name") or "table in memory")
        return _Columns(catalog, catalog.colnames, name, "the catalog (an astropy Table)")
    if not isinstance(catalog, str | os.PathLike):
        return _of_model(catalog)
    if not os.fspath(catalog).strip():
        raise CatalogError("catalog is empty: expected a path; give it with --catalog=FILE")
    table, names = read_table(catalog, lambda name: _folded(name) in wanted, storage_options)
    return _Columns(table, names, file_name(catalog), f"catalog '{catalog}'")


def _of_model(model: object) -> _Columns:
    """Return the table of a catalog model, such as roman_datamodels' ImageSourceCatalogModel."""
    table, kind = getattr(model, "source_catalog", None), type(model).__name__
    if not isinstance(table, Table):
        raise CatalogError(
            f"catalog is a {kind}: expected the path of a file, an astropy Table, a SkyCoord or a "
            "Roman catalog model, which has a table as its source_catalog"
        )
    name = str(getattr(getattr(model, "meta", None), "filename", kind))
    return _Columns(table, table.colnames, name, f"the catalog (a {kind})")
