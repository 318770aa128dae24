"""Options of the command `forced_phot_lightcurves`: how they are added, and what they say."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from .options import CurveOptions
from .running.parameters import parse_boolean

__all__ = ["add_boolean", "add_curve_options", "by_name", "curve_options", "label", "labels"]

_BASELINE = "interval whose mean flux is subtracted (default: none)"


def add_boolean(command: argparse.ArgumentParser, name: str, text: str) -> None:
    """Add an option that is true, false, or true by its name alone."""

    def convert(value: str) -> bool:
        try:
            return parse_boolean(name, value)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    command.add_argument(
        f"--{name}", type=convert, nargs="?", const=True, default=False, metavar="true", help=text
    )


def add_curve_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `CurveOptions`."""
    add_boolean(command, "relative_calibration", "divide fluxes by relative zero points")
    command.add_argument("--baseline", default="", metavar="MJD1,MJD2", help=_BASELINE)
    add_boolean(command, "rescale_errors", "rescale errors by the scatter of the baseline")


def curve_options(options: argparse.Namespace) -> CurveOptions:
    """Return what the options of `add_curve_options` say."""
    try:
        baseline = tuple(float(text) for text in options.baseline.split(",") if text.strip())
    except ValueError:
        raise ValueError(
            f"baseline is {options.baseline!r}: expected two MJDs, such as --baseline=61500,61600"
        ) from None
    return CurveOptions(
        relative_calibration=options.relative_calibration,
        baseline=baseline or None,
        rescale_errors=options.rescale_errors,
    )


def by_name(arguments: Sequence[str]) -> dict[str, str]:
    """Parameters of the step, ``--name=value`` or ``--name value``."""
    found, pending = {}, list(arguments)
    while pending:
        argument = pending.pop(0)
        if not argument.startswith("--"):
            raise ValueError(f"argument {argument!r} is no parameter: expected --name=value")
        name, given, value = argument[2:].partition("=")
        if not given:
            if not pending or pending[0].startswith("--"):
                raise ValueError(f"parameter --{name} has no value: expected --{name}=VALUE")
            value = pending.pop(0)
        found[name] = value
    return found


def label(text: str) -> int | str:
    """A label that is a number, or a text id."""
    try:
        return int(text)
    except ValueError:
        return text


def labels(text: str) -> list[int | str] | None:
    """Labels separated by commas; None without any."""
    return [label(part.strip()) for part in text.split(",") if part.strip()] or None
