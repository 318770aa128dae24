"""Translates between a forced-photometry node and its ASDF tag.

ASDF loads this module whenever it opens a file, so it names the class it converts as a string and
imports `model`, and with it ``roman_datamodels``, only when a file holds our tag. That import
is what lets ``roman_datamodels.open`` know the model in a process that never imported it.
"""

from __future__ import annotations

from asdf.extension import Converter

from .resources import NAMESPACE

__all__ = ["ForcedPhotometryConverter"]


class ForcedPhotometryConverter(Converter):
    """Writes and reads every version of the forced-photometry tag."""

    tags = (f"{NAMESPACE}/tags/forced_photometry-*",)
    types = ("romancal_forcedphot.product.model.ForcedPhotometryNode",)
    lazy = True  # leave the tree below the node unconverted until it is used

    def select_tag(self, obj, tags, ctx):
        """Write a node under the tag it was read with, a new one under the newest."""
        return obj.tag

    def to_yaml_tree(self, obj, tag, ctx):
        """Give the node's tree."""
        return dict(obj._data)

    def from_yaml_tree(self, node, tag, ctx):
        """Wrap the tree in a node that remembers its tag."""
        from .model import ForcedPhotometryNode

        result = ForcedPhotometryNode(node)
        result._read_tag = tag
        return result
