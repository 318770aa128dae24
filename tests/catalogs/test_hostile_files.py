"""Files that are damaged, or begin in odd ways, are read as they are or refused by name."""

from __future__ import annotations

import gzip
import struct

import asdf
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import Table

from romancal_forcedphot.catalogs import CatalogError, read_sources

MARK = b"\xef\xbb\xbf"


def stars(n=200):
    rng = np.random.default_rng(3)
    return Table({"ra": rng.uniform(0, 360, n), "dec": rng.uniform(-90, 90, n), "id": np.arange(n)})


def written(tmp_path, content, name="catalog.dat"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def in_format(table, form, tmp_path):
    table.write(tmp_path / "as-it-was", format=form)
    return (tmp_path / "as-it-was").read_bytes()


def place_of_a_value(content, order="<"):
    """Where the right ascension of a row begins."""
    return content.index(struct.pack(f"{order}d", stars()["ra"][7]))


def flipped(content, place, bit=1):
    changed = bytearray(content)
    changed[place] ^= bit
    return bytes(changed)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_byte_order_mark_before_ecsv(tmp_path, end):
    table = stars()
    content = MARK + in_format(table, "ascii.ecsv", tmp_path).replace(b"\n", end)
    np.testing.assert_array_equal(read_sources(written(tmp_path, content)).ra, table["ra"])


@pytest.mark.parametrize("damage", [(b"%ECSV", b"%EcSV"), (b"# %ECSV 1.0\n", b"")])
def test_the_units_of_a_damaged_ecsv_file_are_not_lost(tmp_path, damage):
    table = stars()
    table["ra"].unit = table["dec"].unit = "rad"
    table.write(tmp_path / "catalog.ecsv", delimiter=",")
    content = (tmp_path / "catalog.ecsv").read_bytes().replace(*damage)
    with pytest.raises(CatalogError, match=r"catalog.dat' has the comment '.*, as ECSV has"):
        read_sources(written(tmp_path, content))


def test_a_byte_order_mark_before_a_comment_and_the_header(tmp_path):
    sources = read_sources(written(tmp_path, MARK + b"# a comment, and more\nra,dec\n1,2\n"))
    assert sources.ra.tolist() == [1.0]


@pytest.mark.parametrize("content", [MARK, MARK + b"\n", b"\n \n"])
def test_a_byte_order_mark_alone_is_an_empty_file(tmp_path, content):
    with pytest.raises(CatalogError, match=r"catalog.csv' is empty \(nothing but blanks\)"):
        read_sources(written(tmp_path, content, "catalog.csv"))


@pytest.mark.parametrize("level", [0, 6])
def test_a_damaged_gzip_is_called_so(tmp_path, level):
    content = gzip.compress(in_format(stars(), "ascii.csv", tmp_path), level)
    content = flipped(content, len(content) // 2, 4)
    with pytest.raises(
        CatalogError, match=r"catalog.csv.gz' cannot be read as gzip: it is damaged"
    ):
        read_sources(written(tmp_path, content, "catalog.csv.gz"))


@pytest.mark.parametrize("content", [b"\x1f\x8b", b"\x1f\x8b\x08", b"\x1f\x8b\x09" + bytes(30)])
def test_the_beginning_of_a_gzip(tmp_path, content):
    with pytest.raises(CatalogError, match="cannot be read as gzip: it is damaged or cut short"):
        read_sources(written(tmp_path, content))


@pytest.mark.parametrize("form", ["parquet", "fits"])
def test_the_checksum_of_a_gzip_counts_for_files_that_are_not_read_to_the_end(tmp_path, form):
    """Their own readers leave the last bytes, and with them gzip's checksum, alone."""
    table = pa.table({name: np.asarray(stars()[name]) for name in stars().colnames})
    if form == "parquet":
        pq.write_table(table, tmp_path / "as-it-was", compression="none", use_dictionary=False)
        plain = (tmp_path / "as-it-was").read_bytes()
    else:
        plain = in_format(stars(), form, tmp_path)
    content = gzip.compress(plain, 0)
    content = flipped(content, place_of_a_value(content, ">" if form == "fits" else "<"))
    with pytest.raises(CatalogError, match="cannot be read as gzip: it is damaged"):
        read_sources(written(tmp_path, content))


def test_the_checksum_of_a_fits_file_counts(tmp_path):
    table = stars()
    path = tmp_path / "catalog.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.table_to_hdu(table)]).writeto(path, checksum=True)
    np.testing.assert_array_equal(read_sources(path).ra, table["ra"])
    content = path.read_bytes()
    path.write_bytes(flipped(content, place_of_a_value(content, ">")))
    with pytest.raises(CatalogError, match=r"catalog.fits' .*(Checksum|Datasum) verification"):
        read_sources(path)


@pytest.mark.parametrize("change", ["removed", "added"])
def test_a_byte_too_few_or_too_many_in_a_fits_file(tmp_path, change):
    """All values behind it would be others."""
    content = in_format(stars(), "fits", tmp_path)
    place = place_of_a_value(content, ">")
    changed = content[:place] + (
        content[place + 1 :] if change == "removed" else b"x" + content[place:]
    )
    with pytest.raises(
        CatalogError, match=r"catalog.dat' cannot be read as FITS: it has \d+ bytes"
    ):
        read_sources(written(tmp_path, changed))


def test_the_checksums_of_parquet_pages_count(tmp_path):
    table = stars()
    arrow = pa.table({name: np.asarray(table[name]) for name in table.colnames})
    path = tmp_path / "catalog.parquet"
    pq.write_table(arrow, path, compression="none", use_dictionary=False, write_page_checksum=True)
    np.testing.assert_array_equal(read_sources(path).ra, table["ra"])
    content = path.read_bytes()
    path.write_bytes(flipped(content, place_of_a_value(content)))
    with pytest.raises(CatalogError, match=r"catalog.parquet' cannot be read as Parquet"):
        read_sources(path)


def asdf_file(tmp_path, tree, name="catalog.asdf"):
    with (tmp_path / name).open("wb") as file:
        asdf.AsdfFile(tree).write_to(file)
    return tmp_path / name


def test_the_checksums_of_asdf_blocks_count(tmp_path):
    path = asdf_file(tmp_path, {"stars": stars()})
    content = path.read_bytes()
    path.write_bytes(flipped(content, place_of_a_value(content)))
    with pytest.raises(CatalogError, match=r"catalog.asdf' does not match the checksum"):
        read_sources(path)


@pytest.mark.parametrize("byte", [0, 3])
def test_a_block_with_a_damaged_size_is_refused(tmp_path, byte):
    """asdf alone would ask for as much memory."""
    path = asdf_file(tmp_path, {"stars": stars()})
    content = path.read_bytes()
    size_in_file = content.index(b"\xd3BLK") + 6 + 16
    path.write_bytes(flipped(content, size_in_file + byte, 0x10))
    with pytest.raises(CatalogError, match=r"block 0 of .*catalog.asdf' has \d+ bytes"):
        read_sources(path)


@pytest.mark.parametrize("source", ["other.asdf", "file://{}/other.asdf", "http://localhost:9/x"])
def test_arrays_of_asdf_in_another_file_are_not_opened(tmp_path, source):
    asdf_file(tmp_path, {"x": np.ones(200)}, "other.asdf")
    path = asdf_file(tmp_path, {"stars": stars()})
    text = path.read_bytes().replace(b"source: 0", b"source: " + source.format(tmp_path).encode())
    path.write_bytes(text)
    with pytest.raises(
        CatalogError, match=r"catalog.asdf' is kept in another file, .*never opened"
    ):
        read_sources(path)


def test_a_tree_of_asdf_in_another_file_is_not_opened(tmp_path):
    asdf_file(tmp_path, {"stars": stars()}, "other.asdf")
    path = tmp_path / "catalog.asdf"
    path.write_text(
        "#ASDF 1.0.0\n#ASDF_STANDARD 1.5.0\n%YAML 1.1\n%TAG ! tag:stsci.edu:asdf/\n"
        "--- !core/asdf-1.1.0\nroman:\n  source_catalog:\n"
        f"    $ref: file://{tmp_path}/other.asdf#/stars\n...\n"
    )
    with pytest.raises(CatalogError, match=r"catalog.asdf' .*expected one table.*found none"):
        read_sources(path)


def test_a_table_that_asdf_understands_in_part_is_refused(tmp_path):
    path = asdf_file(tmp_path, {"stars": stars()})
    path.write_bytes(path.read_bytes().replace(b"tag:stsci.edu:asdf/", b"tag:stscm.edu:asdf/"))
    with pytest.raises(CatalogError, match=r"catalog.asdf' has a table with parts that are not"):
        read_sources(path)


def test_errors_within_a_reader_are_not_shown_as_they_are(tmp_path):
    """Such as asdf's TypeError, buffer is too small for requested array."""
    path = asdf_file(tmp_path, {"stars": stars()})
    path.write_bytes(path.read_bytes().replace(b"shape: [200]", b"shape: [999]"))
    with pytest.raises(
        CatalogError, match=r"catalog.asdf' cannot be read as ASDF: TypeError in it"
    ):
        read_sources(path)


@pytest.mark.parametrize("name", ["two\nlines.csv", "tab\there.csv", "bytes\udcff.csv"])
def test_errors_show_odd_names_on_one_line(tmp_path, name):
    path = tmp_path / name
    path.write_text("a,b\n1,2\n")
    with pytest.raises(CatalogError) as caught:
        read_sources(path)
    message = str(caught.value)
    assert "\n" not in message
    assert repr(name)[1:-1] in message
    message.encode()
    assert read_sources(path, x_column="a", y_column="b").name.encode()
