"""The directory of a run: what it is of, and how far it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from lightcurves.series import made_catalog, made_exposure

from romancal_forcedphot.lightcurves.dataset import Dataset, DatasetError, Requested
from romancal_forcedphot.lightcurves.fingerprints import Identity, catalog_digests, exposure_digest
from romancal_forcedphot.lightcurves.measuring.exposure_files import to_parquet
from romancal_forcedphot.lightcurves.running.resume import claim, is_done
from romancal_forcedphot.photometry import Motion

SETTINGS = {"aperture_radii": (3.0,), "bkg_sigma": 3.0, "dq_mask": ["DO_NOT_USE"]}


@pytest.fixture
def sources():
    return made_catalog(names=True)


@pytest.fixture
def dataset(tmp_path, sources):
    dataset = Dataset.at(tmp_path / "series")
    claim(dataset, Identity.of(SETTINGS, sources), sources, "1.0")
    return dataset


def content_of(number, sources, dataset, **made_from):
    digests = dataset.identity().digests | made_from
    return to_parquet(made_exposure(number), sources.label, sources.source_name, made_from=digests)


def test_the_same_settings_and_catalog_are_welcome_again(dataset, sources):
    claim(dataset, Identity.of(dict(reversed(SETTINGS.items())), sources), sources, "1.1")
    assert dataset.identity().differences(Identity.of(SETTINGS, sources)) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"bkg_sigma": 2.5}, "bkg_sigma is 3.0 there and 2.5 here"),
        ({"aperture_radii": (3.0, 5.0)}, r"aperture_radii is \[3.0\] there and \[3.0, 5.0\] here"),
        ({"align": True}, "align is not set there and True here"),
    ],
)
def test_other_settings_are_refused_by_name(dataset, sources, changes, said):
    with pytest.raises(DatasetError, match=said):
        claim(dataset, Identity.of(SETTINGS | changes, sources), sources, "1.0")


def test_another_catalog_is_refused_by_what_differs(dataset, sources):
    others = {
        "49 here": sources.take(np.arange(49)),
        "has another dec than": replace(sources, dec=sources.dec + 1e-9),
        "has another label, source_name": replace(
            sources, label=sources.label + 1, source_name=None
        ),
        "has another pm_dec, pm_ra_cosdec": replace(
            sources, motion=Motion(np.zeros(50), np.zeros(50))
        ),
    }
    for said, other in others.items():
        with pytest.raises(DatasetError, match=said):
            claim(dataset, Identity.of(SETTINGS, other), other, "1.0")


def test_a_renamed_catalog_of_the_same_content_is_the_same(dataset, sources):
    other = replace(sources, name="elsewhere.parquet")
    claim(dataset, Identity.of(SETTINGS, other), other, "1.0")


def test_a_directory_of_something_else_is_refused(tmp_path, sources):
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(DatasetError, match="not empty"):
        claim(Dataset.at(tmp_path), Identity.of(SETTINGS, sources), sources, "1.0")
    with pytest.raises(DatasetError, match=r"no dataset\.json"):
        Dataset.at(tmp_path).state()


def test_what_a_killed_run_left_is_no_hindrance(tmp_path, sources):
    (tmp_path / ".forcedphot-killed").mkdir()
    dataset = Dataset.at(tmp_path)
    claim(dataset, Identity.of(SETTINGS, sources), sources, "1.0")
    dataset.catalog.unlink()  # as if it had been killed right after the first file
    (tmp_path / "exposures").rmdir()
    claim(dataset, Identity.of(SETTINGS, sources), sources, "1.0")
    assert len(dataset.sources()) == 50


def test_uris_and_catalogs_without_sky_positions_are_refused(tmp_path, sources):
    with pytest.raises(DatasetError, match="local directories only"):
        Dataset.at("s3://bucket/series")
    pixels = replace(sources, ra=None, dec=None, x=sources.ra, y=sources.dec)
    with pytest.raises(DatasetError, match="need sky positions"):
        claim(Dataset.at(tmp_path / "new"), Identity.of(SETTINGS, pixels), pixels, "1.0")


def test_sources_come_back(dataset, sources):
    found = dataset.sources()
    for name in ("label", "ra", "dec", "source_name"):
        assert (getattr(found, name) == getattr(sources, name)).all()
    assert found.name == sources.name


def test_a_data_set_of_a_later_format_is_refused(dataset):
    path = dataset.directory / "dataset.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(DatasetError, match="format 2"):
        dataset.identity()
    path.write_text("{")
    with pytest.raises(DatasetError, match="damaged"):
        dataset.identity()


def test_state_tells_done_failed_and_missing(dataset, sources):
    exposures = [Requested(f"exposure_{n:04d}", f"/nowhere/{n}.asdf") for n in range(3)]
    dataset.request(exposures[:2])
    dataset.request(exposures[1:])
    dataset.save("exposure_0000", content_of(0, sources, dataset))
    dataset.fail(exposures[1], "no WCS")
    state = dataset.state()
    assert state.done == ("exposure_0000",)
    assert state.failed == {"exposure_0001": "no WCS"}
    assert state.missing == ("exposure_0002",)
    dataset.save("exposure_0001", content_of(1, sources, dataset))
    assert dataset.state().failed == {}
    dataset.fail(exposures[0], "replaced by a damaged image")
    assert dataset.state().done == ("exposure_0001",)


def test_done_is_what_was_made_from_the_same(dataset, sources, tmp_path):
    image = tmp_path / "image.asdf"
    image.write_bytes(b"#ASDF of Monday")
    exposure = Requested("exposure_0000", str(image))
    digests = dataset.identity().digests
    assert not is_done(dataset, exposure, digests)
    made_from = {"image": exposure_digest(str(image))}
    dataset.save("exposure_0000", content_of(0, sources, dataset, **made_from))
    assert is_done(dataset, exposure, digests)
    assert not is_done(dataset, exposure, digests | {"settings": "others"})
    assert is_done(dataset, Requested("exposure_0000", str(tmp_path / "gone.asdf")), digests)
    image.write_bytes(b"#ASDF of Friday")
    assert not is_done(dataset, exposure, digests)
    dataset.exposure_file("exposure_0000").write_bytes(b"PAR1 damaged")
    assert not is_done(dataset, exposure, digests)


def test_digests_know_every_column(sources):
    digests = catalog_digests(sources)
    assert set(digests) == {"label", "ra", "dec", "source_name"}
    assert len(set(digests.values())) == 4
    swapped = replace(sources, source_name=sources.source_name[::-1])
    assert catalog_digests(swapped)["source_name"] != digests["source_name"]
