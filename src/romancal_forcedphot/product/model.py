"""Data model of the product: metadata of the image, provenance, and the table of sources.

A :class:`ForcedPhotometryModel` is a data model of ``roman_datamodels`` like romancal's own
catalogs, with a schema of this package. ``roman_datamodels`` generates its node classes from RAD's
manifest; here the node class is written out and added to the same registries, so that
``roman_datamodels.open`` finds the model by the tag in the file.

Files are written atomically, through file objects (see `storage.write_atomically`).
"""

from __future__ import annotations

import importlib.metadata
import logging
import traceback
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import asdf
from asdf.util import NotSet
from astropy.table import Table
from astropy.time import Time
from roman_datamodels._stnode import TaggedObjectNode
from roman_datamodels._stnode._registry import NODE_CLASSES_BY_TAG, SCHEMA_URIS_BY_TAG
from roman_datamodels.datamodels import DataModel
from roman_datamodels.datamodels import open as rdm_open

from ..storage import file_name, open_asdf, shown, write_atomically
from .column_check import check_columns
from .metadata import add_missing, catalog_metadata, level_of
from .parquet import arrow_table
from .plain import plain
from .resources import MANIFEST_URI, SCHEMA_URI, TAG_URI

__all__ = ["ForcedPhotometryModel", "ForcedPhotometryNode"]

log = logging.getLogger(f"romancal.{__name__}")  # below romancal's, whose lines are shown

_INLINE_BELOW = 512  # elements; as roman_datamodels


