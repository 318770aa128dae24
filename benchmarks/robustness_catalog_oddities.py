"""Catalogs with one peculiarity: those that must be read as they are, and those that must not.

Each function writes one file to a path. The first kind returns what must be read of it, the second
the arguments to read it with, if there are any.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import asdf
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy import units as u
from astropy.coordinates import FK4, FK5, SkyCoord
from astropy.io import fits
from astropy.table import Table
from robustness_catalog_truth import Rows, draw_rows
from robustness_catalog_writers import tabledata, votable

__all__ = ["MUST_BE_READ", "MUST_BE_REFUSED", "Written"]


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


def _rows(rng: np.random.Generator) -> Rows:
    """Some rows whose ids any format can hold."""
    rows = draw_rows(rng, n_rows=int(rng.integers(1, 9)))
    return replace(rows, ids=[int(v) for v in rng.integers(1, 99, len(rows))])


def _delimited(columns: dict[str, list], delimiter: str = ",") -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow(["" if v is None else repr(v) if isinstance(v, float) else v for v in row])
    return text.getvalue()


def _without_columns(rows: Rows, *, n: int | None = None) -> dict[str, list]:
    """Positions, finite ones, and the columns that are kept."""
    columns = rows.columns()
    for name in rows.names[:2]:
        columns[name] = [45.0 if v is None else v for v in columns[name]]
    return columns


# --- must be read ---------------------------------------------------------------------------


def hash_rows(rng: np.random.Generator, path: Path) -> Written:
    """Rows that begin with # below comments that do."""
    rows = _rows(rng)
    rows = replace(rows, ids=[f"#{i}" for i in range(len(rows))])
    columns = rows.columns()
    columns = {rows.names[2]: columns[rows.names[2]]} | columns
    path.write_text("# one\n# two, of a kind\n" + _delimited(columns))
    return Written(rows, typed=False)


def comments_amid(rng: np.random.Generator, path: Path) -> Written:
    """Comments among the rows of a CSV file, and blank lines."""
    rows = _rows(rng)
    header, *lines = _delimited(rows.columns()).splitlines()
    place = int(rng.integers(len(lines) + 1))
    path.write_text("\n".join([header, *lines[:place], "# a comment", "", *lines[place:]]) + "\n")
    return Written(rows, typed=False)


def lines_in_quotes(rng: np.random.Generator, path: Path) -> Written:
    """Text with line ends and quotes in it."""
    rows = _rows(rng)
    rows = replace(rows, ids=[f'two\nlines "{i}"' for i in range(len(rows))])
    path.write_text(_delimited(rows.columns()))
    return Written(rows, typed=False)


def header_alone(rng: np.random.Generator, path: Path) -> Written:
    """A CSV file without rows, with a byte order mark or without."""
    rows = draw_rows(rng, n_rows=0)
    mark = "\ufeff" if rng.random() < 0.5 else ""
    end = str(rng.choice(["", "\n", "\r\n\r\n"]))
    path.write_bytes((mark + _delimited(rows.columns()).rstrip("\n") + end).encode())
    return Written(rows, typed=False)


def whole_floats(rng: np.random.Generator, path: Path) -> Written:
    """Integer ids that somebody wrote as 5.0."""
    rows = _rows(rng)
    columns = rows.columns() | {rows.names[2]: [float(v) for v in rows.ids]}
    path.write_text(_delimited(columns))
    return Written(rows, typed=False)


def swapped_ids(rng: np.random.Generator, path: Path) -> Written:
    """A VOTable whose ID of ra is dec, and the other way round."""
    rows = _rows(rng)
    columns = rows.columns()
    ra, dec, _ = rows.names
    attributes = {ra: f'ID="{dec}"', dec: f'ID="{ra}"'}
    path.write_bytes(votable(columns, tabledata(columns), attributes=attributes))
    return Written(rows)


def other_system(rng: np.random.Generator, path: Path) -> Written:
    """A VOTable of FK4 or FK5 positions, as its COOSYS says."""
    rows = _rows(rng)
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
    rows = _rows(rng)
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
    with path.open("wb") as file:
        pq.write_table(pa.table(arrays), file)
    return Written(rows)


def second_table(rng: np.random.Generator, path: Path) -> Written:
    """A FITS file with another table behind the first."""
    rows = _rows(rng)
    first = Table(
        {
            name: [np.nan if v is None else v for v in values]
            if name == "number" or name in rows.names[:2]
            else ["" if v is None else v for v in values]
            for name, values in rows.columns().items()
        }
    )
    second = Table({"ra": [1.0], "dec": [2.0]})
    with path.open("wb") as file:
        fits.HDUList(
            [fits.PrimaryHDU(), fits.table_to_hdu(first), fits.table_to_hdu(second)]
        ).writeto(file)
    return Written(rows)


# --- must be refused --------------------------------------------------------------------------


