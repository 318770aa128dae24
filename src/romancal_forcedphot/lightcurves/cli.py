"""`forced_phot_lightcurves run|collate|status|show|export|import`: light curves from a shell."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..storage import write_atomically
from .arguments import add_boolean, add_curve_options, by_name, curve_options, label, labels
from .collating.collation import Collated, collate
from .dataset import Dataset
from .exports import chosen, export_ecsv, export_snappl
from .options import MeasureOptions
from .reading import LightCurves, open_light_curves
from .running.pools import PoolError
from .running.run import Run, run
from .time_domain import export_time_domain, import_time_domain

__all__ = ["main"]

PROGRAM = "forced_phot_lightcurves"
SOME_FAILED, CANNOT_RUN = 1, 2
_MOST_SHOWN = 20


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : list of str, optional
        Those of the command line if not given.

    Returns
    -------
    int
        0 if all is well, 1 if exposures failed, 2 if nothing could be done.
    """
    parser = _parser()
    options, more = parser.parse_known_args(arguments)
    if more and options.command != "run":
        parser.error(f"unrecognized arguments: {' '.join(more)}")
    logging.basicConfig(format="%(levelname)s %(message)s")
    logging.getLogger("romancal.romancal_forcedphot").setLevel(logging.INFO)
    try:
        return options.act(options, more)
    except (ImportError, KeyError, OSError, PoolError, ValueError) as error:
        text = error.args[0] if isinstance(error, KeyError) and error.args else error
        print(f"{PROGRAM}: {text}", file=sys.stderr)
        return CANNOT_RUN
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted; run it again to go on", file=sys.stderr)
        return CANNOT_RUN


def _run(options: argparse.Namespace, more: Sequence[str]) -> int:
    """Measure, collate, tell."""
    done = run(
        options.exposures,
        options.catalog,
        output_dir=options.output_dir,
        settings=by_name(more),
        scheduler=options.scheduler,
        n_workers=options.n_workers,
        measure_options=MeasureOptions(
            flux=options.flux, align=options.align, limit_sigma=options.limit_sigma
        ),
        curve_options=curve_options(options),
    )
    return _report(done, options.output_dir)


def _import(options: argparse.Namespace, _: Sequence[str]) -> int:
    """Make light curves of romancal's time-domain catalogs."""
    done = import_time_domain(
        options.files, output_dir=options.output_dir, curve_options=curve_options(options)
    )
    return _report(done, options.output_dir)


def _collate(options: argparse.Namespace, _: Sequence[str]) -> int:
    """Make light curves of what is measured."""
    collated = collate(Dataset.at(options.directory), curve_options(options))
    _print_collated(collated)
    return 0


def _report(done: Run, directory: str) -> int:
    """Say what a run did; the exit status."""
    n_done = len(done.state.done)
    rate = f", {done.seconds / done.n_measured:.2f} s each" if done.n_measured else ""
    print(
        f"measured    {done.n_measured} exposures in {done.seconds:.1f} s{rate}; {n_done} are done"
    )
    if done.collated is not None:
        _print_collated(done.collated)
    _print_some("failed", [f"{name}: {reason}" for name, reason in sorted(done.failed.items())])
    print(f"directory   {directory}")
    if not n_done:
        return CANNOT_RUN
    return SOME_FAILED if done.failed else 0


def _print_collated(collated: Collated) -> None:
    print(
        f"collated    {collated.n_points} points of {collated.n_sources} sources, flux: "
        f"{', '.join(collated.fluxes) or 'none'}"
    )
    _print_some("beware", [f"{name}: {text}" for name, text in collated.warnings])


def _status(options: argparse.Namespace, _: Sequence[str]) -> int:
    """Say how far a data set is."""
    dataset = Dataset.at(options.directory)
    state, identity = dataset.state(), dataset.identity()
    print(f"catalog     {identity.catalog['name']}: {identity.catalog['n_rows']} sources")
    print(f"done        {len(state.done)} exposures")
    _print_some("failed", [f"{name}: {reason}" for name, reason in sorted(state.failed.items())])
    _print_some("missing", list(state.missing))
    made = "are there" if dataset.label_index.is_file() else "are not made yet"
    print(f"light curves {made}")
    return SOME_FAILED if state.failed else 0


def _show(options: argparse.Namespace, _: Sequence[str]) -> int:
    """Print the light curve of a source, or draw it."""
    curves = open_light_curves(options.directory)
    series = curves.source(label(options.label))
    names = ("band", "exposure", "flux", "flux_err", "snr", "abmag", "limit_abmag", "warning_flags")
    for name in ("label", "source_name", "ra", "dec", "n_points"):
        if name in series.meta:
            print(f"{name:12s}{series.meta[name]}")
    for band in sorted(set(series["band"].tolist())):
        print(f"{band:12s}{_summary(series.meta, band.lower())}")
    for name in names:
        if series[name].dtype.kind == "f":
            series[name].info.format = ".3f" if "mag" in name else ".6g"
    series["mjd_tai"].info.format = ".6f"  # 0.1 s
    shown = series["mjd_tai", *names]
    print("\n".join(shown.pformat(show_unit=True, max_lines=options.max_lines, max_width=-1)))
    if options.plot:
        from .. import plots

        axes = plots.light_curve(series, period=options.period)
        with write_atomically(options.plot) as file:
            axes.figure.savefig(file, format=Path(options.plot).suffix.removeprefix(".") or "png")
        print(f"picture     {options.plot}")
    return 0


