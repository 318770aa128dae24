"""`save_plots` on the step: a page beside the product, or a clear error before any work."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from astropy.table import Table
from matplotlib.image import imread

from romancal_forcedphot import ForcedPhotometryStep, measure
from romancal_forcedphot.catalogs import read_sources
from romancal_forcedphot.photometry.methods import EllipticalApertures, KronApertures
from small import CENTER, PRODUCT, exposure_of, level2_image, run_step

PAGE = PRODUCT.replace(".asdf", ".png")


pytestmark = pytest.mark.usefixtures("workplace")


def sources():
    ra, dec = CENTER
    return Table({"ra": [ra, ra], "dec": [dec, dec + 2 / 3600]})


def test_the_page_lies_beside_the_product(tmp_path):
    options = {"save_results": True, "save_plots": True, "output_dir": "out"}
    run_step(level2_image(), catalog=sources(), **options)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        PAGE,
        PAGE.replace(".png", ".asdf"),
    }
    picture = imread(tmp_path / "out" / PAGE)
    assert picture.shape[1] >= 1000
    assert np.ptp(picture[..., :3]) > 0.9  # black on white


def test_without_a_fit_there_is_a_warning_and_no_residual_image(tmp_path, caplog):
    run_step(level2_image(), catalog=sources(), save_residual=True, save_results=True)
    assert "no residual image: save_residual needs methods=psf or model" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == [PRODUCT]


@pytest.mark.parametrize("shape", ["ellipse", "kron"])
def test_ellipses_have_a_page(tmp_path, shape):
    columns = {"n": [1.0, 2.0], "half_light_radius": [0.4, -1.0], "ba": [0.5] * 2, "pa": [20.0] * 2}
    table = sources()
    for name, values in columns.items():
        table[name] = values
    run_step(level2_image(), catalog=table, aperture_shape=shape, save_plots=True)
    assert np.ptp(imread(tmp_path / PAGE)[..., :3]) > 0.9


@pytest.mark.parametrize("method", [EllipticalApertures(), KronApertures()])
def test_ellipses_of_a_page_are_the_apertures(method):
    """North is up: a position angle of 20 degrees is 110 from the x axis."""
    exposure = exposure_of(np.ones((180, 200), np.float32), np.ones((180, 200), np.float32))
    shapes = {"semimajor": [0.33, 0.2], "semiminor": [0.11, 0.3], "orientation_sky": [20.0, 0.0]}
    table = {"x": [99.5, 50.0], "y": [89.5, 50.0], **shapes, "kron_radius": [2.0, 2.0]}
    sources = read_sources(Table(table), shapes=True)
    bound = []
    table = measure(exposure, sources, [method], inspect=bound.extend)
    axes = np.array(bound[0].apertures_on_pixels(table))
    scale = {"ellipse": 2.5, "kron": 2.5 * 2}[method.name]
    np.testing.assert_allclose(axes[:2, 0], [3 * scale, scale], rtol=1e-4)
    assert np.sin(axes[2, 0] - np.radians(110)) == pytest.approx(0, abs=1e-4)
    assert np.isnan(axes[:, 1]).all()


@pytest.mark.slow
def test_each_of_many_exposures_has_a_page(tmp_path):
    images = [level2_image(seed=seed) for seed in (1, 2)]
    images[1].meta.filename = images[1].meta.filename.replace("0001_wfi01", "0002_wfi01")
    run_step(images, catalog=sources(), save_plots=True)
    pages = {path.name for path in tmp_path.glob("*.png")}
    assert pages == {PAGE, PAGE.replace("0001_wfi01", "0002_wfi01")}


def test_no_page_unless_asked(tmp_path):
    run_step(level2_image(), catalog=sources(), save_results=True)
    assert not list(tmp_path.glob("*.png"))


def test_without_matplotlib_nothing_is_begun(monkeypatch):
    """The image is not even looked for: it does not exist."""
    for name in [name for name in sys.modules if name.startswith("romancal_forcedphot.plots")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("romancal_forcedphot.plots", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'romancal_forcedphot\[plot\]'"):
        ForcedPhotometryStep(catalog="missing.ecsv", save_plots=True).run("missing_cal.asdf")
