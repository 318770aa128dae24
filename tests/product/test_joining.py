"""Products of several filters side by side: colours, formats, and what does not match."""

from __future__ import annotations

import re

import asdf
import numpy as np
import pytest
from astropy.table import Table

from romancal_forcedphot import ForcedPhotometryStep
from romancal_forcedphot.product.join_cli import main
from romancal_forcedphot.product.joining import BandTable, JoinError, join_bands
from small import CENTER
from small_mosaic import level3_mosaic

N = 5


@pytest.fixture(scope="module")
def products(tmp_path_factory):
    """Paths of products of mosaics in two filters, one in Parquet, and of fewer sources."""
    directory = tmp_path_factory.mktemp("bands")
    catalog = Table({"ra": CENTER[0] + np.arange(N) * 1e-5, "dec": np.full(N, CENTER[1])})
    paths = {}
    for name, band, rows in (("blue", "F106", N), ("red", "F158", N), ("few", "F158", 3)):
        mosaic = level3_mosaic(seed=rows + len(name))
        mosaic.meta.instrument.optical_element = band
        product = ForcedPhotometryStep.call(
            mosaic, catalog=catalog[:rows], aperture_correction="none", configure_log=False
        )
        paths[name] = directory / f"{name}_forcedphot.asdf"
        product.save(paths[name])
        if name == "red":
            paths["parquet"] = directory / "red_forcedphot.parquet"
            product.to_parquet(paths["parquet"])
    return paths


def band(name, magnitudes, errors=0.1, **more):
    n = len(magnitudes)
    columns = {"label": np.arange(n), "ra": np.full(n, 10.0), "dec": np.full(n, 0.0)}
    for quantity in ("kron", "model"):
        columns[f"{quantity}_abmag"] = np.array(magnitudes, dtype=np.float32)
        columns[f"{quantity}_abmag_err"] = np.full(n, errors, dtype=np.float32)
    return BandTable(Table(columns | more), name, f"{name}.asdf")


def test_colours_are_differences_with_the_errors_of_both():
    joined = join_bands(
        [band("F106", [20, 21.5], 0.3), band("F158", [19, np.nan], 0.4), band("F184", [18, 18])]
    )
    np.testing.assert_allclose(joined["kron_f106_f158"], [1.0, np.nan])
    np.testing.assert_allclose(joined["kron_f106_f158_err"], [0.5, 0.5], rtol=1e-6)
    np.testing.assert_allclose(joined["model_f158_f184"], [1.0, np.nan])
    assert "kron_f106_f184" not in joined.colnames
    assert joined["kron_f106_f158"].unit == "mag"


@pytest.mark.parametrize("suffix", [".ecsv", ".parquet", ".asdf"])
@pytest.mark.parametrize("red", ["red", "parquet"])
def test_the_command_writes_one_table(products, tmp_path, capsys, suffix, red):
    output = tmp_path / f"bands{suffix}"
    output.write_text("old")
    assert main([str(products["blue"]), str(products[red]), f"--output={output}"]) == 0
    assert "colours: aper0p33arcsec_f106_f158\n" in capsys.readouterr().out
    if suffix == ".asdf":
        with asdf.open(output) as file:
            table = Table(file["table"], copy=True)
    else:
        table = Table.read(output)
    assert table["label"].tolist() == list(range(1, N + 1))
    expected = table["f106_aper0p33arcsec_abmag"] - table["f158_aper0p33arcsec_abmag"]
    np.testing.assert_array_equal(table["aper0p33arcsec_f106_f158"], np.asarray(expected))
    assert table["f158_aper0p33arcsec_flux"].unit == "nJy"
    assert [path.name for path in tmp_path.iterdir()] == [output.name]


REFUSED = {
    "one": ([band("F106", [20])], "there is 1 product"),
    "one filter": ([band("F106", [20]), band("F106", [20])], "both have columns .* --names"),
    "no filter": ([band("", [20]), band("F106", [20])], "begin with ''.* --names"),
    "rows": ([band("F106", [20]), band("F158", [20, 21])], "1 rows and F158.asdf has 2.*select"),
    "labels": (
        [band("F106", [20, 20]), band("F158", [20, 20], label=[0, 7])],
        "row 2 has label 1 in F106.asdf and 7 in F158.asdf",
    ),
    "names": (
        [band("F106", [20]), band("F158", [20], source_name=["a"])],
        "row 1 has source_name",
    ),
    "places": ([band("F106", [20]), band("F158", [20], ra=[10.1])], "row 1 is 360 arcsec apart"),
}


@pytest.mark.parametrize(("bands", "message"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_match_is_told_in_one_line(bands, message):
    with pytest.raises(JoinError, match=message) as caught:
        join_bands(bands)
    assert "\n" not in str(caught.value)


def test_products_of_one_filter_are_told_apart_by_names():
    joined = join_bands([band("F106", [20]), band("F106", [19])], ["early", "late"])
    assert joined["kron_early_late"][0] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["blue", "few", "--output=a.ecsv"], "5 rows and .*few_forcedphot.asdf' has 3"),
        (["blue", "red", "--output=a.csv"], r"suffix '.csv': expected one of .ecsv"),
        (["blue", "lost", "--output=a.ecsv"], "lost"),
        (["blue", "red", "--names=a", "--output=a.ecsv"], "1 entries for 2"),
    ],
)
def test_the_command_fails_in_one_line(products, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    arguments = [str(products.get(argument, argument)) for argument in arguments]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1

    assert re.search(message, error)
    assert list(tmp_path.iterdir()) == []
