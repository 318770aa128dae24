"""ASDF schemas and manifest of the product, and the URIs they are known by.

The YAML files beside this module are found by ASDF through :func:`resource_mappings`. Nothing
here may import ``roman_datamodels``: it asks ASDF for its own resources while it is imported, and
ASDF would come back here in a circle. A schema that was released is never edited: write a file
with the next version, add its tag to the next manifest, and keep the old ones.
"""

from __future__ import annotations

__all__ = ["MANIFEST_URI", "NAMESPACE", "SCHEMA_URI", "TAG_URI", "resource_mappings"]

NAMESPACE = "asdf://romancal-forcedphot"
MANIFEST_URI = f"{NAMESPACE}/manifests/forcedphot-1.0.0"
SCHEMA_URI = f"{NAMESPACE}/schemas/forced_photometry-1.0.0"
TAG_URI = f"{NAMESPACE}/tags/forced_photometry-1.0.0"


def resource_mappings() -> list:
    """Map the URIs of the schemas and manifests to the files that hold them.

    Returns
    -------
    list of asdf.resource.DirectoryResourceMapping
        One for the schemas, one for the manifests.
    """
    import importlib.resources

    from asdf.resource import DirectoryResourceMapping

    root = importlib.resources.files(__name__)
    return [
        DirectoryResourceMapping(root / "schemas", f"{NAMESPACE}/schemas/", recursive=True),
        DirectoryResourceMapping(root / "manifests", f"{NAMESPACE}/manifests/"),
    ]
