"""The pages in docs: what the code tells is told there, and the tutorial runs."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from romancal_forcedphot import ForcedPhotometryStep, WarningFlag
from small import output_columns

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def generator():
    spec = importlib.util.spec_from_file_location("make_pages", DOCS / "make_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["parameters.md", "columns.md"])
def test_pages_are_what_the_code_tells(generator, name):
    committed = (DOCS / name).read_text(encoding="utf-8")
    assert committed == generator.PAGES[name](), "run python docs/make_pages.py"


def first_column(page):
    """What stands in the first column of the tables of a page."""
    return re.findall(r"^\| `?(\w+)`? \|", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE)


def test_every_parameter_is_listed():
    """Those of the command's own help, but for what all steps of romancal have."""
    ours = vars(ForcedPhotometryStep)["spec"]
    names = re.findall(r"^ *(\w+) = ", ours, re.MULTILINE)
    assert first_column("parameters.md") == ["parameter", *names]


def test_every_column_and_flag_is_listed():
    names = [column.name for column in output_columns([3.0], source_names=True)]
    flags = [str(flag.value) for flag in WarningFlag]
    assert first_column("columns.md") == ["column", *names, "bit", *flags]


def test_links_in_the_pages_lead_somewhere():
    for page in (*DOCS.glob("*.md"), ROOT / "README.md"):
        targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
        for target in targets:
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"
