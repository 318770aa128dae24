"""A finished product against a reference catalog.

`compare` matches the rows and returns offsets and pulls; `main` is the command
`forced_phot_validate`, which prints them by magnitude, draws them, and fails past a limit.
"""

from __future__ import annotations

from .cli import main
from .comparison import Comparison, compare
from .reference import ValidationError

__all__ = ["Comparison", "ValidationError", "compare", "main"]
