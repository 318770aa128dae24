"""Command `forced_phot_validate`: offsets, scatter and pulls of a product by magnitude."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from astropy.table import Table

from ..catalogs import CatalogError
from ..storage import StorageError, check_output_directory, write_atomically
from ..table.statistics import (
    RobustStatistics,
    bin_by_magnitude,
    format_signed,
    magnitude_edges,
    pull_width,
    robust_statistics,
)
from .comparison import MATCH_RADIUS_ARCSEC, Comparison, compare
from .reference import UNITS, ValidationError

__all__ = ["main", "report"]

ABOVE_LIMIT, CANNOT_COMPARE = 1, 2
_HEADER = (
    f"  {'AB mag':<10} {'n':>6} {'offset':>9} {'error':>8} {'scatter':>8} "
    f"{'pull median':>12} {'pull width':>11}"
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command `forced_phot_validate`.

    Parameters
    ----------
    arguments : list of str, optional
        Command-line arguments; those of the process by default.

    Returns
    -------
    int
        Exit status: 0, 1 if the median offset exceeds ``--max_offset``, 2 if product and reference
        cannot be compared.
    """
    options = _parser().parse_args(arguments)
    try:
        plots = None if options.no_plots else _import_plots(options.output_dir)
        comparison = compare(
            options.product,
            options.reference,
            **{name: getattr(options, name) for name in _COMPARE_OPTIONS},
        )
        _check_is_matched(comparison, options)
        if plots is not None:
            page = _write_page(plots, comparison, options)
    except (CatalogError, ImportError, StorageError, ValidationError) as error:
        print(f"forced_phot_validate: {error}", file=sys.stderr)
        return CANNOT_COMPARE
    print(f"product    {Path(options.product).name}: {comparison.aperture}, {comparison.band}")
    print(report(comparison, options.magnitudes))
    if plots is not None:
        print(f"pictures   {page}")
    return _exit_status(comparison, options)


_COMPARE_OPTIONS = (
    *("reference_column", "reference_unit", "aperture", "match", "match_radius"),
    *("label_column", "ra_column", "dec_column", "select"),
)


def _check_is_matched(comparison: Comparison, options: argparse.Namespace) -> None:
    """Check that some sources of the product are in the reference."""
    if comparison.row.size == 0:
        within = f"within --match_radius={options.match_radius:g} arcsec"
        raise ValidationError(
            f"none of the product's {comparison.n_rows} sources is in reference "
            f"{comparison.reference.name}: expected some "
            + ("with the same id" if options.match == "label" else within)
        )


def report(comparison: Comparison, magnitudes: tuple[float, float] = (-np.inf, np.inf)) -> str:
    """Return a report of a comparison, with a line per bin of one magnitude.

    Parameters
    ----------
    comparison : Comparison
        Result of `compare`; flagged rows are excluded from statistics.
    magnitudes : (float, float)
        Bright and faint limit of the reference magnitudes.

    Returns
    -------
    str
        Several lines.
    """
    good, reference = comparison.good(magnitudes), comparison.reference
    samples = comparison.magnitude[good], comparison.offset[good], comparison.pull[good]
    bins = bin_by_magnitude(*samples, magnitude_edges(samples[0]))
    offsets, pulls = robust_statistics(samples[1]), robust_statistics(samples[2])
    lines = [
        f"reference  {reference.name}: column {reference.column} in {reference.unit}",
        f"compared   {offsets.n} sources; {len(good)} of {comparison.n_rows} rows have a match, "
        f"{np.count_nonzero(comparison.flags)} of these are flagged",
        "",
        _HEADER,
        *(_format_row(f"{row['bright']:g} to {row['faint']:g}", row) for row in bins if row["n"]),
        _format_row("all", _as_row(offsets, pulls, pull_width(samples[2]))),
    ]
    return "\n".join(lines)


def _as_row(offsets: RobustStatistics, pulls: RobustStatistics, width: float) -> dict[str, float]:
    """Return the statistics of a whole sample in the form of a bin's."""
    return {
        "n": offsets.n,
        "offset": offsets.median,
        "offset_err": offsets.median_err,
        "scatter": offsets.scatter,
        "pull": pulls.median,
        "pull_width": width,
    }


