"""Which exposures are meant, and their names."""

from __future__ import annotations

import json

import pytest

from romancal_forcedphot.lightcurves.running.exposure_list import (
    exposure_name,
    find_exposures,
    name_exposures,
)


@pytest.fixture
def images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b_cal.asdf", "a_cal.asdf", "a_forcedphot.asdf", "odd[1]_cal.asdf"):
        (tmp_path / name).touch()
    return tmp_path


def test_globs_lists_associations_and_uris(images):
    (images / "list.txt").write_text(
        "# tonight\nb_cal.asdf  # the second\n\ns3://bucket/c_cal.asdf\n"
    )
    members = [{"expname": "a_cal.asdf", "exptype": "science"}]
    (images / "asn.json").write_text(json.dumps({"products": [{"members": members}]}))
    a, b = str(images / "a_cal.asdf"), str(images / "b_cal.asdf")
    assert find_exposures(["?_cal.asdf"]) == [a, b]
    assert find_exposures("@list.txt") == [b, "s3://bucket/c_cal.asdf"]
    assert find_exposures("asn.json") == [a]
    assert find_exposures([images / "b_cal.asdf", "?_cal.asdf"]) == [b, a]


def test_a_file_with_brackets_in_its_name_is_that_file(images):
    assert find_exposures("odd[1]_cal.asdf") == [str(images / "odd[1]_cal.asdf")]


def test_a_missing_file_is_kept_to_be_told_of_and_a_glob_of_nothing_is_logged(images, caplog):
    missing = str(images / "missing_cal.asdf")
    assert find_exposures(["missing_cal.asdf", "z*_cal.asdf"]) == [missing]
    assert "No file matches" in caplog.text


@pytest.mark.parametrize("given", [[], ["z*.asdf"]])
def test_nothing_is_refused(images, given):
    with pytest.raises(ValueError, match="no exposure to measure"):
        find_exposures(given)


def test_names_are_those_of_the_files():
    assert exposure_name("/d/r0003_0001_wfi01_f106_cal.asdf") == "r0003_0001_wfi01_f106"
    assert exposure_name("s3://b/k/x.asdf") == "x"


def test_of_two_of_one_name_the_second_is_refused():
    exposures, refused = name_exposures(["/a/x_cal.asdf", "/b/x_cal.asdf", "/b/y_cal.asdf"])
    assert [item.name for item in exposures] == ["x", "y"]
    [(item, reason)] = refused.items()
    assert item.location == "/b/x_cal.asdf"
    assert item.name.startswith("x@")
    assert "/a/x_cal.asdf" in reason
