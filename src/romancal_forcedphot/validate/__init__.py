"""Comparison of a product with a reference catalog.

`compare` matches rows and returns offsets and pulls; `main` is the command `forced_phot_validate`,
which prints their statistics by magnitude, plots them, and fails above a limit.
"""

from __future__ import annotations

from .cli import main
from .comparison import Comparison, compare
from .reference import ValidationError

__all__ = ["Comparison", "ValidationError", "compare", "main"]
