"""The private parts of asdf that `storage.blocks` overrides are as it expects them.

A failure here means that a new version of asdf moved or changed them: adapt `storage/blocks.py`,
and only then the range of versions in pyproject.toml. The other tests of this folder, above all
`test_blocks.py`, tell whether what is overridden still takes effect.
"""

from __future__ import annotations

import inspect
import io

import asdf
import numpy as np
import pytest


@pytest.fixture
def opened():
    file = io.BytesIO()
    asdf.AsdfFile({"array": np.arange(1000)}).write_to(file)
    file.seek(0)
    with asdf.open(file, lazy_load=True, memmap=False) as content:
        yield content


def test_a_file_has_a_list_of_lazy_read_blocks(opened):
    from asdf._block.reader import ReadBlock

    (block,) = opened._blocks.blocks
    assert type(block) is ReadBlock
    assert block._fd() is opened._fd
    assert callable(block._data) or block._data is None
    opened._blocks.blocks[0] = block  # it can be replaced


def test_what_a_block_keeps_and_what_is_overridden(opened):
    (block,) = opened._blocks.blocks
    assert {"offset", "_fd", "_header", "data_offset", "_data", "_cached_data"} <= set(vars(block))
    kind = type(block)
    assert all(
        isinstance(inspect.getattr_static(kind, name), property)
        for name in ("data", "header", "loaded", "cached_data")
    )
    assert list(inspect.signature(kind.load).parameters) == ["self"]


def test_the_header_is_a_dict_with_these_keys(opened):
    (block,) = opened._blocks.blocks
    sizes = {"allocated_size", "used_size", "data_size"}
    assert {"flags", "compression", "checksum"} | sizes <= set(block.header)


def test_other_files_are_opened_by_one_method_of_a_uri(opened):
    assert list(inspect.signature(opened._blocks._load_external).parameters) == ["uri"]


def test_an_array_is_read_through_the_properties_of_its_block(opened, monkeypatch):
    """So that nothing is read around what is overridden."""
    read = []
    kind = type(opened._blocks.blocks[0])

    class Watched(kind):
        def __init__(self, block):
            self.__dict__.update(block.__dict__)

        @property
        def data(self):
            read.append(self.offset)
            return super().data

    opened._blocks.blocks[0] = Watched(opened._blocks.blocks[0])
    np.testing.assert_array_equal(opened["array"], np.arange(1000))
    assert read
