"""Command `forced_phot_join`: products of several filters side by side in one table."""

from __future__ import annotations

import argparse
import sys

from ..storage import StorageError
from .joining import JoinError, check_suffix, join_bands, read_band, write_joined

__all__ = ["main"]

CANNOT_JOIN = 2


def main(arguments: list[str] | None = None) -> int:
    """Run the command `forced_phot_join`.

    Parameters
    ----------
    arguments : list of str, optional
        Command-line arguments; those of the process by default.

    Returns
    -------
    int
        Exit status: 0, or 2 if the products cannot be joined.
    """
    options = _parser().parse_args(arguments)
    names = [name.strip() for name in options.names.split(",")] if options.names else []
    try:
        check_suffix(options.output)
        products = [read_band(path) for path in options.products]
        table = join_bands(products, names)
        write_joined(table, options.output)
    except (JoinError, StorageError) as error:
        print(f"forced_phot_join: {error}", file=sys.stderr)
        return CANNOT_JOIN
    colours = table.meta["colours"]
    print(f"{options.output}: {len(table)} sources, {len(table.colnames)} columns")
    print(f"colours: {', '.join(colours) or 'none, as no magnitude is in two products'}")
    return 0


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the command line; options have the same style as strun's."""
    parser = argparse.ArgumentParser(
        prog="forced_phot_join",
        description="Put the products of strun forced_phot for one catalog in several filters "
        "side by side in one table, row by row, with the colours of neighbouring products for "
        "every magnitude that both have.",
    )
    add = parser.add_argument
    add("products", nargs="+", metavar="FILE", help="products of strun forced_phot, blue first")
    add("--output", required=True, metavar="FILE", help="table: .ecsv, .parquet or .asdf")
    add(
        "--names",
        default="",
        metavar="PREFIXES",
        help="prefixes of columns, such as f106,f158 (default: filters)",
    )
    return parser
