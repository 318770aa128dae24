"""The house as docs/architecture.md has it: its rooms, their imports, and what each may know.

Every rule has a test that plants a violation, and finds it.
"""

from __future__ import annotations

import functools
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import house
import pytest

import romancal_forcedphot

ROOT = Path(romancal_forcedphot.__file__).parent
TESTS = Path(__file__).parent

#: Rooms that each room may import, from the top of the house to its ground.
ARROWS = {
    "step": {
        *("catalogs", "exposures", "photometry", "pipeline", "product"),
        *("references", "storage", "table"),
    },
    "pipeline": {
        *("exposures", "photometry", "plots", "product", "psfs", "references"),
        *("storage", "table"),
    },
    "_integration": {"product"},
    "example": {
        *("geometry", "lightcurves", "psfs", "storage", "table", "validate"),
    },
    "lightcurves": {
        *("catalogs", "exposures", "photometry", "plots", "product", "psfs"),
        *("references", "storage", "table"),
    },
    "validate": {"catalogs", "plots", "product", "storage", "table"},
    "exposures": {
        *("geometry", "photometry", "product", "psfs", "references", "storage", "table"),
    },
    "catalogs": {"photometry", "storage"},
    "references": {"geometry", "psfs", "storage"},
    "product": {"storage", "table"},
    "plots": {"geometry", "table"},
    "photometry": {"geometry", "psfs", "table"},
    "psfs": {"geometry"},
    "storage": set(),
    "geometry": set(),
    "table": set(),
}

#: Third-party packages that only some rooms may import, inside functions too.
KEPT_IN = {
    "aiohttp": {"storage"},
    "asdf": {"_integration", "catalogs", "exposures", "product", "storage"},
    "botocore": {"storage"},
    "configobj": {"pipeline"},
    "crds": {"example", "references"},
    "distributed": {"lightcurves"},
    "fsspec": {"storage"},
    "galsim": {"example"},
    "lz4": {"storage"},
    "matplotlib": {"plots"},
    "platformdirs": {"references"},
    "pyarrow": {"catalogs", "lightcurves", "product"},
    "pysiaf": {"example"},
    "roman_datamodels": {
        *("example", "exposures", "pipeline", "product", "references"),
    },
    "romancal": {"example", "pipeline"},
    "romanisim": {"example"},
    "s3fs": {"storage"},
    "stpipe": {"pipeline", "references"},
    "stpsf": {"psfs"},
    "synphot": {"psfs"},
    "tqdm": {"storage"},
    "yaml": {"pipeline", "storage"},
}

#: What stands beside the rooms, and how many entries there may be in all.
FILES = {"__init__.py", "_integration.py", "step.py", "py.typed"}
MOST_ENTRIES = 18

#: What the measurement must not reach, by any chain of imports.
UNKNOWN_TO_PHOTOMETRY = {
    *("asdf", "crds", "romancal", "roman_datamodels", "stpipe", "s3fs", "fsspec"),
    *("catalogs", "exposures", "pipeline", "product", "references", "step", "storage"),
}

#: Where models are read, made or compared; elsewhere nothing looks into their ``meta``.
READERS = (
    *("exposures/checks.py", "exposures/level2.py", "exposures/level3.py", "exposures/opening.py"),
    *("product/", "pipeline/", "references/", "example/", "validate/"),
    "catalogs/",  # tables have a meta, too, and catalogs may be models
    "psfs/stpsf.py",  # synphot's spectra have one
    *("lightcurves/", "plots/lightcurves.py"),  # so do time series
)


@pytest.fixture
def plant(tmp_path):
    """Write a module into an empty package and return the package's directory."""

    def write(path: str, text: str) -> Path:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
        for directory in file.relative_to(tmp_path).parents:
            (tmp_path / directory / "__init__.py").touch()
        return tmp_path

    return write


# --- rooms -------------------------------------------------------------------------------------


