"""References that stay open: the same content, opened once, and never more than a few."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from reference_models import area_file, area_map
from romancal_forcedphot.references import (
    KeepingFinder,
    Reference,
    ReferenceFileError,
    read_area,
)


class Files:
    """Finds a file for each detector."""

    def __init__(self, paths):
        self.paths = paths

    def find(self, kind, parameters):
        path = self.paths.get(parameters["detector"])
        return path and Reference(kind, path, f"crds://{path}")


@pytest.fixture
def paths(tmp_path):
    found = {}
    for number in range(3):
        name = tmp_path / f"area_{number}.asdf"
        area_file(name, area_map().astype(np.float32))
        found[f"WFI{number + 1:02d}"] = str(name)
    return found


def test_a_file_is_opened_once_and_read_as_from_its_path(paths):
    finder = KeepingFinder(Files(paths))
    first, again = (finder.find("area", {"detector": "WFI01"}) for _ in range(2))
    assert first.content is again.content
    assert first.name == f"crds://{paths['WFI01']}"
    shape = area_map().shape
    kept = read_area(first, detector="WFI01", shape=shape)
    fresh = read_area(Reference("area", paths["WFI01"], "x"), detector="WFI01", shape=shape)
    np.testing.assert_array_equal(kept.relative, fresh.relative)
    assert np.shares_memory(kept.relative, read_area(again, detector="WFI01", shape=shape).relative)


def test_what_is_kept_can_be_shared_with_another_finder(paths):
    """As steps do, each of which records what it found for its exposure."""
    first = KeepingFinder(Files(paths))
    other = replace(first, finder=Files(dict(paths)))
    one, two = (each.find("area", {"detector": "WFI01"}) for each in (first, other))
    assert one.content is two.content
    shape = area_map().shape
    areas = [read_area(each, detector="WFI01", shape=shape) for each in (one, two)]
    assert areas[0] is areas[1]


def test_only_the_last_few_stay(paths):
    finder = KeepingFinder(Files(paths), most=2)
    kept = {name: finder.find("area", {"detector": name}).content for name in paths}
    assert finder.find("area", {"detector": "WFI03"}).content is kept["WFI03"]
    assert finder.find("area", {"detector": "WFI01"}).content is not kept["WFI01"]


def test_none_and_models_pass_and_a_damaged_file_is_told_by_its_reader(tmp_path):
    (tmp_path / "damaged.asdf").write_bytes(b"nothing")
    model = object()
    paths = {"WFI01": str(tmp_path / "damaged.asdf"), "WFI02": model}
    finder = KeepingFinder(Files(paths))
    assert finder.find("area", {"detector": "WFI18"}) is None
    assert finder.find("area", {"detector": "WFI02"}).content is model
    damaged = finder.find("area", {"detector": "WFI01"})
    with pytest.raises(ReferenceFileError, match="damaged"):
        read_area(damaged, detector="WFI01", shape=(10, 10))


def test_it_is_pickled_without_what_it_keeps(paths):
    finder = KeepingFinder(Files(paths), most=3)
    finder.find("area", {"detector": "WFI01"})
    found = pickle.loads(pickle.dumps(finder))
    assert found.most == 3
    assert len(pickle.dumps(finder)) < 2000
    assert found.find("area", {"detector": "WFI01"}).content.data.shape == area_map().shape
