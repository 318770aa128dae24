"""YAML trees of ASDF files, checked before asdf validates what their aliases stand for.

An alias costs a few bytes and stands for a whole branch. Where branches of aliases hold aliases,
some hundred bytes stand for billions of nodes, each of which asdf would validate.
"""

from __future__ import annotations

import re
from typing import Any, BinaryIO

import yaml

from .errors import StorageError

__all__ = ["check_tree"]

_END = re.compile(rb"\n\.\.\.\r?\n")
_PIECE_BYTES = 2**16
_ALIAS = re.compile(rb"(?<=[\s,\[{:-])\*[^\s,\[\]{}]+")
_ANCHOR = re.compile(rb"(?<=[\s,\[{:-])&[^\s,\[\]{}]+")
#: Nodes that aliases may add to a tree.
_MAX_NODES = 10**6


def check_tree(file: BinaryIO, shown_name: str) -> None:
    """Refuse a tree whose aliases stand for more nodes than anybody would write.

    Parameters
    ----------
    file : file object
        An ASDF file, at its beginning; it is left elsewhere.
    shown_name : str
        How messages name the file.

    Raises
    ------
    StorageError
        The tree is too large.
    """
    text = _tree_of(file)
    n_aliases, n_anchors = len(_ALIAS.findall(text)), len(_ANCHOR.findall(text))
    if len(text) * n_aliases**n_anchors < _MAX_NODES or n_aliases < 2:
        return
    try:
        node = yaml.compose(text[max(text.find(b"%YAML"), 0) :], Loader=_LOADER)
    except (yaml.YAMLError, RecursionError, ValueError):
        return  # asdf says what is wrong with it
    n_nodes = _count_nodes(node)
    if n_nodes > _MAX_NODES + len(text):
        raise StorageError(
            f"{shown_name} has aliases that stand for {float(n_nodes):.2g} values in a tree of "
            f"{len(text)} bytes: expected at most {_MAX_NODES}; it is damaged or malicious"
        )


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _tree_of(file: BinaryIO) -> bytes:
    """Return the head of a file up to the end of its tree."""
    text, end = b"", None
    while end is None and (piece := file.read(_PIECE_BYTES)):
        searched = max(len(text) - 5, 0)
        text += piece
        end = _END.search(text, searched)
    return text[: end.end()] if end else text


def _count_nodes(root: Any) -> int:
    """Count the nodes of a tree, those that an alias stands for each time."""
    counts: dict[int, int] = {}
    stack = [(root, False)]
    while stack:
        node, children_are_counted = stack.pop()
        if id(node) in counts and not children_are_counted:
            continue
        children = _children(node)
        if children_are_counted:
            counts[id(node)] = 1 + sum(counts[id(child)] for child in children)
        else:
            counts[id(node)] = 0  # of a branch within itself
            stack.append((node, True))
            stack += [(child, False) for child in children]
    return counts[id(root)]


def _children(node: Any) -> list[Any]:
    if isinstance(node, yaml.MappingNode):
        return [each for pair in node.value for each in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []
