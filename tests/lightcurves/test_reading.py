"""Light curves come back as astropy's own types."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u
from astropy.timeseries import TimeSeries
from lightcurves.series import made_catalog, made_exposure
from lightcurves.test_collation import N_EXPOSURES, N_SOURCES, make_dataset

from romancal_forcedphot.lightcurves.collating.collation import Layout, collate
from romancal_forcedphot.lightcurves.dataset import DatasetError
from romancal_forcedphot.lightcurves.reading import open_light_curves

SMALL = Layout(file_points=600, bucket_points=200, group_points=100)


@pytest.fixture(scope="module")
def curves(tmp_path_factory):
    dataset = make_dataset(tmp_path_factory.mktemp("series"))
    collate(dataset, layout=SMALL)
    return open_light_curves(dataset.directory)


def test_every_source_is_found_by_label_and_by_name(curves):
    catalog = made_catalog(N_SOURCES, names=True)
    for row, label in enumerate(catalog.label):
        series = curves.source(int(label))
        assert isinstance(series, TimeSeries)
        assert series.meta["label"] == label
        assert series.meta["ra"] == catalog.ra[row]
        seen = [n for n in range(N_EXPOSURES) if row in made_exposure(n).catalog_row]
        assert series["exposure"].tolist() == [f"exposure_{n:04d}" for n in seen]
    by_name = curves.source(str(catalog.source_name[3]))
    assert by_name.meta["label"] == catalog.label[3]


def test_time_and_units(curves):
    series = curves.source(1003)
    assert series.time.scale == "tai"
    assert series.time.format == "mjd"
    assert (np.diff(series.time.mjd) > 0).all()
    assert series["flux"].unit == u.nJy
    assert series["bkg_flux"].unit == u.nJy / u.arcsec**2
    assert series["abmag"].unit == u.mag(u.AB) or str(series["abmag"].unit) == "mag(AB)"
    assert series["flux"].info.description.startswith("Total flux")
    assert series["warning_flags"].dtype == np.int32


def test_iteration_gives_all_and_the_table_their_summaries(curves):
    labels = [series.meta["label"] for series in curves]
    table = curves.table()
    assert labels == table["label"].tolist()
    assert len(curves) == len(labels) == N_SOURCES
    assert "lightcurve" not in table.colnames
    assert table["f106_mean_flux"].unit == u.nJy
    assert curves.table(["label", "dec"]).colnames == ["label", "dec"]
    with pytest.raises(KeyError, match="no columns"):
        curves.table(["nonsense"])


def test_exposures_and_bands(curves):
    assert len(curves.exposures) == N_EXPOSURES
    assert curves.exposures["zero_point"].dtype == float
    assert curves.bands == ["F106", "F158"]


def test_an_unknown_source_is_told(curves):
    for label in (17, "star of Bethlehem"):
        with pytest.raises(KeyError, match="no source"):
            curves.source(label)


def test_a_label_of_two_sources_asks_which(tmp_path):
    sources = made_catalog(N_SOURCES)
    label = sources.label.copy()
    label[7] = label[30]
    dataset = make_dataset(tmp_path, range(4), sources=replace(sources, label=label))
    collate(dataset)
    curves = open_light_curves(tmp_path)
    with pytest.raises(ValueError, match="2 sources"):
        curves.source(int(label[7]))
    positions = {curves.source(int(label[7]), number=n).meta["ra"] for n in (0, 1)}
    assert positions == {sources.ra[7], sources.ra[30]}


def test_a_directory_without_light_curves_is_told(tmp_path):
    with pytest.raises(DatasetError, match=r"no dataset\.json"):
        open_light_curves(tmp_path)
    make_dataset(tmp_path / "new", range(2))
    with pytest.raises(DatasetError, match="no light curves yet"):
        open_light_curves(tmp_path / "new")
