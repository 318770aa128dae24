"""Pipelines, hooks and many exposures through `strun`, and the examples of their how-to page.

CRDS serves references of two detectors that are quickly made: constant areas and a Gaussian PSF.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import asdf
import numpy as np
import pytest
import roman_datamodels as rdm
from astropy.table import Table
from roman_datamodels.datamodels import ApcorrRefModel, PixelareaRefModel

from romancal_forcedphot.example.crds_cache import crds_environment, write_context
from small import CENTER, SCALE_DEG, level2_image

pytestmark = pytest.mark.slow

SHAPE = (180, 200)
DETECTORS = {"a": "WFI01", "b": "WFI05"}
SIGMA_ARCSEC = 0.085

WITH_CATALOG = '''
from romancal.datamodels.fileio import open_dataset
from romancal.source_catalog import SourceCatalogStep
from romancal.stpipe import RomanPipeline

from romancal_forcedphot import ForcedPhotometryStep


class Detected(RomanPipeline):
    """Forced photometry of what SourceCatalogStep detected."""

    step_defs = {"source_catalog": SourceCatalogStep, "forced_phot": ForcedPhotometryStep}

    def process(self, dataset):
        image = open_dataset(dataset)
        catalog, segmentation = self.source_catalog.run(image)
        self.forced_phot.catalog = catalog.source_catalog
        self.forced_phot.run(image)
        return image
'''


def area_reference(detector):
    model = PixelareaRefModel.create_fake_data(shape=SHAPE)
    model.data = np.ones(SHAPE, dtype=np.float32)
    model.meta.photometry.pixelarea_steradians = 2.8e-13
    model.meta.photometry.pixelarea_arcsecsq = 2.8e-13 * np.rad2deg(3600) ** 2
    model.meta.instrument.detector = detector
    return model


def apcorr_reference(detector):
    radii = np.linspace(0.025, 5.0, 200)
    curve = 1 - np.exp(-(radii**2) / (2 * SIGMA_ARCSEC**2))
    entry = {"ee_radii": radii, "ee_fractions": curve, "ap_corrections": 1 / curve}
    entry |= {"sky_background_rin": 2.4, "sky_background_rout": 2.8}
    model = ApcorrRefModel.create_fake_data()
    model.meta.instrument.detector = detector
    model.data = {"F106": entry}
    return model


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """CRDS with an area and an apcorr reference for each detector; our scripts in the path."""
    cache = tmp_path_factory.mktemp("crds")
    directory = cache / "references" / "roman"
    directory.mkdir(parents=True)
    rules = {"area": {}, "apcorr": {}}
    for detector in DETECTORS.values():
        for kind, make in (("area", area_reference), ("apcorr", apcorr_reference)):
            name = f"roman_wfi_{kind}_{detector[3:]}.asdf"
            make(detector).save(directory / name)
            rules[kind][(detector,)] = name
    write_context(cache, rules)
    scripts = os.fspath(Path(sys.executable).parent)
    path = os.pathsep.join([scripts, os.environ["PATH"]])
    return os.environ | crds_environment(cache) | {"PATH": path}


@pytest.fixture
def directory(tmp_path):
    """Two exposures with twelve stars each, and the catalog of the stars."""
    ny, nx = SHAPE
    x, y = (axis.ravel() for axis in np.meshgrid([40.0, 80, 120, 160], [45.0, 90, 135]))
    yy, xx = np.mgrid[:ny, :nx]
    sigma = SIGMA_ARCSEC / 0.11
    stars = sum(
        50 * np.exp(-((xx - x0) ** 2 + (yy - y0) ** 2) / (2 * sigma**2))
        for x0, y0 in zip(x, y, strict=True)
    )
    for name, detector in DETECTORS.items():
        image = level2_image(SHAPE)
        image.data = (image.data + stars).astype(np.float32)
        image.meta.instrument.detector = detector
        image.meta.filename = f"{name}_cal.asdf"
        image.save(tmp_path / image.meta.filename)
    ra, dec = level2_image(SHAPE).meta.wcs(x, y)
    Table({"ra": ra, "dec": dec}).write(tmp_path / "catalog.ecsv")
    assert abs(dec - CENTER[1]).max() < 100 * SCALE_DEG
    return tmp_path


def shell(command, directory, environment):
    return subprocess.run(
        ["bash", "-e", "-c", command],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def product(directory, name):
    """Table and metadata of a product."""
    with rdm.open(directory / f"{name}_forcedphot.asdf", lazy_tree=False) as model:
        return model.source_catalog.copy(), model.meta


def test_an_association_with_a_missing_member(directory, environment):
    """A failing member is told of at the end; each of the others has references of its own."""
    names = ["a_cal.asdf", "lost_cal.asdf", "b_cal.asdf"]
    members = [{"expname": name, "exptype": "science"} for name in names]
    (directory / "asn.json").write_text(json.dumps({"products": [{"members": members}]}))
    answer = shell("strun forced_phot asn.json --catalog=catalog.ecsv", directory, environment)
    assert answer.returncode != 0
    last = answer.stderr.strip().splitlines()[-1]
    assert "1 of 3 exposures failed" in last
    assert re.search(r"lost_cal\.asdf: input .*lost_cal\.asdf' is not a file", last)
    assert not list(directory.glob("lost_forcedphot*"))
    for name, detector in DETECTORS.items():
        table, meta = product(directory, name)
        assert len(table) == 12
        assert not table["warning_flags"].any()
        assert meta.instrument.detector == detector
        for kind in ("area", "apcorr"):
            used = meta.ref_file[kind]
            assert used == f"crds://roman_wfi_{kind}_{detector[3:]}.asdf"
        assert meta.ref_file.crds.context == "roman_0001.pmap"


def test_sources_that_a_pipeline_detects(directory, environment):
    (directory / "detected.py").write_text(WITH_CATALOG)
    answer = shell(
        "PYTHONPATH=.:$PYTHONPATH strun detected.Detected a_cal.asdf --suffix=detected "
        "--steps.source_catalog.fit_psf=false --steps.forced_phot.save_results=true",
        directory,
        environment | {"PYTHONPATH": os.environ.get("PYTHONPATH", "")},
    )
    assert answer.returncode == 0, answer.stderr
    table, meta = product(directory, "a")
    truth = Table.read(directory / "catalog.ecsv")
    assert len(table) == len(truth)
    separation = np.hypot(
        (np.asarray(table["ra"])[:, None] - truth["ra"]) * np.cos(np.deg2rad(CENTER[1])),
        np.asarray(table["dec"])[:, None] - truth["dec"],
    )
    assert separation.min(axis=1).max() < 0.3 * SCALE_DEG
    amplitude = 50 * 2 * np.pi * (SIGMA_ARCSEC / 0.11) ** 2 * 1e15 * 0.25 * 2.8e-13
    np.testing.assert_allclose(table["aper3pix_flux"], amplitude, rtol=0.03)
    assert "rows in memory" in meta.forced_phot.parameters["catalog"]
    with asdf.open(directory / "a_detected.asdf") as file:
        assert "data" in file["roman"]


def page_blocks():
    """The page's blocks in order: ('file name', text), ('python', text) or ('shell', text)."""
    section = (Path(__file__).parents[2] / "docs" / "howto" / "pipelines.md").read_text()
    pattern = r"```python\n(?P<python>.*?)```|(?P<shell>(?:^    \S[^\n]*\n)+)"
    for block in re.finditer(pattern, section, flags=re.DOTALL | re.MULTILINE):
        if block["shell"]:
            yield "shell", re.sub("^    ", "", block["shell"], flags=re.MULTILINE)
        else:
            name = re.match(r"# (\w+\.py)\n", block["python"])
            yield (name[1] if name else "python"), block["python"]


