"""The table of sources in an ASDF file: a Roman catalog, a product of ours, or a lone table."""

from __future__ import annotations

from typing import Any, BinaryIO

import asdf
from astropy.table import Table

__all__ = ["read_asdf"]


def read_asdf(file: BinaryIO) -> Table:
    """Read ``roman.source_catalog``, or the only table at the top of the tree.

    Parameters
    ----------
    file : file object
        Binary and seekable.

    Returns
    -------
    astropy.table.Table
        Independent of the file.

    Raises
    ------
    ValueError
        The file holds no table, or several.
    """
    with asdf.config_context() as config:
        config.validate_on_read = False  # the table is what counts
        opened = asdf.open(file, lazy_load=False, memmap=False)
    with opened as tree:
        tables = dict(_tables(tree.tree))
        if len(tables) != 1:
            found = ", ".join(tables) or "none"
            raise ValueError(
                f"expected one table of sources, as roman.source_catalog, but found {found}"
            )
        return next(iter(tables.values())).copy()


def _tables(tree: Any):
    """Names and tables of a Roman catalog, else of the top of a tree."""
    roman = tree.get("roman")
    if roman is not None and "source_catalog" in roman:
        yield "roman.source_catalog", roman["source_catalog"]
        return
    for name in tree:
        if isinstance(tree[name], Table):
            yield name, tree[name]
