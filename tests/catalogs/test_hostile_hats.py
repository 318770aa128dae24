"""Directories of Parquet files: nothing outside is read, nothing twice, nothing for ever."""

from __future__ import annotations

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from romancal_forcedphot.catalogs import CatalogError, read_sources


def write_part(path, *, unit="deg", **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({"ra": [1.0, 2.0], "dec": [3.0, 4.0]} | columns)
    fields = [field.with_metadata({"unit": unit}) for field in table.schema]
    pq.write_table(table.cast(pa.schema(fields)), path)


@pytest.fixture
def survey(tmp_path):
    """A HATS catalog of one partition, and beside it another catalog."""
    write_part(tmp_path / "survey/dataset/Norder=0/Npix=1.parquet")
    write_part(tmp_path / "other/Norder=0/Npix=1.parquet")
    return tmp_path / "survey"


@pytest.mark.parametrize("target", ["../other", "{}/other"])
def test_a_main_catalog_elsewhere_is_refused(survey, target):
    (survey / "collection.properties").write_text(
        f"hats_primary_table_url={target.format(survey.parent)}\n"
    )
    with pytest.raises(CatalogError, match=r"survey' leads out of its directory: .*not opened"):
        read_sources(survey)


def test_a_part_elsewhere_is_refused(survey):
    link = survey / "dataset/Norder=0/Npix=2.parquet"
    link.symlink_to(survey.parent / "other/Norder=0/Npix=1.parquet")
    with pytest.raises(CatalogError, match=r"leads out of its directory: '.*Npix=2.parquet' is"):
        read_sources(survey)


def test_a_partition_elsewhere_is_refused(survey):
    (survey / "dataset/Norder=1").symlink_to(survey.parent / "other")
    with pytest.raises(CatalogError, match=r"leads out of its directory: '.*Norder=1' is"):
        read_sources(survey)


def test_properties_elsewhere_are_refused(survey):
    (survey.parent / "secret").write_text("hats_col_ra=ra\n")
    (survey / "hats.properties").symlink_to(survey.parent / "secret")
    with pytest.raises(CatalogError, match=r"leads out of its directory: '.*hats.properties' is"):
        read_sources(survey)


@pytest.mark.parametrize("target", [".", ".."])
def test_a_circle_of_links_is_refused(survey, target):
    (survey / "dataset/Norder=0/Dir=0").symlink_to(target)
    with pytest.raises(CatalogError, match=r"survey' comes to .* twice.*round in a circle"):
        read_sources(survey)


def test_a_part_that_stands_there_twice_is_refused(survey):
    (survey / "dataset/Norder=0/Npix=2.parquet").symlink_to("Npix=1.parquet")
    with pytest.raises(CatalogError, match=r"comes to .*Npix=1.parquet' twice"):
        read_sources(survey)


def test_a_pipe_is_no_part(survey):
    os.mkfifo(survey / "dataset/Norder=0/Npix=2.parquet")
    with pytest.raises(CatalogError, match=r"Npix=2.parquet', which is no file"):
        read_sources(survey)


def test_parts_of_different_units_are_refused(survey):
    write_part(survey / "dataset/Norder=0/Npix=2.parquet", unit="rad")
    with pytest.raises(CatalogError, match=r"survey' has a part, '.*Npix=2.parquet', with .* rad"):
        read_sources(survey)


def test_a_part_without_a_needed_column_is_refused(survey):
    write_part(survey / "dataset/Norder=0/Npix=2.parquet", id=[5, 6])
    with pytest.raises(CatalogError, match=r"has a part, '.*Npix=2.parquet', .*column 'id'"):
        read_sources(survey)


def test_names_with_other_digits(tmp_path):
    """Which Python takes for digits, but not for numbers."""
    write_part(tmp_path / "survey/1²3.parquet")
    write_part(tmp_path / "survey/1.parquet")
    assert len(read_sources(tmp_path / "survey")) == 4
