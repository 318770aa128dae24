"""Reading of VOTables as an astropy Table, with the coordinate systems of the columns.

A column's name is its ``name``, as in the standard; the ``ID`` serves references alone. Data that
are kept elsewhere (``STREAM href``) are refused: reading a catalog never opens another file or URL.
"""

from __future__ import annotations

import io
from typing import BinaryIO
from xml.parsers import expat

import numpy as np
from astropy.io.votable import parse
from astropy.io.votable.tree import FieldRef, TableElement, VOTableFile
from astropy.table import MaskedColumn, Table

from .errors import UnusableContentError
from .frames import CelestialSystem
from .tables import CatalogTable, WantedColumns

__all__ = ["read_votable"]


def read_votable(file: BinaryIO, wanted: WantedColumns) -> CatalogTable:
    """Read the only table of a VOTable.

    Parameters
    ----------
    file : file object
        Binary.
    wanted : WantedColumns
        Not used: all columns are read.

    Returns
    -------
    CatalogTable
        Columns by their names, with the systems that COOSYS declares for them.

    Raises
    ------
    UnusableContentError
        The file holds no table or several, or keeps its data elsewhere.
    Exception
        Of many types, where the file is damaged.
    """
    content = file.read()
    _refuse_streams(content)
    document = parse(io.BytesIO(content))
    elements = list(document.iter_tables())
    if len(elements) != 1:
        found = ", ".join(str(each.name or each.ID or "one without a name") for each in elements)
        raise UnusableContentError(
            f"has {len(elements)} tables, {found or 'none'}: expected one; write a VOTable of it"
        )
    element = elements[0]
    table = element.to_table(use_names_over_ids=True)
    names = tuple(str(field.name or field.ID) for field in element.fields)
    unique = [new for new in zip(table.colnames, names, strict=True) if names.count(new[1]) == 1]
    for current, name in unique:
        if current != name:
            table.rename_column(current, name)
    return CatalogTable(_masked(table), names, systems=_systems(document, element))


def _refuse_streams(content: bytes) -> None:
    """Raise where an element STREAM says that the data are somewhere else."""

    def start(tag: str, attributes: dict[str, str]) -> None:
        location = attributes.get("href")
        if tag.rpartition(":")[2] == "STREAM" and location is not None:
            raise UnusableContentError(
                f"has its data in another file, {location!r}, which is never opened: give that "
                "file, or write the data into the VOTable"
            )

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.Parse(content, True)


def _masked(table: Table) -> Table:
    """Mask empty texts, for which VOTable has no other null: they are unknown in any format."""
    for name in table.colnames:
        column = table[name]
        if column.ndim == 1 and column.dtype.kind in "OSU":
            values = np.asarray(column).tolist()
            empty = np.array([isinstance(value, str | bytes) and not value for value in values])
            if empty.any():
                mask = np.ma.getmaskarray(column) | empty
                table[name] = MaskedColumn(column, mask=mask, copy=False)
    return table


def _systems(document: VOTableFile, element: TableElement) -> dict[str, CelestialSystem]:
    """Coordinate systems by the names of columns; '' for columns that refer to none.

    A system that no column refers to is meant for the positions, if it is the only one.
    """
    by_id = {
        each.ID: CelestialSystem(each.system or "", each.equinox or "", each.epoch or "")
        for each in document.iter_coosys()
    }
    references = {field.ID: field.ref for field in element.fields}
    for group in element.iter_groups():
        members = [entry.ref for entry in group.entries if isinstance(entry, FieldRef)]
        references |= dict.fromkeys(members, group.ref) if group.ref in by_id else {}
    systems = {
        str(field.name or field.ID): by_id[references[field.ID]]
        for field in element.fields
        if references[field.ID] in by_id
    }
    declared = set(by_id.values())
    if not systems and len(declared) == 1:
        return {"": declared.pop()}
    if not systems and len(declared) > 1:
        words = " or ".join(sorted(map(str, declared)))
        return {"": CelestialSystem(words)}
    return systems
