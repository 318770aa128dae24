"""Names and damage that files should survive, or be refused for by name."""

from __future__ import annotations

import contextlib
import re
import signal
import struct

#: Names that some part of the way takes for something else: a URI, a list, a comment, a pattern.
NAMES = (
    *("night#2", "what?", "100%", "a%20b", "two\nlines", "c,d", "it's", 'say "so"', "semi;colon"),
    *(
        " space ",
        "{brace}",
        "[list]",
        "US$5",
        "~nobody",
        "star*",
        "back\\slash",
        "é ü 星",
        "-dash",
    ),
    *("a:b", "file:x", "&amp;", "bytes\udcff", "tab\there", "\x1b[31mred"),
)

_HEADER = struct.Struct(">I4sQQQ16s")
_FIELDS = ("flags", "compression", "allocated_size", "used_size", "data_size", "checksum")


def block_offsets(content: bytes) -> list[int]:
    """Where the blocks of an ASDF file begin, by its index."""
    found = re.search(rb"#ASDF BLOCK INDEX\s+%YAML.*?---(.*)\.\.\.", content, re.DOTALL)
    return [int(digits) for digits in re.findall(rb"\d+", found[1])]


def with_header(content: bytes, block: int, **values) -> bytes:
    """Change entries of a block's header; a value may be a function of the old one."""
    start = block_offsets(content)[block] + 6
    fields = dict(zip(_FIELDS, _HEADER.unpack_from(content, start), strict=True))
    for name, value in values.items():
        fields[name] = value(fields[name]) if callable(value) else value
    return content[:start] + _HEADER.pack(*fields.values()) + content[start + _HEADER.size :]


def with_flipped_bit(content: bytes, block: int, position: float, bit: int = 3) -> bytes:
    """Flip a bit of a block's data, at a fraction of its length."""
    start = block_offsets(content)[block] + 6
    used = _HEADER.unpack_from(content, start)[3]
    place = start + _HEADER.size + int(position * (used - 1))
    changed = bytearray(content)
    changed[place] ^= 1 << bit
    return bytes(changed)


@contextlib.contextmanager
def at_most(seconds: float):
    """Fail where something hangs."""

    def stop(signum, frame):
        raise AssertionError(f"takes longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