def _summary(meta: dict[str, Any], band: str) -> str:
    """One line on a source in a band."""
    n_good, chi2 = meta[f"{band}_n_good"], meta[f"{band}_chi2"]
    mean, error = meta[f"{band}_mean_flux"], meta[f"{band}_mean_flux_err"]
    if not n_good:
        return "no good point"
    reduced = chi2 / (n_good - 1) if n_good > 1 else np.nan
    return f"{n_good} good points, mean {mean:.6g} +- {error:.3g} nJy, chi2/dof {reduced:.3g}"


def _export(options: argparse.Namespace, _: Sequence[str]) -> int:
    """Write light curves for others."""
    curves = open_light_curves(options.directory)
    output = options.output_dir or str(Path(options.directory) / options.format)
    written = _EXPORTS[options.format](curves, labels(options.label), output)
    print(f"{len(written)} files in {output}")
    return 0


_EXPORTS: dict[str, Callable[[LightCurves, list | None, str], list[Path]]] = {
    "snappl": lambda curves, labels, output: export_snappl(
        chosen(curves, labels), curves.exposures, output
    ),
    "ecsv": lambda curves, labels, output: export_ecsv(chosen(curves, labels), output),
    "time_domain": lambda curves, labels, output: export_time_domain(
        curves.dataset, output, labels=labels
    ),
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Measure the sources of a catalog on many exposures, and make light curves. "
        "The exit status is 1 if exposures failed, 2 if nothing could be done.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    command = _add_command(
        commands,
        "run",
        _run,
        "measure exposures and make light curves; again: what is missing",
        epilog="Any parameter of strun forced_phot may follow, such as --aperture_radii=4 or "
        "--select='mag < 22'.",
    )
    add = command.add_argument
    add("exposures", nargs="+", metavar="EXPOSURE", help=_EXPOSURES)
    add("--catalog", required=True, metavar="FILE", help="catalog with sky positions")
    add("--output_dir", required=True, metavar="DIR", help=_DATA_SET)
    add(
        "--n_workers",
        type=int,
        default=0,
        metavar="N",
        help="number of processes, 0 for all cores (default: %(default)s)",
    )
    add(
        "--scheduler",
        default="",
        metavar="ADDRESS",
        help="scheduler of Dask, instead of processes here",
    )
    add("--flux", default="", metavar="NAME", help=_FLUX)
    add(
        "--limit_sigma",
        type=float,
        default=3.0,
        metavar="SIGMA",
        help="significance of limiting magnitudes (default: %(default)s)",
    )
    add_boolean(command, "align", "move positions by the exposure's offset from the catalog")
    add_curve_options(command)
    _add_other_commands(commands)
    return parser


def _add_other_commands(commands: Any) -> None:
    """Add the commands that measure nothing."""
    text = "make light curves of RAD's time-domain catalogs"
    add = (command := _add_command(commands, "import", _import, text)).add_argument
    add("files", nargs="+", metavar="FILE", help="time-domain source catalogs")
    add("--output_dir", required=True, metavar="DIR", help=_DATA_SET)
    add_curve_options(command)
    command = _add_command(commands, "collate", _collate, "make light curves of what is measured")
    command.add_argument("directory", metavar="DIR", help=_DATA_SET)
    add_curve_options(command)
    command = _add_command(commands, "status", _status, "print what is done, failed and missing")
    command.add_argument("directory", metavar="DIR", help=_DATA_SET)
    text = "print the light curve of a source, or plot it"
    add = _add_command(commands, "show", _show, text).add_argument
    add("directory", metavar="DIR", help=_DATA_SET)
    add("--label", required=True, metavar="LABEL", help="label or text id of the source")
    add("--plot", default="", metavar="FILE.png", help="picture to draw, too")
    add("--period", type=float, metavar="DAYS", help="period to fold the picture with")
    add(
        "--max_lines",
        type=int,
        default=40,
        metavar="N",
        help="greatest number of lines to print, -1 for all (default: %(default)s)",
    )
    text = "write light curves in other formats"
    add = _add_command(commands, "export", _export, text).add_argument
    add("directory", metavar="DIR", help=_DATA_SET)
    add("--format", required=True, choices=sorted(_EXPORTS), help="format to write")
    add("--label", default="", metavar="LABELS", help="labels, with commas (default: all)")
    add("--output_dir", default="", metavar="DIR", help="where to (default: DIR/FORMAT)")


def _add_command(
    commands: Any, name: str, act: Callable[..., int], text: str, **options: str
) -> argparse.ArgumentParser:
    """Add a command with its description, which is a line of the list of commands, too."""
    description = f"{text[0].upper()}{text[1:]}."
    command = commands.add_parser(name, help=text, description=description, **options)
    command.set_defaults(act=act)
    return command


_FLUX = "psf, model, aperture or such as aper5pix (default: the first of these measured)"
_DATA_SET = "directory of the exposures' tables and light curves"
_EXPOSURES = "images: files, globs in quotes, s3:// URIs, associations, @list.txt"


def _print_some(title: str, lines: Sequence[str]) -> None:
    """Print the first lines of many beneath a title."""
    if lines:
        print(f"{title:12s}{len(lines)} exposures")
    for line in lines[:_MOST_SHOWN]:
        print(f"  {line}")
    if len(lines) > _MOST_SHOWN:
        print(f"  ... and {len(lines) - _MOST_SHOWN} more: see exposures.parquet")
