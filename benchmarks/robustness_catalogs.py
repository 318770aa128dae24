"""Thousands of generated catalogs of every format: valid, odd and damaged.

    python benchmarks/robustness_catalogs.py --seconds 60 --seed 1

The right answer is the generator's own truth (`robustness_catalog_truth`); files are written by
other code than reads them (`robustness_catalog_writers`). A valid catalog must give its rows, each
with its id, exactly; one that cannot mean what it says must be refused by name; a damaged one may
do either, but never give other rows than were written, nor hang, nor fail without its name.
"""

from __future__ import annotations

import csv
import gzip
import logging
import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from robustness_catalog_oddities import MUST_BE_READ
from robustness_catalog_refusals import MUST_BE_REFUSED
from robustness_catalog_truth import Condition, Rows, draw_condition, draw_name, draw_rows
from robustness_catalog_writers import WRITERS, write_csv
from robustness_common import Outcome, Trial, defect, judge_error, main, right

from romancal_forcedphot.catalogs import CatalogError, read_sources
from romancal_forcedphot.photometry import Sources

__all__ = ["parts"]

#: Positions in another unit come back to a few units in the last place of 360.
TOLERANCE_DEG = 2e-13
UNTYPED = ("csv",)
SUFFIXES = {"votable": ".vot", "hats": ""}


def parts(directory: Path) -> dict[str, Trial]:
    """Trials by name: valid catalogs of each format, oddities, and damage."""
    trials: dict[str, Trial] = {f"valid-{name}": partial(_valid, name) for name in WRITERS}
    trials |= {"odd": _odd, "refused": _refused}
    trials |= {f"damaged-{name}": partial(_damaged, name) for name in WRITERS if name != "hats"}
    trials |= {"damaged-gzip": _damaged_gzip, "selection": _selection}
    return trials


def _path(rng: np.random.Generator, directory: Path, form: str) -> Path:
    """A path with a hostile name, in a directory with one."""
    inside = directory / draw_name(rng)
    inside.mkdir(exist_ok=True)
    return inside / (draw_name(rng) + SUFFIXES.get(form, f".{form}"))


def _valid(form: str, rng: np.random.Generator, directory: Path) -> Outcome:
    """A catalog as the format allows it, gzipped or not, read with a selection or without."""
    rows, path = draw_rows(rng), _path(rng, directory, form)
    WRITERS[form](rng, rows, path)
    if form != "hats" and rng.random() < 0.2:
        path.write_bytes(gzip.compress(path.read_bytes()))
    condition = draw_condition(rng) if rng.random() < 0.4 else None
    return check(path, rows, typed=form not in UNTYPED, condition=condition)


def _odd(rng: np.random.Generator, directory: Path) -> Outcome:
    """A catalog with a peculiarity that must not change what is read."""
    name = str(rng.choice(list(MUST_BE_READ)))
    path = directory / (draw_name(rng) + ".dat")
    written = MUST_BE_READ[name](rng, path)
    outcome = check(path, written.rows, typed=written.typed, tolerance=written.tolerance_deg)
    return outcome if outcome.kind == "right" else defect(f"{name}: {outcome.note}")


def _refused(rng: np.random.Generator, directory: Path) -> Outcome:
    """A catalog that would be read wrongly, or that leads to other files."""
    name = str(rng.choice(list(MUST_BE_REFUSED)))
    path = directory / (draw_name(rng) + ".dat")
    arguments = MUST_BE_REFUSED[name](rng, path) or {}
    try:
        sources = read_sources(path, proper_motion=True, **arguments)
    except CatalogError as error:
        return _judged(error, path, name)
    except Exception as error:
        return defect(f"{name}: {type(error).__name__}: {error}")
    return defect(f"{name}: was read, {len(sources)} rows, ra {sources.ra}")


