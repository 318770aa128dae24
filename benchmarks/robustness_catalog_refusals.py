"""Catalogs that must be refused: they would be read wrongly, or lead to other files.

Each function writes one to a path and returns the arguments to read it with, if there are any.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import asdf
import numpy as np
import pyarrow as pa
from astropy.io import fits
from astropy.table import Table
from robustness_catalog_oddities import (
    delimited,
    draw_plain_rows,
    fits_column,
    save_asdf,
    save_fits,
)
from robustness_catalog_truth import Rows
from robustness_catalog_writers import save_parquet, tabledata, votable

__all__ = ["MUST_BE_REFUSED"]


def _finite_columns(rows: Rows) -> dict[str, list]:
    """The columns of rows, all of whose positions are known."""
    columns = rows.columns()
    for name in rows.names[:2]:
        columns[name] = [45.0 if v is None else v for v in columns[name]]
    return columns


def repeated_names(rng: np.random.Generator, path: Path) -> None:
    """Two columns with the name of one that is needed, in any format that lets them."""
    rows = draw_plain_rows(rng)
    columns = _finite_columns(rows)
    twice = str(rng.choice(rows.names))
    write = [_repeated_text, _repeated_binary, _repeated_xml][rng.integers(3)]
    write(rng, [*columns.items(), (twice, columns[twice][::-1])], path)


def _repeated_text(rng: np.random.Generator, columns: list[tuple[str, list]], path: Path) -> None:
    """CSV or ECSV with columns as given."""
    names, values = zip(*columns, strict=True)
    mark, head = ",", []
    if rng.random() < 0.5:
        mark, head = " ", ["# %ECSV 1.0", "# ---", "# datatype:"]
        head += [f"# - {{name: {name}, datatype: {_ecsv_type(each)}}}" for name, each in columns]
    rows = [
        mark.join(f'"{"" if v is None else v}"' for v in row) for row in zip(*values, strict=True)
    ]
    path.write_text("\n".join([*head, mark.join(names), *rows]) + "\n")


def _ecsv_type(values: list) -> str:
    kinds = {type(value) for value in values if value is not None}
    return "string" if str in kinds else "int64" if kinds == {int} else "float64"


def _repeated_binary(rng: np.random.Generator, columns: list[tuple[str, list]], path: Path) -> None:
    """Parquet or FITS with columns as given; astropy writes no FITS file with a name twice."""
    names, values = zip(*columns, strict=True)
    if rng.random() < 0.5:
        table = pa.Table.from_arrays([pa.array(each) for each in values], names=names)
        return save_parquet(table, path)
    other = "z" * len(names[-1])
    hdu = fits.BinTableHDU.from_columns(
        [fits_column(*each) for each in [*columns[:-1], (other, values[-1])]]
    )
    save_fits([hdu], path)
    content = path.read_bytes()
    return (
        path.write_bytes(content.replace(f"'{other}".encode(), f"'{names[-1]}".encode())) and None
    )


def _repeated_xml(rng: np.random.Generator, columns: list[tuple[str, list]], path: Path) -> None:
    """VOTable with columns as given."""
    named = dict(columns[:-1]) | {"zzz": columns[-1][1]}
    content = votable(named, tabledata(named))
    path.write_bytes(content.replace(b'name="zzz"', f'name="{columns[-1][0]}"'.encode()))


def half_precision(rng: np.random.Generator, path: Path) -> None:
    """Positions of float16."""
    rows = draw_plain_rows(rng)
    columns = _finite_columns(rows)
    arrays = {name: np.array(columns[name], np.float16) for name in rows.names[:2]}
    if rng.random() < 0.5:
        save_parquet(pa.table(arrays), path)
    else:
        save_asdf({"stars": Table(arrays)}, path)


def lists(rng: np.random.Generator, path: Path) -> dict:
    """A column of lists or structures where one value in a row is needed."""
    rows = draw_plain_rows(rng)
    columns = _finite_columns(rows)
    where = str(rng.choice([*rows.names, "kept"]))
    value = [[1.0, 2.0], [1.0], {"a": 1}, []][rng.integers(4)]
    columns[where] = [value] * len(rows)
    save_parquet(pa.table(columns), path)
    return {"keep_columns": ["kept"]} if where == "kept" else {}


def arrays_in_rows(rng: np.random.Generator, path: Path) -> dict:
    """A FITS column of arrays, of one length or of many."""
    rows = draw_plain_rows(rng)
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
    save_fits([fits.BinTableHDU.from_columns(columns)], path)
    return {}


def open_quote(rng: np.random.Generator, path: Path) -> None:
    """A quote that is not closed and would swallow rows, or a row cut short."""
    rows = draw_plain_rows(rng)
    columns = _finite_columns(rows) | {"note": ["x"] * len(rows)}
    lines = delimited(columns).splitlines()
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
    rows = draw_plain_rows(rng)
    columns = _finite_columns(rows)
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
    save_asdf({"x": np.ones(len(rows))}, other)
    text = buffer.getvalue()
    source = str(rng.choice([other.as_uri(), "other"])).encode()
    path.write_bytes(text[: text.index(b"\n...\n") + 5].replace(b"source: 0", b"source: " + source))


def unknown_system(rng: np.random.Generator, path: Path) -> None:
    """A VOTable of galactic or ecliptic positions, or of two systems."""
    rows = draw_plain_rows(rng)
    columns = _finite_columns(rows)
    ra, dec, _ = rows.names
    system = str(rng.choice(["galactic", "ecl_FK5", "supergalactic", "xy", "", "HORIZONTAL"]))
    coosys = f'<COOSYS ID="s" system="{system}"/><COOSYS ID="t" system="eq_FK4"/>'
    refs = {ra: 'ref="s"', dec: f'ref="{rng.choice(["s", "t"])}"'}
    if rng.random() < 0.2:
        coosys, refs = '<COOSYS ID="s" system="eq_FK5" equinox="soon"/>', {}
    path.write_bytes(votable(columns, tabledata(columns), coosys=coosys, attributes=refs))


def astray(rng: np.random.Generator, path: Path) -> None:
    """A HATS directory that leaves itself, goes round in a circle, or has a pipe in it."""
    rows = draw_plain_rows(rng)
    outside, dataset = path.with_name("outside"), path / "dataset"
    inside = dataset / "Norder=0"
    positions = {name: _finite_columns(rows)[name] for name in rows.names[:2]}
    for place in (outside, inside):
        save_parquet(pa.table(positions), place / "Npix=1.parquet")
    secret = path.with_name("secret")
    secret.write_text("hats_col_ra=ra\n")
    target = str(rng.choice(["../outside", str(outside)]))
    [
        lambda: (inside / "Npix=2.parquet").symlink_to(outside / "Npix=1.parquet"),
        lambda: (inside / "Dir=1").symlink_to(outside),
        lambda: (inside / "Dir=1").symlink_to(dataset),
        lambda: (inside / "Npix=2.parquet").symlink_to(inside / "Npix=1.parquet"),
        lambda: os.mkfifo(inside / "Npix=2.parquet"),
        lambda: (path / "collection.properties").write_text(f"hats_primary_table_url={target}\n"),
        lambda: (path / "hats.properties").symlink_to(secret),
    ][rng.integers(7)]()


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


MUST_BE_REFUSED: dict[str, Callable[[np.random.Generator, Path], dict | None]] = {
    each.__name__: each
    for each in (
        *(repeated_names, half_precision, lists, arrays_in_rows, open_quote, elsewhere),
        *(unknown_system, astray, epochs, damaged_gzip, no_catalog),
    )
}
