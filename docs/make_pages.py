"""Write the pages of parameters (from the step's spec) and of columns (from their definitions).

    python docs/make_pages.py

A test compares the committed pages with what this makes.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

from stpipe import config_parser

from romancal_forcedphot import ForcedPhotometryStep
from romancal_forcedphot.lightcurves.collating.curves import LIGHT_CURVE, source_columns
from romancal_forcedphot.lightcurves.collating.exposure_table import EXPOSURE_COLUMNS
from romancal_forcedphot.lightcurves.measuring.rows import exposure_columns, light_curve_columns
from romancal_forcedphot.photometry.methods import METHODS
from romancal_forcedphot.table import (
    COLUMNS_BY_METHOD,
    FLAG_MEANINGS,
    FLUX_UNITS,
    Column,
    WarningFlag,
    aperture_columns,
    aperture_name,
    background_columns,
    coverage_columns,
    table_columns,
)

HERE = Path(__file__).parent
NOTE = "<!-- made by docs/make_pages.py: change the code, then run it -->"
TYPES = {
    "string": "text",
    "float": "number",
    "integer": "whole number",
    "boolean": "`True` or `False`",
    "force_list": "list",
}


def parameters_page() -> str:
    """Return the page of parameters."""
    spec = config_parser.load_spec_file(ForcedPhotometryStep)
    rows = []
    for name in spec:
        values, default = _values_and_default(spec[name])
        rows.append((f"`{name}`", values, default, spec.inline_comments[name].lstrip("# ")))
    overrides = ", ".join(
        f"`--override_{kind}=FILE`" for kind in ForcedPhotometryStep.reference_file_types
    )
    return _page(
        "Parameters",
        "Given to `strun forced_phot` as `--name=value`, to `ForcedPhotometryStep.call` as "
        "`name=value`, and in a parameter file of stpipe. A list is written with commas, "
        "`--aperture_radii=2,3,5`.",
        _table(("parameter", "values", "default", "what it does"), rows),
        f"Reference files of your own take the place of those of CRDS by {overrides}. The "
        "parameters that every step of stpipe has (`output_dir`, `output_file`, `save_results`, "
        "`pre_hooks` and so on) work as in romancal; `strun forced_phot --help` lists them.",
    )


def columns_page() -> str:
    """Return the page of output columns and flags."""
    of_apertures = [*aperture_columns([3.0]), *background_columns(), *coverage_columns()]
    columns = table_columns(of_apertures, source_names=True)
    flags = [(str(flag.value), f"`{flag.name}`", FLAG_MEANINGS[flag]) for flag in WarningFlag]
    names = "; ".join(
        f"{radius:g} {unit}: `{aperture_name(radius, unit)}`"
        for radius, unit in ((3, "pixel"), (3.5, "pixel"), (0.4, "arcsec"), (0.33, "arcsec"))
    )
    of_methods = [
        part
        for name, its_columns in COLUMNS_BY_METHOD.items()
        for part in (f"### `{_parameter_for(name)}`", _column_table(its_columns()))
    ]
    return _page(
        "Output columns and flags",
        "The columns of `source_catalog` in a product, here with one aperture of 3 pixels. "
        "`source_name` is there where the catalog has text for ids: then `label` is the number of "
        "its row in the whole catalog, from 1. `n_exposures` and `weight` are there for mosaics; "
        "columns named by `keep_columns` follow at the end. What could not be measured is NaN.",
        _column_table(columns),
        f"Each aperture has its own seven columns, which begin with its name: {names}. With "
        f"`output_units` the fluxes are in {', '.join(FLUX_UNITS[:-1])} or {FLUX_UNITS[-1]} "
        "(maggies) and the background in that unit per square arcsecond.",
        "## Other methods",
        "Fits have the following columns, in the place of those of apertures or after them. "
        "Ellipses have theirs, and those of the background, in the place of those of circles.",
        *of_methods,
        "## Flags",
        "`warning_flags` is the sum of the bits that apply, 0 for a good source. In Python, "
        "`str(WarningFlag(value))` names them. A bit never changes its meaning.",
        _table(("bit", "name", "meaning"), flags),
    )


def _parameter_for(method: str) -> str:
    """Return the parameter that asks for a method."""
    return f"--{'methods' if method in METHODS else 'aperture_shape'}={method}"


def light_curves_page() -> str:
    """Return the page of the columns of light curves."""
    band = "F106"
    of_sources = source_columns([band], source_names=True, baseline=True)
    points = light_curve_columns(baseline=True)
    in_curve = {column.name for column in points}
    of_files = exposure_columns(source_names=True)
    return _page(
        "Columns of light curves",
        "What `forced_phot_lightcurves` writes below `--output_dir`. `source_name` is there where "
        "the catalog has text for ids. Before `warning_flags` come the columns by which the "
        "method tells of the quality of its flux, under the names that they have in the "
        "[product](columns.md) less the method's: `ee_fraction` of apertures; `gof`, `chi2` and "
        "`blend` of `psf`; `chi2` of `model`. The flags are [those of products](columns.md#flags).",
        "## Sources: `lightcurves/`",
        "A HATS catalog with a row for each source, here of one band, "
        f"{band}; each band has its own columns. Those with `baseline` in their name and "
        "`error_scale` are there with `--baseline`. `label_index.parquet` beside it says where a "
        "label is found.",
        _column_table(of_sources),
        f"## Points: `{LIGHT_CURVE}`",
        f"The column `{LIGHT_CURVE}` of each source is a structure of lists, which have an item "
        "for each exposure that the source is on, in the order of time. `flux_difference` is "
        "there with `--baseline`.",
        _column_table(points),
        "## Exposures: `exposures.parquet`",
        "A row for each exposure that was asked for. Numbers of exposures that are not done are "
        "NaN or 0.",
        _column_table(EXPOSURE_COLUMNS),
        "## One exposure: `exposures/NAME.parquet`",
        "A row for each source on the exposure, as it was measured: no zero point is divided out. "
        "The columns are those of points, beside:",
        _column_table([column for column in of_files if column.name not in in_curve]),
    )


def _values_and_default(check: str) -> tuple[str, str]:
    """Return what a check of the spec allows, and its default, in words."""
    call = ast.parse(check, mode="eval").body
    default = next(ast.literal_eval(k.value) for k in call.keywords if k.arg == "default")
    if call.func.id == "option":
        values = ", ".join(f"`{ast.literal_eval(choice)}`" for choice in call.args)
    else:
        values = TYPES[call.func.id]
    return values, "" if default in ("", None) else f"`{default}`"


def _column_row(column: Column) -> tuple[str, str, str, str]:
    return f"`{column.name}`", column.dtype, column.unit, column.description


def _column_table(columns: Iterable[Column]) -> str:
    return _table(("column", "type", "unit", "what it is"), map(_column_row, columns))


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", r"\|") for cell in r) + " |" for r in lines
    )


def _page(title: str, *parts: str) -> str:
    return "\n\n".join([NOTE, f"# {title}", *parts]) + "\n"


PAGES = {
    "reference/parameters.md": parameters_page,
    "reference/columns.md": columns_page,
    "reference/lightcurves.md": light_curves_page,
}


if __name__ == "__main__":
    for file_name, make in PAGES.items():
        (HERE / file_name).write_text(make(), encoding="utf-8")
