"""The pages in docs: what the code tells is told there, and links lead somewhere.

Chapters of the tutorial are run by e2e/test_tutorial.py.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.table import Table
from lightcurves.test_collation import make_dataset
from photutils.aperture import RectangularAperture
from simulated_stars import OVERSAMPLE, make_epsf

import romancal_forcedphot
from romancal_forcedphot import CircularApertures, ForcedPhotometryStep, Settings, WarningFlag
from romancal_forcedphot.lightcurves.collating.collation import collate
from romancal_forcedphot.lightcurves.options import CurveOptions
from romancal_forcedphot.photometry import methods_for
from romancal_forcedphot.photometry.methods import APERTURE_SHAPES, METHODS
from romancal_forcedphot.table import background_columns, coverage_columns
from small import CENTER, SCALE_DEG, output_columns, run_step, save_image

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def generator():
    spec = importlib.util.spec_from_file_location("make_pages", DOCS / "make_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["parameters", "columns", "lightcurves"])
def test_pages_are_what_the_code_tells(generator, name):
    page = f"reference/{name}.md"
    committed = (DOCS / page).read_text(encoding="utf-8")
    assert committed == generator.PAGES[page](), "run python docs/make_pages.py"


def first_column(page):
    """What stands in the first column of the tables of a page."""
    return re.findall(r"^\| `?(\w+)`? \|", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE)


def test_every_parameter_is_listed():
    """Those of the command's own help, but for what all steps of romancal have."""
    ours = vars(ForcedPhotometryStep)["spec"]
    names = re.findall(r"^ *(\w+) = ", ours, re.MULTILINE)
    assert first_column("reference/parameters.md") == ["parameter", *names]


def test_every_column_and_flag_is_listed():
    columns = output_columns([3.0], source_names=True)
    names = [column.name for column in [*columns[:-1], *coverage_columns(), columns[-1]]]
    flags = [str(flag.value) for flag in WarningFlag]
    made = [Settings(methods=(name,)) for name in METHODS if name != "aperture"]
    made += [Settings(aperture_shape=shape) for shape in APERTURE_SHAPES if shape != "circle"]
    background = {column.name for column in background_columns()}
    for settings in made:
        (method,) = methods_for(settings)
        names += ["column", *(c.name for c in method.columns() if c.name not in background)]
    assert first_column("reference/columns.md") == ["column", *names, "bit", *flags]


def test_every_column_of_light_curves_is_listed(tmp_path):
    """Those of files that were written."""
    dataset = make_dataset(tmp_path, range(4))
    collate(dataset, CurveOptions(baseline=(0.0, 1e6)))
    sources = pq.read_schema(dataset.light_curves / "dataset" / "_common_metadata")
    written = {name for name in sources.names if not name.startswith("f158")} - {"lightcurve"}
    written |= {field.name for field in sources.field("lightcurve").type}
    exposure = dataset.exposure_file(next(iter(dataset.state().done)))
    for file in (dataset.exposure_table, exposure):
        written |= set(pq.read_schema(file).names)
    quality = {"chi2"}  # of the method; the page tells of it in words
    assert set(first_column("reference/lightcurves.md")) == (written - quality) | {"column"}


def test_links_in_the_pages_lead_somewhere():
    for page in (*DOCS.rglob("*.md"), *ROOT.glob("*.md")):
        targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
        for target in targets:
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.fixture
def image_and_catalog(workplace):
    """The files that pages speak of."""
    save_image("IMAGE_cal.asdf")
    offsets = np.array([0.0, 1.0, 2.0]) / 3600
    Table({"ra": CENTER[0] + offsets, "dec": CENTER[1] + offsets}).write("catalog.ecsv")


def python_of(page):
    """Blocks of Python of a how-to page."""
    text = (DOCS / "howto" / page).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


@pytest.mark.usefixtures("image_and_catalog")
def test_the_measurement_in_python():
    """It runs as it stands there, and measures what the step does."""
    code, of_psf = python_of("python.md")
    names = {}
    exec(code, names)
    expected = run_step("IMAGE_cal.asdf", "catalog.ecsv").source_catalog
    assert names["table"].colnames == expected.colnames
    for name in expected.colnames:
        np.testing.assert_array_equal(names["table"][name], expected[name], err_msg=name)
    names |= {"stamps": make_epsf().stamps[:1], "oversample": OVERSAMPLE}
    exec(of_psf, names | {"x_of_stamps": [100.0], "y_of_stamps": [90.0]})
    assert Path("residual.png").stat().st_size > 10_000


