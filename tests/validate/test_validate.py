"""The command and its parts against tables whose differences are known."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table
from matplotlib.image import imread

from romancal_forcedphot import ForcedPhotometryModel, convert_flux, validate
from romancal_forcedphot.validate import ValidationError, compare, main
from small import level2_image, output_columns

N = 300


@pytest.fixture(scope="module")
def truth():
    """Stars of 18 to 22 mag, 2 arcsec apart, some of them galaxies."""
    rng = np.random.default_rng(6)
    magnitude = rng.uniform(18, 22, N)
    row = np.arange(N)
    table = Table({"ra": 10 + row * 2 / 3600, "dec": np.full(N, 0.1), "source_id": 1000 + row})
    table["F106"] = 10 ** (-0.4 * magnitude)
    table["type"] = np.where(row % 10 == 0, "SER", "PSF")
    return table


def product(truth, *, offset=0.0, width=1.0, seed=1):
    """A product of the truth: fluxes off by `offset` mag, scattered by `width` errors."""
    rng = np.random.default_rng(seed)
    table = Table()
    for column in output_columns([3.0, 5.0]):
        if column.dtype != "str":
            table[column.name] = np.zeros(len(truth), dtype=column.dtype)
            table[column.name].unit = column.unit or None
    flux = truth["F106"] * (0 * u.ABmag).to_value(u.nJy)
    err = np.maximum(0.002 * flux, 5.0)
    for name in ("ra", "dec"):
        table[name][:] = truth[name]
    table["label"][:] = truth["source_id"]
    table["x"][:], table["y"][:] = rng.uniform(0, 4087, (2, len(truth)))
    for name, factor in (("aper3pix", 1.0), ("aper5pix", 1.1)):
        scattered = flux + width * err * rng.normal(size=len(truth))
        table[f"{name}_total_flux"][:] = factor * scattered * 10 ** (-0.4 * offset)
        table[f"{name}_total_flux_err"][:] = err
    provenance = {
        "methods": ["aperture"],
        "parameters": {},
        "aperture_radii": [3.0, 5.0],
        "aperture_radius_unit": "pixel",
        "ee_fractions": [0.8, 0.9],
        "catalog": {"name": "truth", "n_rows": N, "n_on_image": N, "n_flagged": 0},
        "pixel_area": {"source": "none"},
        "aperture_correction": {"source": "none"},
    }
    return ForcedPhotometryModel.from_image(level2_image((8, 8)).meta, table, provenance)


@pytest.fixture
def files(tmp_path, monkeypatch, truth):
    """A product that is 0.01 mag too faint, and the truth, in the working directory."""
    monkeypatch.chdir(tmp_path)
    product(truth, offset=0.01).save("a_forcedphot.asdf")
    truth.write("truth.ecsv")
    return tmp_path


def test_offsets_and_pulls_are_those_that_were_put_in(truth):
    comparison = compare(product(truth, offset=0.01), truth)
    assert comparison.good().sum() == N
    np.testing.assert_allclose(comparison.magnitude, -2.5 * np.log10(truth["F106"]), atol=1e-6)
    assert np.median(comparison.offset) == pytest.approx(0.01, abs=0.001)
    exact = compare(product(truth, width=0.0), truth)
    np.testing.assert_allclose(exact.offset, 0, atol=1e-6)
    wide = compare(product(truth, width=3.0), truth)
    assert wide.pull.std() == pytest.approx(3.0, rel=0.15)


def test_another_aperture(truth):
    found = compare(product(truth, width=0.0), truth, aperture="aper5pix").offset
    np.testing.assert_allclose(found, -2.5 * np.log10(1.1), atol=1e-6)
    with pytest.raises(ValidationError, match="has no aperture 'aper4pix': it has aper3pix, aper5"):
        compare(product(truth), truth, aperture="aper4pix")


def test_rows_are_matched_by_position_in_any_order(truth):
    shuffled = truth[np.random.default_rng(0).permutation(N)[:200]]
    shuffled["dec"] += 0.05 / 3600
    comparison = compare(product(truth, width=0.0), shuffled)
    assert len(comparison.row) == 200
    np.testing.assert_allclose(comparison.offset, 0, atol=1e-6)
    assert len(compare(product(truth), shuffled, match_radius=0.04).row) == 0


def test_rows_are_matched_by_label_wherever_they_are(truth):
    moved = truth[::-1][:50]
    moved["ra"] += 1.0
    comparison = compare(product(truth, width=0.0), moved, match="label")
    np.testing.assert_array_equal(np.sort(comparison.label), np.sort(moved["source_id"]))
    np.testing.assert_allclose(comparison.offset, 0, atol=1e-6)


def test_rows_of_the_reference_are_selected(truth):
    comparison = compare(product(truth), truth, select="type == 'PSF' and source_id >= 1050")
    np.testing.assert_array_equal(
        np.sort(comparison.label), [i for i in range(1050, 1000 + N) if i % 10]
    )
    with pytest.raises(ValidationError, match=r"no column 'kind'.*--select"):
        compare(product(truth), truth, select="kind == 'PSF'")


@pytest.mark.parametrize("unit", ["Jy", "maggy"])
def test_products_in_other_units(truth, unit):
    model = product(truth, width=0.0)
    expected = compare(model, truth).pull
    for name in ("aper3pix_total_flux", "aper3pix_total_flux_err"):
        column = model.source_catalog[name]
        column[:] = convert_flux(column, "nJy", unit)
        column.unit = u.Unit("mgy" if unit == "maggy" else unit)
    found = compare(model, truth)
    np.testing.assert_allclose(found.offset, 0, atol=1e-6)
    np.testing.assert_allclose(found.pull, expected, atol=1e-3)


def test_labels_must_be_unique(truth):
    twice = truth.copy()
    twice["source_id"][1] = twice["source_id"][0]
    with pytest.raises(ValidationError, match="same id in several rows"):
        compare(product(truth), twice, match="label")


def test_text_ids_need_names_in_the_product(truth):
    named = truth.copy()
    named["source_id"] = [f"star {row}" for row in range(N)]
    with pytest.raises(ValidationError, match="product has no source_name"):
        compare(product(truth), named, match="label")


@pytest.mark.parametrize(
    ("unit", "values"),
    [
        ("maggy", lambda m: 10 ** (-0.4 * m)),
        ("ABmag", lambda m: m),
        ("nJy", lambda m: 10 ** (-0.4 * (m - 31.4))),
        ("uJy", lambda m: 10 ** (-0.4 * (m - 23.9))),
        ("Jy", lambda m: 10 ** (-0.4 * (m - 8.9))),
    ],
)
def test_units(truth, unit, values):
    reference = truth["ra", "dec"]
    magnitude = -2.5 * np.log10(np.asarray(truth["F106"]))
    reference["brightness"] = values(magnitude)
    options = {"reference_column": "BRIGHTNESS", "reference_unit": unit}
    comparison = compare(product(truth, width=0.0), reference, **options)
    np.testing.assert_allclose(comparison.offset, 0, atol=1e-5)


@pytest.mark.parametrize("unit", [u.nJy, u.Jy, u.ABmag])
def test_a_unit_of_the_column_is_understood(truth, unit):
    reference = truth["ra", "dec"]
    flux = np.asarray(truth["F106"]) * (0 * u.ABmag).to(u.nJy)
    reference["f106"] = flux.to_value(unit)
    reference["f106"].unit = unit
    comparison = compare(product(truth, width=0.0), reference)
    np.testing.assert_allclose(comparison.offset, 0, atol=1e-5)


def test_a_unit_that_cannot_be_told_is_asked_for(truth):
    reference = truth["ra", "dec"]
    reference["F106"] = np.linspace(18, 22, N)
    with pytest.raises(ValidationError, match=r"no unit.*--reference_unit, one of maggy, nJy"):
        compare(product(truth), reference)
    reference["F106"].unit = u.s
    with pytest.raises(ValidationError, match="the unit s: expected"):
        compare(product(truth), reference)


def test_a_missing_column_is_asked_for(truth):
    with pytest.raises(ValidationError, match=r"no column 'F106'.*ra, dec.*--reference_column"):
        compare(product(truth), truth["ra", "dec"])


def test_flux_that_is_not_positive_is_infinitely_faint(truth):
    model = product(truth, width=0.0)
    model.source_catalog["aper3pix_total_flux"][:2] = [-5.0, np.nan]
    model.source_catalog["warning_flags"][2] = 16
    comparison = compare(model, truth)
    assert comparison.offset[0] == np.inf
    assert np.isnan(comparison.offset[1])
    np.testing.assert_array_equal(comparison.good()[:4], [True, False, False, True])


def test_the_command_prints_and_draws(files, capsys):
    assert main(["a_forcedphot.asdf", "--reference=truth.ecsv"]) == 0
    said = capsys.readouterr().out
    (whole,) = (line.split() for line in said.splitlines() if line.startswith("  all"))
    comparison = compare("a_forcedphot.asdf", "truth.ecsv")
    assert int(whole[1]) == N
    assert float(whole[2]) == pytest.approx(np.median(comparison.offset), abs=6e-5)
    bins = [line for line in said.splitlines() if " to " in line]
    assert len(bins) == 4
    assert sum(int(line.split()[3]) for line in bins) == N
    assert "maggy, inferred from the size of the values" in said
    picture = imread(files / "a_forcedphot_validation.png")
    assert picture.shape[1] >= 1000
    assert np.ptp(picture[..., :3]) > 0.9


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (["--max_offset=0.012"], 0),
        (["--max_offset=0.008"], 1),
        (["--magnitudes=10,11", "--max_offset=9"], 1),
    ],
)
def test_the_exit_status_tells(files, capsys, options, status):
    """Nothing to compare is past any limit."""
    assert main(["a_forcedphot.asdf", "--reference=truth.ecsv", "--no_plots", *options]) == status
    said = capsys.readouterr().err
    assert said.startswith("the median offset is") if status else not said
    assert not list(files.glob("*.png"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["truth.ecsv", "--reference=truth.ecsv"], "product 'truth.ecsv' cannot be opened"),
        (["a_cal.asdf", "--reference=truth.ecsv"], "product 'a_cal.asdf' is a ImageModel"),
        (["a_forcedphot.asdf", "--reference=none.ecsv"], "catalog 'none.ecsv' does not exist"),
        (
            ["a_forcedphot.asdf", "--reference=truth.ecsv", "--output_dir=truth.ecsv"],
            "is a file, not a directory",
        ),
    ],
)
def test_what_cannot_be_compared_is_said(files, capsys, arguments, said):
    level2_image((8, 8)).save("a_cal.asdf")
    assert main(arguments) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "expected"),
    [(["--match_radius=0.01"], "--match_radius=0.01 arcsec"), (["--match=label"], "the same id")],
)
def test_a_reference_of_other_sources_is_told(files, truth, capsys, options, expected):
    """Nothing of it is compared, so nothing is said to be within bounds."""
    other = truth.copy()
    other["dec"] += 0.01
    other["source_id"] += 100_000
    other.write("other.ecsv")
    arguments = ["a_forcedphot.asdf", "--reference=other.ecsv", "--no_plots", *options]
    assert main([*arguments, "--label_column=source_id"]) == 2
    said = capsys.readouterr().err
    assert f"none of the product's {N} sources is in reference" in said
    assert expected in said


def test_the_report_counts_flagged_rows(truth):
    model = product(truth)
    model.source_catalog["warning_flags"][:7] = 4
    said = validate.cli.report(compare(model, truth))
    assert (
        f"compared   {N - 7} sources; {N} of {N} rows have a match, 7 of these are flagged" in said
    )
