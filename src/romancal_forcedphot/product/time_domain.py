"""RAD's time-domain source catalogs (roman_datamodels 1.2): files of them as tables, and back.

Such a catalog holds forced photometry on one image. It has neither time nor band among its columns;
both are in its metadata.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from typing import Any

import asdf
from astropy.table import Table
from astropy.time import Time

from ..storage import StorageError, open_asdf, shown, write_atomically
from .plain import plain

__all__ = ["TimeDomainError", "read_time_domain", "require_time_domain", "write_time_domain"]


class TimeDomainError(ValueError):
    """A time-domain catalog cannot be read or written; the message says why."""


def require_time_domain() -> Any:
    """Return the class of the model, or raise where roman_datamodels does not know it.

    Returns
    -------
    type
        ``TimeDomainSourceCatalogModel`` of roman_datamodels.

    Raises
    ------
    TimeDomainError
        roman_datamodels is older than 1.2.
    """
    from roman_datamodels import __version__, datamodels

    model = getattr(datamodels, "TimeDomainSourceCatalogModel", None)
    if model is None:
        raise TimeDomainError(
            f"time-domain catalogs need roman_datamodels 1.2, and {__version__} is installed: "
            "pip install 'roman_datamodels>=1.2'"
        )
    return model


def write_time_domain(
    path: str | os.PathLike, table: Table, metadata: Mapping[str, Any], catalog: str
) -> None:
    """Write a time-domain source catalog.

    Parameters
    ----------
    path : path-like
        Destination, an ASDF file.
    table : astropy.table.Table
        Its rows; must have all columns that RAD wants.
    metadata : mapping
        What is known of the image, by parts of ``meta``; RAD's placeholders stand for the rest.
    catalog : str
        Name of the catalog of positions.

    Raises
    ------
    TimeDomainError
        roman_datamodels is older than 1.2.
    asdf.exceptions.ValidationError
        The table is not what RAD wants.
    """
    model = require_time_domain().create_fake_data()
    for part, values in metadata.items():
        if isinstance(values, Mapping):
            for key, value in values.items():
                model.meta[part][key] = value
        else:
            model.meta[part] = values
    model.meta.forced_psf_catalogs = [catalog]
    model.meta.id_columns = ["label"]
    model.meta.file_date = Time(metadata.get("file_date") or Time.now())
    model.source_catalog = table
    model.validate()
    with write_atomically(path) as file:  # asdf would take a path for a URI
        asdf.AsdfFile({"roman": model._instance}).write_to(file)


def read_time_domain(path: str | os.PathLike) -> tuple[Table, dict[str, Any]]:
    """Read a time-domain source catalog.

    Parameters
    ----------
    path : path-like
        An ASDF file.

    Returns
    -------
    table : astropy.table.Table
    metadata : dict
        ``meta`` as plain values and times.

    Raises
    ------
    TimeDomainError
        It is something else, or roman_datamodels is older than 1.2.
    """
    kind = require_time_domain()
    from roman_datamodels import datamodels

    with contextlib.ExitStack() as stack:
        try:
            file = open_asdf(path)
            stack.callback(file.close)
            model = datamodels.open(file)
        except StorageError:
            raise
        except Exception as error:
            raise TimeDomainError(
                f"{shown(path)} cannot be opened ({error}): expected a time-domain source catalog"
            ) from error
        if not isinstance(model, kind):
            raise TimeDomainError(
                f"{shown(path)} is a {type(model).__name__}: expected a time-domain source catalog"
            )
        return model.source_catalog.copy(), {key: plain(model.meta[key]) for key in model.meta}
