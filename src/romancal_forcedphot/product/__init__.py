"""The product: an ASDF data model with its schemas, also written as Parquet.

ASDF loads the converter and the schemas (`converter`, `resources`) whenever it starts, so this
module imports nothing; `model` has the `ForcedPhotometryModel`.
"""

from __future__ import annotations
