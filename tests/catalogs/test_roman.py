"""Roman source catalogs, files or models, and HATS directories give the rows written to them."""

from __future__ import annotations

import logging

import asdf
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Column, Table
from roman_datamodels import datamodels as rdm

from romancal_forcedphot import ForcedPhotometryStep
from romancal_forcedphot.catalogs import CatalogError, read_sources
from romancal_forcedphot.pipeline.descriptors import InMemoryCatalog
from small import CENTER, PLAIN, level2_image, run_step


def roman_catalog(n_rows=20):
    """A catalog model of RAD as romancal writes it: all its columns, values of its types."""
    image = rdm.ImageModel.create_fake_data(shape=(8, 8))
    model = rdm.ImageSourceCatalogModel.create_minimal({"meta": image.meta})
    model.meta.filename = "r0003201001001001004_0001_wfi01_f106_cat.parquet"
    rng = np.random.default_rng(14)
    columns = model.create_empty_catalog().itercols()
    model.source_catalog = Table(
        [
            Column(
                rng.integers(1, 100, n_rows).astype(column.dtype),
                name=column.name,
                unit=column.unit,
            )
            for column in columns
        ]
    )
    table = model.source_catalog
    table["ra"] = CENTER[0] + rng.normal(0, 3e-3, n_rows)
    table["dec"] = CENTER[1] + rng.normal(0, 1e-3, n_rows)
    table["ra"].unit = table["dec"].unit = "deg"
    table["label"] = np.arange(5, 5 + n_rows, dtype="int32")
    return model


@pytest.mark.parametrize("extension", ["parquet", "asdf"])
def test_files_of_roman_source_catalogs(tmp_path, extension):
    model = roman_catalog()
    path = tmp_path / f"r0003201001001001004_0001_wfi01_f106_cat.{extension}"
    model.save(path)
    keep = ["kron_flux", "is_extended", "ra_centroid"]
    sources = read_sources(path, keep_columns=keep, select="label > 7")
    expected = model.source_catalog[3:]
    np.testing.assert_array_equal(sources.label, expected["label"])
    np.testing.assert_array_equal(sources.ra, expected["ra"])
    np.testing.assert_array_equal(sources.dec, expected["dec"])
    for name in keep:
        unit = None if name == "is_extended" else expected[name].unit  # which RAD calls none
        assert sources.columns[name].unit == unit
        np.testing.assert_array_equal(sources.columns[name], expected[name])


def test_other_positions_of_a_roman_catalog():
    model = roman_catalog()
    names = {"ra_column": "ra_centroid", "dec_column": "dec_centroid"}
    sources = read_sources(model, **names)
    np.testing.assert_array_equal(sources.dec, model.source_catalog["dec_centroid"])
    model.source_catalog.remove_columns(["ra", "dec"])
    np.testing.assert_array_equal(read_sources(model).dec, model.source_catalog["dec_centroid"])


def test_a_model_that_is_read_lazily(tmp_path):
    model = roman_catalog()
    model.save(tmp_path / "cat.asdf")
    with rdm.open(tmp_path / "cat.asdf") as opened:
        sources = read_sources(opened)
    np.testing.assert_array_equal(sources.ra, model.source_catalog["ra"])
    assert sources.name == "cat.asdf"


def in_memory():
    """The same positions as a model, a table and coordinate objects."""
    model = roman_catalog()
    table = model.source_catalog["label", "ra", "dec"]
    sky = SkyCoord(table["ra"], table["dec"])
    return model, {"model": model, "table": table, "SkyCoord": sky, "galactic": sky.galactic}


