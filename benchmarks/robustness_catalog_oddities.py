"""Catalogs with one peculiarity that must not change what is read of them.

Each function writes one to a path and returns what must be read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import asdf
import numpy as np
import pyarrow as pa
from astropy import units as u
from astropy.coordinates import FK4, FK5, SkyCoord
from astropy.io import fits
from robustness_catalog_truth import Rows, draw_rows
from robustness_catalog_writers import save_parquet, tabledata, votable

__all__ = ["MUST_BE_READ", "Written"]


@dataclass(frozen=True)
class Written:
    """What must be read of a file.

    Attributes
    ----------
    rows : Rows
        Its rows.
    typed : bool
        Whether the format tells text from numbers.
    tolerance_deg : float
        How far positions may be off.
    """

    rows: Rows
    typed: bool = True
    tolerance_deg: float = 2e-13


def draw_plain_rows(rng: np.random.Generator) -> Rows:
    """Some rows whose ids any format can hold."""
    rows = draw_rows(rng, n_rows=int(rng.integers(1, 9)))
    return replace(rows, ids=[int(v) for v in rng.integers(1, 99, len(rows))])


def delimited(columns: dict[str, list], delimiter: str = ",") -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow(["" if v is None else repr(v) if isinstance(v, float) else v for v in row])
    return text.getvalue()


def fits_column(name: str, values: list) -> fits.Column:
    if any(isinstance(value, str) for value in values):
        array = np.array([(value or "").encode() for value in values])
        return fits.Column(name, f"{array.itemsize}A", array=array)
    return fits.Column(name, "D", array=[np.nan if value is None else value for value in values])


def save_fits(hdus: list, path: Path) -> None:
    with path.open("wb") as file:
        fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(file)


def save_asdf(tree: dict, path: Path) -> None:
    with path.open("wb") as file:
        asdf.AsdfFile(tree).write_to(file)


def hash_rows(rng: np.random.Generator, path: Path) -> Written:
    """Rows that begin with # below comments that do."""
    rows = draw_plain_rows(rng)
    rows = replace(rows, ids=[f"#{i}" for i in range(len(rows))])
    columns = rows.columns()
    columns = {rows.names[2]: columns[rows.names[2]]} | columns
    path.write_text("# one\n# two, of a kind\n" + delimited(columns))
    return Written(rows, typed=False)


def comments_amid(rng: np.random.Generator, path: Path) -> Written:
    """Comments among the rows of a CSV file, and blank lines."""
    rows = draw_plain_rows(rng)
    header, *lines = delimited(rows.columns()).splitlines()
    place = int(rng.integers(len(lines) + 1))
    path.write_text("\n".join([header, *lines[:place], "# a comment", "", *lines[place:]]) + "\n")
    return Written(rows, typed=False)


def lines_in_quotes(rng: np.random.Generator, path: Path) -> Written:
    """Text with line ends and quotes in it."""
    rows = draw_plain_rows(rng)
    rows = replace(rows, ids=[f'two\nlines "{i}"' for i in range(len(rows))])
    path.write_text(delimited(rows.columns()))
    return Written(rows, typed=False)


def header_alone(rng: np.random.Generator, path: Path) -> Written:
    """A CSV file without rows, with a byte order mark or without."""
    rows = draw_rows(rng, n_rows=0)
    mark = "\ufeff" if rng.random() < 0.5 else ""
    end = str(rng.choice(["", "\n", "\r\n\r\n"]))
    path.write_bytes((mark + delimited(rows.columns()).rstrip("\n") + end).encode())
    return Written(rows, typed=False)


def whole_floats(rng: np.random.Generator, path: Path) -> Written:
    """Integer ids that somebody wrote as 5.0."""
    rows = draw_plain_rows(rng)
    columns = rows.columns() | {rows.names[2]: [float(v) for v in rows.ids]}
    path.write_text(delimited(columns))
    return Written(rows, typed=False)


def swapped_ids(rng: np.random.Generator, path: Path) -> Written:
    """A VOTable whose ID of ra is dec, and the other way round."""
    rows = draw_plain_rows(rng)
    columns = rows.columns()
    ra, dec, _ = rows.names
    attributes = {ra: f'ID="{dec}"', dec: f'ID="{ra}"'}
    path.write_bytes(votable(columns, tabledata(columns), attributes=attributes))
    return Written(rows)


def other_system(rng: np.random.Generator, path: Path) -> Written:
    """A VOTable of FK4 or FK5 positions, as its COOSYS says."""
    rows = draw_plain_rows(rng)
    system, equinox, frame = [
        ("eq_FK5", "J2000", FK5(equinox="J2000")),
        ("FK5", "J1975", FK5(equinox="J1975")),
        ("eq_FK4", "B1950", FK4(equinox="B1950")),
        ("ICRS", "", None),
    ][rng.integers(4)]
    columns = rows.columns()
    known = np.flatnonzero(np.isfinite(rows.ra) & np.isfinite(rows.dec))
    truth = replace(rows, ra=np.full(len(rows), np.nan), dec=np.full(len(rows), np.nan))
    place = SkyCoord(rows.ra[known] * u.deg, rows.dec[known] * u.deg)
    native = place if frame is None else place.transform_to(frame)
    truth.ra[known], truth.dec[known] = rows.ra[known], rows.dec[known]
    for name, values in zip(rows.names, (native.ra.deg, native.dec.deg), strict=False):
        columns[name] = [None] * len(rows)
        for i, value in zip(known, values, strict=True):
            columns[name][i] = float(value)
    ref = dict.fromkeys(rows.names[:2], 'ref="s"') if rng.random() < 0.5 else {}
    coosys = (
        f'<COOSYS ID="s" system="{system}"' + (f' equinox="{equinox}"' if equinox else "") + "/>"
    )
    path.write_bytes(votable(columns, tabledata(columns), coosys=coosys, attributes=ref))
    return Written(truth, tolerance_deg=1e-9)  # 4 microarcsec, of transformations there and back


def types_of_numbers(rng: np.random.Generator, path: Path) -> Written:
    """Positions as decimals, integers or chunks, which are numbers all the same."""
    rows = draw_plain_rows(rng)
    rows = replace(rows, ra=np.floor(np.nan_to_num(rows.ra)), dec=np.floor(np.nan_to_num(rows.dec)))
    kind = [pa.decimal128(30, 5), pa.int16(), pa.int64(), pa.float64(), pa.uint16()][
        rng.integers(5)
    ]
    if kind == pa.uint16():
        rows = replace(rows, dec=np.abs(rows.dec))
    columns = rows.columns()
    arrays = {
        name: pa.array([int(v) for v in values] if name in rows.names[:2] else values)
        for name, values in columns.items()
    }
    arrays |= {name: arrays[name].cast(kind, safe=False) for name in rows.names[:2]}
    save_parquet(pa.table(arrays), path)
    return Written(rows)


def second_table(rng: np.random.Generator, path: Path) -> Written:
    """A FITS file with another table behind the first."""
    rows = draw_plain_rows(rng)
    columns = [fits_column(name, values) for name, values in rows.columns().items()]
    second = fits.BinTableHDU.from_columns([fits.Column("ra", "D", array=[1.0])])
    save_fits([fits.BinTableHDU.from_columns(columns), second], path)
    return Written(rows)


MUST_BE_READ: dict[str, Callable[[np.random.Generator, Path], Written]] = {
    each.__name__: each
    for each in (
        *(hash_rows, comments_amid, lines_in_quotes, header_alone, whole_floats, swapped_ids),
        *(other_system, types_of_numbers, second_table),
    )
}
