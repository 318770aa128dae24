"""Conversion of the names of data-quality flags to bit masks."""

from __future__ import annotations

from collections.abc import Sequence

from astropy.nddata.bitmask import extend_bit_flag_map, interpret_bit_flags
from roman_datamodels import dqflags

__all__ = ["ANY_FLAG", "dq_bits"]

_FLAGS = {flag.name: int(flag.value) for flag in dqflags.pixel if flag.value}
#: All bits of a DQ array.
ANY_FLAG = 2**32 - 1


def dq_bits(names: str | Sequence[str]) -> int:
    """Return the bit mask of DQ flags.

    Parameters
    ----------
    names : str or sequence of str
        Names of `roman_datamodels.dqflags.pixel`, case-insensitive, or ``'ANY'`` or ``'NONE'``.

    Returns
    -------
    int
        The bits of the flags: 0 for ``'NONE'``, all 32 for ``'ANY'``.

    Raises
    ------
    ValueError
        A name is not that of a flag.
    """
    names = [names] if isinstance(names, str) else names
    upper = [str(name).strip().upper() for name in names]
    for name, given in zip(upper, names, strict=True):
        if name not in ("ANY", "NONE", *_FLAGS):
            raise ValueError(
                f"dq_mask {str(given)!r} is not a DQ flag: expected ANY, NONE or names of "
                f"roman_datamodels.dqflags.pixel ({', '.join(_FLAGS)})"
            )
    if "ANY" in upper:
        return ANY_FLAG
    flags = [name for name in upper if name != "NONE"]
    if not flags:
        return 0
    return int(interpret_bit_flags(flags, flag_name_map=extend_bit_flag_map("RomanDQ", **_FLAGS)))