@pytest.mark.usefixtures("workplace")
@pytest.mark.parametrize("kind", ["model", "table", "SkyCoord", "galactic"])
def test_catalogs_in_python_through_the_step(kind):
    model, catalogs = in_memory()
    image = level2_image()
    for product in (
        run_step(image, catalogs[kind]),
        ForcedPhotometryStep(catalog=catalogs[kind], **PLAIN).run(image),
    ):
        table = product.source_catalog
        np.testing.assert_allclose(table["ra"], model.source_catalog["ra"], rtol=0, atol=1e-11)
        np.testing.assert_allclose(table["dec"], model.source_catalog["dec"], rtol=0, atol=1e-11)
        first = 5 if kind in ("model", "table") else 1
        np.testing.assert_array_equal(table["label"], np.arange(first, first + 20))


def test_names_of_catalogs_in_memory():
    model, catalogs = in_memory()
    assert str(InMemoryCatalog.wrap(model)) == model.meta.filename
    assert str(InMemoryCatalog.wrap(catalogs["SkyCoord"])) == "SkyCoord of 20 positions in memory"
    for other in (level2_image(), 5, None, ["a.ecsv"]):
        assert InMemoryCatalog.wrap(other) is other


def test_a_model_without_a_catalog_is_refused():
    with pytest.raises(CatalogError, match=r"catalog is a ImageModel: expected .*Roman catalog"):
        read_sources(level2_image())


def test_a_product_of_ours_is_a_catalog(workplace):
    table = roman_catalog().source_catalog["label", "ra", "dec"]
    product = ForcedPhotometryStep(catalog=table, **PLAIN).run(level2_image())
    for name in ("product.asdf", "product.parquet"):
        product.save(name)
        sources = read_sources(name)
        np.testing.assert_array_equal(sources.ra, table["ra"])
        np.testing.assert_array_equal(sources.label, table["label"])


def test_other_asdf_files(tmp_path):
    table = Table({"ra": [1.0, 2.0], "dec": [3.0, 4.0]})
    path = tmp_path / "catalog.asdf"
    asdf.AsdfFile({"stars": table, "author": "me"}).write_to(path)
    np.testing.assert_array_equal(read_sources(path).ra, [1, 2])
    asdf.AsdfFile({"stars": table, "more": table.copy()}).write_to(path)
    with pytest.raises(CatalogError, match=r"expected one table .*found (stars, more|more, stars)"):
        read_sources(path)
    level2_image().save(path)
    with pytest.raises(CatalogError, match=r"catalog.asdf.*roman.source_catalog, but found none"):
        read_sources(path)


# --- HATS ----------------------------------------------------------------------------------


def sky_table(n_rows=50):
    rng = np.random.default_rng(77)
    return Table(
        {
            "_healpix_29": np.arange(n_rows),
            "object": rng.integers(2**53, 2**63 - 1, n_rows),
            "RA_deg": rng.uniform(0, 360, n_rows),
            "Dec_deg": rng.uniform(-90, 90, n_rows),
            "mag": rng.normal(20, 1, n_rows).astype("float32"),
        }
    )