def _selection(rng: np.random.Generator, directory: Path) -> Outcome:
    """Conditions with words changed, which are refused or select some of the rows."""
    rows, path = draw_rows(rng, n_rows=5), directory / "catalog.csv"
    write_csv(rng, rows, path)
    pieces = ["count", "kind", "number", "and", "or", "not", "(", ")", "<", "==", "1", "'PSF'"]
    pieces += [
        "`",
        "'",
        "[",
        "lambda:",
        "9" * 400,
        "9" * 5000,
        "\0",
        "\n",
        "é",
        ".",
        "+",
        "()",
        "#",
    ]
    words = draw_condition(rng).text.split(" ")
    for _ in range(rng.integers(4)):
        words[rng.integers(len(words))] = str(rng.choice(pieces))
    text = " ".join(words)
    try:
        sources = read_sources(path, select=text)
    except CatalogError as error:
        return judge_error(error, "select", str(path))
    return right() if len(sources) <= len(rows) else defect(f"{text!r} gave {len(sources)} rows")


def _damaged(form: str, rng: np.random.Generator, directory: Path) -> Outcome:
    """A file that is cut short, or with bytes changed, removed or repeated."""
    rows, path = draw_rows(rng, n_rows=int(rng.choice([3, 30]))), _path(rng, directory, form)
    WRITERS[form](rng, rows, path)
    content = path.read_bytes()
    if rng.random() < 0.3:
        path.write_bytes(content[: rng.integers(len(content))])
        return _survives(path, partial(_is_beginning, rows, form))
    start = content.index(b"\n...\n") if form == "asdf" and rng.random() < 0.7 else 0
    path.write_bytes(content[:start] + damage(rng, content[start:]))
    if start:  # blocks have checksums
        return _survives(path, partial(_same_positions, rows))
    return _survives(path, partial(_same_number, _count_rows(path.read_bytes(), form)))


def _damaged_gzip(rng: np.random.Generator, directory: Path) -> Outcome:
    """A gzipped file with changed bytes: its checksum shows them all."""
    form = str(rng.choice([name for name in WRITERS if name != "hats"]))
    rows, path = draw_rows(rng, n_rows=30), _path(rng, directory, form)
    WRITERS[form](rng, rows, path)
    path.write_bytes(damage(rng, gzip.compress(path.read_bytes(), int(rng.choice([0, 6])))))
    return _survives(path, partial(_same_positions, rows))


def damage(rng: np.random.Generator, content: bytes) -> bytes:
    """Change, remove or repeat a few bytes."""
    damaged = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        place, kind = int(rng.integers(len(damaged))), rng.integers(4)
        length = int(rng.integers(1, 20))
        if kind == 0:
            damaged[place] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            damaged[place : place + length] = bytes(min(length, len(damaged) - place))
        elif kind == 2:
            del damaged[place : place + length]
        else:
            damaged[place:place] = damaged[place : place + length]
        if not damaged:
            return b""
    return bytes(damaged)


def _survives(path: Path, is_right: Callable[[Sources], bool]) -> Outcome:
    """Judge what came of a damaged file: refused by name, or read as what is still there."""
    try:
        sources = read_sources(path, keep_columns=["kind"], proper_motion=True)
    except CatalogError as error:
        return _judged(error, path)
    return right() if is_right(sources) else defect(f"other rows: {sources.ra} {sources.dec}")


def _judged(error: CatalogError, path: Path, name: str = "") -> Outcome:
    """Judge an error: it must name the file, on one line."""
    outcome = judge_error(error, repr(str(path)))
    if "\n" in str(error):
        outcome = defect(f"several lines: {error}")
    return defect(f"{name}: {outcome.note}") if name and outcome.kind == "defect" else outcome