def _format_row(name: str, row: Table.Row | dict[str, float]) -> str:
    """Return one line of the report."""
    offset, pull = format_signed(row["offset"], 4), format_signed(row["pull"], 2)
    return (
        f"  {name:<10} {row['n']:>6} {offset:>9} {row['offset_err']:>8.4f} "
        f"{row['scatter']:>8.4f} {pull:>12} {row['pull_width']:>11.2f}"
    )


def _import_plots(output_dir: str):
    """Import `plots` and check the output directory, before any work is done."""
    check_output_directory(output_dir)
    from .. import plots

    return plots


def _write_page(plots, comparison: Comparison, options: argparse.Namespace) -> Path:
    """Write the page of plots and return its path."""
    good = comparison.good(options.magnitudes)
    table, name = comparison.reference.table, Path(options.product).stem
    kind = table["type"][comparison.row[good]] if "type" in table.colnames else None
    figure = plots.validation_page(
        comparison.magnitude[good],
        comparison.offset[good],
        comparison.pull[good],
        comparison.x[good],
        comparison.y[good],
        kind=kind,
        band=comparison.band,
        title=f"{name}: {comparison.aperture} against {comparison.reference.name}",
    )
    directory = Path(options.output_dir).expanduser()
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}_validation.png"
    with write_atomically(path) as file:
        figure.savefig(file, format="png")
    return path


def _exit_status(comparison: Comparison, options: argparse.Namespace) -> int:
    """Return the exit status; print the reason if it is not 0."""
    if options.max_offset is None:
        return 0
    median = robust_statistics(comparison.offset[comparison.good(options.magnitudes)]).median
    if abs(median) <= options.max_offset:
        return 0
    print(
        f"the median offset is {median:+.4f} mag: expected within {options.max_offset:g} mag "
        "(--max_offset)",
        file=sys.stderr,
    )
    return ABOVE_LIMIT


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the command line; options have the same style as strun's."""
    parser = argparse.ArgumentParser(
        prog="forced_phot_validate",
        description="Compare the total fluxes of a product of strun forced_phot with a reference "
        "catalog: offsets, scatter and pulls by magnitude, and a page of plots. Flagged rows are "
        "excluded. The exit status is 1 above --max_offset, 2 if nothing can be compared.",
    )
    add = parser.add_argument
    add("product", metavar="FILE", help="product, *_forcedphot.asdf")
    add("--reference", required=True, metavar="FILE", help="catalog of any format the step reads")
    for name, metavar, text in (
        ("reference_column", "COLUMN", "fluxes or magnitudes (default: the filter's name)"),
        ("select", "CONDITION", "rows of the reference, such as \"type == 'PSF'\" (default: all)"),
        ("aperture", "NAME", "aperture, such as aper3pix (default: the product's first)"),
        ("label_column", "COLUMN", "ids of the reference, for --match=label (default: label)"),
        ("ra_column", "COLUMN", "right ascension of the reference (default: usual names)"),
        ("dec_column", "COLUMN", "declination of the reference (default: usual names)"),
    ):
        add(f"--{name}", default="", metavar=metavar, help=text)
    add(
        "--reference_unit",
        default="",
        choices=UNITS,
        help="unit of reference_column (default: its own)",
    )
    add(
        "--match",
        default="position",
        choices=("position", "label"),
        help="what says which rows belong together (default: position)",
    )
    add(
        "--match_radius",
        type=float,
        default=MATCH_RADIUS_ARCSEC,
        metavar="ARCSEC",
        help="greatest distance between positions (default: %(default)s)",
    )
    add(
        "--magnitudes",
        type=_parse_range,
        default=(-np.inf, np.inf),
        metavar="BRIGHT,FAINT",
        help="compare sources between these reference magnitudes (default: all)",
    )
    add(
        "--max_offset",
        type=float,
        metavar="MAG",
        help="greatest median offset; above it, exit status 1 (default: any)",
    )
    add(
        "--output_dir",
        default=".",
        metavar="DIR",
        help="directory of the plots (default: .)",
    )
    add("--no_plots", action="store_true", help="make no plots; matplotlib is not needed then")
    return parser


def _parse_range(text: str) -> tuple[float, float]:
    """Parse the option ``--magnitudes``: bright and faint limit."""
    try:
        bright, faint = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not two magnitudes such as 17,20") from None
    if not bright < faint:
        raise argparse.ArgumentTypeError(f"{text!r}: expected the bright limit first, as in 17,20")
    return bright, faint
