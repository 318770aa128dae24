"""The tutorial from start to end on the example exposure, as a reader runs it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from romancal_forcedphot.example.series import make_series

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def runner():
    spec = importlib.util.spec_from_file_location("run_tutorial", DOCS / "run_tutorial.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def page(runner):
    return runner.PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tutorial(runner, page, crds_cache, tmp_path_factory):
    """Where the tutorial was run, and what its blocks printed."""
    directory = tmp_path_factory.mktemp("tutorial")
    make_series(crds_cache.parent)
    return directory, runner.run(page, directory, crds_cache.parent)


def test_it_makes_every_picture_that_it_shows(runner, page, tutorial):
    directory, _ = tutorial
    assert len(runner.pictures(page)) >= 8
    for name in runner.pictures(page):
        picture = imread(directory / name)
        assert picture.shape[1] >= 1000, name
        assert np.ptp(picture[..., :3]) > 0.5, name


def test_the_committed_pictures_are_all_there(runner, page):
    committed = {path.name for path in runner.IMAGES.iterdir() if path.stat().st_size > 10_000}
    assert committed == set(runner.pictures(page))


def test_it_says_what_the_page_says(runner, page, tutorial):
    """In the same words, whatever the digits: they are those of one machine."""
    _, outputs = tutorial
    assert outputs

    def words(text):
        return ["".join(c for c in line if c.isalpha()) for line in text.splitlines()]

    assert words(runner.renewed(page, outputs)) == words(page)


def test_blocks_of_text_take_what_was_printed(runner):
    page = "```python\nprint(1)\n```\n\n```text\nold\n```\n"
    assert runner.renewed(page, ["new\n"]) == page.replace("old", "new")
