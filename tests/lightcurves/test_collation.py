"""Exposures become light curves: every point, every figure, in every reader."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from lightcurves.series import CHI2, made_catalog, made_exposure

from romancal_forcedphot.lightcurves.collating.collation import Layout, collate
from romancal_forcedphot.lightcurves.collating.regrouping import Runs, buckets_of, point_dtype
from romancal_forcedphot.lightcurves.dataset import Dataset, DatasetError, Requested
from romancal_forcedphot.lightcurves.fingerprints import Identity
from romancal_forcedphot.lightcurves.measuring.exposure_files import to_parquet
from romancal_forcedphot.lightcurves.measuring.rows import light_curve_columns
from romancal_forcedphot.lightcurves.options import CurveOptions
from romancal_forcedphot.lightcurves.running.resume import claim

N_EXPOSURES, N_SOURCES = 30, 50
DRIFT = 1 + 0.04 * np.sin(np.arange(N_EXPOSURES) / 3)


def make_dataset(directory, exposures=range(N_EXPOSURES), *, sources=None, zero_points=None):
    sources = sources if sources is not None else made_catalog(N_SOURCES, names=True)
    dataset = Dataset.at(directory)
    claim(dataset, Identity.of({"limit_sigma": 5.0}, sources), sources, "1.0")
    requested = []
    for number in exposures:
        zero_point = 1.0 if zero_points is None else zero_points[number]
        measured = made_exposure(number, len(sources), zero_point=zero_point)
        content = to_parquet(
            measured, sources.label, sources.source_name, made_from=dataset.identity().digests
        )
        requested.append(Requested(measured.record.exposure, measured.record.location))
        dataset.save(measured.record.exposure, content)
    dataset.request(requested)
    return dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    dataset = make_dataset(tmp_path_factory.mktemp("series") / "made")
    collate(dataset)
    return dataset


def light_curves(dataset):
    """All sources, by plain pyarrow."""
    files = sorted(dataset.light_curves.glob("dataset/**/*.parquet"))
    return pd.concat([pq.read_table(file).to_pandas() for file in files], ignore_index=True)


def content_of(dataset):
    """Digest of every file of the light curves."""
    return {
        str(path.relative_to(dataset.light_curves)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(dataset.light_curves.rglob("*"))
        if path.is_file()
    }


def test_every_point_is_there_in_the_order_of_time(dataset):
    frame = light_curves(dataset)
    catalog = made_catalog(N_SOURCES, names=True)
    assert sorted(frame["label"]) == sorted(catalog.label)
    names = [column.name for column in light_curve_columns([CHI2])]
    exposures = [made_exposure(number) for number in range(N_EXPOSURES)]
    for _, row in frame.iterrows():
        source = int(np.flatnonzero(catalog.label == row["label"])[0])
        assert row["source_name"] == catalog.source_name[source]
        assert (row["ra"], row["dec"]) == (catalog.ra[source], catalog.dec[source])
        curve = row["lightcurve"]
        assert list(curve) == names
        seen = [e for e in exposures if source in e.catalog_row]
        assert list(curve["exposure"]) == [e.record.exposure for e in seen]
        assert list(curve["band"]) == [e.record.band for e in seen]
        assert list(curve["mjd_tai"]) == [e.record.mjd_tai for e in seen]
        places = [np.searchsorted(e.catalog_row, source) for e in seen]
        for name in ("bjd_tdb", "flux", "flux_err", "x", "bkg_flux", "warning_flags", "chi2"):
            expected = [e.columns[name][p] for e, p in zip(seen, places, strict=True)]
            np.testing.assert_array_equal(
                curve[name], np.array(expected).astype(curve[name].dtype), err_msg=name
            )
        np.testing.assert_allclose(
            curve["limit_abmag"], 31.4 - 2.5 * np.log10(5 * curve["flux_err"]), rtol=1e-6
        )
        assert row["n_points"] == len(seen)


def test_summaries_are_those_of_the_curve(dataset):
    for _, row in light_curves(dataset).iterrows():
        curve = pd.DataFrame(row["lightcurve"])
        for band in ("F106", "F158"):
            points = curve[(curve["band"] == band) & (curve["warning_flags"] == 0)]
            weight = points["flux_err"].astype(float) ** -2
            mean = (weight * points["flux"]).sum() / weight.sum()
            name = band.lower()
            assert row[f"{name}_n_good"] == len(points)
            assert row[f"{name}_mean_flux"] == pytest.approx(mean, rel=1e-6)
            assert row[f"{name}_chi2"] == pytest.approx(
                (weight * (points["flux"] - mean) ** 2).sum(), rel=1e-4
            )
            assert row[f"{name}_max_flux"] == points["flux"].max()


def test_constant_stars_have_the_chi2_of_constancy(tmp_path):
    dataset = make_dataset(tmp_path, sources=made_catalog(400))
    collate(dataset)
    frame = light_curves(dataset)
    dof = frame["f106_n_good"] - 1
    assert frame["f106_chi2"].sum() / dof.sum() == pytest.approx(1.0, abs=0.05)


def test_the_same_exposures_give_the_same_bytes(dataset, tmp_path):
    """In any order of measurement, and however the sources are cut into buckets."""
    other = make_dataset(tmp_path / "made", reversed(range(N_EXPOSURES)))
    collate(other)
    assert content_of(other) == content_of(dataset)
    assert other.exposure_table.read_bytes() == dataset.exposure_table.read_bytes()


def test_what_is_collated_is_not_collated_again(dataset):
    again = collate(dataset)
    assert not again.is_new
    assert (again.n_exposures, again.n_sources) == (N_EXPOSURES, N_SOURCES)


def test_other_options_or_more_exposures_are_collated_anew(tmp_path):
    dataset = make_dataset(tmp_path, range(10))
    first = collate(dataset)
    assert collate(dataset, CurveOptions(relative_calibration=True)).is_new
    assert collate(dataset).is_new
    make_dataset(tmp_path, range(12))
    second = collate(dataset)
    assert second.n_points > first.n_points
    assert len(list(tmp_path.glob(".collating*"))) == 0


def test_many_small_buckets_and_files_hold_the_same(dataset, tmp_path):
    other = make_dataset(tmp_path / "made")
    collate(other, layout=Layout(file_points=400, bucket_points=60, group_points=50))
    files = list(other.light_curves.glob("dataset/**/*.parquet"))
    assert len(files) > 3
    rows = [len(pq.read_table(file)) for file in files]
    assert sum(rows) == N_SOURCES
    found, expected = (
        light_curves(each).set_index("label").sort_index() for each in (other, dataset)
    )
    assert found.drop(columns="lightcurve").equals(expected.drop(columns="lightcurve"))
    for label, curve in expected["lightcurve"].items():
        for name, values in curve.items():
            np.testing.assert_array_equal(found.loc[label, "lightcurve"][name], values)


def test_zero_points_are_found_told_and_taken_out(tmp_path):
    dataset = make_dataset(tmp_path, zero_points=DRIFT)
    collated = collate(dataset)
    table = pd.read_parquet(dataset.exposure_table)
    bands = np.arange(N_EXPOSURES) % 2
    truth = DRIFT / np.array([np.median(DRIFT[bands == band]) for band in (0, 1)])[bands]
    np.testing.assert_allclose(table["zero_point"], truth, atol=0.006)
    assert (table["n_zero_point"] > 10).all()
    odd = dict(collated.warnings)
    assert "off by" in odd[table["exposure"][np.argmax(np.abs(truth - 1))]]
    before = light_curves(dataset)
    collate(dataset, CurveOptions(relative_calibration=True))
    after = light_curves(dataset)
    assert before["f106_chi2"].median() > 2 * after["f106_chi2"].median()
    point = after["lightcurve"][0]
    number = [int(name[-4:]) for name in point["exposure"]]
    for name in ("flux", "flux_err", "bkg_flux"):
        np.testing.assert_allclose(
            point[name],
            before["lightcurve"][0][name] / table["zero_point"].to_numpy()[number],
            rtol=1e-6,
        )


def test_a_baseline_is_subtracted(tmp_path):
    dataset = make_dataset(tmp_path)
    collate(dataset, CurveOptions(baseline=(60000.0, 61050.0)))
    frame = light_curves(dataset)
    for _, row in frame.iterrows():
        curve = pd.DataFrame(row["lightcurve"])
        for band in ("F106", "F158"):
            mine = curve["band"] == band
            use = mine & (curve["mjd_tai"] <= 61050) & (curve["warning_flags"] == 0)
            weight = curve["flux_err"][use].astype(float) ** -2
            assert row[f"{band.lower()}_n_baseline"] == use.sum()
            if not use.any():
                assert curve["flux_difference"][mine].isna().all()
                continue
            mean = (weight * curve["flux"][use]).sum() / weight.sum()
            np.testing.assert_allclose(
                curve["flux_difference"][mine],
                curve["flux"][mine] - mean,
                atol=1e-6 * abs(mean) + 1e-3,
            )
    assert frame["f106_error_scale"].eq(1).all()


def test_other_names_of_baselines_are_refused():
    with pytest.raises(ValueError, match="swap them"):
        CurveOptions(baseline=(61000, 60000))
    with pytest.raises(ValueError, match="two MJDs"):
        CurveOptions(baseline=(61000,))
    with pytest.raises(ValueError, match="needs a baseline"):
        CurveOptions(rescale_errors=True)


def test_the_row_of_an_exposure_tells_what_to_beware_of(tmp_path):
    dataset = make_dataset(tmp_path, range(6))
    sources = made_catalog(N_SOURCES, names=True)
    off = made_exposure(6, offset=(0.3, -0.4))
    for exposure in (
        off,
        replace(
            made_exposure(7),
            catalog_row=np.empty(0, int),
            columns={name: np.empty(0) for name in made_exposure(7).columns},
        ),
    ):
        content = to_parquet(exposure, sources.label, sources.source_name)
        dataset.save(exposure.record.exposure, content)
    dataset.request([Requested(f"exposure_{n:04d}", f"/{n}.asdf") for n in range(10)])
    dataset.fail(Requested("exposure_0008", "/8.asdf"), "no WCS")
    collate(dataset)
    table = pd.read_parquet(dataset.exposure_table).set_index("exposure")
    assert table["status"].tolist() == ["done"] * 8 + ["failed", "missing"]
    assert table["reason"]["exposure_0008"] == "no WCS"
    assert (
        "0.50 pixels off the catalog, +0.30 in x and -0.40 in y (see align)"
        in table["warnings"]["exposure_0006"]
    )
    assert table["warnings"]["exposure_0007"] == "no source of the catalog lies on it"
    assert table["flux_scale"]["exposure_0000"] == 70.0
    assert np.isnan(table["flux_scale"]["exposure_0009"])


def test_a_damaged_exposure_is_left_out_and_told(tmp_path, caplog):
    dataset = make_dataset(tmp_path, range(5))
    dataset.exposure_file("exposure_0002").write_bytes(b"PAR1")
    assert collate(dataset).n_exposures == 4
    assert "exposure_0002 is left out" in caplog.text
    table = pd.read_parquet(dataset.exposure_table).set_index("exposure")
    assert table["status"]["exposure_0002"] == "failed"


def test_what_killed_processes_left_is_removed(tmp_path):
    dataset = make_dataset(tmp_path, range(3))
    host, dead = socket.gethostname(), 2**22 + 1  # beyond the largest pid of Linux
    leftovers = [tmp_path / f".collating-{host}-{pid}-abc" for pid in (dead, os.getpid())]
    leftovers.append(tmp_path / f".collating-elsewhere-{dead}-abc")
    for path in leftovers:
        (path / "runs").mkdir(parents=True)
    collate(dataset)
    assert [path.exists() for path in leftovers] == [False, True, True]


def test_nothing_done_is_nothing_to_collate(tmp_path):
    dataset = make_dataset(tmp_path, [])
    with pytest.raises(DatasetError, match="no exposure of"):
        collate(dataset)


def test_sources_without_position_points_or_unique_labels(tmp_path):
    """Labels that repeat stay two sources; a source on no exposure has an empty curve."""
    sources = made_catalog(N_SOURCES)
    label, ra = sources.label.copy(), sources.ra.copy()
    label[1], ra[2] = label[0], np.nan
    sources = replace(sources, label=label, ra=ra)
    dataset = Dataset.at(tmp_path)
    claim(dataset, Identity.of({}, sources), sources, "1.0")
    measured = made_exposure(0)
    kept = measured.catalog_row != 5
    columns = {name: values[kept] for name, values in measured.columns.items()}
    measured = replace(measured, catalog_row=measured.catalog_row[kept], columns=columns)
    dataset.save("exposure_0000", to_parquet(measured, label))
    dataset.request([Requested("exposure_0000", "/e.asdf")])
    assert collate(dataset).n_sources == N_SOURCES - 1
    frame = light_curves(dataset).sort_values("label")
    assert (frame["label"] == label[0]).sum() == 2
    assert label[2] not in set(frame["label"])
    empty = frame[frame["label"] == label[5]].iloc[0]
    assert empty["n_points"] == 0
    assert len(empty["lightcurve"]["flux"]) == 0
    assert empty["f106_n_good"] == 0
    assert np.isnan(empty["f106_mean_flux"])


def test_rows_follow_the_index_and_the_files_say_what_hats_wants(dataset):
    frame = light_curves(dataset)
    index = frame["_healpix_29"]
    assert index.is_monotonic_increasing
    assert index.dtype == np.int64
    root = dataset.light_curves
    properties = dict(
        line.split("=", 1) for line in (root / "hats.properties").read_text().splitlines()[1:]
    )
    assert properties["hats_nrows"] == str(N_SOURCES)
    assert (root / "partition_info.csv").read_text().startswith("Norder,Npix\n")
    schema = pq.read_schema(root / "dataset" / "_common_metadata")
    for file in root.glob("dataset/**/*.parquet"):
        assert schema.equals(pq.read_schema(file))
    assert json.loads((root / "collated.json").read_text())["n_sources"] == N_SOURCES


def test_buckets_hold_no_more_than_allowed_or_one_source():
    counts = np.array([3, 3, 3, 100, 0, 0, 1])
    assert buckets_of(counts, 0, 7, 7) == [(0, 2), (2, 3), (3, 4), (4, 7)]
    assert buckets_of(counts, 4, 6, 7) == [(4, 6)]


def test_runs_give_points_back_by_source_in_their_order(tmp_path):
    rng = np.random.default_rng(9)
    runs = Runs(tmp_path, point_dtype([("flux", "float32")]), np.array([0, 3, 3, 10]), 50)
    kept = []
    for number in range(20):
        source = rng.permutation(10)[:6].astype(np.int32)
        flux = rng.uniform(size=6).astype(np.float32)
        runs.add({"source": source, "exposure": number, "flux": flux})
        kept += zip(source.tolist(), [number] * 6, flux.tolist(), strict=True)
    found = [tuple(point) for bucket in range(3) for point in runs.take(bucket).tolist()]
    assert found == sorted(kept)
    assert len(runs.take(1)) == 0
    assert len(list(tmp_path.iterdir())) == 3
