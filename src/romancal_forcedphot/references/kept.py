"""References that stay open from one exposure to the next.

Many exposures in one process share few reference files: those of a detector and filter. Opening one
and reading it costs as much as measuring some thousand sources, so the last few stay open.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from roman_datamodels import datamodels as rdm

from ..storage import open_asdf
from .finder import Finder, Reference

__all__ = ["KeepingFinder"]


@dataclass
class KeepingFinder:
    """A finder that keeps the last few references open; pickled without them.

    Attributes
    ----------
    finder : Finder
        Who finds the files.
    most : int
        How many references stay open; a pixel-area map takes 67 MB.
    """

    finder: Finder
    most: int = 4
    _kept: OrderedDict[tuple[str, str], tuple[Any, dict]] = field(
        default_factory=OrderedDict, repr=False
    )
    _lock: Any = field(default_factory=threading.Lock, repr=False)

    def find(self, kind: str, parameters: Mapping[str, Any]) -> Reference | None:
        """Find a reference file; see `Finder.find`. Its content is an open model."""
        found = self.finder.find(kind, parameters)
        if found is None or not isinstance(found.content, str):
            return found
        key = (kind, found.content)
        with self._lock:
            if key not in self._kept:
                while len(self._kept) >= self.most:
                    self._kept.popitem(last=False)  # closed when its last user lets go of it
                self._kept[key] = _opened(found.content), {}
            self._kept.move_to_end(key)
            content, made = self._kept[key]
            return replace(found, content=content, made=made)

    def __getstate__(self) -> dict[str, Any]:
        return {"finder": self.finder, "most": self.most}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)


def _opened(path: str) -> Any:
    """Return a file as an open model; its path where it cannot be opened.

    Whoever opens it by its path then says what is wrong with it.
    """
    try:
        return rdm.open(open_asdf(path, validate=False))  # as `files.open_reference`
    except Exception:
        return path
