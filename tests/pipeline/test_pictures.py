"""`save_plots` on the step: a page beside the product, or a clear error before any work."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from astropy.table import Table
from matplotlib.image import imread

from romancal_forcedphot import ForcedPhotometryStep
from small import CENTER, PRODUCT, level2_image, run_step

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