@pytest.mark.usefixtures("image_and_catalog")
def test_a_psf_of_ones_own():
    """Its light on pixels adds up to one, and a circle holds what it does of a Gaussian."""
    (code,) = python_of("custom_psf.md")
    names = {}
    exec(code, names)
    on_pixels = names["psf"].on_pixels(np.array([100.3]), np.array([50.1]), 27)
    np.testing.assert_allclose(on_pixels.sum(), 1.0, atol=1e-3)
    assert np.isfinite(names["table"]["psf_flux"]).all()
    ratio = names["table"]["aper3pix_flux"] / names["table"]["aper3pix_total_flux"]
    np.testing.assert_allclose(ratio, 1 - np.exp(-(3.0**2) / (2 * 0.8**2)), atol=0.01)


@pytest.mark.usefixtures("image_and_catalog")
def test_a_new_aperture_shape(monkeypatch):
    """Its sums are photutils'."""
    (code,) = python_of("new_aperture.md")
    names = {}
    exec(code, names)
    table, exposure, Squares = (names[name] for name in ("table", "exposure", "Squares"))
    data = np.where(np.isfinite(exposure.data), exposure.data, 0.0) * names["area"]
    squares = RectangularAperture(np.transpose([table["x"], table["y"]]), 6.0, 6.0)
    masks = squares.to_mask(method="exact")
    sums, areas = (
        np.array([mask.multiply(image).sum() for mask in masks]) for image in (data, names["area"])
    )
    scale = 1e15 * exposure.conversion * exposure.pixel_area
    arcsec2 = (np.pi / 648000) ** 2
    background = table["aper_bkg_flux"] / (1e15 * exposure.conversion * arcsec2)
    gross = scale * sums
    difference = table["square_flux"] - (gross - scale * background * areas)
    assert np.all(np.abs(difference) < 2e-4 * gross)  # photutils' exact squares have 32 subpixels
    circles = CircularApertures(aperture_radii=1.5, radius_unit="arcsec", bkg_estimator="none")
    large = names["measure"](exposure, names["read_sources"]("catalog.ecsv"), [Squares(circles)])
    assert np.all(large["warning_flags"] & WarningFlag.NEIGHBOR)  # 1 to 1.4 arcsec away
    half_side = 1.5 / (3600 * SCALE_DEG)
    squares = RectangularAperture(np.transpose([table["x"], table["y"]]), *[2 * half_side] * 2)
    data = np.where(np.isfinite(exposure.data), exposure.data, 0.0)
    gross = scale * np.array([m.multiply(data).sum() for m in squares.to_mask(method="exact")])
    np.testing.assert_allclose(large["square_flux"], gross, rtol=5e-3)
    monkeypatch.setitem(APERTURE_SHAPES, "square", Squares.from_settings)
    settings = Settings(("aperture", "psf"), aperture_shape="square", subtract_neighbors=True)
    squares, stars = methods_for(settings)
    assert squares.neighbors == stars
    with pytest.raises(ValueError, match="match_psf_to is 'F213': expected none"):
        methods_for(replace(settings, match_psf_to="F213"))


def test_the_page_of_architecture_names_every_room_and_files_that_exist():
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", text, re.MULTILINE)
    rooms = set(re.findall(r"`(\w+)`", " ".join(listed)))
    package = Path(romancal_forcedphot.__file__).parent
    directories = {path.parent.name for path in package.glob("*/__init__.py")}
    assert rooms == directories | {"step"}
    for name in re.findall(r"`([\w/]+(?:\.py|/))`", text):
        places = (package / name, ROOT / name, package / "photometry" / "methods" / name)
        beside = any(path.name == name for path in package.rglob("*.py"))
        assert beside or any(place.exists() for place in places), name


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


def messages():
    """What all strings of the package say, with … for what is filled in."""
    for path in Path(romancal_forcedphot.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [getattr(part, "value", "…") for part in node.values]
                yield "".join(part if isinstance(part, str) else "…" for part in parts)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_errors_of_the_reference_are_those_of_the_code():
    page = (DOCS / "reference" / "errors.md").read_text(encoding="utf-8")
    quoted = re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)
    assert len(quoted) > 20
    said = list(messages())
    for words in quoted:
        pattern = ".*".join(map(re.escape, words.split("…")))
        assert any(re.search(pattern, text, re.DOTALL) for text in said), words
