"""Imports point one way, and the heavy packages stay in their rooms (DESIGN.md, section 3)."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import romancal_forcedphot

ROOT = Path(romancal_forcedphot.__file__).parent

#: Each room and the rooms of ours that it may import.
ARROWS = {
    "_integration": {"_converter", "resources"},
    "_converter": {"model", "resources"},
    "step": {
        *("forced", "exposure", "catalogs", "model", "storage"),
        *("empty", "ingredients", "inputs", "motion", "parameters", "references", "summary"),
        *("framework", "pictures", "progress", "recipe", "units"),
    },
    "framework": {"batch", "hooks", "inputs", "model", "parameters", "references", "storage"},
    "batch": {"inputs"},
    "hooks": set(),
    "ingredients": {"corrections", "gain", "geometry", "references"},
    "corrections": {
        *("epsf_reference", "geometry", "psfs", "recipe", "references", "stpsf_cache"),
    },
    "stpsf_cache": {"progress", "psfs", "storage"},
    "epsf_reference": {"psfs", "references"},
    "summary": {"columns", "tables"},
    "inputs": {"storage"},
    "parameters": set(),
    "references": {"storage"},
    "progress": set(),
    "motion": set(),
    "gain": set(),
    "empty": {"calibration", "catalogs", "columns", "forced", "recipe"},
    "forced": {"aperture", "geometry", "calibration", "columns", "neighbors", "recipe", "tables"},
    "recipe": {"geometry"},
    "neighbors": set(),
    "tables": {"columns"},
    "units": {"columns"},
    "aperture": {"background", "columns", "gather", "overlap"},
    "background": {"gather"},
    "gather": set(),
    "overlap": set(),
    "catalogs": {"storage"},
    "storage": {"progress"},
    "exposure": set(),
    "geometry": set(),
    "psfs": {"overlap"},
    "calibration": set(),
    "columns": set(),
    "model": {"columns", "resources", "storage"},
    "resources": set(),
    "plots": {"columns", "statistics"},
    "pictures": {"plots", "recipe", "storage"},
    "statistics": set(),
    "example": {"step", "columns", "model", "progress", "statistics", "storage", "validate"},
    "validate": {"catalogs", "columns", "model", "plots", "statistics", "storage", "units"},
}

#: Packages that only some rooms may import, inside functions too.
KEPT_IN = {
    "fsspec": {"storage"},
    "s3fs": {"storage"},
    "matplotlib": {"plots"},
    "aiohttp": {"storage"},
    "botocore": {"storage"},
    "tqdm": {"progress"},
    "romanisim": {"example"},
    "galsim": {"example"},
    "crds": {"references", "example"},
    "stpipe": {"hooks"},
    "romancal": {"framework", "epsf_reference"},
    "stpsf": {"psfs"},
    "synphot": {"psfs"},
    "roman_datamodels": {
        "hooks",
        *("epsf_reference", "exposure", "example", "inputs", "model", "references", "validate"),
    },
    "asdf": {
        "catalogs",
        "_converter",
        "_integration",
        "example",
        "inputs",
        "model",
        "references",
        "resources",
        "storage",
    },
}


def room_of(path: Path, root: Path) -> str:
    """First part of a module's path below the package."""
    return path.relative_to(root).parts[0].removesuffix(".py")


def imports_of(path: Path, root: Path):
    """Full names that a module imports anywhere, but for type checkers alone."""
    package = ["romancal_forcedphot", *path.relative_to(root).parts[:-1]]
    pending = list(ast.parse(path.read_text()).body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)
        pending.extend(ast.iter_child_nodes(node))


def violations(root: Path):
    """What the modules below a root import against the rules."""
    found = []
    for path in sorted(root.rglob("*.py")):
        room = room_of(path, root)
        if room == "__init__":
            continue
        for name in imports_of(path, root):
            top, *rest = name.split(".")
            if top == "romancal_forcedphot":
                target = rest[0] if rest else ""
                if target in ARROWS and target != room and target not in ARROWS[room]:
                    found.append(f"{room} imports {target}")
            elif room not in KEPT_IN.get(top, {room}):
                found.append(f"{room} imports {top}")
    return found


def test_imports_point_down():
    assert violations(ROOT) == []


def test_every_room_is_on_the_plan():
    rooms = {room_of(path, ROOT) for path in ROOT.rglob("*.py")} - {"__init__"}
    assert rooms <= set(ARROWS)


@pytest.mark.parametrize(
    ("room", "line", "said"),
    [
        ("aperture", "from . import geometry", "aperture imports geometry"),
        ("aperture", "from .forced import measure", "aperture imports forced"),
        ("psfs", "def f():\n    import romancal_forcedphot.step", "psfs imports step"),
        ("forced", "def f():\n    from crds import client", "forced imports crds"),
        ("geometry", "if True:\n    import s3fs", "geometry imports s3fs"),
    ],
)
def test_a_planted_violation_is_found(tmp_path, room, line, said):
    (tmp_path / f"{room}.py").write_text(line + "\n")
    assert violations(tmp_path) == [said]


def test_importing_the_package_alone_is_light():
    """Entry points load the package in every asdf or stpipe process."""
    code = "import sys, romancal_forcedphot, romancal_forcedphot._integration as i; i.get_steps();"
    code += (
        "print([m for m in ('numpy', 'astropy', 'asdf', 'crds', 'romancal') if m in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


def test_the_step_imports_no_package_that_it_does_not_run():
    code = "import sys, romancal_forcedphot.step;"
    code += (
        "print([m for m in ('romancal.step', 'romancal.pipeline', 'matplotlib', 'stpsf', 'galsim',"
    )
    code += " 'romanisim', 's3fs') if m in sys.modules])"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


def test_public_names_are_what_they_say():
    for name in romancal_forcedphot.__all__:
        assert getattr(romancal_forcedphot, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = romancal_forcedphot.nothing