class _OwnConverter:
    """Keeps a node class out of the types of RAD's converter.

    ``TaggedObjectNode`` adds each subclass to these types. The converter reads them when ASDF is
    first loaded, so whether it would convert our nodes, under a manifest that does not define
    them, would depend on the order of imports.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        pass


class ForcedPhotometryNode(_OwnConverter, TaggedObjectNode):
    """The tree of a forced-photometry product under its tag."""

    __slots__ = ()
    _pattern = TAG_URI.rsplit("-", 1)[0] + "-*"
    _latest_manifest = MANIFEST_URI
    _default_tag = TAG_URI


SCHEMA_URIS_BY_TAG[TAG_URI] = SCHEMA_URI
NODE_CLASSES_BY_TAG[TAG_URI] = ForcedPhotometryNode


class ForcedPhotometryModel(DataModel):
    """Forced photometry of one image or mosaic at the positions of a catalog.

    ``model.meta`` holds the metadata of romancal's catalogs, ``model.meta.forced_phot`` the
    provenance of the measurements, ``model.source_catalog`` the table (`~astropy.table.Table`).
    Products can be pickled, whether they were created here or opened from a file.
    """

    __slots__ = ()
    _node_type = ForcedPhotometryNode

    @classmethod
    def from_image(
        cls, metadata: Mapping[str, Any], table: Table, forced_phot: Mapping[str, Any]
    ) -> ForcedPhotometryModel:
        """Create the product of an image.

        Metadata are copied, never shared. ``meta.filename`` is that of the image until the product
        is saved, as in romancal's catalogs. The reference files are those of the image, but for
        ``area``, ``apcorr`` and ``epsf``, which are ``N/A`` until the ones used for the product
        are recorded. Entries that RAD requires and an image of an older generation lacks are
        filled with RAD's placeholders, and a warning lists them.

        Parameters
        ----------
        metadata : mapping
            The ``meta`` of a Level-2 image or a Level-3 mosaic; entries that catalogs do not have
            are left out.
        table : astropy.table.Table
            What `romancal_forcedphot.measure` returned.
        forced_phot : mapping
            Content of ``meta.forced_phot``, see its schema; NumPy values and paths are converted
            to plain Python values, and ``version`` is added if it is missing.

        Returns
        -------
        ForcedPhotometryModel
            Not yet validated.
        """
        schema = ForcedPhotometryNode({}).get_schema()["properties"]["meta"]
        meta = catalog_metadata(metadata, schema)
        of_image = ("filename", "file_date")
        meta["image"] = {key: plain(metadata[key]) for key in of_image if key in metadata}
        meta["model_type"] = cls.__name__
        meta["file_date"] = Time.now()
        meta["cal_logs"] = []
        version = importlib.metadata.version("romancal_forcedphot")
        meta["forced_phot"] = {"version": version, **plain(forced_phot)}
        node = ForcedPhotometryNode({})
        node["meta"] = _filled(meta) if level_of(metadata) == 2 else meta
        node["source_catalog"] = table.copy()
        return cls(node)

    @classmethod
    def read(cls, path: Any) -> ForcedPhotometryModel:
        """Read a product from a file, whole, so that nothing is left open.

        Parameters
        ----------
        path : str or path-like
            An ASDF file, local or at an ``s3://`` URI.

        Returns
        -------
        ForcedPhotometryModel

        Raises
        ------
        StorageError
            The file cannot be read or is damaged.
        TypeError
            It is not a product.
        """
        with open_asdf(path) as file:
            try:
                model = rdm_open(file)
            except (TypeError, ValueError) as error:
                raise TypeError(f"{shown(path)} is not a Roman product ({error})") from error
            if not isinstance(model, cls):
                kind = type(model).__name__
                raise TypeError(f"{shown(path)} is a {kind}: expected a {cls.__name__}")
            return _restored(*model._content())

    def __reduce__(self) -> tuple:
        """Pickle the product whole, whether it was made here or opened from a file."""
        return _restored, self._content()

    def _content(self) -> tuple[str | None, dict[str, Any]]:
        """Tag and tree of the product, independent of any file."""
        data = self._instance._data
        tree = {key: plain(data[key]) for key in data if key != "source_catalog"}
        if "source_catalog" in data:
            tree["source_catalog"] = Table(self.source_catalog, copy=True)
        return self._instance._read_tag, tree

    @property
    def schema_uri(self) -> str:
        """URI of the schema that this model is validated against."""
        return SCHEMA_URIS_BY_TAG[self._instance.tag]

    def validate(self) -> None:
        """Check the model against its schema and its table against ``meta.forced_phot``.

        Raises
        ------
        asdf.exceptions.ValidationError
            A part is missing or of the wrong type.
        """
        super().validate()
        check_columns(self.source_catalog, self.meta.forced_phot)

    def to_asdf(
        self,
        init: Any,
        *args: Any,
        all_array_compression: str | None = "lz4",
        all_array_storage: Any = NotSet,
        **kwargs: Any,
    ) -> None:
        """Write an ASDF file, whole or not at all.

        Parameters
        ----------
        init : str, path-like or file object
            Destination; a file that is already there is replaced. ``meta.filename`` in the file
            is its name, ``meta.file_date`` the time.
        *args, all_array_compression, all_array_storage, **kwargs
            As for `asdf.AsdfFile.write_to`.

        Raises
        ------
        asdf.exceptions.ValidationError
            The model does not fit its schema.
        StorageError
            The destination cannot be written.
        """
        options = {
            "all_array_compression": all_array_compression,
            "all_array_storage": all_array_storage,
            **kwargs,
        }
        if isinstance(init, str | PurePath):
            with write_atomically(init) as file:
                self._write(file, file_name(init), *args, **options)
        else:
            name = getattr(init, "name", None)
            self._write(init, file_name(name) if isinstance(name, str) else None, *args, **options)

    def _write(self, file: Any, name: str | None, *args: Any, **options: Any) -> None:
        """Write to an open file under a name; asdf would take a path for a URI."""
        data = dict(self._instance._data)
        changed = {"file_date": Time.now()} | ({"filename": name} if name else {})
        data["meta"] = {**data["meta"], **changed}
        node = ForcedPhotometryNode(data)
        node._read_tag = self._instance._read_tag
        with asdf.config_context() as config:
            if config.array_inline_threshold is None and options["all_array_storage"] is NotSet:
                config.array_inline_threshold = _INLINE_BELOW
            try:
                asdf.AsdfFile({"roman": node}).write_to(file, *args, **options)
            except OSError as error:
                # Python 3.13 would complain, below the message, of buffers in asdf's frames.
                traceback.clear_frames(error.__traceback__)
                raise
        check_columns(self.source_catalog, self.meta.forced_phot)

    def to_parquet(self, filepath: Any) -> None:
        """Write a Parquet file in the layout of romancal's catalogs, whole or not at all.

        Each field carries its unit; the file's metadata hold ``roman.meta.*`` flattened to text,
        and astropy's description of the table, from which `astropy.table.Table.read` restores it.
        Numbers that are missing in columns of the catalog become nulls, texts become empty.

        Parameters
        ----------
        filepath : str or path-like
            Destination; a file that is already there is replaced.

        Raises
        ------
        asdf.exceptions.ValidationError
            The model does not fit its schema.
        StorageError
            The destination cannot be written.
        """
        import pyarrow.parquet

        self.validate()
        flat = {k: str(v) for k, v in self.to_flat_dict().items() if k.startswith("roman.meta.")}
        flat |= {
            "roman.meta.filename": file_name(filepath),
            "roman.meta.file_date": str(Time.now()),
        }
        table = arrow_table(self.source_catalog, flat)
        with write_atomically(filepath) as file:
            pyarrow.parquet.write_table(table, file, compression=None)


def _restored(tag: str | None, tree: dict[str, Any]) -> ForcedPhotometryModel:
    """Make a product of its tag and tree."""
    node = ForcedPhotometryNode(tree)
    node._read_tag = tag
    return ForcedPhotometryModel(node)


def _filled(meta: dict[str, Any]) -> dict[str, Any]:
    """Fill what the schema requires and an older image lacks with RAD's placeholders."""
    placeholders = ForcedPhotometryNode.create_fake_data({"meta": meta})["meta"]
    if added := add_missing(meta, placeholders):
        log.warning("The image lacks metadata, placeholders stand for: %s", ", ".join(added))
    return meta
