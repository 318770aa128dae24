"""Catalogs, selection and output formats through the step: by `strun` and in Python."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, Table
from astropy.units import Unit
from roman_datamodels import datamodels as rdm

from romancal_forcedphot import ForcedPhotometryStep, WarningFlag
from small import (
    CENTER,
    IMAGE,
    PLAIN,
    PLAIN_OPTIONS,
    PRODUCT,
    run_step,
    save_image,
    small_crds_cache,
)

STRUN = Path(sys.executable).with_name("strun")
STEM = Path(PRODUCT).stem
N_ROWS = 60
KEPT = ["type", "F106", "n", "good", "colour é"]


def catalog():
    """Positions on the image and around it, with truth, text, missing values and an odd name."""
    rng = np.random.default_rng(8)
    table = Table({"id": np.arange(N_ROWS) + 10**12})
    table["ra"] = CENTER[0] + rng.normal(0, 6e-3, N_ROWS)
    table["dec"] = CENTER[1] + rng.normal(0, 2e-3, N_ROWS)
    table["type"] = rng.choice(["PSF", "SERSIC"], N_ROWS)
    table["F106"] = rng.random(N_ROWS) * 1e-8
    table["F106"].unit = u.mgy
    table["n"] = MaskedColumn(np.arange(N_ROWS), mask=rng.random(N_ROWS) < 0.2, description="index")
    table["good"] = rng.random(N_ROWS) < 0.7
    table["colour é"] = np.array(["α" * (1 + i % 4) for i in range(N_ROWS)])
    return table


@pytest.fixture(autouse=True)
def _here(workplace):
    """An image and a catalog in the working directory, and no CRDS."""
    save_image(IMAGE)
    catalog().write("catalog.ecsv")


def product_of(**parameters):
    return run_step(IMAGE, "catalog.ecsv", **parameters)


def assert_same_table(found, expected):
    """Names, types, units and values; NaN for NaN."""
    assert found.colnames == expected.colnames
    for name in expected.colnames:
        assert found[name].dtype == expected[name].dtype, name
        assert Unit(found[name].unit or "") == Unit(expected[name].unit or ""), name
        np.testing.assert_array_equal(np.ma.getmaskarray(found[name]), mask_of(expected[name]))
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def mask_of(column):
    return np.ma.getmaskarray(column)


@pytest.mark.slow
def test_strun_writes_parquet_that_all_readers_read_as_the_same_table():
    """One run with everything that a command line can say; the product in ASDF is the oracle."""
    chosen = "type == 'PSF' and F106 > 1e-9 or not good"
    options = [
        *PLAIN_OPTIONS,
        f"--select={chosen}",
        "--keep_columns=" + ",".join(name for name in KEPT if name != "n"),
        "--on_image_only=True",
        "--output_units=maggy",
        "--output_ext=.parquet",
    ]
    command = [STRUN, "forced_phot", IMAGE, "--catalog=catalog.ecsv", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    files = {path.name for path in Path().iterdir()}
    assert files == {IMAGE, "catalog.ecsv", f"{STEM}.parquet"}
    kept = [name for name in KEPT if name != "n"]
    product = product_of(
        select=chosen,
        keep_columns=kept,
        on_image_only=True,
        output_units="maggy",
        output_ext="asdf",
    )
    expected = product.source_catalog
    assert 5 < len(expected) < N_ROWS / 2
    path = f"{STEM}.parquet"
    assert_same_table(Table.read(path), expected)
    arrow, frame = pq.read_table(path, use_threads=False), pd.read_parquet(path)
    assert arrow.column_names == list(frame.columns) == expected.colnames
    for name in expected.colnames:
        np.testing.assert_array_equal(arrow[name].to_numpy(), expected[name])
        np.testing.assert_array_equal(frame[name].to_numpy(), expected[name])
        unit = arrow.schema.field(name).metadata[b"unit"].decode()
        assert Unit("" if unit == "None" else unit) == Unit(expected[name].unit or "")
    meta = arrow.schema.metadata
    assert meta[b"roman.meta.filename"].decode() == path
    assert meta[b"roman.meta.forced_phot.flux_unit"] == b"mgy"
    assert meta[b"roman.meta.forced_phot.parameters.select"].decode() == chosen
    n_selected = np.sum(
        (catalog()["type"] == "PSF") & (catalog()["F106"] > 1e-9) | ~catalog()["good"]
    )
    rows = f"{N_ROWS} rows read, {n_selected} selected, {len(expected)} on the detector"
    assert rows in done.stderr
    assert f"left out {n_selected - len(expected)} rows" in done.stderr
    assert int(meta[b"roman.meta.forced_phot.catalog.n_selected"]) == n_selected


def test_kept_columns_stand_beside_the_fluxes_in_the_file():
    product = product_of(keep_columns=KEPT, save_results=True)
    with rdm.open(f"{STEM}.asdf") as opened:
        found = opened.source_catalog
        assert found.colnames == product.source_catalog.colnames
        assert found.colnames[-len(KEPT) :] == KEPT
        for name in KEPT:
            column = catalog()[name]
            assert (found[name].dtype, found[name].unit) == (column.dtype, column.unit)
            np.testing.assert_array_equal(np.ma.getmaskarray(found[name]), mask_of(column))
            np.testing.assert_array_equal(found[name], column)
        assert found["n"].description == "index"
        assert opened.meta.forced_phot.catalog.n_read == N_ROWS
        assert list(opened.meta.forced_phot.parameters.keep_columns) == KEPT


def test_missing_numbers_are_null_in_parquet():
    product = product_of(keep_columns=["n"], save_results=True, output_ext="parquet")
    missing = mask_of(product.source_catalog["n"])
    column = pq.read_table(f"{STEM}.parquet", use_threads=False)["n"]
    assert missing.any()
    assert [value is None for value in column.to_pylist()] == list(missing)
    found = pd.read_parquet(f"{STEM}.parquet")["n"]
    np.testing.assert_array_equal(found.isna(), missing)
    np.testing.assert_array_equal(found[~missing], np.arange(N_ROWS)[~missing])


@pytest.mark.parametrize("name", ["uJy", "mJy", "Jy", "maggy", "ABmag"])
def test_fluxes_in_other_units_are_the_same_fluxes(name):
    expected = product_of(bkg_estimator="median").source_catalog
    product = product_of(output_units=name)
    product.validate()
    table = product.source_catalog
    unit = {"maggy": u.mgy, "ABmag": u.nJy}.get(name) or Unit(name)
    assert Unit(product.meta.forced_phot.flux_unit) == unit
    zero_point = u.zero_point_flux(3630.7805477 * u.Jy)
    for column in ("aper3pix_flux", "aper3pix_total_flux_err"):
        assert table[column].unit == unit
        fluxes = u.Quantity(table[column]).to_value(u.nJy, zero_point)
        np.testing.assert_allclose(fluxes, expected[column], rtol=3e-7)
    assert table["aper_bkg_flux"].unit == unit / u.arcsec**2
    for column in ("aper3pix_abmag", "aper3pix_abmag_err", "aper3pix_ee_fraction", "warning_flags"):
        np.testing.assert_array_equal(table[column], expected[column])
    positive = np.isfinite(table["aper3pix_abmag"])
    magnitudes = (
        u.Quantity(table["aper3pix_total_flux"][positive]).to(u.nJy, zero_point).to(u.ABmag)
    )
    np.testing.assert_allclose(magnitudes.value, table["aper3pix_abmag"][positive], atol=2e-5)


def test_parameters_survive_a_parameter_file():
    chosen = {"select": "type == 'PSF' and n > 3", "keep_columns": ["type", "colour é"]}
    chosen |= {"on_image_only": True, "output_units": "maggy", "output_ext": ".parquet"}
    step = ForcedPhotometryStep(catalog="catalog.ecsv", **PLAIN, **chosen)
    step.export_config("pars.asdf", include_metadata=True)
    again = ForcedPhotometryStep.from_config_file("pars.asdf")
    assert {name: getattr(again, name) for name in chosen} == chosen
    assert again.get_pars() == step.get_pars()


def test_only_rows_on_the_image():
    everything = product_of().source_catalog
    on_image = (everything["warning_flags"] & WarningFlag.NOT_PLACED) == 0
    product = product_of(on_image_only=True)
    assert 0 < on_image.sum() < N_ROWS
    assert_same_table(product.source_catalog, everything[on_image])
    counts = product.meta.forced_phot.catalog
    assert (counts.n_read, counts.n_selected, counts.n_rows) == (N_ROWS, N_ROWS, on_image.sum())
    assert any(f"left out {N_ROWS - on_image.sum()} rows" in line for line in product.meta.cal_logs)


def test_nothing_selected_gives_a_valid_empty_product():
    product = product_of(
        select="F106 > 1", keep_columns=KEPT, save_results=True, output_ext="parquet"
    )
    assert len(product.source_catalog) == 0
    assert len(pq.read_table(f"{STEM}.parquet")) == 0
    assert any("No source of catalog" in line for line in product.meta.cal_logs)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"select": "flux > 3"}, "no column 'flux', named by select: expected one of.* F106"),
        ({"keep_columns": "type,flux"}, "no column 'flux', named by keep_columns"),
        ({"keep_columns": "type,ra"}, "keep_columns names 'ra', as the product's own"),
        ({"output_ext": ".fits"}, r"output_ext is '.fits': expected .asdf or .parquet"),
    ],
)
def test_what_cannot_be_had_is_said_before_anything_is_written(parameters, said):
    with pytest.raises(ValueError, match=said):
        product_of(**parameters, save_results=True)
    assert {path.name for path in Path().iterdir()} == {IMAGE, "catalog.ecsv"}


@pytest.mark.slow
def test_examples_of_the_page(tmp_path):
    """Its commands and Python, as they stand there, in this order."""
    page = Path(__file__).parents[2] / "docs" / "howto" / "catalogs.md"
    section = page.read_text(encoding="utf-8")
    prose, python = re.split(r"```python\n|```\n", section)[:2]
    commands = re.findall(r"^    (strun .*)", prose, re.MULTILINE)
    assert len(commands) == 2
    save_image("IMAGE_cal.asdf")
    path = os.pathsep.join([os.fspath(STRUN.parent), os.environ["PATH"]])
    environment = os.environ | small_crds_cache(tmp_path / "crds") | {"PATH": path}
    Path("example.py").write_text(python)
    script = "\n".join([*commands, "python example.py"])
    done = subprocess.run(
        ["bash", "-e", "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    with rdm.open("IMAGE_forcedphot.asdf") as product:
        assert set(product.source_catalog["type"]) == {"PSF"}
        assert product.source_catalog["F106"].min() > 1e-9
    table = pq.read_table("IMAGE_forcedphot.parquet", use_threads=False)
    assert 0 < len(table) < N_ROWS
    assert table.schema.field("aper3pix_flux").metadata[b"unit"] == b"mgy"