def strange_entries(root: Path) -> list[str]:
    """What stands beside the rooms and should not, and a word if there is too much of all."""
    entries = [path for path in root.iterdir() if path.name != "__pycache__"]
    found = sorted(p.name for p in entries if not p.is_dir() and p.name not in FILES)
    return found + ([f"{len(entries)} entries"] if len(entries) > MOST_ENTRIES else [])


def test_the_house_has_rooms_and_little_else():
    assert strange_entries(ROOT) == []
    rooms = {house.room_of(name) for name in house.sources(ROOT)} - {""}
    assert rooms == set(ARROWS)


def test_a_module_beside_the_rooms_is_found(plant):
    plant("helpers.py", "")
    for number in range(MOST_ENTRIES - 1):
        root = plant(f"room{number}/module.py", "")
    assert strange_entries(root) == ["helpers.py", f"{MOST_ENTRIES + 1} entries"]


# --- imports -----------------------------------------------------------------------------------


def forbidden_imports(root: Path) -> list[str]:
    """What rooms import and may not."""
    found = [
        f"{room} imports {target or 'from the front door'}"
        for room, targets in house.arrows(root).items()
        for target in sorted(targets - ARROWS.get(room, set()))
    ]
    return found + [
        f"{room} imports {package}"
        for package, rooms in house.third_party(root).items()
        for room in sorted(rooms - KEPT_IN.get(package, rooms))
    ]


def unused_permissions(root: Path, arrows: dict, kept_in: dict) -> list[str]:
    """What rooms may import and do not."""
    real, third = house.arrows(root), house.third_party(root)
    found = [
        f"{room} may import {target}"
        for room, targets in arrows.items()
        for target in sorted(targets - real.get(room, set()))
    ]
    return found + [
        f"{room} may import {package}"
        for package, rooms in kept_in.items()
        for room in sorted(rooms - third.get(package, set()))
    ]


def test_imports_point_down():
    assert forbidden_imports(ROOT) == []


@pytest.mark.parametrize(
    ("path", "line", "said"),
    [
        ("geometry/area.py", "from ..storage import is_uri", "geometry imports storage"),
        ("photometry/methods/new.py", "from ...exposures import read", "photometry imports"),
        ("psfs/a.py", "def f():\n    import romancal_forcedphot.step", "psfs imports step"),
        ("table/a.py", "def f():\n    from .. import plots", "table imports plots"),
        (
            "catalogs/a.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..step import Step",
            "catalogs imports step",
        ),
        ("plots/a.py", "from .. import measure", "plots imports from the front door"),
        ("photometry/a.py", "def f():\n    from crds import client", "photometry imports crds"),
        ("geometry/a.py", "if True:\n    import s3fs", "geometry imports s3fs"),
        ("exposures/a.py", "import stpipe.step", "exposures imports stpipe"),
        ("attic/a.py", "from ..table import Column", "attic imports table"),
    ],
)
def test_a_forbidden_import_is_found(plant, path, line, said):
    for room in ARROWS:
        root = plant(f"{room}/__init__.py", "")
    plant("exposures/__init__.py", "")
    root = plant(path, line)
    (found,) = forbidden_imports(root)
    assert found.startswith(said)


def test_every_permission_is_used():
    assert unused_permissions(ROOT, ARROWS, KEPT_IN) == []


@pytest.mark.parametrize(
    ("arrows", "kept_in", "said"),
    [
        (ARROWS | {"geometry": {"table"}}, KEPT_IN, "geometry may import table"),
        (ARROWS | {"attic": {"table"}}, KEPT_IN, "attic may import table"),
        (ARROWS, KEPT_IN | {"tqdm": {"psfs", "storage"}}, "psfs may import tqdm"),
        (ARROWS, KEPT_IN | {"pandas": {"catalogs"}}, "catalogs may import pandas"),
    ],
)
def test_a_permission_that_nothing_uses_is_found(arrows, kept_in, said):
    assert unused_permissions(ROOT, arrows, kept_in) == [said]


