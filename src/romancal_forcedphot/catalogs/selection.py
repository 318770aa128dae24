"""Selection of rows of a catalog by a condition on its columns: the parameter ``select``.

A condition such as ``type == 'PSF' and F106 > 1e-9`` is parsed by Python's own parser, and its
syntax tree is evaluated here: names of columns, numbers, texts, comparisons (chained ones too),
``and``, ``or``, ``not`` and parentheses are allowed, anything else is refused, and nothing is ever
executed. A column whose name is no Python identifier is written in backticks.

A value that is missing (masked, or NaN) is unknown, and so is what it is compared with: as in SQL,
neither ``F106 > 1`` nor ``not F106 > 1`` selects such a row, whatever the catalog's format.
"""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from astropy.coordinates import SkyCoord

from .errors import CatalogError
from .identifiers import integers_of_objects, texts
from .values import are_scalars, plain_values

__all__ = ["Selection"]

_COMPARISONS: dict[type, Callable] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_MEANT = (
    "expected comparisons (== != < <= > >=) of columns, numbers and 'texts', joined by and, or, "
    "not and parentheses, such as type == 'PSF' and F106 > 1e-9"
)
_TEXT_OR_BACKTICKS = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`([^`]*)`""", re.DOTALL)
_TOO_LARGE = 2**1023
"""Integers from here on count as infinite: no column holds them."""
_MAX_SHOWN = 200
#: What users of other query languages write, and what to write here.
_REMEDIES = {
    ast.BinOp: "write and/or instead of & and |; arithmetic is not offered",
    ast.In: "write a == 'b' or a == 'c'",
    ast.NotIn: "write a != 'b' and a != 'c'",
    ast.Is: "write ==",
    ast.IsNot: "write !=",
    ast.Invert: "write not",
}


@dataclass(frozen=True)
class _Operand:
    """One side of a comparison: values of a column (n,) or one value, and where it is unknown.

    Of a column in which all is missing, nothing tells whether it is text: `is_text` is None.
    """

    values: np.ndarray
    missing: np.ndarray
    is_text: bool | None
    shown: str


@dataclass(frozen=True)
class _Truth:
    """Where a condition holds and where it does not; neither where that is unknown."""

    yes: np.ndarray
    no: np.ndarray

    def __and__(self, other: _Truth) -> _Truth:
        return _Truth(self.yes & other.yes, self.no | other.no)

    def __or__(self, other: _Truth) -> _Truth:
        return _Truth(self.yes | other.yes, self.no & other.no)

    def __invert__(self) -> _Truth:
        return _Truth(self.no, self.yes)


@dataclass(frozen=True)
class Selection:
    """A condition on the columns of a table.

    Attributes
    ----------
    text : str
        The condition as the user wrote it.
    columns : tuple of str
        The columns it names, in the order of their appearance.
    """

    text: str
    columns: tuple[str, ...]
    _tree: ast.expr = field(repr=False)
    _names: dict[str, str] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Selection:
        """Read a condition.

        Parameters
        ----------
        text : str
            Such as ``type == 'PSF' and F106 > 1e-9``.

        Returns
        -------
        Selection

        Raises
        ------
        CatalogError
            The text is no condition, or holds something else than one may hold.
        """
        python, names = _without_backticks(text)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of escapes in texts, which may be as they like
                tree = ast.parse(python, mode="eval").body
            found = dict.fromkeys(cls(text, (), tree, names)._walk(tree))
        except CatalogError:
            raise
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            reason = getattr(error, "msg", None) or str(error) or type(error).__name__
            raise CatalogError(
                f"select {_quoted(text)} cannot be read ({reason}): {_MEANT}; a column whose name "
                "is no Python name goes in `backticks`"
            ) from error
        return cls(text, tuple(found), tree, names)

    def rows(self, column: Callable[[str], object], n_rows: int) -> np.ndarray:
        """Tell which rows are selected.

        Parameters
        ----------
        column : callable
            Gives the column of a name, or raises where there is none.
        n_rows : int
            Number of rows of the table.

        Returns
        -------
        ndarray of bool, shape (n_rows,)

        Raises
        ------
        CatalogError
            A text is compared with a number, or a column holds neither.
        """
        truth = self._condition(self._tree, column)
        return np.broadcast_to(truth.yes, n_rows).copy()

    def _walk(self, node: ast.expr) -> Iterator[str]:
        """Names of the columns of a condition; raise where it is none."""
        if isinstance(node, ast.BoolOp):
            for part in node.values:
                yield from self._walk(part)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield from self._walk(node.operand)
        elif isinstance(node, ast.Compare):
            for comparison in node.ops:
                if type(comparison) not in _COMPARISONS:
                    raise self._refused(node, comparison)
            for part in (node.left, *node.comparators):
                yield from self._walk_operand(part)
        elif isinstance(node, ast.Name):
            yield self._names.get(node.id, node.id)
        else:
            raise self._refused(node)

    def _walk_operand(self, node: ast.expr) -> Iterator[str]:
        if isinstance(node, ast.Name):
            yield self._names.get(node.id, node.id)
        elif _constant(node) is None:
            raise self._refused(node)

    def _refused(self, node: ast.expr, part: ast.AST | None = None) -> CatalogError:
        python = ast.unparse(node)
        for placeholder, name in self._names.items():
            python = python.replace(placeholder, f"`{name}`")
        kinds = [type(item) for item in (part, getattr(node, "op", None), node) if item is not None]
        remedy = next((f"; {_REMEDIES[kind]}" for kind in kinds if kind in _REMEDIES), "")
        return CatalogError(
            f"select {_quoted(self.text)} has {_quoted(python)}, which has no meaning here: "
            f"{_MEANT}{remedy}"
        )

    def _condition(self, node: ast.expr, column: Callable[[str], object]) -> _Truth:
        if isinstance(node, ast.BoolOp):
            truths = [self._condition(part, column) for part in node.values]
            join = operator.and_ if isinstance(node.op, ast.And) else operator.or_
            total = truths[0]
            for truth in truths[1:]:
                total = join(total, truth)
            return total
        if isinstance(node, ast.UnaryOp):
            return ~self._condition(node.operand, column)
        if isinstance(node, ast.Name):
            return self._bare(self._operand(node, column))
        sides = [self._operand(part, column) for part in (node.left, *node.comparators)]
        total = None
        for first, comparison, second in zip(sides[:-1], node.ops, sides[1:], strict=True):
            truth = self._compare(first, _COMPARISONS[type(comparison)], second)
            total = truth if total is None else total & truth
        return total

    def _bare(self, operand: _Operand) -> _Truth:
        """A column alone: it must hold true and false."""
        if operand.is_text is None:
            return _Truth(np.zeros_like(operand.missing), np.zeros_like(operand.missing))
        if operand.values.dtype.kind != "b":
            raise CatalogError(
                f"select {_quoted(self.text)} has {operand.shown} alone, which is neither true nor "
                f"false: compare it with a {'text' if operand.is_text else 'number'}"
            )
        return _Truth(operand.values & ~operand.missing, ~operand.values & ~operand.missing)

    def _compare(self, first: _Operand, comparison: Callable, second: _Operand) -> _Truth:
        known = ~(first.missing | second.missing)
        if first.is_text is None or second.is_text is None:
            return _Truth(np.zeros_like(known), np.zeros_like(known))
        if first.is_text != second.is_text:
            number, text = (second, first) if first.is_text else (first, second)
            raise CatalogError(
                f"select {_quoted(self.text)} compares {text.shown}, a text, with {number.shown}, "
                "a number: expected two of a kind; text goes in quotes, a number does not"
            )
        with np.errstate(over="ignore", invalid="ignore"):
            holds = np.asarray(comparison(_countable(first.values), _countable(second.values)))
        return _Truth(holds & known, ~holds & known)

    def _operand(self, node: ast.expr, column: Callable[[str], object]) -> _Operand:
        if not isinstance(node, ast.Name):
            value = _constant(node)
            return _Operand(value, np.zeros((), bool), isinstance(value, str), _quoted(value))
        name = self._names.get(node.id, node.id)
        return _column_operand(column(name), f"column {name!r}", self.text)


def _column_operand(column: object, shown: str, text: str) -> _Operand:
    """Values of a column, as numbers or as text, with what is missing."""
    kind = _unsuited(column)
    if kind is not None:
        raise CatalogError(
            f"select {_quoted(text)} names {shown}, which holds {kind}: expected a column of "
            "numbers, texts, or true and false"
        )
    values, missing = plain_values(column, shown, "one value in a row", "name another column")
    if values.dtype.kind == "O":
        values = _of_one_kind(values, missing, shown)
    is_text = values.dtype.kind in "SU"
    if is_text:
        values = np.strings.rstrip(texts(values, shown))
    elif values.dtype.kind == "f":
        missing = missing | np.isnan(values)
    return _Operand(values, missing, None if missing.all() else is_text, shown)


def _unsuited(column: object) -> str | None:
    """What a column holds that cannot be compared, None where it can."""
    if isinstance(column, SkyCoord):
        return "coordinates"
    if not isinstance(column, np.ndarray):
        return f"{type(column).__name__} objects"
    if column.ndim != 1:
        return "several values in a row"
    if column.dtype.kind == "O":
        present = np.asarray(getattr(column, "unmasked", column))
        present = present[[value is not None and value is not np.ma.masked for value in present]]
        return None if are_scalars(present) else "values of type object, such as lists"
    return None if column.dtype.kind in "biufSU" else f"values of type {column.dtype}"


def _of_one_kind(values: np.ndarray, missing: np.ndarray, shown: str) -> np.ndarray:
    """Python objects as numbers where all are, else as texts."""
    present = values[~missing]
    if any(isinstance(value, str | bytes) for value in present):
        return texts(np.where(missing, "", values), shown)
    integers = integers_of_objects(values, missing)
    if integers is not None:
        return integers
    numbers = np.full(values.shape, np.nan)
    try:
        numbers[~missing] = present.astype(float)
    except (TypeError, ValueError, OverflowError):  # dates, for instance
        return texts(np.where(missing, "", values), shown)
    return numbers


def _countable(values: np.ndarray) -> np.ndarray:
    """Truth values as 0 and 1, which compare with any number."""
    return (
        values.astype(np.uint8)
        if isinstance(values, np.ndarray) and values.dtype.kind == "b"
        else values
    )


def _quoted(value: object) -> str:
    """A text or a number as an error shows it, shortened if it is long."""
    shown = repr(value)
    return shown if len(shown) <= _MAX_SHOWN else f"{shown[:_MAX_SHOWN]}...{shown[-1]}"


def _constant(node: ast.expr) -> int | float | str | None:
    """Value of a number, with a sign or not, or of a text; None for anything else."""
    sign = 1
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        sign = -1 if isinstance(node.op, ast.USub) else 1
        node = node.operand
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return None
    if not isinstance(node, ast.Constant) or type(node.value) not in (int, float, str):
        return None
    if isinstance(node.value, str):
        return node.value
    return sign * (node.value if node.value < _TOO_LARGE else np.inf)


def _without_backticks(text: str) -> tuple[str, dict[str, str]]:
    """Replace names in backticks by identifiers; return the text, and the name of each of them."""
    stem = "column"
    while stem in text:
        stem += "_"
    names: dict[str, str] = {}

    def replaced(match: re.Match) -> str:
        if match.group(1) is None:
            return match.group()
        placeholder = f"{stem}{len(names)}x"
        names[placeholder] = match.group(1)
        return f" {placeholder} "

    python = _TEXT_OR_BACKTICKS.sub(replaced, text).strip()
    return " ".join(python.splitlines()), names
