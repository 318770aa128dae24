"""Values of the command line as the user wrote them.

stpipe reads the values of ``strun``'s options as a ConfigObj file has them: a comma makes a list,
``#`` begins a comment, a quotation mark that is not closed is an error without a message, and
``%(name)s`` stands for another value. For the name of a file all four are wrong. What was written
is still in a frame of stpipe's while it makes the step; it is taken from there.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any

from configobj import ConfigObj
from stpipe import _cmdline

__all__ = ["check_texts", "check_unread_arguments", "explain_choices", "restore_texts"]

_INTERPOLATED = re.compile(r"%\([^)]*\)s")
#: Kinds of parameters, in a step's spec, whose values are text.
_TEXTS = ("string(", "output_file(", "is_string_or_datamodel(")
_QUOTED = re.compile(r"""(["']).*\1""", re.DOTALL)
_OPTION = re.compile(r"^option\((?P<choices>.*), *default=")


def restore_texts(config: MutableMapping[str, Any], spec: Mapping[str, Any]) -> None:
    """Put the texts that ``strun`` was given back into a configuration that has lost part of them.

    Parameters
    ----------
    config : mapping
        The configuration of a step, which is changed.
    spec : mapping
        The step's spec: for each parameter its kind.
    """
    arguments = _parsing().get("args")
    if arguments is None or isinstance(arguments, list):
        return
    for name, value in vars(arguments).items():
        is_text = str(spec.get(name, "")).startswith(_TEXTS)
        if is_text and value is not None and not _QUOTED.fullmatch(value):
            config[name] = _cmdline.FromCommandLine(value)


def check_unread_arguments(spec: Mapping[str, Any]) -> None:
    """Raise for options of ``strun`` that stpipe cannot read, before it tries.

    Parameters
    ----------
    spec : mapping
        The step's spec: for each parameter its kind.

    Raises
    ------
    ValueError
        A value begins with a quotation mark or ends in a space, say; or a text for a step of a
        pipeline, which `restore_texts` comes too late for, would be cut.
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
    """Raise for texts that stpipe would replace by other values.

    Parameters
    ----------
    parameters : mapping
        Values by name.

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
    """Add to stpipe's message on a wrong value which values are possible.

    Parameters
    ----------
    message : str
        Such as ``Config parameter 'bkg_estimator': the value "foo" is unacceptable.``
    spec : mapping
        The step's spec.

    Returns
    -------
    str
        On one line.
    """
    lines = []
    for line in message.splitlines():
        name = re.match(r"Config parameter '(?P<name>[^']*)'", line)
        kind = str(spec.get(name["name"], "")) if name else ""
        lines.append(line.removesuffix(".") + _expected(kind))
    return "; ".join(lines)


def _expected(kind: str) -> str:
    """What a parameter of some kind may be, as the end of a sentence."""
    option = _OPTION.match(kind)
    if option:
        return f": expected one of {option['choices'].replace(chr(39), '')}"
    words = {"integer(": "a whole number", "float(": "a number", "boolean(": "True or False"}
    return next(
        (f": expected {text}" for start, text in words.items() if kind.startswith(start)), ""
    )


def _parsing() -> Mapping[str, Any]:
    """Local variables of the function that makes a step for ``strun``; none if it does not run."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code is not _cmdline._build_step_from_args.__code__:
        frame = frame.f_back
    return {} if frame is None else frame.f_locals


def _options(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield names and values of options, ``--name=value`` and ``--name value``."""
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