def test_no_circle_of_rooms_or_modules():
    assert house.circle(ARROWS) == []
    assert house.circle(house.arrows(ROOT)) == []
    assert house.circle(house.module_graph(ROOT)) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("from .b import B", "from .a import A"),
        ("def f():\n    from .b import B", "def f():\n    from .a import A"),
        (
            "from .b import B",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .a import A",
        ),
        ("from .b import B", "from . import NAME"),  # of the package, which imports both
    ],
    ids=["top", "functions", "type checkers", "own package"],
)
def test_a_circle_of_modules_is_found(plant, first, second):
    plant("room/a.py", first)
    root = plant("room/b.py", second)
    (root / "room" / "__init__.py").write_text("from .a import A\nfrom .b import B\nNAME = 1\n")
    found = house.circle(house.module_graph(root))
    assert found[0] == found[-1]
    assert "romancal_forcedphot.room.b" in found


def test_a_circle_of_rooms_is_found(plant):
    """No module imports itself here, by whatever chain."""
    plant("one/a.py", "from ..two import b")
    plant("two/b.py", "")
    root = plant("two/c.py", "def f():\n    from ..one import d")
    plant("one/d.py", "")
    assert house.circle(house.module_graph(root)) == []
    assert house.circle(house.arrows(root)) == ["one", "two", "one"]


def known_to(root: Path, room: str) -> list[str]:
    """Chains by which a room reaches what it must not know."""
    chains = house.reached(root, room)
    return [
        " -> ".join(chain)
        for name, chain in chains.items()
        if (house.room_of(name) or name) in UNKNOWN_TO_PHOTOMETRY
    ]


@pytest.mark.parametrize("room", ["photometry", "psfs", "geometry", "table"])
def test_the_measurement_reaches_no_file_and_no_framework(room):
    assert known_to(ROOT, room) == []
    assert {"numpy", "scipy"} <= house.reached(ROOT, "photometry").keys()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("import asdf", "romancal_forcedphot.psfs.a -> asdf"),
        ("def f():\n    from ..storage import is_uri", "storage"),
    ],
)
def test_a_hidden_way_to_a_file_is_found(plant, line, said):
    plant("photometry/measuring.py", "def f():\n    from ..psfs.b import g")
    plant("storage/__init__.py", "")
    plant("psfs/b.py", "from .a import h")
    root = plant("psfs/a.py", line)
    found = known_to(root, "photometry")
    assert len(found) == 1
    assert found[0].startswith("romancal_forcedphot.photometry.measuring -> ")
    assert said in found[0]


@pytest.mark.slow
def test_importing_the_measurement_loads_no_file_and_no_framework():
    """But for asdf, which astropy's tables load themselves."""
    rooms = {f"{house.PACKAGE}.{name}" for name in UNKNOWN_TO_PHOTOMETRY & ARROWS.keys()}
    heavy = sorted(rooms | UNKNOWN_TO_PHOTOMETRY - ARROWS.keys() - {"asdf"})
    code = "import sys, romancal_forcedphot.photometry;"
    code += f"print([name for name in {heavy} if name in sys.modules])"
    assert printed(code) == "[]"


# --- what rooms may know -----------------------------------------------------------------------


def in_files(root: Path, check, *, where=(), but=()) -> list[str]:
    """What a check says of files whose paths begin with some prefixes, and not with others."""
    found = []
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if name.startswith(tuple(where) or "") and not (but and name.startswith(tuple(but))):
            found += [f"{name}: {said}" for said in check(path)]
    return found


def steps_handed_on(root: Path) -> list[str]:
    return in_files(root, house.takes_a_step, but=("pipeline/", "step.py"))


def test_a_step_is_handed_to_nobody_outside_the_pipeline():
    assert steps_handed_on(ROOT) == []
    assert in_files(ROOT, house.takes_a_step, where=("pipeline/",)) != []


@pytest.mark.parametrize(
    "line",
    [
        "def measure(step, image): ...",
        "def measure(image, *, step=None): ...",
        "def measure(image, what: 'Step'): ...",
        "async def measure(it: stpipe.Step | None): ...",
        "measure = lambda step: step",
        "class A:\n    def measure(self, owner: ForcedPhotometryStep): ...",
        "class A:\n    host: RomanStep",
    ],
)
def test_a_step_that_is_handed_on_is_found(plant, line):
    plant("pipeline/new.py", line)
    assert len(steps_handed_on(plant("exposures/new.py", line))) == 1


