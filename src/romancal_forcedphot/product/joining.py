"""Products of several filters side by side in one table, with colours.

The products are of one catalog, row by row: nothing is matched by position. The colours are those
of all pairs of neighbouring filters for every magnitude that both products have: of apertures, Kron
ellipses and models alike.
"""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asdf
import numpy as np
from astropy.table import Column, Table

from ..storage import StorageError, open_for_reading, shown, write_atomically
from .model import ForcedPhotometryModel
from .parquet import arrow_table

__all__ = ["BandTable", "JoinError", "check_suffix", "join_bands", "read_band", "write_joined"]

SUFFIXES = (".ecsv", ".parquet", ".asdf")
_COMMON = ("label", "source_name", "ra", "dec")
_SAME_POSITION_ARCSEC = 1.0  # stars move between exposures


class JoinError(ValueError):
    """Products cannot be joined, or a joined table cannot be written."""


@dataclass(frozen=True, eq=False)
class BandTable:
    """The table of one product.

    Attributes
    ----------
    table : astropy.table.Table
        Its ``source_catalog``.
    band : str
        Filter of the image, ``F106``.
    name : str
        What it was read from.
    """

    table: Table
    band: str
    name: str


def read_band(path: str | os.PathLike) -> BandTable:
    """Read a product for `join_bands`.

    Parameters
    ----------
    path : str or path-like
        ``*_forcedphot.asdf`` or ``*_forcedphot.parquet``, local or at an ``s3://`` URI.

    Returns
    -------
    BandTable

    Raises
    ------
    JoinError
        The file is not a product.
    StorageError
        It cannot be read.
    """
    if str(path).lower().endswith(".parquet"):
        return _read_parquet(path)
    try:
        model = ForcedPhotometryModel.read(path)
    except TypeError as error:
        raise JoinError(f"{error}; give a *_forcedphot file") from error
    band = model.meta.get("instrument", {}).get("optical_element", "")
    return BandTable(model.source_catalog, str(band), shown(path))


def _read_parquet(path: str | os.PathLike) -> BandTable:
    """Read a product in Parquet."""
    import pyarrow.parquet

    try:
        with open_for_reading(path) as file:
            content = file.read()
        metadata = pyarrow.parquet.read_schema(io.BytesIO(content)).metadata or {}
        table = Table.read(io.BytesIO(content), format="parquet")
    except (OSError, ValueError, KeyError) as error:
        if isinstance(error, StorageError):
            raise
        reason = " ".join(str(error).split())[:200]
        raise JoinError(
            f"{shown(path)} cannot be read as Parquet ({reason}): expected a product of "
            "forced_phot; make it again with --output_ext=.parquet"
        ) from error
    band = metadata.get(b"roman.meta.instrument.optical_element", b"").decode()
    return BandTable(table, band, shown(path))


def join_bands(products: Sequence[BandTable], names: Sequence[str] = ()) -> Table:
    """Join the tables of products of one catalog side by side, row by row.

    Parameters
    ----------
    products : sequence of BandTable
        Two or more, in the order in which colours are wanted.
    names : sequence of str, optional
        Prefix of the columns of each product; its filter, ``f106``, if not given.

    Returns
    -------
    astropy.table.Table
        ``label``, ``source_name``, ``ra`` and ``dec`` of the first product; all other columns of
        each with its prefix, such as ``f106_aper3pix_flux``; and for neighbouring products
        ``<quantity>_<first>_<second>`` with ``_err`` (mag): the difference of magnitudes, and its
        error from those of both, taken to be independent.

    Raises
    ------
    JoinError
        There are fewer than two, two have one prefix, or they are not of the same rows.
    """
    prefixes = _prefixes(products, names)
    first = products[0]
    for other in products[1:]:
        _check_rows(first, other)
    joined = Table({name: first.table[name] for name in _COMMON if name in first.table.colnames})
    for product, prefix in zip(products, prefixes, strict=True):
        for name in product.table.colnames:
            if name not in _COMMON:
                joined[f"{prefix}_{name}"] = product.table[name]
    colours = [c for pair in itertools.pairwise(prefixes) for c in _add_colours(joined, pair)]
    names = [product.name for product in products]
    joined.meta.update({"products": names, "prefixes": list(prefixes), "colours": colours})
    return joined


def _prefixes(products: Sequence[BandTable], names: Sequence[str]) -> list[str]:
    """Return a prefix for each product; raise a JoinError for bad ones."""
    if len(products) < 2:
        raise JoinError(
            f"there is {len(products)} product to join: expected two or more; name the products "
            "of one catalog in several filters"
        )
    if names and len(names) != len(products):
        raise JoinError(
            f"names has {len(names)} entries for {len(products)} products: expected one for each"
        )
    prefixes = list(names) or [product.band.lower() for product in products]
    for product, prefix in zip(products, prefixes, strict=True):
        if not prefix.isidentifier():
            raise JoinError(
                f"{product.name} would have columns that begin with {prefix!r}: expected a word "
                "such as f106; give one for each product with --names"
            )
    for prefix in prefixes:
        same = [p.name for p, q in zip(products, prefixes, strict=True) if q == prefix]
        if len(same) > 1:
            raise JoinError(
                f"{' and '.join(same)} would both have columns that begin with {prefix!r}: "
                "expected products of several filters; tell them apart with --names"
            )
    return prefixes


