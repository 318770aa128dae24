"""Writers of catalogs in every format, in the many ways in which the format allows them.

They share no code with the readers that are tested: text is put together here by hand, binary
files by the packages that define the format (astropy.io.fits, pyarrow, asdf).
"""

from __future__ import annotations

import base64
import csv
import io
import struct
from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import asdf
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from robustness_catalog_truth import Rows

__all__ = ["UNITS", "WRITERS", "save_parquet", "tabledata", "votable", "write_csv"]

#: Spellings of units, and how many of each are a degree.
UNITS = {
    **dict.fromkeys(("deg", "Degrees", "DEG", "degree", "Deg"), 1.0),
    **dict.fromkeys(("rad", "Radians", "RAD"), np.pi / 180),
    **dict.fromkeys(("arcsec", "ARCSEC"), 3600.0),
}


def _units(rng: np.random.Generator, rows: Rows) -> tuple[Rows, str]:
    """Draw a unit; return the rows with positions in it, and its name ('' for none)."""
    if rng.random() < 0.5:
        return rows, ""
    unit = str(rng.choice(list(UNITS)))
    fields = {name: getattr(rows, name) for name in rows.__dataclass_fields__}
    return Rows(**fields | {axis: fields[axis] * UNITS[unit] for axis in ("ra", "dec")}), unit


def _kind_of(values: list) -> str:
    """Type of a column: int, uint, float or str; that of an empty one is float."""
    present = [v for v in values if v is not None]
    if any(isinstance(v, str) for v in present):
        return "str"
    if present and all(isinstance(v, int) for v in present):
        return "int" if all(-(2**63) <= v < 2**63 for v in present) else "uint"
    return "float"


def _shuffled(rng: np.random.Generator, columns: dict[str, list]) -> dict[str, list]:
    return {str(name): columns[str(name)] for name in rng.permutation(list(columns))}


def _word(value: object) -> str:
    return "" if value is None else (repr(value) if isinstance(value, float) else str(value))


def write_csv(rng: np.random.Generator, rows: Rows, path: Path) -> None:
    """CSV of many dialects: delimiters, line ends, quotes, byte order mark, comments, Latin-1."""
    columns = _shuffled(rng, rows.columns())
    text = io.StringIO()
    writer = csv.writer(
        text,
        delimiter=str(rng.choice([",", ",", ";", "\t"])),
        lineterminator=str(rng.choice(["\n", "\n", "\r\n", "\r"])),
        quoting=int(rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_MINIMAL])),
    )
    writer.writerow(columns)
    missing = str(rng.choice(["", "null", "NULL"]))
    for row in zip(*columns.values(), strict=True):
        writer.writerow([missing if value is None else _word(value) for value in row])
    content = text.getvalue()
    if rng.random() < 0.3:
        content = content.rstrip("\r\n")
    if rng.random() < 0.3:
        content = "# a comment, with; commas\n\n#another\n" + content
    encoded = content.encode()
    if rng.random() < 0.3 and all(ord(c) < 256 for c in content):
        encoded = content.encode("latin-1")
    elif rng.random() < 0.3:
        encoded = b"\xef\xbb\xbf" + encoded
    path.write_bytes(encoded)


def write_ecsv(rng: np.random.Generator, rows: Rows, path: Path) -> None:
    """ECSV with blanks or commas, a byte order mark, any line ends."""
    rows, unit = _units(rng, rows)
    columns = _shuffled(rng, rows.columns())
    types = {"int": "int64", "uint": "uint64", "float": "float64", "str": "string"}
    delimiter = str(rng.choice([" ", ","]))
    lines = ["# %ECSV 1.0", "# ---"]
    lines += ["# delimiter: ','"] if delimiter == "," else []
    lines += ["# datatype:"]
    for name, values in columns.items():
        own = f"unit: {unit}, " if unit and name in rows.names[:2] else ""
        lines.append(f"# - {{name: {name}, {own}datatype: {types[_kind_of(values)]}}}")
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow([_word(value) for value in row])
    end = str(rng.choice(["\n", "\r\n"]))
    content = ("\n".join(lines) + "\n" + text.getvalue()).replace("\n", end)
    path.write_bytes((b"\xef\xbb\xbf" if rng.random() < 0.3 else b"") + content.encode())