def test_the_examples_of_the_page(directory, environment):
    """Pasted one after the other into one shell."""
    script, n_commands = ["export PYTHONPATH=$PYTHONPATH"], 0
    for number, (kind, text) in enumerate(page_blocks()):
        if kind == "shell":
            n_commands += text.count("strun ")
            script += [
                "rm -f *_forcedphot.asdf",
                text.replace("PYTHONPATH=.", "PYTHONPATH=.:$PYTHONPATH"),
            ]
            script.append(f"mkdir after{number}; cp *_forcedphot.asdf after{number}")
        elif kind == "python":
            (directory / "example.py").write_text(text)
            script += ["rm -f *_forcedphot.asdf", "python example.py"]
            script.append(f"mkdir after{number}; cp *_forcedphot.asdf after{number}")
        else:
            (directory / kind).write_text(text)
    assert n_commands == 5
    answer = shell("\n".join(script), directory, {"PYTHONPATH": ""} | environment)
    assert answer.returncode == 0, answer.stderr
    assert "pars-forcedphotometrystep" not in answer.stderr
    left = [
        sorted(path.name[0] for path in after.iterdir())
        for after in sorted(directory.glob("after*"), key=lambda path: int(path.name[5:]))
    ]
    assert left == [["a", "b"], ["a", "b"], ["a"], ["b"]]
    for path in directory.glob("after*/*"):
        table, meta = product(path.parent, path.name[0])
        assert not table["warning_flags"].any()
        assert meta.forced_phot.aperture_radii == [3, 5]
    for name in ("a_flux.asdf", "b_flux.asdf", "b_fluxstep.asdf"):
        with rdm.open(directory / name) as host:
            assert host.meta.cal_step.flux == "COMPLETE"
            assert any("Measured 12 of 12 sources" in line for line in host.meta.cal_logs)
