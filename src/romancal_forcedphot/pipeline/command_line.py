"""Values of the command line as the user wrote them.

stpipe parses the values of ``strun``'s options in the syntax of a ConfigObj file: a comma makes a
list, ``#`` begins a comment, an unbalanced quotation mark is an error without a message, and
``%(name)s`` is replaced by another value. All four are wrong for the name of a file. The original
values are read from the frame of stpipe's function that makes the step.
"""

from __future__ import annotations

import atexit
import difflib
import gc
import re
import sys
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any

from configobj import ConfigObj
from stpipe import _cmdline

__all__ = [
    "check_texts",
    "check_unread_arguments",
    "end_quickly",
    "explain_choices",
    "restore_texts",
]

_INTERPOLATED = re.compile(r"%\([^)]*\)s")
#: Types of parameters in a step's spec whose values are text.
_TEXTS = ("string(", "output_file(", "is_string_or_datamodel(")
_QUOTED = re.compile(r"""(["']).*\1""", re.DOTALL)
_OPTION = re.compile(r"^option\((?P<choices>.*), *default=")


def restore_texts(config: MutableMapping[str, Any], spec: Mapping[str, Any]) -> None:
    """Restore the original values of text parameters of ``strun`` in a configuration.

    Parameters
    ----------
    config : mapping
        The configuration of a step, changed in place.
    spec : mapping of str to str
        The step's spec: the type of each parameter.
    """
    arguments = _parsing().get("args")
    if arguments is None or isinstance(arguments, list):
        return
    for name, value in vars(arguments).items():
        is_text = str(spec.get(name, "")).startswith(_TEXTS)
        if is_text and value is not None and not _QUOTED.fullmatch(value):
            config[name] = _cmdline.FromCommandLine(value)


def end_quickly() -> None:
    """Let a process of ``strun`` end without a search for garbage, which takes half a second.

    Python collects twice at its end, over a million objects that imports made. Other processes are
    left alone: something of theirs might wait for its finalizer.
    """
    if _parsing():
        atexit.unregister(gc.freeze)  # once is enough
        atexit.register(gc.freeze)


def check_unread_arguments(spec: Mapping[str, Any]) -> None:
    """Check that stpipe can parse the options of ``strun``, before it does.

    Parameters
    ----------
    spec : mapping of str to str
        The step's spec: the type of each parameter.

    Raises
    ------
    ValueError
        A value cannot be parsed, such as one that begins with a quotation mark; or a text for a
        step of a pipeline, which `restore_texts` cannot restore, would be cut.
    """
    arguments = _parsing().get("args")
    if not isinstance(arguments, list):
        return
    for option, value in _options(arguments):
        try:
            read, comment = ConfigObj()._handle_value(value)
        except SyntaxError:
            raise ValueError(
                f"{option}={value!r} cannot be read: a value may not begin with a quotation mark "
                f"or a space; to name such a file write ./ before it ({option}=./...)"
            ) from None
        check_texts({option: value})
        pipeline, _, name = option.rpartition(".")
        is_text = str(spec.get(name, "")).startswith(_TEXTS)
        if pipeline and is_text and (comment or not isinstance(read, str)):
            raise ValueError(
                f"{option}={value!r} would be cut at a comma or #: write it in quotation marks "
                f"within the shell's, {option}='\"...\"'"
            )


def check_texts(parameters: Mapping[str, Any]) -> None:
    """Check that stpipe does not interpolate texts.

    Parameters
    ----------
    parameters : mapping
        Values of parameters by name.

    Raises
    ------
    ValueError
        A text contains ``%(name)s``.
    """
    for name, value in parameters.items():
        if isinstance(value, str) and _INTERPOLATED.search(value):
            raise ValueError(
                f"{name} is {value!r}: stpipe takes %(...)s in a text for the name of another "
                "parameter; rename the file, or give a link to it"
            )


def explain_choices(message: str, spec: Mapping[str, Any]) -> str:
    """Add valid values or names to stpipe's message about an invalid one.

    Parameters
    ----------
    message : str
        Such as ``Config parameter 'bkg_estimator': the value "foo" is unacceptable.`` or ``Extra
        value 'radius' in root``.
    spec : mapping of str to str
        The step's spec: the type of each parameter.

    Returns
    -------
    str
        One line.
    """
    lines = []
    for line in message.splitlines():
        name = re.match(r"Config parameter '(?P<name>[^']*)'", line)
        kind = str(spec.get(name["name"], "")) if name else ""
        lines.append(line.removesuffix(".") + (_expected(kind) if name else _close(line, spec)))
    return "; ".join(lines)


def _close(line: str, spec: Mapping[str, Any]) -> str:
    """Parameters with names like one that does not exist, as the end of a sentence."""
    extra = re.match(r"Extra value '(?P<name>[^']*)'", line)
    close = difflib.get_close_matches(extra["name"], list(spec)) if extra else []
    return f": there is no such parameter; did you mean {' or '.join(close)}?" if close else ""


def _expected(kind: str) -> str:
    """Valid values of a type of parameter, as the end of a sentence."""
    option = _OPTION.match(kind)
    if option:
        return f": expected one of {option['choices'].replace(chr(39), '')}"
    words = {"integer(": "a whole number", "float(": "a number", "boolean(": "True or False"}
    return next(
        (f": expected {text}" for start, text in words.items() if kind.startswith(start)), ""
    )


def _parsing() -> Mapping[str, Any]:
    """Local variables of stpipe's function that makes a step for ``strun``; empty without it."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code is not _cmdline._build_step_from_args.__code__:
        frame = frame.f_back
    return {} if frame is None else frame.f_locals


def _options(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield names and values of options, from ``--name=value`` and ``--name value``."""
    before = ""
    for argument in arguments:
        if argument.startswith("--"):
            before, equals, value = argument.partition("=")
            if equals:
                yield before, value
                before = ""
        elif before:
            yield before, argument
            before = ""
