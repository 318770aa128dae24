"""The chapters of the tutorial from start to end, as a reader runs them."""

from __future__ import annotations

import base64
import importlib.util
import io
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

pytestmark = pytest.mark.slow
DOCS = Path(__file__).parents[2] / "docs"


def load(name: str):
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


runner = load("run_chapters")

#: What chapters make that tests of other files make as well.
SHARED = {"lightcurves": ["series"], "mosaics": ["mosaic_cache"]}


@pytest.mark.parametrize("chapter", runner.CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_runs_and_shows_its_pictures(chapter, crds_cache, tmp_path, request):
    """Without a warning of Python, of which `run` tells."""
    for fixture in SHARED.get(chapter.stem, ()):  # so that no two processes make it
        request.getfixturevalue(fixture)
    notebook = runner.run(chapter, tmp_path, crds_cache.parent)
    pictures = [
        imread(io.BytesIO(base64.b64decode(png)), format="png") for png in runner.pictures(notebook)
    ]
    assert pictures
    for picture in pictures:
        assert picture.shape[1] >= 300
        assert np.ptp(picture[..., :3]) > 0.5


@pytest.fixture
def chapter(tmp_path, monkeypatch):
    """Write a chapter of one cell; its outputs go to a cache of its own."""
    monkeypatch.setattr(runner, "CACHE", tmp_path / "cache")
    head = "---\nfile_format: mystnb\nkernelspec:\n  name: python3\n---\n\n"

    def write(code: str) -> Path:
        path = tmp_path / "chapter.md"
        path.write_text(f"{head}```{{code-cell}} python\n{code}\n```\n")
        return path

    return write


def test_what_a_chapter_shows_is_kept_until_the_chapter_changes(chapter, tmp_path):
    path = chapter("print(6 * 7)")
    assert not runner.has_run(path)
    place = tmp_path / "place"
    place.mkdir()
    assert runner.texts(runner.run(path, place, tmp_path)) == ["42\n"]
    assert runner.has_run(path)
    assert not runner.has_run(chapter("print(6 * 8)"))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("%%bash -e\nfalse\ntrue", "CalledProcessError"),
        ("import warnings\nwarnings.warn('beware')", "UserWarning: beware"),
    ],
)
def test_a_chapter_that_fails_or_warns_is_told_of(chapter, code, said, tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    with pytest.raises(RuntimeError, match=said):
        runner.run(chapter(code), place, tmp_path)
