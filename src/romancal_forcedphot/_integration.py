"""Entry points of stpipe and ASDF: names as strings, nothing heavy imported.

stpipe and ASDF load this module whenever they start, in programs that may never use this package.
What is named here is imported when it is first needed.
"""

from __future__ import annotations

__all__ = ["get_extensions", "get_resource_mappings", "get_steps"]


def get_steps() -> list[tuple[str, str, bool]]:
    """Name the steps for ``stpipe.steps``.

    Returns
    -------
    list of tuple
        Full class name, class alias, and whether the class is a pipeline.
    """
    return [("romancal_forcedphot.step.ForcedPhotometryStep", "forced_phot", False)]


def get_extensions() -> list:
    """Give ASDF the extension that writes and reads our products (``asdf.extensions``).

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
    """Give ASDF our schemas and manifest (``asdf.resource_mappings``).

    Returns
    -------
    list of asdf.resource.DirectoryResourceMapping
    """
    from .product.resources import resource_mappings

    return resource_mappings()