def repeated_names(rng: np.random.Generator, path: Path) -> None:
    """Two columns with the name of one that is needed, in any format that lets them."""
    rows = _rows(rng)
    columns = _without_columns(rows)
    twice = str(rng.choice(rows.names))
    form = str(rng.choice(["csv", "ecsv", "fits", "parquet", "votable"]))
    names, values = [*columns, twice], [*columns.values(), columns[twice][::-1]]
    lines = ["".join(names)]
    if form in ("csv", "ecsv"):
        mark = "," if form == "csv" else " "
        lines = [mark.join(names)]
        lines += [
            mark.join('""' if v is None else f'"{v}"' for v in row)
            for row in zip(*values, strict=True)
        ]
        if form == "ecsv":
            types = [
                "float64"
                if name in (*rows.names[:2], "number")
                else "int64"
                if name in (rows.names[2], "count")
                else "string"
                for name in names
            ]
            head = [f"# - {{name: {n}, datatype: {t}}}" for n, t in zip(names, types, strict=True)]
            lines = ["# %ECSV 1.0", "# ---", "# datatype:", *head, *lines]
        path.write_text("\n".join(lines) + "\n")
    elif form == "parquet":
        with path.open("wb") as file:
            pq.write_table(pa.Table.from_arrays([pa.array(v) for v in values], names=names), file)
    elif form == "votable":
        path.write_bytes(
            votable(columns, tabledata(columns)).replace(
                b'name="number"', f'name="{twice}"'.encode()
            )
        )
    else:
        own = [
            fits.Column(n, "D", array=[np.nan if v is None else v for v in columns[n]])
            for n in rows.names
        ]
        own.append(fits.Column("zzzzzzzz", "D", array=np.zeros(len(rows))))
        buffer = io.BytesIO()
        fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(own)]).writeto(buffer)
        path.write_bytes(
            buffer.getvalue().replace(
                b"'zzzzzzzz'",
                f"'{twice:8s}'".encode()[:10].ljust(10)
                if len(twice) <= 8
                else f"'{twice}'".encode()[:9] + b"'",
            )
        )
        if len(twice) > 8:
            return repeated_names(rng, path)
    return None


def half_precision(rng: np.random.Generator, path: Path) -> None:
    """Positions of float16."""
    rows = _rows(rng)
    columns = _without_columns(rows)
    arrays = {n: pa.array(np.array(columns[n], np.float16)) for n in rows.names[:2]}
    if rng.random() < 0.5:
        with path.open("wb") as file:
            pq.write_table(pa.table(arrays), file)
    else:
        table = Table({n: np.array(columns[n], np.float16) for n in rows.names[:2]})
        with path.open("wb") as file:
            asdf.AsdfFile({"stars": table}).write_to(file)


def lists(rng: np.random.Generator, path: Path) -> dict:
    """A column of lists or structures where one value in a row is needed."""
    rows = _rows(rng)
    columns = _without_columns(rows)
    where = str(rng.choice([*rows.names, "kept"]))
    value = [[1.0, 2.0], [1.0], {"a": 1}, []][rng.integers(4)]
    columns[where] = [value] * len(rows)
    with path.open("wb") as file:
        pq.write_table(pa.table(columns), file)
    return {"keep_columns": ["kept"]} if where == "kept" else {}


def arrays_in_rows(rng: np.random.Generator, path: Path) -> dict:
    """A FITS column of arrays, of one length or of many."""
    rows = _rows(rng)
    ra, dec, label = rows.names
    where = str(rng.choice(rows.names))
    n = len(rows)
    columns = [
        fits.Column(name, "D", array=np.ones(n)) for name in (ra, dec, label) if name != where
    ]
    if rng.random() < 0.5:
        columns.append(fits.Column(where, "2D", array=np.ones((n, 2))))
    else:
        many = np.empty(n, dtype=object)
        many[:] = [np.ones(i + 1) for i in range(n)]
        columns.append(fits.Column(where, "PD()", array=many))
    with path.open("wb") as file:
        fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns)]).writeto(file)
    return {}


def open_quote(rng: np.random.Generator, path: Path) -> None:
    """A quote that is not closed and would swallow rows, or a row cut short."""
    rows = _rows(rng)
    columns = _without_columns(rows) | {"note": ["x"] * len(rows)}
    lines = _delimited(columns).splitlines()
    place = int(rng.integers(1, len(lines)))
    if rng.random() < 0.5:
        lines[place] = lines[place].rpartition(",")[0]
    else:
        lines[place] = lines[place][:-1] + '"x'
        if place == len(lines) - 1:
            lines.append(lines[1])
    path.write_text("\n".join(lines) + "\n")


