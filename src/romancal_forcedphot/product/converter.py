"""Converter between the node of a product and its ASDF tag.

ASDF imports this module whenever it opens a file, so the converted class is named by a string, and
`model`, and with it ``roman_datamodels``, is imported only when a file contains the tag. That
import makes the model known to ``roman_datamodels.open`` in a process that never imported this
package.
"""

from __future__ import annotations

from asdf.extension import Converter

from .resources import NAMESPACE

__all__ = ["ForcedPhotometryConverter"]


class ForcedPhotometryConverter(Converter):
    """Converter for all versions of the forced-photometry tag; see `asdf.extension.Converter`."""

    tags = (f"{NAMESPACE}/tags/forced_photometry-*",)
    types = ("romancal_forcedphot.product.model.ForcedPhotometryNode",)
    lazy = True  # nodes below are converted when they are used

    def select_tag(self, obj, tags, ctx):
        """Return the tag with which a node is written.

        Parameters
        ----------
        obj : ForcedPhotometryNode
            The node.
        tags, ctx
            Not used.

        Returns
        -------
        str
            The tag with which it was read; the newest for a new one.
        """
        return obj.tag

    def to_yaml_tree(self, obj, tag, ctx):
        """Return the tree of a node.

        Parameters
        ----------
        obj : ForcedPhotometryNode
            The node.
        tag, ctx
            Not used.

        Returns
        -------
        dict
        """
        return dict(obj._data)

    def from_yaml_tree(self, node, tag, ctx):
        """Return the node of a tree.

        Parameters
        ----------
        node : mapping
            The tree.
        tag : str
            The tag with which it is in the file.
        ctx
            Not used.

        Returns
        -------
        ForcedPhotometryNode
        """
        from .model import ForcedPhotometryNode

        result = ForcedPhotometryNode(node)
        result._read_tag = tag
        return result
