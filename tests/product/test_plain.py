"""Metadata as plain Python objects that share nothing with where they came from."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from astropy.time import Time

from romancal_forcedphot.product.plain import plain
from small import level2_image


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        ((1, (2, "a")), [1, [2, "a"]]),
        (Path("a/b.asdf"), "a/b.asdf"),
        (np.str_("text"), "text"),
        ({"a": {"b": (np.float64(1.5), None)}}, {"a": {"b": [1.5, None]}}),
        (None, None),
    ],
)
def test_values_become_plain(value, expected):
    found = plain(value)
    assert found == expected
    assert type(found) is type(expected)


def test_metadata_of_a_model_lose_their_tags_and_are_copies():
    meta = level2_image((8, 8)).meta
    found = plain(meta["exposure"])
    assert type(found) is dict
    assert type(found["start_time"]) is Time
    assert found["start_time"] is not meta.exposure.start_time
    assert type(plain(meta["telescope"])) is str
    found["read_pattern"].append([99])
    assert [99] not in list(meta.exposure.read_pattern)
    assert pickle.loads(pickle.dumps(found)).keys() == found.keys()