def test_the_step_of_a_grid_is_no_step(plant):
    assert steps_handed_on(plant("psfs/grid.py", "def value_at(step: int): ...")) == []


def looks_into_meta(root: Path) -> list[str]:
    return in_files(root, house.lines_with_meta, but=READERS)


def test_only_readers_look_into_the_meta_of_models():
    assert looks_into_meta(ROOT) == []
    for reader in READERS:
        assert in_files(ROOT, house.lines_with_meta, where=(reader,)) != [], reader


@pytest.mark.parametrize(
    "line", ["band = model.meta.instrument", "meta = getattr(model, 'meta')", "m = model['meta']"]
)
def test_a_look_into_meta_is_found(plant, line):
    assert looks_into_meta(plant("exposures/measuring.py", line)) == ["exposures/measuring.py: 1"]
    assert len(looks_into_meta(plant("photometry/a.py", line))) == 2
    plant("product/a.py", line)
    assert len(looks_into_meta(plant("exposures/level2.py", line))) == 2


def options_named(root: Path) -> list[str]:
    rooms = ("photometry/", "psfs/", "geometry/", "table/")
    return in_files(root, house.lines_with_options, where=rooms)


def test_the_measurement_names_no_option_of_a_command_line():
    assert options_named(ROOT) == []


@pytest.mark.parametrize(
    "line",
    [
        "raise ValueError('set --pixel_area=wcs')",
        "raise ValueError(f'{x}: set ' 'or --aperture_correction')",
        "def f():\n    '''Do it.\n\n    Raises\n    ------\n    E\n        See --select.\n    '''",
    ],
)
def test_an_option_is_found(plant, line):
    assert len(options_named(plant("psfs/a.py", line))) == 1
    assert len(options_named(plant("storage/a.py", line))) == 1


def test_lines_under_headings_are_no_options(plant):
    assert options_named(plant("psfs/a.py", "'''Title\n\nParameters\n----------\nx'''")) == []


def radii_in_measuring(root: Path) -> list[str]:
    """Lines of the module of `measure` that know of radii."""
    lines = (root / "photometry" / "measuring.py").read_text().splitlines()
    return [line.strip() for line in lines if re.search("radi(us|i)", line, re.IGNORECASE)]


def test_measure_knows_no_radius():
    """So that it has no loop over radii either: whatever is measured is a method's business."""
    assert radii_in_measuring(ROOT) == []
    assert "def measure(" in (ROOT / "photometry" / "measuring.py").read_text()


@pytest.mark.parametrize(
    "line", ["for radius in radii: pass", "x = method.aperture_radii", "# Radii"]
)
def test_a_radius_in_measure_is_found(plant, line):
    assert radii_in_measuring(plant("photometry/measuring.py", line)) == [line]


# --- what is declared --------------------------------------------------------------------------

#: Rooms whose packages an extra brings.
EXTRAS = {"plots": "plot", "example": "example", "lightcurves": "dask"}

#: What is needed and not imported.
NOT_IMPORTED = {
    "gwcs": "images bring WCS of its class, which are called",
    "rad": "our schemas refer to its schemas",
}


