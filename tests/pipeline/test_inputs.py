"""Inputs that lie in the step's input directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from romancal_forcedphot.pipeline.inputs import find_input


@pytest.mark.parametrize(
    ("dataset", "directory", "expected"),
    [
        ("a_cal.asdf", "night", Path("night/a_cal.asdf")),
        (Path("a_cal.asdf"), "night", Path("night/a_cal.asdf")),
        ("a_cal.asdf", "", "a_cal.asdf"),
        ("b/a_cal.asdf", "night", "b/a_cal.asdf"),
        ("/b/a_cal.asdf", "night", "/b/a_cal.asdf"),
        ("here_cal.asdf", "night", "here_cal.asdf"),
        ("a_cal.asdf", "s3://bucket/night/", "s3://bucket/night/a_cal.asdf"),
        ("s3://bucket/a_cal.asdf", "night", "s3://bucket/a_cal.asdf"),
        (3, "night", 3),
    ],
)
def test_a_bare_name_is_looked_for_in_the_directory(workplace, dataset, directory, expected):
    Path("here_cal.asdf").touch()
    assert find_input(dataset, directory) == expected