def _check_rows(first: BandTable, other: BandTable) -> None:
    """Raise a JoinError unless two products have the same rows."""
    advice = "; measure one catalog on each image, with the same select and without on_image_only"
    if len(first.table) != len(other.table):
        raise JoinError(
            f"{first.name} has {len(first.table)} rows and {other.name} has {len(other.table)}: "
            f"expected the same sources in both{advice}"
        )
    for name in ("label", "source_name"):
        columns = [p.table[name] for p in (first, other) if name in p.table.colnames]
        different = _first_difference(*columns) if len(columns) == 2 else None
        if len(columns) == 1 or different is not None:
            row = 0 if different is None else different
            values = [column[row] for column in columns] + ["none"]
            raise JoinError(
                f"row {row + 1} has {name} {values[0]} in {first.name} and {values[1]} in "
                f"{other.name}: expected the same sources in the same order{advice}"
            )
    ra, dec = (
        np.asarray(first.table[axis], float) - np.asarray(other.table[axis], float)
        for axis in ("ra", "dec")
    )
    ra = (ra + 180) % 360 - 180
    distance = 3600 * np.hypot(ra * np.cos(np.radians(np.asarray(first.table["dec"]))), dec)
    far = np.flatnonzero(distance > _SAME_POSITION_ARCSEC)
    if far.size:
        raise JoinError(
            f"row {far[0] + 1} is {distance[far[0]]:.3g} arcsec apart in {first.name} and "
            f"{other.name}: expected the same sources in the same order{advice}"
        )


def _first_difference(one: Column, other: Column) -> int | None:
    """Index of the first row in which two columns differ."""
    different = np.flatnonzero(np.asarray(one) != np.asarray(other))
    return int(different[0]) if different.size else None


def _add_colours(joined: Table, prefixes: Sequence[str]) -> list[str]:
    """Add the differences of all magnitudes that two products have; return their names."""
    added = []
    blue, red = prefixes
    start, end = f"{blue}_", "_abmag"
    for name in [name for name in joined.colnames if name.startswith(start)]:
        quantity = name.removeprefix(start).removesuffix(end)
        pair = [f"{prefix}_{quantity}{end}" for prefix in prefixes]
        if not name.endswith(end) or not all(each in joined.colnames for each in pair):
            continue
        colour, errors = f"{quantity}_{blue}_{red}", [f"{each}_err" for each in pair]
        values = np.asarray(joined[pair[0]]) - np.asarray(joined[pair[1]])
        joined[colour] = Column(
            values, unit="mag", description=f"{pair[0]} minus {pair[1]}", dtype=np.float32
        )
        joined[f"{colour}_err"] = Column(
            np.hypot(*(np.asarray(joined[each]) for each in errors)),
            unit="mag",
            description=f"Uncertainty in {colour}",
            dtype=np.float32,
        )
        added.append(colour)
    return added


def write_joined(table: Table, path: str | os.PathLike) -> None:
    """Write a joined table, whole or not at all.

    Parameters
    ----------
    table : astropy.table.Table
        Of `join_bands`.
    path : str or path-like
        ``*.ecsv``, ``*.parquet`` or ``*.asdf`` (the table as ``table``); a file that is already
        there is replaced.

    Raises
    ------
    JoinError
        The suffix is another.
    StorageError
        The destination cannot be written.
    """
    suffix = check_suffix(path)
    if suffix == ".parquet":
        import pyarrow.parquet

        arrow = arrow_table(table, {})
        with write_atomically(path) as file:
            pyarrow.parquet.write_table(arrow, file)
        return
    if suffix == ".asdf":
        with write_atomically(path) as file:
            asdf.AsdfFile({"table": table}).write_to(file, all_array_compression="lz4")
        return
    text = io.StringIO()
    table.write(text, format="ascii.ecsv")
    with write_atomically(path) as file:
        file.write(text.getvalue().encode())


def check_suffix(path: str | os.PathLike) -> str:
    """Return the suffix of a file to write; raise a JoinError for a format that is not written."""
    suffix = Path(str(path)).suffix.lower()
    if suffix not in SUFFIXES:
        raise JoinError(
            f"output {shown(path)} has the suffix {suffix!r}: expected one of "
            f"{', '.join(SUFFIXES)}; name the file so"
        )
    return suffix