def write_part(table, path, lightcurves=False):
    """A part as hats-import writes it, with nested columns if asked for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {name: np.asarray(table[name]) for name in table.colnames}
    if lightcurves:
        columns["lightcurve"] = [{"time": [1.0, 2.0], "flux": [0.5, None]}] * len(table)
    pq.write_table(pa.table(columns), path)


def write_hats(directory, table, *, properties="hats.properties", parts=False):
    """A HATS catalog of three partitions with all that lies beside them."""
    dataset = directory / "dataset"
    pieces = {
        "Norder=0/Dir=0/Npix=9": table[:20],
        "Norder=0/Dir=0/Npix=10": table[20:21],
        "Norder=1/Dir=0/Npix=44": table[21:],
    }
    for place, piece in pieces.items():
        path = dataset / place / "part0.parquet" if parts else dataset / f"{place}.parquet"
        write_part(piece, path, lightcurves=True)
    write_part(table[:0], dataset / "_metadata")
    write_part(table[:0], dataset / "_common_metadata")
    write_part(table[:3], dataset / "data_thumbnail.parquet")
    (directory / "partition_info.csv").write_text("Norder,Npix\n0,9\n0,10\n1,44\n")
    (directory / properties).write_text(
        "#HATS catalog\nobs_collection=test\ndataproduct_type = object\n"
        "hats_col_ra=RA_deg\nhats_col_dec=Dec_deg\nhats_nrows=50\n"
    )


@pytest.mark.parametrize("parts", [False, True])
@pytest.mark.parametrize("properties", ["hats.properties", "properties"])
def test_a_hats_catalog(tmp_path, properties, parts):
    table = sky_table()
    write_hats(tmp_path / "survey", table, properties=properties, parts=parts)
    sources = read_sources(
        f"{tmp_path}/survey/", label_column="object", keep_columns=["mag"], select="mag < 20.5"
    )
    expected = table[np.asarray(table["mag"]) < 20.5]
    np.testing.assert_array_equal(sources.ra, expected["RA_deg"])
    np.testing.assert_array_equal(sources.dec, expected["Dec_deg"])
    np.testing.assert_array_equal(sources.label, expected["object"])
    np.testing.assert_array_equal(sources.columns["mag"], expected["mag"])
    assert sources.name == "survey"


def test_columns_that_the_user_names_win_over_those_of_the_catalog(tmp_path):
    table = sky_table()
    table["ra2"] = table["RA_deg"] / 2
    write_hats(tmp_path / "survey", table)
    sources = read_sources(tmp_path / "survey", ra_column="ra2", dec_column="dec_deg")
    np.testing.assert_array_equal(sources.ra, table["ra2"])


def test_a_hats_collection(tmp_path):
    table = sky_table()
    write_hats(tmp_path / "collection" / "objects", table)
    write_hats(tmp_path / "collection" / "objects_margin", table[:22])
    (tmp_path / "collection" / "collection.properties").write_text(
        "obs_collection=all\nhats_primary_table_url=objects\nall_margins=objects_margin\n"
    )
    np.testing.assert_array_equal(read_sources(tmp_path / "collection").ra, table["RA_deg"])


def test_a_single_partition(tmp_path):
    table = sky_table()
    write_hats(tmp_path / "survey", table)
    path = tmp_path / "survey/dataset/Norder=1/Dir=0/Npix=44.parquet"
    sources = read_sources(path, ra_column="RA_deg", dec_column="Dec_deg")
    np.testing.assert_array_equal(sources.ra, table["RA_deg"][21:])


def test_a_plain_directory_of_parts_with_nulls_and_units(tmp_path):
    table = sky_table()
    table.rename_columns(["RA_deg", "Dec_deg"], ["ra", "dec"])
    table["ra"].unit = u.deg
    for i in range(12):
        table[4 * i : 4 * i + 4].write(tmp_path / f"part-{i}.parquet")
    pq.write_table(
        pa.table({"dec": [1.0, None], "ra": pa.array([1.0, 2.0])}), tmp_path / "part-12.parquet"
    )
    sources = read_sources(tmp_path)
    np.testing.assert_array_equal(sources.ra, [*table["ra"][:48], 1.0, 2.0])
    np.testing.assert_array_equal(sources.dec, [*table["dec"][:48], 1.0, np.nan])


def test_directories_that_are_no_catalog(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CatalogError, match="empty' is a directory without Parquet files"):
        read_sources(tmp_path / "empty")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "part.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(CatalogError, match=r"broken' cannot be read as Parquet"):
        read_sources(tmp_path / "broken")
    write_part(Table({"a": [1]}), tmp_path / "blind" / "part.parquet")
    with pytest.raises(CatalogError, match=r"blind' has no sky or pixel positions.*columns, a"):
        read_sources(tmp_path / "blind")


def test_what_is_read_is_logged(tmp_path, caplog):
    write_hats(tmp_path / "survey", sky_table())
    with caplog.at_level(logging.INFO):
        read_sources(tmp_path / "survey")
    assert "'RA_deg' and 'Dec_deg'" in caplog.text
