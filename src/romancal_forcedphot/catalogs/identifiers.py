"""Conversion of columns to ids and text, such that different ids stay different.

A column of bytes that are not UTF-8 is decoded as Latin-1 (ISO 8859-1), in which each byte is a
character of its own; bytes that are no text, such as binary UUIDs, become hexadecimal digits.
"""

from __future__ import annotations

import decimal
import logging

import numpy as np

from .errors import CatalogError
from .values import plain_values

__all__ = ["integers_of_objects", "texts", "to_labels", "to_names"]

# Below romancal's logger, whose handlers every romancal pipeline sets up.
log = logging.getLogger(f"romancal.{__name__}")

_LABEL_REMEDY = "name another with --label_column"


def to_labels(column: object, what: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Return ids as integers where they are, else numbers from 1 and the ids as text.

    Parameters
    ----------
    column : astropy.table.Column or other column
        n integers, whole numbers held as floats, or texts.
    what : str
        How messages refer to the column.

    Returns
    -------
    label : ndarray of int64, shape (n,)
        The ids, or 1 to n.
    source_name : ndarray of str, shape (n,), or None
        None where the ids are the labels, or there are none; '' in a row without one.

    Raises
    ------
    CatalogError
        There is something else than one id in a row.
    """
    values, mask = plain_values(column, what, "one id in a row", _LABEL_REMEDY)
    counted = np.arange(1, len(values) + 1, dtype=np.int64)
    if values.dtype.kind == "O":
        integers = integers_of_objects(values, mask)
        values = values if integers is None else integers
    elif values.dtype.kind == "f":
        mask = mask | ~np.isfinite(values)
        if np.any(np.abs(values[~mask]) >= _exact_integers(values.dtype)):
            log.warning(
                "%s holds ids with more digits than its floats: numbered from 1 instead", what
            )
            return counted, None
        if np.all(np.trunc(values[~mask]) == values[~mask]):
            values = np.where(mask, 0, values).astype(np.int64)
    if not mask.any() and _fit_int64(values):
        return values.astype(np.int64), None
    names = np.strings.rstrip(np.where(mask, "", texts(values, what)))
    return counted, names if np.any(names != "") else None


def to_names(column: object, what: str, remedy: str) -> np.ndarray:
    """Return a column of names as text without blanks around.

    Parameters
    ----------
    column : astropy.table.Column or other column
        n texts.
    what : str
        How error messages refer to the column.
    remedy : str
        What the error message advises.

    Returns
    -------
    ndarray of str, shape (n,)
        '' where there is none.

    Raises
    ------
    CatalogError
        There is something else than one text in a row.
    """
    values, mask = plain_values(column, what, "one name in a row", remedy)
    if values.dtype.kind not in "USO":
        raise CatalogError(
            f"{what} is of type {values.dtype}: expected one name in a row; {remedy}"
        )
    return np.strings.strip(np.where(mask, "", texts(values, what)))


def integers_of_objects(values: np.ndarray, mask: np.ndarray) -> np.ndarray | None:
    """Return Python's integers, and decimal numbers that are whole, as an array of integers.

    Parameters
    ----------
    values : ndarray of object, shape (n,)
        Any objects.
    mask : ndarray of bool, shape (n,)
        Where there is none.

    Returns
    -------
    ndarray of int64, or of Python integers where int64 does not hold them, shape (n,), or None
        0 where masked; None if there is something else.
    """
    present = values[~mask]
    for value in present:
        if isinstance(value, bool) or not isinstance(value, int | np.integer | decimal.Decimal):
            return None
        if isinstance(value, decimal.Decimal) and not _is_whole(value):
            return None
    integers = np.zeros(len(values), dtype=object)
    integers[~mask] = [int(value) for value in present]
    try:
        return integers.astype(np.int64)
    except OverflowError:
        return integers


def texts(values: np.ndarray, what: str) -> np.ndarray:
    """Return values of any type as text.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Texts, bytes, numbers or Python objects.
    what : str
        How warnings refer to them.

    Returns
    -------
    ndarray of str, shape (n,)
        Different texts for different bytes. Bytes are UTF-8, or else Latin-1.
    """
    if values.dtype.kind == "U":
        return values
    if values.dtype.kind == "S":
        return _decoded(values, what)
    items = values.tolist() if values.dtype.kind == "O" else list(values)
    raw = np.array([item if isinstance(item, bytes) else b"" for item in items], dtype=object)
    if any(raw):
        decoded = _decoded_objects(raw, what)
        items = [
            text if isinstance(item, bytes) else item
            for item, text in zip(items, decoded, strict=True)
        ]
    return np.array([str(item) for item in items], dtype=str)


def _decoded(values: np.ndarray, what: str) -> np.ndarray:
    """Return fixed-length bytes as text."""
    try:
        return np.strings.decode(values, "utf-8")
    except UnicodeDecodeError:
        _warn_of_latin_1(what)
        return np.strings.decode(values, "latin-1")


def _decoded_objects(raw: np.ndarray, what: str) -> list[str]:
    """Return bytes objects as text; those with zeros in them, which no text has, as digits."""
    if any(b"\0" in item for item in raw):
        return [item.hex() for item in raw]
    try:
        return [item.decode() for item in raw]
    except UnicodeDecodeError:
        _warn_of_latin_1(what)
        return [item.decode("latin-1") for item in raw]


def _warn_of_latin_1(what: str) -> None:
    log.warning("%s is not UTF-8: read as Latin-1 (ISO 8859-1); write it in UTF-8 if not so", what)


def _exact_integers(dtype: np.dtype) -> float:
    """From where on a type of float skips integers: 2**53 for float64."""
    return 2.0 ** (np.finfo(dtype).nmant + 1)


def _is_whole(value: decimal.Decimal) -> bool:
    """Whether a decimal number is an integer of at most 40 digits."""
    return value.is_finite() and value.adjusted() < 40 and value == value.to_integral_value()


def _fit_int64(values: np.ndarray) -> bool:
    """Whether values are integers that int64 holds."""
    if values.dtype.kind == "u":
        return bool(np.all(values <= np.iinfo(np.int64).max))
    return values.dtype.kind == "i"
