"""Entry points for stpipe and ASDF, without expensive imports.

stpipe and ASDF import this module whenever they start, in programs that may never use this package.
Steps are given by name, and everything else is imported when it is first needed.
"""

from __future__ import annotations

__all__ = ["get_extensions", "get_resource_mappings", "get_steps"]


def get_steps() -> list[tuple[str, str, bool]]:
    """Return the names of the steps, for the entry point ``stpipe.steps``.

    Returns
    -------
    list of tuple
        Full name of the class, its alias, and whether it is a pipeline.
    """
    return [("romancal_forcedphot.step.ForcedPhotometryStep", "forced_phot", False)]


def get_extensions() -> list:
    """Return the extension that reads and writes products, for ``asdf.extensions``.

    Returns
    -------
    list of asdf.extension.Extension
        One extension per manifest.
    """
    from asdf.extension import ManifestExtension

    from .product.converter import ForcedPhotometryConverter
    from .product.resources import MANIFEST_URI

    return [ManifestExtension.from_uri(MANIFEST_URI, converters=[ForcedPhotometryConverter()])]


def get_resource_mappings() -> list:
    """Return the schemas and the manifest of products, for ``asdf.resource_mappings``.

    Returns
    -------
    list of asdf.resource.DirectoryResourceMapping
    """
    from .product.resources import resource_mappings

    return resource_mappings()
