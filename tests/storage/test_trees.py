"""Trees whose aliases stand for far too much are refused before they are walked."""

from __future__ import annotations

import io

import asdf
import numpy as np
import pytest
import yaml

from hostile import at_most
from romancal_forcedphot.storage import StorageError, open_asdf


def content(tree: str) -> bytes:
    return f"#ASDF 1.0.0\n#ASDF_STANDARD 1.6.0\n%YAML 1.1\n---\n{tree}\n...\n".encode()


def nested(depth: int, width: int) -> str:
    """Lists of aliases of lists: width**depth values."""
    rows = [f"a0: &a0 [{', '.join(['x'] * width)}]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * width)}]" for i in range(1, depth)]
    return "\n".join(rows)


def n_values(node) -> int:
    """Count the values of a tree by walking all of it."""
    if isinstance(node, dict):
        return 1 + len(node) + sum(map(n_values, node.values()))
    return 1 + sum(map(n_values, node)) if isinstance(node, list) else 1


def test_aliases_of_aliases_are_refused_by_name_at_once(tmp_path):
    path = tmp_path / "image.asdf"
    path.write_bytes(content(nested(12, 9)))
    with at_most(5), pytest.raises(StorageError, match=r"image.asdf' has aliases that stand for 3"):
        open_asdf(path)


def test_the_count_is_that_of_all_values(tmp_path):
    """A tree just above the limit, which can be walked."""
    tree = nested(7, 8)
    path = tmp_path / "image.asdf"
    path.write_bytes(content(tree))
    shown = f"{float(n_values(yaml.safe_load(tree))):.2g}"
    with pytest.raises(StorageError, match=f"stand for {shown.replace('+', '.')} values"):
        open_asdf(path)


@pytest.mark.parametrize(
    "tree",
    [
        nested(3, 8),
        "a: &a {b: 1}\nc: [*a, *a]",
        "a: 'one * two'\nb: '&c'",
        "a: [" + "1.500000000000000, " * 75_000 + "2]",  # long, without aliases
    ],
)
def test_usual_trees_are_read(tmp_path, tree):
    path = tmp_path / "image.asdf"
    path.write_bytes(content(tree))
    with open_asdf(path) as file:
        expected = yaml.load(tree, Loader=yaml.CSafeLoader)
        assert file["a0" if "a0" in expected else "a"] == expected.get("a0", expected.get("a"))


def test_what_asdf_writes_of_shared_objects_is_read():
    shared = {"values": list(range(20)), "array": np.arange(5)}
    file = io.BytesIO()
    asdf.AsdfFile({f"key{i}": shared for i in range(40)}).write_to(file)
    file.seek(0)
    with open_asdf(file) as found:
        assert list(found["key39"]["values"]) == shared["values"]


def test_a_branch_within_itself_is_counted_once(tmp_path):
    path = tmp_path / "image.asdf"
    path.write_bytes(content("a: &a\n  b: [*a, *a]\n  c: &c [1, *a, *a]\n  d: [*c, *c, *c]"))
    with at_most(10), open_asdf(path, validate=False) as file:
        assert "a" in file