def check(
    path: Path,
    rows: Rows,
    *,
    typed: bool,
    condition: Condition | None = None,
    tolerance: float = TOLERANCE_DEG,
) -> Outcome:
    """Read a catalog that must be read, and compare it with the rows that were written."""
    given = {"select": condition.text} if condition else {}
    try:
        sources = read_sources(path, keep_columns=["number", "kind"], **given)
    except CatalogError as error:
        return defect(f"refused: {error}")
    chosen = [i for i in range(len(rows)) if condition is None or condition.holds(rows, i) is True]
    return compare(sources, rows, chosen, typed=typed, tolerance=tolerance)


def compare(
    sources: Sources, rows: Rows, chosen: Sequence[int], *, typed: bool, tolerance: float
) -> Outcome:
    """Compare what was read with the chosen rows."""
    labels, names = rows.labels(typed=typed)
    wanted_names = None if names is None else [names[i] for i in chosen]
    read_names = None if sources.source_name is None else sources.source_name.tolist()
    if sources.label.tolist() != [labels[i] for i in chosen] or read_names != wanted_names:
        return defect(f"ids: {sources.label} {read_names}, not {labels} {names}")
    for axis in ("ra", "dec"):
        read, true = getattr(sources, axis), getattr(rows, axis)[chosen]
        apart = np.abs(read - true)
        apart = np.minimum(apart, 360 - apart) if axis == "ra" else apart
        if not np.array_equal(np.isnan(read), np.isnan(true)) or np.any(apart > tolerance):
            return defect(f"{axis}: {read}, not {true}")
    for name in ("number", "kind"):
        read, true = sources.columns[name].tolist(), [getattr(rows, name)[i] for i in chosen]
        read = [None if v in ("", None) or v != v else v for v in read]
        if read != true:
            return defect(f"{name}: {read}, not {true}")
    return right()


def _same_positions(rows: Rows, sources: Sources) -> bool:
    """Whether all positions are the true ones."""
    return len(sources) == len(rows) and all(
        np.allclose(getattr(sources, axis), getattr(rows, axis), rtol=0, atol=1e-9, equal_nan=True)
        for axis in ("ra", "dec")
    )


def _is_beginning(rows: Rows, form: str, sources: Sources) -> bool:
    """Whether the rows of a file that was cut short are true.

    A text may end where a row ends, or within the last number; no other format may.
    """
    n = len(sources)
    if form not in ("csv", "ecsv"):
        return _same_positions(rows, sources)
    whole = slice(0, max(n - 1, 0))
    return n <= len(rows) and all(
        np.allclose(getattr(sources, axis)[whole], getattr(rows, axis)[whole], 0, 1e-9, True)
        for axis in ("ra", "dec")
    )


def _same_number(n_rows: int | None, sources: Sources) -> bool:
    """Whether as many rows were read as are there.

    In a format without checksums nobody can tell another value from a true one.
    """
    return n_rows is None or len(sources) == n_rows


def _count_rows(content: bytes, form: str) -> int | None:
    """Rows of a text by Python's own parser: -1 where they are ragged; None for other formats."""
    if form not in ("csv", "ecsv") or (
        form == "ecsv" and re.search(b"[\x0b\x0c\x1c-\x1e]", content)
    ):
        return None  # some of Python's functions end lines there
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1").removeprefix("ï»¿")
    lines = [line for line in re.split("(?<=\n)|(?<=\r)(?!\n)", text) if line]
    while lines and (not lines[0].strip() or lines[0].startswith("#")):
        lines.pop(0)
    header = re.sub('"[^"]*"', "", lines[0]) if lines else ""
    if form == "csv":
        delimiter = max(",;\t", key=header.count)
    else:
        delimiter = "," if b"# delimiter: ','" in content else " "
    try:
        found = [row for row in csv.reader(lines, delimiter=delimiter, strict=True) if row]
    except csv.Error:
        return -1
    whole = [row for row in found[1:] if not (len(row) == 1 and row[0].startswith("#"))]
    return len(whole) if all(len(row) == len(found[0]) for row in whole) else -1


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    sys.exit(main(parts, __doc__.splitlines()[0], None))