def elsewhere(rng: np.random.Generator, path: Path) -> None:
    """A VOTable or an ASDF file whose data are in another file, which exists."""
    rows = _rows(rng)
    columns = _without_columns(rows)
    other = path.with_name("other")
    other.write_bytes(np.arange(20.0).astype(">f8").tobytes())
    if rng.random() < 0.5:
        kind = str(rng.choice(["BINARY", "BINARY2", "FITS", "PARQUET"]))
        href = str(rng.choice([other.as_uri(), "file:other", "http://localhost:1/x"]))
        path.write_bytes(votable(columns, f'<{kind}><STREAM href="{href}"/></{kind}>'))
        return
    buffer = io.BytesIO()
    table = Table({n: columns[n] for n in rows.names[:2]})
    asdf.AsdfFile({"stars": table}).write_to(buffer)
    with other.open("wb") as file:
        asdf.AsdfFile({"x": np.ones(len(rows))}).write_to(file)
    text = buffer.getvalue()
    source = str(rng.choice([other.as_uri(), "other"])).encode()
    path.write_bytes(text[: text.index(b"\n...\n") + 5].replace(b"source: 0", b"source: " + source))


def unknown_system(rng: np.random.Generator, path: Path) -> None:
    """A VOTable of galactic or ecliptic positions, or of two systems."""
    rows = _rows(rng)
    columns = _without_columns(rows)
    ra, dec, _ = rows.names
    system = str(rng.choice(["galactic", "ecl_FK5", "supergalactic", "xy", "", "HORIZONTAL"]))
    coosys = f'<COOSYS ID="s" system="{system}"/><COOSYS ID="t" system="eq_FK4"/>'
    refs = {ra: 'ref="s"', dec: f'ref="{rng.choice(["s", "t"])}"'}
    if rng.random() < 0.2:
        coosys, refs = '<COOSYS ID="s" system="eq_FK5" equinox="soon"/>', {}
    path.write_bytes(votable(columns, tabledata(columns), coosys=coosys, attributes=refs))


def astray(rng: np.random.Generator, path: Path) -> None:
    """A HATS directory that leaves itself, goes round in a circle, or is no file."""
    rows = _rows(rng)
    outside = path.with_name("outside")
    for place in (outside, path / "dataset" / "Norder=0"):
        place.mkdir(parents=True)
        columns = _without_columns(rows)
        with (place / "Npix=1.parquet").open("wb") as file:
            pq.write_table(pa.table({n: columns[n] for n in rows.names[:2]}), file)
    inside = path / "dataset" / "Norder=0"
    kind = rng.integers(7)
    if kind == 0:
        (inside / "Npix=2.parquet").symlink_to(outside / "Npix=1.parquet")
    elif kind == 1:
        (inside / "Dir=1").symlink_to(outside)
    elif kind == 2:
        (inside / "Dir=1").symlink_to(path / "dataset")
    elif kind == 3:
        (inside / "Npix=2.parquet").symlink_to(inside / "Npix=1.parquet")
    elif kind == 4:
        os.mkfifo(inside / "Npix=2.parquet")
    elif kind == 5:
        target = str(rng.choice(["../outside", str(outside)]))
        (path / "collection.properties").write_text(f"hats_primary_table_url={target}\n")
    else:
        secret = path.with_name("secret")
        secret.write_text("hats_col_ra=ra\n")
        (path / "hats.properties").symlink_to(secret)


def epochs(rng: np.random.Generator, path: Path) -> None:
    """Epochs that are no times, or times that no catalog has."""
    epoch = str(rng.choice(["soon", "57388", "2016-13-01", "J20160", "20160101", "B16"]))
    path.write_text(f"ra,dec,pmra,pmdec,ref_epoch\n1,2,3,4,2016.0\n1,2,3,4,{epoch}\n")


def damaged_gzip(rng: np.random.Generator, path: Path) -> None:
    """What begins like gzip and is none."""
    path.write_bytes(b"\x1f\x8b" + rng.bytes(int(rng.integers(0, 60))))


def no_catalog(rng: np.random.Generator, path: Path) -> None:
    """Anything but a catalog."""
    contents = [
        b"",
        b"\xef\xbb\xbf",
        b"\n\n",
        rng.bytes(100),
        b"\0" * 100,
        b"PAR1",
        b"#ASDF 1.0.0\n",
    ]
    contents += [b"SIMPLE  =", b"# %ECSV 1.0\n", b"<?xml version='1.0'?><VOTABLE/>", b"# a\n# b\n"]
    contents += [
        "ra,dec\n1,2\n".encode("utf-16"),
        b"<VOTABLE>" * 500,
        b"ra,dec\n1,2,3\n",
        b"a,b\n1,2\n",
    ]
    path.write_bytes(contents[rng.integers(len(contents))])


MUST_BE_READ: dict[str, Callable[[np.random.Generator, Path], Written]] = {
    each.__name__: each
    for each in (
        *(hash_rows, comments_amid, lines_in_quotes, header_alone, whole_floats, swapped_ids),
        *(other_system, types_of_numbers, second_table),
    )
}
MUST_BE_REFUSED: dict[str, Callable[[np.random.Generator, Path], dict | None]] = {
    each.__name__: each
    for each in (
        *(repeated_names, half_precision, lists, arrays_in_rows, open_quote, elsewhere),
        *(unknown_system, astray, epochs, damaged_gzip, no_catalog),
    )
}
