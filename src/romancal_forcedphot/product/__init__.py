"""The product: an ASDF data model with its schemas, and its Parquet form.

ASDF imports `converter` and `resources` (the schemas) whenever it starts, so this module imports
nothing. `model` defines the `ForcedPhotometryModel`; `metadata` derives its metadata from those of
an image, and `parquet` converts its table to Arrow.
"""

from __future__ import annotations