def write_fits(rng: np.random.Generator, rows: Rows, path: Path) -> None:
    """FITS, text in Latin-1 or UTF-8, with checksums or without, behind an image or not."""
    given = rows
    rows, unit = _units(rng, rows)
    columns = []
    for name, values in _shuffled(rng, rows.columns()).items():
        own = unit if name in rows.names[:2] else None
        kind = _kind_of(values)
        if kind == "str":
            words = ["" if v is None else v for v in values]
            latin = all(ord(c) < 256 for word in words for c in word) and rng.random() < 0.5
            array = np.array([word.encode("latin-1" if latin else "utf-8") for word in words])
            columns.append(fits.Column(name, f"{max(array.itemsize, 1)}A", array=array))
        elif kind == "float":
            array = np.array([np.nan if v is None else v for v in values], dtype=float)
            columns.append(fits.Column(name, "D", unit=own or None, array=array))
        else:
            null = next(v for v in range(-99, -90) if v not in values)
            has_null = kind == "int" and None in values
            plain = [null if v is None else v for v in values] if has_null else values
            if None in plain:
                return write_parquet(rng, given, path)  # FITS has no null for uint64
            array = np.array(plain, dtype="i8" if kind == "int" else "u8")
            about = {"null": null} if has_null else {"bzero": 2**63} if kind == "uint" else {}
            columns.append(fits.Column(name, "K", array=array, **about))
    table = fits.BinTableHDU.from_columns(columns)
    hdus = [fits.PrimaryHDU(np.zeros((2, 3)) if rng.random() < 0.3 else None), table]
    with path.open("wb") as file:
        fits.HDUList(hdus).writeto(file, checksum=bool(rng.random() < 0.4))
    return None


_ARROW = {"int": pa.int64(), "uint": pa.uint64(), "float": pa.float64(), "str": pa.string()}