def plain_name(requirement: str) -> str:
    """Name of a distribution, without version and extras, as package indices compare them."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=!~;]", requirement)[0]).lower()


@functools.cache
def distributions() -> dict[str, list[str]]:
    """Distributions that each package came with."""
    return {
        package: list(map(plain_name, names)) for package, names in packages_distributions().items()
    }


@pytest.fixture(scope="module")
def project():
    with open(TESTS.parent / "pyproject.toml", "rb") as file:
        return tomllib.load(file)["project"]


def undeclared(root: Path, project: dict) -> list[str]:
    """Packages that rooms import and that nothing which they are installed with brings."""
    main = set(map(plain_name, project["dependencies"]))
    found = []
    for package, rooms in house.third_party(root).items():
        names = set(distributions().get(package, [package]))
        for room in sorted(rooms):
            extra = project["optional-dependencies"].get(EXTRAS.get(room, ""), [])
            if not names & (main | set(map(plain_name, extra))):
                found.append(f"{room} imports {package}")
    return found


def not_imported(root: Path, project: dict) -> list[str]:
    """What is declared for running and is imported nowhere."""
    imported = {
        name
        for package in house.third_party(root)
        for name in distributions().get(package, [package])
    }
    declared = list(project["dependencies"])
    for extra in EXTRAS.values():
        declared += project["optional-dependencies"][extra]
    return [name for name in map(plain_name, declared) if name not in imported]


def test_what_is_imported_is_declared_and_what_is_declared_is_imported(project):
    assert undeclared(ROOT, project) == []
    assert not_imported(ROOT, project) == list(NOT_IMPORTED)


@pytest.mark.parametrize(
    ("path", "line", "said"),
    [
        ("catalogs/a.py", "def f():\n    import pandas", "catalogs imports pandas"),
        ("catalogs/a.py", "import nothing_of_this_name", "catalogs imports nothing_of_this_name"),
        ("step.py", "from matplotlib import pyplot", "step imports matplotlib"),
        ("validate/a.py", "import galsim", "validate imports galsim"),
    ],
)
def test_an_undeclared_import_is_found(plant, project, path, line, said):
    root = plant(path, line)
    plant("plots/a.py", "import matplotlib, numpy")
    plant("pipeline/a.py", "import yaml")  # whose distribution has another name
    assert undeclared(root, project) == [said]


def test_a_declaration_that_nothing_needs_is_found(project):
    more = project | {"dependencies": [*project["dependencies"], "Photo_Utils[all]>=3,<4"]}
    assert not_imported(ROOT, more) == [*NOT_IMPORTED, "photo-utils"]


# --- what tests and entry points may do --------------------------------------------------------


def test_tests_use_public_names_alone():
    others = [path for path in TESTS.rglob("*.py") if path.name != Path(__file__).name]
    assert [(path.name, found) for path in others if (found := house.private_names(path))] == []
    for directory in ("docs", "benchmarks"):
        for path in (TESTS.parent / directory).glob("*.py"):
            assert house.private_names(path) == [], path


@pytest.mark.parametrize(
    "line",
    [
        "from romancal_forcedphot.psfs.stpsf import _quiet_stpsf",
        "import romancal_forcedphot.psfs._hidden",
        "from romancal_forcedphot.example import crds_cache\ncrds_cache._write_config()",
        "monkeypatch.setattr('romancal_forcedphot.storage.progress._DELAY_S', 0)",
        "from romancal_forcedphot import Exposure as E\nE.data._x",
    ],
)
def test_a_private_name_in_a_test_is_found(plant, line):
    root = plant("test_new.py", line)
    assert len(house.private_names(root / "test_new.py")) == 1


def printed(code: str) -> str:
    """What a process of its own prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_the_package_alone_is_light():
    """Entry points load the package in every asdf or stpipe process."""
    code = "import sys, romancal_forcedphot, romancal_forcedphot._integration as i; i.get_steps();"
    code += (
        "print([m for m in ('numpy', 'astropy', 'asdf', 'crds', 'romancal') if m in sys.modules])"
    )
    assert printed(code) == "[]"


@pytest.mark.slow
def test_the_step_imports_no_package_that_it_does_not_run():
    code = "import sys, romancal_forcedphot.step;"
    code += (
        "print([m for m in ('romancal.step', 'romancal.pipeline', 'matplotlib', 'stpsf', 'galsim',"
    )
    code += " 'romanisim', 's3fs') if m in sys.modules])"
    assert printed(code) == "[]"


def test_public_names_are_what_they_say():
    for name in romancal_forcedphot.__all__:
        assert getattr(romancal_forcedphot, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = romancal_forcedphot.nothing
