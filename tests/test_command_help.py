"""The help of all commands is complete and in one style."""

from __future__ import annotations

import re

import pytest

from romancal_forcedphot import example, validate
from romancal_forcedphot.lightcurves import cli
from romancal_forcedphot.product import join_cli

COMMANDS = {
    "example": (example.main, []),
    "validate": (validate.main, []),
    "join": (join_cli.main, []),
    "lightcurves": (cli.main, []),
    **{
        f"lightcurves {name}": (cli.main, [name])
        for name in ("run", "import", "collate", "status", "show", "export")
    },
}


@pytest.fixture(params=COMMANDS)
def page(request, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")  # one line for each argument
    main, arguments = COMMANDS[request.param]
    with pytest.raises(SystemExit, match="0"):
        main([*arguments, "--help"])
    return capsys.readouterr().out


def test_a_sentence_says_what_a_command_does(page):
    _, description, *_ = page.split("\n\n")
    assert re.match(r"[A-Z].*\.$", description, re.DOTALL)


def test_every_argument_says_what_it_is_and_takes(page):
    """By a text that begins small, and a word for the kind of value."""
    page = re.sub(r"\n {9,}", "   ", page)  # texts after long names begin on the next line
    arguments = re.findall(r"^  (-\S.*|[A-Z]+ .*)$", page, re.MULTILINE)
    assert arguments
    for line in arguments:
        name, text = re.split(r"\s{2,}", line, maxsplit=1)
        assert not re.match(r"[A-Z][a-z]", text), line
        assert not text.endswith("."), line
        option = re.match(r"--(\w+)[ =]([A-Z_]+)$", name)
        assert option is None or option[1].upper() != option[2] or option[2] == "LABEL", line