def arrow_table(rng: np.random.Generator, rows: Rows) -> pa.Table:
    """The rows as an arrow table, of types that say the same in different ways."""
    rows, unit = _units(rng, rows)
    arrays, fields = [], []
    for name, values in _shuffled(rng, rows.columns()).items():
        array = pa.array(values, _ARROW[_kind_of(values)])
        if array.type == pa.string():
            kinds = [
                pa.string(),
                pa.large_string(),
                pa.binary(),
                pa.dictionary(pa.int32(), pa.string()),
            ]
            array = array.cast(kinds[rng.integers(len(kinds))])
        own = {"unit": unit if unit and name in rows.names[:2] else "None"}
        fields.append(pa.field(name, array.type, metadata=own))
        arrays.append(array)
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def save_parquet(table: pa.Table, path: Path, **options) -> None:
    """Write a table through a file object: pyarrow refuses some names of files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        pq.write_table(table, file, **options)


def write_parquet(rng: np.random.Generator, rows: Rows, path: Path) -> None:
    """Parquet with row groups of any size, page checksums or not."""
    size, checksums = int(rng.choice([1, 4, 100])), bool(rng.random() < 0.5)
    table = arrow_table(rng, rows)
    save_parquet(table, path, row_group_size=size, write_page_checksum=checksums)


def write_hats(rng: np.random.Generator, rows: Rows, path: Path) -> None:
    """A HATS directory, which names its columns of positions, in up to three partitions."""
    table = arrow_table(rng, rows)
    cuts = sorted(int(cut) for cut in rng.integers(0, len(rows) + 1, 2))
    bounds = zip([0, *cuts], [*cuts, len(rows)], strict=True)
    places = ("Norder=0/Npix=9", "Norder=0/Npix=10", "Norder=1/Npix=3")
    for place, (start, end) in zip(places, bounds, strict=True):
        save_parquet(table.slice(start, end - start), path / "dataset" / f"{place}.parquet")
    ra, dec, _ = rows.names
    (path / "hats.properties").write_text(f"hats_col_ra={ra}\nhats_col_dec={dec}\n")


def write_asdf(rng: np.random.Generator, rows: Rows, path: Path) -> None:
    """ASDF, compressed or not, as a lone table or as a Roman catalog."""
    rows, unit = _units(rng, rows)
    types = {"int": "i8", "uint": "u8", "float": "f8", "str": "U"}
    table = Table()
    for name, values in _shuffled(rng, rows.columns()).items():
        kind = _kind_of(values)
        plain = [("" if kind == "str" else 0) if value is None else value for value in values]
        mask = [value is None for value in values]
        column = np.array(plain, types[kind])
        table[name] = MaskedColumn(column, mask=mask) if any(mask) else column
        if unit and name in rows.names[:2]:
            table[name].unit = unit
    tree = {"roman": {"source_catalog": table}} if rng.random() < 0.5 else {"stars": table}
    compression = rng.choice([None, "zlib", "lz4", "bzp2"])
    with path.open("wb") as file:
        asdf.AsdfFile(tree).write_to(file, all_array_compression=compression)


_DATATYPES = {"int": "long", "float": "double", "str": "unicodeChar"}
_NULL = -(2**63) + 1


def votable(
    columns: dict[str, list],
    data: str,
    *,
    units: dict[str, str] | None = None,
    coosys: str = "",
    attributes: dict[str, str] | None = None,
    prefix: str = "",
) -> bytes:
    """Put a VOTable together; `data` is the content of its DATA."""
    fields = ""
    for name, values in columns.items():
        kind = _kind_of(values)
        unit = (units or {}).get(name)
        more = (attributes or {}).get(name, "") + (f" unit={quoteattr(unit)}" if unit else "")
        size = ' arraysize="*"' if kind == "str" else ""
        null = f'<VALUES null="{_NULL}"/>' if kind == "int" and None in values else ""
        about = f'name={quoteattr(name)} datatype="{_DATATYPES[kind]}"{size} {more}'
        fields += f"<FIELD {about}>{null}</FIELD>"
    body = f"<RESOURCE>{coosys}<TABLE>{fields}<DATA>{data}</DATA></TABLE></RESOURCE>"
    space = 'xmlns="http://www.ivoa.net/xml/VOTable/v1.3"'
    text = f'<?xml version="1.0" encoding="utf-8"?><VOTABLE version="1.4" {space}>{body}</VOTABLE>'
    return text.encode()


def tabledata(columns: dict[str, list]) -> str:
    """Rows as elements."""
    kinds = [_kind_of(values) for values in columns.values()]
    lines = []
    for row in zip(*columns.values(), strict=True):
        words = [
            str(_NULL) if value is None and kind == "int" else escape(_word(value))
            for kind, value in zip(kinds, row, strict=True)
        ]
        lines.append("<TR>" + "".join(f"<TD>{word}</TD>" for word in words) + "</TR>")
    return "<TABLEDATA>" + "\n".join(lines) + "</TABLEDATA>"


def binary(columns: dict[str, list]) -> str:
    """Rows as the bytes of BINARY, base64."""
    kinds = [_kind_of(values) for values in columns.values()]
    packed = b""
    for row in zip(*columns.values(), strict=True):
        for kind, value in zip(kinds, row, strict=True):
            if kind == "str":
                word = (value or "").encode("utf-16-be")
                packed += struct.pack(">i", len(word) // 2) + word
            elif kind == "float":
                packed += struct.pack(">d", np.nan if value is None else value)
            else:
                packed += struct.pack(">q", _NULL if value is None else value)
    return (
        f'<BINARY><STREAM encoding="base64">{base64.b64encode(packed).decode()}</STREAM></BINARY>'
    )


def write_votable(rng: np.random.Generator, rows: Rows, path: Path) -> None:
    """VOTable whose IDs say something else than its names."""
    rows, unit = _units(rng, rows)
    columns = _shuffled(rng, rows.columns())
    for name, values in columns.items():
        if _kind_of(values) == "uint":
            columns[name] = [None if v is None else str(v) for v in values]
    attributes = {}
    if rng.random() < 0.5:
        ids = rng.permutation(list(columns))
        attributes = {name: f'ID="{other}"' for name, other in zip(columns, ids, strict=True)}
    units = dict.fromkeys(rows.names[:2], unit)
    serialize: Callable = tabledata if rng.random() < 0.6 else binary
    path.write_bytes(votable(columns, serialize(columns), units=units, attributes=attributes))


WRITERS: dict[str, Callable[[np.random.Generator, Rows, Path], None]] = {
    "csv": write_csv,
    "ecsv": write_ecsv,
    "fits": write_fits,
    "parquet": write_parquet,
    "hats": write_hats,
    "asdf": write_asdf,
    "votable": write_votable,
}
