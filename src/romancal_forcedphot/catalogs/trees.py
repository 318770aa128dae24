"""The table of sources in an ASDF file: a Roman catalog, a product of ours, or a lone table.

Arrays that the file keeps in other files (``source: other.asdf``) and parts of its tree that it
takes from there (``$ref``) are refused before anything is opened.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import asdf
from astropy.table import Table

from .tables import CatalogTable, WantedColumns

__all__ = ["read_asdf"]


def read_asdf(file: BinaryIO, wanted: WantedColumns) -> CatalogTable:
    """Read ``roman.source_catalog``, or the only table at the top of the tree.

    Parameters
    ----------
    file : file object
        Binary and seekable.
    wanted : WantedColumns
        Not used: all columns are read.

    Returns
    -------
    CatalogTable
        Independent of the file.

    Raises
    ------
    ValueError
        The file holds no table, or several, refers to other files, or breaks the checksums of its
        blocks.
    """
    _refuse_external(asdf.util.load_yaml(file, tagged=True))
    file.seek(0)
    with asdf.config_context() as config:
        config.validate_on_read = False  # the table is what counts
        opened = asdf.open(file, lazy_load=False, memmap=False, validate_checksums=True)
    with opened as tree:
        tables = dict(_tables(tree.tree))
        if len(tables) != 1:
            found = ", ".join(tables) or "none"
            raise ValueError(
                f"expected one table of sources, as roman.source_catalog, but found {found}"
            )
        table = next(iter(tables.values())).copy()
    return CatalogTable(table, tuple(table.colnames))


def _refuse_external(tree: Any) -> None:
    """Raise where a node of a tree is to be taken from another file."""
    pending, seen = [tree], set()
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            for key in ("source", "$ref"):
                if _is_elsewhere(node, key):
                    raise ValueError(
                        f"a part of it is in another file, {node[key]!r}, which is not opened: "
                        "write the catalog into one file, for example with AsdfFile.write_to"
                    )
        elif not isinstance(node, list):
            continue
        if id(node) not in seen:  # aliases of YAML may go round in a circle
            seen.add(id(node))
            pending.extend(node.values() if isinstance(node, dict) else node)


def _is_elsewhere(node: dict, key: str) -> bool:
    """Whether a node refers to another file: as a reference, or as the source of an array."""
    if not isinstance(node.get(key), str):
        return False
    tag = str(getattr(node, "_tag", ""))
    return key == "$ref" or "/ndarray-" in tag or {"datatype", "shape"} & set(node)


def _tables(tree: Any) -> Iterator[tuple[str, Table]]:
    """Names and tables of a Roman catalog, else of the top of a tree."""
    roman = tree.get("roman")
    if isinstance(roman, Mapping) and "source_catalog" in roman:
        tree, prefix = {"source_catalog": roman["source_catalog"]}, "roman."
    else:
        prefix = ""
    for name in tree:
        if isinstance(tree[name], Table):
            yield f"{prefix}{name}", tree[name]
