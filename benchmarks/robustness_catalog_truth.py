"""Catalogs whose right answer is known: rows drawn at random, and what must be read of them.

Nothing of the tested package is used here: the generator's own rows are the truth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["FILE_NAMES", "Condition", "Rows", "draw_condition", "draw_name", "draw_rows"]

#: Names that an operating system allows and programs stumble over.
FILE_NAMES = (
    *("catalog", "night#2", "what?", "100%", "a%20b", "new\nline", "c,d", "ünï 源", "it's"),
    *(' "quoted" ', "[x]", "a;b", "$HOME", "~x", "-dash", "b\udcff", "tab\there", "a&b", "..."),
)
_SKY_NAMES = (
    *(("ra", "dec"), ("RA", "DEC"), ("Ra", "Dec"), ("RAJ2000", "DEJ2000"), ("RA_ICRS", "DE_ICRS")),
    *(("ra_centroid", "dec_centroid"), ("ALPHA_J2000", "DELTA_J2000")),
)
_ID_NAMES = ("label", "id", "source_id", "ID", "Source_ID")
_WORDS = ("star", "M 31", "NGC-224", "a, b", "x;y", 'say "so"', "tab\tbed", "#1", "# 2", "nil")
_TRAPS = ("007", "1e5", "12E4", "nan", "NaN", "inf", "-Infinity", "0x10", "1_000", "+5", "-0")
_ACCENTS = ("café", "cafè", "cafê", "naïve", "Ångström", "ÿ", "§1")
_WIDE = ("星", "αβγ", "Ω1", "🌟", "Ж")


@dataclass(frozen=True)
class Rows:
    """The rows of a catalog.

    Attributes
    ----------
    ra, dec : ndarray (n,)
        Degrees, NaN where missing.
    ids : list, or None
        An int or str for each row, None where missing; None where the catalog has no ids.
    names : tuple of str
        Of the columns of right ascension, declination and ids.
    number : list
        A float or None for each row.
    count : list of int
        Small integers.
    kind : list
        A str or None for each row, never empty.
    """

    ra: np.ndarray
    dec: np.ndarray
    ids: list | None
    names: tuple[str, str, str]
    number: list
    count: list
    kind: list

    def __len__(self) -> int:
        return len(self.ra)

    def columns(self) -> dict[str, list]:
        """Values of each column, None where missing."""
        ra, dec = (
            [None if np.isnan(v) else float(v) for v in each] for each in (self.ra, self.dec)
        )
        found = {self.names[0]: ra, self.names[1]: dec}
        if self.ids is not None:
            found[self.names[2]] = self.ids
        return found | {"number": self.number, "count": self.count, "kind": self.kind}

    def labels(self, *, typed: bool) -> tuple[list[int], list[str] | None]:
        """Integer ids and names that must be read.

        Parameters
        ----------
        typed : bool
            Whether the format knows text from numbers; else an integer's digits are an integer.
        """
        n = len(self)
        ids = self.ids if self.ids is not None else [None] * n
        if not typed:
            ids = [_untyped(each) for each in ids]
            if not all(isinstance(each, int) for each in ids):
                ids = [None if each is None else str(each) for each in ids]
        whole = all(isinstance(each, int) and -(2**63) <= each < 2**63 for each in ids)
        if self.ids is not None and whole:
            return [int(each) for each in ids], None
        texts = ["" if each is None else str(each).rstrip() for each in ids]
        return list(range(1, n + 1)), texts if any(texts) else None


@dataclass(frozen=True)
class Condition:
    """A selection: its text, and what it says of a row (None for unknown)."""

    text: str
    holds: Callable[[Rows, int], bool | None]


def draw_name(rng: np.random.Generator) -> str:
    """Return the name of a file without an extension, a hostile one in most cases."""
    return str(rng.choice(FILE_NAMES))


def draw_rows(rng: np.random.Generator, *, n_rows: int | None = None) -> Rows:
    """Return rows with positions all over the sky, and ids of a random kind."""
    n = int(rng.choice([0, 1, 2, 3, 7, 30])) if n_rows is None else n_rows
    ra, dec = rng.uniform(0, 360, n), rng.uniform(-90, 90, n)
    if rng.random() < 0.3:
        ra[rng.random(n) < 0.2] = np.nan
        dec[rng.random(n) < 0.2] = np.nan
    if rng.random() < 0.2:
        ra, dec = np.round(ra), np.round(dec)
        ra[ra == 360] = 0
    ra_name, dec_name = _SKY_NAMES[rng.integers(len(_SKY_NAMES))]
    names = (ra_name, dec_name, str(rng.choice(_ID_NAMES)))
    number = [None if rng.random() < 0.2 else float(v) for v in rng.normal(0, 1e-8, n)]
    kind = [
        None if rng.random() < 0.2 else str(rng.choice(["PSF", "SER", "it's"])) for _ in range(n)
    ]
    count = [int(v) for v in rng.integers(-3, 5, n)]
    return Rows(ra, dec, _draw_ids(rng, n), names, number, count, kind)


def _draw_ids(rng: np.random.Generator, n: int) -> list | None:
    """Draw ids of one kind."""
    kind = str(rng.choice(["none", "small", "large", "huge", "words", "traps", "accents", "wide"]))
    if kind == "none":
        return None
    if kind in ("small", "large", "huge"):
        low, high = {"small": (-5, 50), "large": (-(2**63), 2**63), "huge": (2**63, 2**64)}[kind]
        ids = [int(v) for v in rng.integers(low, high, n, dtype="u8" if kind == "huge" else "i8")]
    else:
        pool = {"words": _WORDS, "traps": _TRAPS, "accents": _ACCENTS, "wide": _WIDE}[kind]
        ids = [str(rng.choice(pool)) + (f" {i}" if rng.random() < 0.3 else "") for i in range(n)]
    if rng.random() < 0.25:
        ids = [None if rng.random() < 0.3 else each for each in ids]
    return ids


def _untyped(value: int | str | None) -> int | str | None:
    """What a text means as an id in a file without types: an integer, in its usual spelling."""
    text = "" if value is None else str(value)
    if text.strip() == "":
        return None
    try:
        number = int(text)
    except ValueError:
        return text
    return number if str(number) == text else text


def draw_condition(rng: np.random.Generator, depth: int = 2) -> Condition:
    """Return a random selection on the columns `number`, `count` and `kind`."""
    if depth == 0 or rng.random() < 0.3:
        return _draw_comparison(rng)
    first, second = (draw_condition(rng, depth - 1) for _ in range(2))
    word = str(rng.choice(["and", "or", "not"]))
    if word == "not":
        return Condition(f"not ({first.text})", lambda rows, i: _not(first.holds(rows, i)))
    join = {"and": _and, "or": _or}[word]
    return Condition(
        f"({first.text}) {word} ({second.text})",
        lambda rows, i: join(first.holds(rows, i), second.holds(rows, i)),
    )


def _draw_comparison(rng: np.random.Generator) -> Condition:
    column = str(rng.choice(["number", "count", "kind"]))
    sign = str(rng.choice(["==", "!=", "<", "<=", ">", ">="]))
    value = {
        "number": lambda: float(rng.choice([0.0, 1e-8, -1e-9, 1e300])),
        "count": lambda: int(rng.choice(np.array([0, 2, -1, 10**400, -(10**400)], dtype=object))),
        "kind": lambda: str(rng.choice(["PSF", "SER", "it's", ""])),
    }[column]()
    compare = {
        "==": lambda a: a == value,
        "!=": lambda a: a != value,
        "<": lambda a: a < value,
        "<=": lambda a: a <= value,
        ">": lambda a: a > value,
        ">=": lambda a: a >= value,
    }[sign]

    def holds(rows: Rows, i: int) -> bool | None:
        own = getattr(rows, column)[i]
        return None if own is None else compare(own)

    return Condition(f"{column} {sign} {value!r}", holds)


def _not(truth: bool | None) -> bool | None:
    return None if truth is None else not truth


def _and(first: bool | None, second: bool | None) -> bool | None:
    if first is False or second is False:
        return False
    return None if first is None or second is None else True


def _or(first: bool | None, second: bool | None) -> bool | None:
    return _not(_and(_not(first), _not(second)))
